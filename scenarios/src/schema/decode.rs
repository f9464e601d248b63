//! Takes a tree apart and notes every mistake instead of stopping at the first.
//!
//! Decoding functions return `None` (or leave a field at its default) when they have noted an
//! error; the caller goes on, and the scenario is refused at the end if anything was noted.

use crate::diagnostics::{Diagnostics, closest, suggest};
use crate::tree::{Name, Node, Span, Spanned, Value};
use crate::units::Duration;
use std::ops::RangeInclusive;

/// Notes what is wrong while values are taken out of nodes.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) diags: Diagnostics,
}

impl Decoder {
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.diags.error(span, message, help);
    }

    /// Notes that `node` is not what was `expected`.
    pub(crate) fn mismatch(&mut self, node: &Node, expected: &str, help: Option<String>) {
        let message = format!("expected {expected}, found {}", node.value.kind());
        self.error(node.span, message, help);
    }

    pub(crate) fn string(&mut self, node: &Node) -> Option<Spanned<String>> {
        match &node.value {
            Value::Str(text) => Some(Spanned::new(text.clone(), node.span)),
            Value::Word(word) => {
                let help = Some(format!("put it in quotes: \"{word}\""));
                self.mismatch(node, "a string", help);
                None
            }
            _ => {
                self.mismatch(node, "a string", None);
                None
            }
        }
    }

    pub(crate) fn bool(&mut self, node: &Node) -> Option<Spanned<bool>> {
        if let Value::Bool(value) = node.value {
            return Some(Spanned::new(value, node.span));
        }
        self.mismatch(node, "true or false", None);
        None
    }

    /// A whole number in `range`; `what` names it.
    pub(crate) fn uint(
        &mut self,
        node: &Node,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let Value::Int(number) = node.value else {
            self.mismatch(node, &format!("{what}, a whole number"), None);
            return None;
        };
        if let Some(number) = u64::try_from(number).ok().filter(|number| range.contains(number)) {
            return Some(Spanned::new(number, node.span));
        }
        let (low, high) = (range.start(), range.end());
        let message = format!("{number} is out of range for {what}: {low} to {high}");
        self.error(node.span, message, None);
        None
    }

    /// A whole number of 64 bits; negative ones wrap as in C.
    pub(crate) fn word(&mut self, node: &Node) -> Option<Spanned<u64>> {
        if let Value::Int(number) = node.value {
            let signed = i64::try_from(number).ok().map(i64::cast_unsigned);
            if let Some(word) = u64::try_from(number).ok().or(signed) {
                return Some(Spanned::new(word, node.span));
            }
        }
        self.mismatch(node, "a whole number of 64 bits", None);
        None
    }

    /// A positive number with or without a fraction.
    pub(crate) fn float(&mut self, node: &Node, what: &str) -> Option<Spanned<f64>> {
        let number = match node.value {
            Value::Float(number) => number,
            Value::Int(number) => number as f64,
            _ => {
                self.mismatch(node, &format!("{what}, a number"), None);
                return None;
            }
        };
        if number.is_finite() && number >= 0.0 {
            return Some(Spanned::new(number, node.span));
        }
        self.error(node.span, format!("{what} must be a finite number, not negative"), None);
        None
    }

    pub(crate) fn duration(&mut self, node: &Node) -> Option<Spanned<Duration>> {
        match &node.value {
            Value::Str(text) => match text.parse() {
                Ok(duration) => return Some(Spanned::new(duration, node.span)),
                Err(error) => {
                    let message = format!("`{text}` is not a duration: {error}");
                    self.error(node.span, message, Some(error.help()));
                }
            },
            Value::Int(number) => {
                let help = format!("say which unit: \"{number}cy\", \"{number}ns\", …");
                self.error(node.span, "a duration needs a unit", Some(help));
            }
            _ => {
                let help = Some("durations are strings such as \"700cy\" or \"1.5us\"".to_owned());
                self.mismatch(node, "a duration", help);
            }
        }
        None
    }

    /// A duration that is not 0.
    pub(crate) fn positive(&mut self, node: &Node) -> Option<Spanned<Duration>> {
        let duration = self.duration(node)?;
        if duration.value.is_zero() {
            self.error(node.span, "this duration must be longer than 0", None);
            return None;
        }
        Some(duration)
    }

    /// Every item of a list that can be decoded.
    pub(crate) fn list<T>(
        &mut self,
        node: &Node,
        what: &str,
        mut item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            let help = Some("lists are written in brackets: [a, b]".to_owned());
            self.mismatch(node, &format!("a list of {what}"), help);
            return None;
        };
        Some(items.iter().filter_map(|node| item(self, node)).collect())
    }

    /// Every entry of a map with strings for keys; a key may occur once.
    pub(crate) fn map<T>(
        &mut self,
        node: &Node,
        what: &str,
        mut entry: impl FnMut(&mut Self, &Name, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let entries: &[(Node, Node)] = match &node.value {
            Value::Map(entries) => entries,
            _ => {
                let help = Some("maps are written in braces: { \"name\": … }".to_owned());
                self.mismatch(node, &format!("a map of {what}"), help);
                return None;
            }
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut out = Vec::new();
        for (key, value) in entries {
            let Some(name) = self.string(key) else { continue };
            if let Value::Str(text) = &key.value {
                if seen.contains(&text.as_str()) {
                    let help = Some("give each a name of its own".to_owned());
                    self.error(key.span, format!("`{text}` is named twice"), help);
                }
                seen.push(text);
            }
            out.extend(entry(self, &name, value));
        }
        Some(out)
    }

    /// One of a few words, written bare or in quotes.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        choices: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let (Value::Word(word) | Value::Str(word)) = &node.value else {
            let all: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
            self.mismatch(node, what, Some(format!("possible: {}", all.join(", "))));
            return None;
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| name == word) {
            return Some(Spanned::new(*value, node.span));
        }
        let help = suggest(word, choices.iter().map(|&(name, _)| name));
        self.error(node.span, format!("`{word}` is not {what}"), help);
        None
    }

    /// A structure `(a: 1, …)`, with or without the name `name` before it.
    pub(crate) fn structure<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        name: Option<&str>,
    ) -> Option<Fields<'n>> {
        let (written, items) = match &node.value {
            Value::Unit => (None, Items::Named(&[])),
            Value::Struct(written, fields) => (written.as_ref(), Items::Named(fields)),
            _ => {
                let help = Some("structures are written (field: value, …)".to_owned());
                self.mismatch(node, &format!("{what}, a structure"), help);
                return None;
            }
        };
        if let Some(written) = written.filter(|written| Some(written.value.as_str()) != name) {
            let message = format!("`{}` is not {what}", written.value);
            let help = name.map(|name| format!("write `{name}(…)` or leave the name out"));
            self.error(written.span, message, help);
        }
        Some(Fields::new(what.to_owned(), node.span, items))
    }

    /// A variant `Name`, `Name(1, 2)` or `Name(a: 1)`: its name and its fields.
    pub(crate) fn variant<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        names: &[&str],
    ) -> Option<(Name, Fields<'n>)> {
        self.variant_or(node, what, names, |_| None)
    }

    /// Like [`Decoder::variant`], with advice for words that belong elsewhere.
    pub(crate) fn variant_or<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        names: &[&str],
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> Option<(Name, Fields<'n>)> {
        let (name, items) = match &node.value {
            Value::Word(word) => (Spanned::new(word.clone(), node.span), Items::Positional(&[])),
            Value::Struct(Some(name), fields) => (name.clone(), Items::Named(fields)),
            Value::Tuple(Some(name), items) => (name.clone(), Items::Positional(items)),
            _ => {
                let first = names.first().copied().unwrap_or_default();
                let help = Some(format!("for example `{first}(…)`"));
                self.mismatch(node, what, help);
                return None;
            }
        };
        if !names.contains(&name.value.as_str()) {
            let help = elsewhere(&name.value);
            let help = help.or_else(|| suggest(&name.value, names.iter().copied()));
            self.error(name.span, format!("`{}` is not {what}", name.value), help);
            return None;
        }
        let fields = Fields::new(format!("`{}`", name.value), node.span, items);
        Some((name, fields))
    }
}

