//! A scenario's text as a tree in which every value knows where it was written.
//!
//! `ron` maps text straight to Rust types and forgets positions, so that at most one mistake can
//! be reported, at the reader's cursor. The tree keeps them: decoding, `--set` and diagnostics all
//! work on it.

mod reader;

pub use reader::{SyntaxError, parse};

/// Which text a span belongs to: an index into [`crate::diagnostics::Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(pub u16);

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which text.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

/// Something together with the place where it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spanned<T> {
    /// The thing.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A value and its place.
pub type Node = Spanned<Value>;

/// A name (of a field, a variant or a key) and its place.
pub type Name = Spanned<String>;

/// What can be written in RON.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `()`.
    #[default]
    Unit,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction or exponent.
    Float(f64),
    /// Text in quotes.
    Str(String),
    /// A character in single quotes.
    Char(char),
    /// A bare word: a variant without fields.
    Word(String),
    /// `Name(a: 1, b: 2)` or `(a: 1, b: 2)`.
    Struct(Option<Name>, Vec<(Name, Node)>),
    /// `Name(1, 2)` or `(1, 2)`.
    Tuple(Option<Name>, Vec<Node>),
    /// `[1, 2]`.
    List(Vec<Node>),
    /// `{"a": 1}`.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What it is, for messages: "a string", "a list", ….
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Unit => "an empty tuple",
            Value::Bool(_) => "a truth value",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Str(_) => "a string",
            Value::Char(_) => "a character",
            Value::Word(_) => "a bare word",
            Value::Struct(None, _) => "a structure",
            Value::Tuple(None, _) => "a tuple",
            Value::Struct(Some(_), _) | Value::Tuple(Some(_), _) => "a variant with fields",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

#[cfg(test)]
mod tests;
