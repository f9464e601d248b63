//! `--set PATH=VALUE`: changes one value of a scenario before it is decoded.
//!
//! A path names fields by dots and list items by index: `devices.ioc0.firmware_latency`,
//! `tasks[3].at`, `machine.memory.l1_hit`. Fields that the file leaves out are added, so that
//! any setting can be made; decoding then says if there is no such field.

use crate::diagnostics::{Diagnostics, suggest};
use crate::tree::{Name, Node, SourceId, Span, Spanned, Value, parse};
use crate::units::Duration;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// A field, or a key of a map.
    Name(Name),
    /// An item of a list.
    Index(Spanned<usize>),
}

/// Applies `argument`, `PATH=VALUE`, to `tree`. Mistakes go to `diags`, as made in `option`.
pub fn set(tree: &mut Node, option: &str, argument: &str, diags: &mut Diagnostics) {
    let source = diags.sources.add(option, argument);
    let span = |start, end| Span { source, start, end };
    let Some((path, text)) = argument.split_once('=') else {
        let help = Some("write PATH=VALUE: devices.ioc0.firmware_latency=9us".to_owned());
        diags.error(span(0, argument.len()), format!("`{option}` needs a value"), help);
        return;
    };
    let Some(steps) = steps(path, source, diags) else { return };
    let value = value(text, source, path.len() + 1);
    insert(tree, &steps, value, diags);
}

/// Splits a path; `None` (and a note) if it is not one.
fn steps(path: &str, source: SourceId, diags: &mut Diagnostics) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut at = 0;
    let bad = |at: usize, message: &str, diags: &mut Diagnostics| {
        let span = Span { source, start: at, end: (at + 1).min(path.len().max(at)) };
        let help = Some("a path looks like devices.ioc0.irq_cpu or tasks[3].at".to_owned());
        diags.error(span, message, help);
    };
    loop {
        let rest = &path[at..];
        let len = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        let name = rest[..len].trim();
        if name.is_empty() {
            bad(at, "a name is missing in this path", diags);
            return None;
        }
        let span = Span { source, start: at, end: at + len };
        steps.push(Step::Name(Spanned::new(name.to_owned(), span)));
        at += len;
        while path[at..].starts_with('[') {
            let close = path[at..].find(']').map(|len| at + len);
            let index = close.and_then(|close| path[at + 1..close].trim().parse().ok());
            let (Some(close), Some(index)) = (close, index) else {
                bad(at, "an index in brackets is a whole number", diags);
                return None;
            };
            let span = Span { source, start: at, end: close + 1 };
            steps.push(Step::Index(Spanned::new(index, span)));
            at = close + 1;
        }
        if at == path.len() {
            return Some(steps);
        }
        if !path[at..].starts_with('.') {
            bad(at, "expected `.` in this path", diags);
            return None;
        }
        at += 1;
    }
}

/// The value on the right: RON, or a bare duration or word that is taken as a string.
pub(crate) fn value(text: &str, source: SourceId, start: usize) -> Node {
    let bare = || {
        let span = Span { source, start, end: start + text.len() };
        Spanned::new(Value::Str(text.trim().to_owned()), span)
    };
    if text.parse::<Duration>().is_ok() {
        return bare();
    }
    match parse(source, text) {
        Ok(mut node) => {
            shift(&mut node, start);
            node
        }
        Err(_) => bare(),
    }
}

/// Moves the spans of a value that was read from the right side of the argument.
fn shift(node: &mut Node, by: usize) {
    let moved = |span: &mut Span| {
        span.start += by;
        span.end += by;
    };
    moved(&mut node.span);
    match &mut node.value {
        Value::Struct(name, fields) => {
            name.iter_mut().for_each(|name| moved(&mut name.span));
            for (field, value) in fields {
                moved(&mut field.span);
                shift(value, by);
            }
        }
        Value::Tuple(name, items) => {
            name.iter_mut().for_each(|name| moved(&mut name.span));
            items.iter_mut().for_each(|item| shift(item, by));
        }
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Map(entries) => {
            for (key, value) in entries {
                shift(key, by);
                shift(value, by);
            }
        }
        _ => {}
    }
}

