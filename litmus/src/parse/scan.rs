//! Walking over text, knowing where one is.

use super::{Parsed, mistake};

/// `text` with `(* comments *)` blanked, every byte in its place.
pub(super) fn blank_comments(text: &str) -> Parsed<String> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(start) = text[at..].find("(*").map(|found| at + found) {
        let Some(end) = text[start + 2..].find("*)").map(|found| start + 4 + found) else {
            return mistake(start, "this comment has no end", "close it with `*)`");
        };
        for byte in &mut bytes[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // Whole comments went, so that no character was cut.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// A position in a part of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0, end: text.len() }
    }

    /// Byte of the whole text.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.end);
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start().len());
    }

    /// Only the first `bytes` of what is left.
    pub(super) fn first(&self, bytes: usize) -> Self {
        Scanner { end: (self.at + bytes).min(self.end), ..*self }
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&mut self) -> &'a str {
        let rest = self.rest();
        let line = rest.split('\n').next().unwrap_or_default();
        self.skip(line.len() + 1);
        line
    }

    /// Everything up to `stop`, which is skipped.
    pub(super) fn until(&mut self, stop: char, what: &str) -> Parsed<Scanner<'a>> {
        let Some(length) = self.rest().find(stop) else {
            return mistake(self.at, format!("{what} is missing"), format!("write `{stop}`"));
        };
        let part = Scanner { end: self.at + length, ..*self };
        self.skip(length + stop.len_utf8());
        Ok(part)
    }

    /// The parts between separators.
    pub(super) fn split(self, separator: char) -> Vec<Scanner<'a>> {
        let mut parts = Vec::new();
        let mut start = self.at;
        for piece in self.rest().split(separator) {
            parts.push(Scanner { text: self.text, at: start, end: start + piece.len() });
            start += piece.len() + separator.len_utf8();
        }
        parts
    }

    /// Takes `word` (any case) if it comes next and ends there.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let saved = *self;
        self.skip_blanks();
        if self.word().is_some_and(|found| found.eq_ignore_ascii_case(word)) {
            return true;
        }
        *self = saved;
        false
    }

    /// Takes `text` if it comes next, after blanks.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let saved = *self;
        self.skip_blanks();
        if self.rest().starts_with(text) {
            self.skip(text.len());
            return true;
        }
        *self = saved;
        false
    }

    /// Takes `text` or says that it is missing.
    pub(super) fn expect(&mut self, text: &str, help: &str) -> Parsed<()> {
        if self.take(text) {
            return Ok(());
        }
        self.skip_blanks();
        mistake(self.at, format!("`{text}` expected, found {}", self.found()), help)
    }

    /// What comes next, for messages.
    pub(super) fn found(&self) -> String {
        let shown: String =
            self.rest().trim().chars().take_while(|&c| c != '\n').take(20).collect();
        if shown.is_empty() { "nothing".to_owned() } else { format!("`{shown}`") }
    }

    /// A word: letters, digits, `_`, `.`, after blanks.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let rest = self.rest();
        let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let length = rest.find(|c| !part_of_word(c)).unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        self.skip(length);
        Some(&rest[..length])
    }

    /// A whole number: decimal or 0x, with an optional sign.
    pub(super) fn number(&mut self) -> Parsed<i64> {
        const HELP: &str = "write a whole number, decimal or with 0x, of at most 64 bits";
        self.skip_blanks();
        let at = self.at;
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let Some(word) = self.word() else {
            return mistake(at, format!("a number expected, found {}", self.found()), HELP);
        };
        let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let magnitude = match hex {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let Ok(magnitude) = magnitude else {
            return mistake(at, format!("`{word}` is not a number"), HELP);
        };
        let value = magnitude as i64;
        Ok(if negative { value.wrapping_neg() } else { value })
    }
}
