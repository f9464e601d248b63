//! The debug console's output, line by line, with the time of each line.

use serde::{Deserialize, Serialize};

/// A line that a guest wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// Cycle of its first byte.
    pub at: u64,
    /// CPU that wrote its first byte.
    pub cpu: u32,
    /// The line without its end.
    pub text: String,
}

/// Everything that left by the debug console port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    lines: Vec<ConsoleLine>,
    open: bool,
}

impl Console {
    /// Takes a byte. Bytes outside ASCII are kept as the characters of Latin-1.
    pub fn push(&mut self, at: u64, cpu: u32, byte: u8) {
        if byte == b'\n' && self.open {
            self.open = false;
            return;
        }
        if !self.open {
            self.lines.push(ConsoleLine { at, cpu, text: String::new() });
        }
        self.open = byte != b'\n';
        if let Some(line) = self.lines.last_mut()
            && byte != b'\n'
            && byte != b'\r'
        {
            line.text.push(char::from(byte));
        }
    }

    /// Lines so far, the last one perhaps unfinished.
    #[must_use]
    pub fn lines(&self) -> &[ConsoleLine] {
        &self.lines
    }

    /// All of it as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_with_the_time_of_their_first_byte() {
        let mut console = Console::default();
        for (at, byte) in b"one\r\n\ntwo".iter().enumerate() {
            console.push(at as u64, 3, *byte);
        }
        let lines: Vec<(u64, &str)> =
            console.lines().iter().map(|l| (l.at, l.text.as_str())).collect();
        assert_eq!(lines, [(0, "one"), (5, ""), (6, "two")]);
        assert_eq!(console.text(), "one\n\ntwo\n");
    }
}