fn insert(node: &mut Node, steps: &[Step], value: Node, diags: &mut Diagnostics) {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return;
    };
    match step {
        Step::Name(name) => {
            if let Some(child) = child(node, name, diags) {
                insert(child, rest, value, diags);
            }
        }
        Step::Index(index) => {
            let (Value::List(items) | Value::Tuple(_, items)) = &mut node.value else {
                let message = format!("{} has no items to count", node.value.kind());
                diags.error(index.span, message, None);
                return;
            };
            let count = items.len();
            match items.get_mut(index.value) {
                Some(item) => insert(item, rest, value, diags),
                None => {
                    let message = format!("there is no item {} here", index.value);
                    let help = match count {
                        0 => "the list is empty".to_owned(),
                        n => format!("the items are 0 to {}", n - 1),
                    };
                    diags.error(index.span, message, Some(help));
                }
            }
        }
    }
}

/// The field or entry `name` of `node`, added if it is a field that the file leaves out.
fn child<'n>(node: &'n mut Node, name: &Name, diags: &mut Diagnostics) -> Option<&'n mut Node> {
    if matches!(node.value, Value::Unit) {
        node.value = Value::Struct(None, Vec::new());
    }
    if let Value::Word(word) = &node.value {
        let variant = Spanned::new(word.clone(), node.span);
        node.value = Value::Struct(Some(variant), Vec::new());
    }
    let kind = node.value.kind();
    match &mut node.value {
        Value::Struct(_, fields) => {
            let position = fields.iter().position(|(field, _)| field.value == name.value);
            let index = position.unwrap_or_else(|| {
                fields.push((name.clone(), Spanned::new(Value::Unit, name.span)));
                fields.len() - 1
            });
            fields.get_mut(index).map(|(_, value)| value)
        }
        Value::Map(entries) => {
            let keys: Vec<String> = entries.iter().map(|(key, _)| key_text(key)).collect();
            let position = keys.iter().position(|key| *key == name.value);
            if position.is_none() {
                let help = suggest(&name.value, keys.iter().map(String::as_str));
                diags.error(name.span, format!("there is no `{}` here", name.value), help);
            }
            position.and_then(|index| entries.get_mut(index)).map(|(_, value)| value)
        }
        _ => {
            let message = format!("{kind} has no field `{}`", name.value);
            diags.error(name.span, message, Some("use an index: [0]".to_owned()));
            None
        }
    }
}

fn key_text(key: &Node) -> String {
    match &key.value {
        Value::Str(text) => text.clone(),
        _ => String::new(),
    }
}

/// Where `path`, or as much of it as there is, was written in `tree`.
#[must_use]
pub fn span_at(tree: &Node, path: &str) -> Span {
    let mut node = tree;
    for name in path.split(['.', '[', ']']).filter(|name| !name.is_empty()) {
        let child = match &node.value {
            Value::Struct(_, fields) => {
                fields.iter().find(|(field, _)| field.value == name).map(|(_, value)| value)
            }
            Value::Map(entries) => {
                entries.iter().find(|(key, _)| key_text(key) == name).map(|(_, value)| value)
            }
            Value::List(items) | Value::Tuple(_, items) => {
                name.parse::<usize>().ok().and_then(|index| items.get(index))
            }
            _ => None,
        };
        match child {
            Some(child) => node = child,
            None => break,
        }
    }
    node.span
}

/// A value that a sweep can run over.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericPath {
    /// Its path, as `--set` takes it.
    pub path: String,
    /// Its value as written.
    pub value: NumericValue,
}

/// Numbers and durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumericValue {
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// A duration.
    Duration(Duration),
}

/// Every number and duration that is written in `tree`, with its path.
#[must_use]
pub fn numeric_paths(tree: &Node) -> Vec<NumericPath> {
    let mut out = Vec::new();
    collect(tree, "", &mut out);
    out
}

