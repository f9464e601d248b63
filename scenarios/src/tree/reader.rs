//! Reads RON into a tree with positions.

use super::{Name, Node, SourceId, Span, Spanned, Value};

/// Where and why a text is not RON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Place of the first character that doesn't fit.
    pub span: Span,
    /// What was expected.
    pub message: String,
    /// What to do about it, if that is clear.
    pub help: Option<String>,
}

type Parsed<T> = Result<T, SyntaxError>;

/// Values may be nested this deep; more would only exhaust the stack.
const MAX_DEPTH: usize = 128;

/// Reads `text`, the text of `source`, as one RON value.
///
/// # Errors
/// The first place where it is not RON.
pub fn parse(source: SourceId, text: &str) -> Parsed<Node> {
    let mut reader = Reader { source, text, at: 0, depth: 0 };
    reader.extensions()?;
    let node = reader.value()?;
    reader.blank()?;
    if reader.at < text.len() {
        return Err(reader.unexpected("the end of the file"));
    }
    Ok(node)
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn span(&self, start: usize) -> Span {
        Span { source: self.source, start, end: self.at }
    }

    fn error_at(&self, start: usize, end: usize, message: impl Into<String>) -> SyntaxError {
        let span = Span { source: self.source, start, end };
        SyntaxError { span, message: message.into(), help: None }
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        match self.peek() {
            None => self.error_at(self.at, self.at, format!("expected {expected}, found the end")),
            Some(c) => {
                let end = self.at + c.len_utf8();
                self.error_at(self.at, end, format!("expected {expected}, found `{c}`"))
            }
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Parsed<()> {
        loop {
            let trimmed = self.rest().trim_start();
            self.at = self.text.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn block_comment(&mut self) -> Parsed<()> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            if self.take("/*") {
                depth += 1;
            } else if self.take("*/") {
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(c) = self.peek() {
                self.at += c.len_utf8();
            } else {
                return Err(self.error_at(start, start + 2, "this comment is never closed"));
            }
        }
    }

    /// `#![enable(…)]` lines: accepted and ignored, no extension changes what scenarios mean.
    fn extensions(&mut self) -> Parsed<()> {
        self.blank()?;
        while self.take("#![") {
            let Some(end) = self.rest().find(']') else {
                return Err(self.unexpected("`]` after `#![enable(…)`"));
            };
            self.at += end + 1;
            self.blank()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Parsed<Node> {
        self.blank()?;
        if self.depth == MAX_DEPTH {
            return Err(self.error_at(self.at, self.at, "values are nested too deeply"));
        }
        self.depth += 1;
        let node = self.value_here();
        self.depth -= 1;
        node
    }

    fn value_here(&mut self) -> Parsed<Node> {
        let start = self.at;
        let value = match self.peek() {
            Some('(') => self.parentheses(None)?,
            Some('[') => self.list()?,
            Some('{') => self.map()?,
            Some('"') => Value::Str(self.string()?),
            Some('\'') => self.character()?,
            Some('0'..='9' | '+' | '-' | '.') => self.number()?,
            Some('r') if self.at_raw_string() => Value::Str(self.raw_string()?),
            Some(c) if c == '_' || c.is_alphabetic() => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Spanned::new(value, self.span(start)))
    }

    fn identifier(&mut self) -> Parsed<Name> {
        self.take("r#");
        let start = self.at;
        let len = self
            .rest()
            .char_indices()
            .find(|&(at, c)| !(c == '_' || c.is_alphanumeric()) || (at == 0 && c.is_numeric()))
            .map_or(self.rest().len(), |(at, _)| at);
        if len == 0 {
            return Err(self.unexpected("a name"));
        }
        self.at += len;
        Ok(Spanned::new(self.text[start..self.at].to_owned(), self.span(start)))
    }

    fn word(&mut self) -> Parsed<Value> {
        let name = self.identifier()?;
        let after = self.at;
        self.blank()?;
        if self.peek() == Some('(') {
            return self.parentheses(Some(name));
        }
        self.at = after;
        Ok(match name.value.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "inf" => Value::Float(f64::INFINITY),
            "NaN" => Value::Float(f64::NAN),
            _ => Value::Word(name.value),
        })
    }

    /// `(…)`: a structure if it starts with `name:`, else a tuple.
    fn parentheses(&mut self, name: Option<Name>) -> Parsed<Value> {
        let open = self.at;
        self.at += 1;
        self.blank()?;
        if self.at_field() { self.structure(open, name) } else { self.tuple(open, name) }
    }

    fn at_field(&mut self) -> bool {
        let start = self.at;
        let found = self.identifier().is_ok()
            && self.blank().is_ok()
            && self.rest().starts_with(':')
            && !self.rest().starts_with("::");
        self.at = start;
        found
    }

    fn structure(&mut self, open: usize, name: Option<Name>) -> Parsed<Value> {
        let mut fields = Vec::new();
        while !self.close(open, ')')? {
            let field = self.identifier()?;
            self.colon(&field.value)?;
            fields.push((field, self.value()?));
            self.comma(open, ')', "field")?;
        }
        Ok(Value::Struct(name, fields))
    }

    fn tuple(&mut self, open: usize, name: Option<Name>) -> Parsed<Value> {
        let items = self.items(open, ')')?;
        if name.is_none() && items.is_empty() {
            return Ok(Value::Unit);
        }
        Ok(Value::Tuple(name, items))
    }

    fn list(&mut self) -> Parsed<Value> {
        let open = self.at;
        self.at += 1;
        Ok(Value::List(self.items(open, ']')?))
    }

    fn items(&mut self, open: usize, close: char) -> Parsed<Vec<Node>> {
        let mut items = Vec::new();
        while !self.close(open, close)? {
            items.push(self.value()?);
            self.comma(open, close, "value")?;
        }
        Ok(items)
    }

    fn map(&mut self) -> Parsed<Value> {
        let open = self.at;
        self.at += 1;
        let mut entries = Vec::new();
        while !self.close(open, '}')? {
            let key = self.value()?;
            self.colon("the key")?;
            entries.push((key, self.value()?));
            self.comma(open, '}', "entry")?;
        }
        Ok(Value::Map(entries))
    }

    fn close(&mut self, open: usize, close: char) -> Parsed<bool> {
        self.blank()?;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(true);
        }
        if self.peek().is_none() {
            let message = format!("this is never closed: `{close}` is missing");
            return Err(self.error_at(open, open + 1, message));
        }
        Ok(false)
    }

    fn colon(&mut self, what: &str) -> Parsed<()> {
        self.blank()?;
        if self.take(":") { Ok(()) } else { Err(self.unexpected(&format!("`:` after {what}"))) }
    }

    fn comma(&mut self, open: usize, close: char, what: &str) -> Parsed<()> {
        let end = self.at;
        self.blank()?;
        if self.take(",") || self.peek() == Some(close) {
            return Ok(());
        }
        if self.peek().is_none() {
            return self.close(open, close).map(|_| ());
        }
        let mut error = self.unexpected(&format!("`,` or `{close}` after this {what}"));
        if self.peek().is_some_and(|c| c.is_alphanumeric() || "\"'([{_".contains(c)) {
            error.help = Some("put a comma between them".to_owned());
            error.span = Span { source: self.source, start: end, end };
        } else if self.peek() == Some(':') {
            error.help = Some("name all values or none: Wait(object: …, timeout: …)".to_owned());
        }
        Err(error)
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        let len = self
            .rest()
            .char_indices()
            .scan('0', |last, (at, c)| {
                let sign = (c == '+' || c == '-') && (at == 0 || matches!(last, 'e' | 'E'));
                *last = c;
                Some((at, sign || c == '.' || c == '_' || c.is_ascii_alphanumeric()))
            })
            .find(|&(_, fits)| !fits)
            .map_or(self.rest().len(), |(at, _)| at);
        self.at += len;
        let token = &self.text[start..self.at];
        number_value(token).ok_or_else(|| {
            let mut error = self.error_at(start, self.at, format!("`{token}` is not a number"));
            if token.ends_with(|c: char| c.is_ascii_alphabetic()) {
                error.help = Some(format!("values with a unit are strings: \"{token}\""));
            }
            error
        })
    }

    fn string(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.peek() {
                None => {
                    return Err(self.error_at(start, start + 1, "this string is never closed"));
                }
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => out.extend(self.escape()?),
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// One escape; `None` for a line continuation.
    fn escape(&mut self) -> Parsed<Option<char>> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.peek() else {
            return Err(self.unexpected("an escape"));
        };
        self.at += c.len_utf8();
        let bad = |r: &Self| r.error_at(start, r.at, "unknown escape in a string");
        Ok(Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            '\\' | '"' | '\'' => c,
            'x' => {
                let digits = self.rest().get(..2).ok_or_else(|| bad(self))?;
                let code = u8::from_str_radix(digits, 16).map_err(|_| bad(self))?;
                self.at += 2;
                char::from(code)
            }
            'u' => {
                let rest = self.rest();
                let end = rest.find('}').filter(|_| rest.starts_with('{'));
                let code = end.and_then(|end| u32::from_str_radix(&rest[1..end], 16).ok());
                self.at += end.map_or(0, |end| end + 1);
                code.and_then(char::from_u32).ok_or_else(|| bad(self))?
            }
            '\n' => {
                self.at = self.text.len() - self.rest().trim_start().len();
                return Ok(None);
            }
            _ => return Err(bad(self)),
        }))
    }

    fn character(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some('\\') => self.escape()?,
            Some(c) => {
                self.at += c.len_utf8();
                Some(c)
            }
            None => None,
        };
        match c {
            Some(c) if self.take("'") => Ok(Value::Char(c)),
            _ => Err(self.error_at(start, self.at, "this is not a character in single quotes")),
        }
    }

    fn at_raw_string(&self) -> bool {
        self.rest()[1..].trim_start_matches('#').starts_with('"')
            && !self.rest()[1..].starts_with(|c: char| c.is_alphanumeric())
    }

    fn raw_string(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let hashes = self.rest().len() - self.rest().trim_start_matches('#').len();
        self.at += hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let Some(len) = self.rest().find(&close) else {
            return Err(self.error_at(start, start + 1, "this string is never closed"));
        };
        let text = self.rest()[..len].to_owned();
        self.at += len + close.len();
        Ok(text)
    }
}

/// The number that `token` writes, if it writes one.
fn number_value(token: &str) -> Option<Value> {
    let digits: String = token.chars().filter(|&c| c != '_').collect();
    let (negative, body) = match digits.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((body.strip_prefix(prefix)?, radix)));
    let (body, radix) = radix.unwrap_or((body, 10));
    if !body.starts_with(|c: char| c.is_digit(radix) || (radix == 10 && c == '.')) {
        return None;
    }
    if let Ok(magnitude) = i128::from_str_radix(body, radix) {
        return Some(Value::Int(if negative { -magnitude } else { magnitude }));
    }
    let float: f64 = if radix == 10 { body.parse().ok()? } else { return None };
    Some(Value::Float(if negative { -float } else { float }))
}