#[derive(Clone, Copy, Debug)]
enum Items<'n> {
    Named(&'n [(Name, Node)]),
    Positional(&'n [Node]),
}

/// The fields of a structure or variant, taken out one by one. A variant's fields may be given by
/// name or, in the order in which they are asked for, by position.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    what: String,
    pub(crate) span: Span,
    items: Items<'n>,
    asked: Vec<&'static str>,
    /// Required fields that are not there.
    missing: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    fn new(what: String, span: Span, items: Items<'n>) -> Self {
        Self { what, span, items, asked: Vec::new(), missing: Vec::new() }
    }

    /// The node of field `name`, if it is there.
    pub(crate) fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        let position = self.asked.len();
        self.asked.push(name);
        match self.items {
            Items::Named(fields) => {
                fields.iter().find(|(field, _)| field.value == name).map(|(_, node)| node)
            }
            Items::Positional(items) => items.get(position),
        }
    }

    /// A field that may be left out.
    pub(crate) fn optional<T>(
        &mut self,
        d: &mut Decoder,
        name: &'static str,
        decode: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
    ) -> Option<T> {
        self.node(name).and_then(|node| decode(d, node))
    }

    /// A field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        d: &mut Decoder,
        name: &'static str,
        decode: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
    ) -> Option<T> {
        match self.node(name) {
            Some(node) => decode(d, node),
            None => {
                self.missing.push(name);
                None
            }
        }
    }

    /// Notes fields that nobody asked for, fields given twice, and fields that are missing, unless
    /// they are there with a spelling mistake.
    pub(crate) fn finish(mut self, d: &mut Decoder) {
        match self.items {
            Items::Named(fields) => {
                for (index, (name, _)) in fields.iter().enumerate() {
                    if !self.asked.contains(&name.value.as_str()) {
                        let meant = closest(&name.value, self.asked.iter().copied());
                        self.missing.retain(|missing| Some(*missing) != meant);
                        let help = suggest(&name.value, self.asked.iter().copied());
                        let message = format!("{} has no field `{}`", self.what, name.value);
                        d.error(name.span, message, help);
                    } else if fields[..index].iter().any(|(other, _)| other.value == name.value) {
                        let message = format!("the field `{}` is given twice", name.value);
                        d.error(name.span, message, Some("remove one of them".to_owned()));
                    }
                }
            }
            Items::Positional(items) => {
                if let Some(extra) = items.get(self.asked.len()) {
                    let names = self.asked.join(", ");
                    let message = format!("{} has too many values", self.what);
                    let help = if names.is_empty() {
                        "it takes none".to_owned()
                    } else {
                        format!("it takes: {names}")
                    };
                    d.error(extra.span, message, Some(help));
                }
            }
        }
        for name in self.missing {
            let message = format!("{} lacks the field `{name}`", self.what);
            d.error(self.span, message, Some(format!("add `{name}: …`")));
        }
    }
}