fn collect(node: &Node, path: &str, out: &mut Vec<NumericPath>) {
    let dotted = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    let value = match &node.value {
        Value::Int(number) => Some(NumericValue::Int(*number)),
        Value::Float(number) => Some(NumericValue::Float(*number)),
        Value::Str(text) => text.parse().ok().map(NumericValue::Duration),
        Value::Struct(_, fields) => {
            fields.iter().for_each(|(name, value)| collect(value, &dotted(&name.value), out));
            None
        }
        Value::Map(entries) => {
            entries.iter().for_each(|(key, value)| collect(value, &dotted(&key_text(key)), out));
            None
        }
        Value::List(items) | Value::Tuple(_, items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{index}]"), out);
            }
            None
        }
        Value::Unit | Value::Bool(_) | Value::Char(_) | Value::Word(_) => None,
    };
    if let Some(value) = value.filter(|_| !path.is_empty()) {
        out.push(NumericPath { path: path.to_owned(), value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Sources;

    fn tree() -> Node {
        let text = r#"(
            machine: (cores: 4),
            devices: { "ioc0": Hba(irq_cpu: 5, firmware_latency: "700cy") },
            tasks: [(at: "1ms"), (at: "2ms", run: [Compute("1us")])],
        )"#;
        parse(SourceId(0), text).expect("a tree")
    }

    fn get(tree: &Node, path: &str) -> Option<NumericValue> {
        numeric_paths(tree).into_iter().find(|found| found.path == path).map(|found| found.value)
    }

    fn apply(argument: &str) -> Result<Node, String> {
        let mut tree = tree();
        let mut diags = Diagnostics::new(Sources::default());
        set(&mut tree, "--set", argument, &mut diags);
        match diags.list.as_slice() {
            [] => Ok(tree),
            [first, ..] => {
                let at = diags.sources.slice(first.span);
                Err(format!("{at}: {} ({})", first.message, first.help.as_deref().unwrap_or("")))
            }
        }
    }

    #[test]
    fn values_are_replaced_by_path() {
        let path = "devices.ioc0.firmware_latency";
        let tree = apply("devices.ioc0.firmware_latency=9us").unwrap();
        assert_eq!(get(&tree, path), Some(NumericValue::Duration(Duration::Picos(9_000_000))));
        let tree = apply("tasks[1].run[0][0]=\"5cy\"").unwrap();
        let expect = Some(NumericValue::Duration(Duration::Cycles(5)));
        assert_eq!(get(&tree, "tasks[1].run[0][0]"), expect);
        let tree = apply("devices.ioc0.firmware_latency=Uniform(\"1us\", \"2us\")").unwrap();
        assert!(get(&tree, "devices.ioc0.firmware_latency[1]").is_some());
    }

    #[test]
    fn fields_that_the_file_leaves_out_are_added() {
        let tree = apply("kernel.watchdog.thresh=2s").unwrap();
        assert!(get(&tree, "kernel.watchdog.thresh").is_some());
        let tree = apply("machine.memory.l1_hit=5").unwrap();
        assert_eq!(get(&tree, "machine.memory.l1_hit"), Some(NumericValue::Int(5)));
    }

    #[test]
    fn wrong_paths_are_explained() {
        let error = |argument| apply(argument).expect_err(argument);
        assert_eq!(
            error("devices.ioc1.msi=true"),
            "ioc1: there is no `ioc1` here (did you mean `ioc0`?)"
        );
        assert_eq!(error("tasks[2].at=1ms"), "[2]: there is no item 2 here (the items are 0 to 1)");
        assert_eq!(error("tasks.at=1ms"), "at: a list has no field `at` (use an index: [0])");
        assert!(error("tasks").starts_with("tasks: `--set` needs a value"));
        assert!(error("a..b=1").contains("a name is missing"));
        assert!(error("a[x]=1").contains("whole number"));
        assert!(error("machine[0]=1").contains("has no items to count"));
    }
}
