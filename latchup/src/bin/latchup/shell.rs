//! Command lines that a shell takes apart as they were meant.

/// Joins arguments, quoting those that need it.
pub(crate) fn join<I: AsRef<str>>(arguments: impl IntoIterator<Item = I>) -> String {
    let quoted: Vec<String> = arguments.into_iter().map(|a| quote(a.as_ref())).collect();
    quoted.join(" ")
}

fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        assert_eq!(join(["latchup", "run", "a/b.ron"]), "latchup run a/b.ron");
        assert_eq!(join(["--set", "tasks[0].cpu=2"]), "--set 'tasks[0].cpu=2'");
        assert_eq!(join(["it's", "", "$HOME"]), r"'it'\''s' '' '$HOME'");
    }
}
