//! Everything that is wrong with a scenario, found in one pass and shown where it was written.

use crate::tree::{SourceId, Span};
use std::fmt::{self, Write as _};

/// The texts that a scenario was read from: its file, then each `--set` argument.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    list: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq)]
struct Source {
    name: String,
    text: String,
}

/// A place as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// File name, or `--set`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line.
    pub text: String,
    /// Characters of the line that are meant, at least 1.
    pub width: usize,
}

impl Sources {
    /// Adds a text and says how spans refer to it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.list.push(Source { name: name.into(), text: text.into() });
        SourceId(u16::try_from(self.list.len() - 1).unwrap_or(u16::MAX))
    }

    /// The text of a source; empty if there is no such source.
    #[must_use]
    pub fn text(&self, id: SourceId) -> &str {
        self.list.get(usize::from(id.0)).map_or("", |source| source.text.as_str())
    }

    /// The characters of a span.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.start..span.end).unwrap_or("")
    }

    /// Where a span is; `None` for spans of no source.
    #[must_use]
    pub fn locate(&self, span: Span) -> Option<Location> {
        let source = self.list.get(usize::from(span.source.0))?;
        let start = span.start.min(source.text.len());
        let line_start = source.text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        let rest = &source.text[line_start..];
        let text = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let line_end = line_start + text.len();
        let end = span.end.clamp(start, line_end.max(start));
        Some(Location {
            file: source.name.clone(),
            line: source.text[..line_start].matches('\n').count() + 1,
            column: source.text[line_start..start].chars().count() + 1,
            text: text.to_owned(),
            width: source.text.get(start..end).map_or(1, |s| s.chars().count()).max(1),
        })
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario is refused.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All problems of a scenario, with the texts they point into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    /// The texts.
    pub sources: Sources,
    /// The problems, in the order of their places once [`Diagnostics::sort`] has run.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Starts with no problems in `sources`.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self { sources, list: Vec::new() }
    }

    /// Notes an error.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let message = message.into();
        self.push(Diagnostic { severity: Severity::Error, span, message, help });
    }

    /// Notes a warning.
    pub fn warn(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let message = message.into();
        self.push(Diagnostic { severity: Severity::Warning, span, message, help });
    }

    /// Notes a problem once, however often it is found.
    fn push(&mut self, diagnostic: Diagnostic) {
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Number of errors (not warnings).
    #[must_use]
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Orders the problems by their places.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.span.source, d.span.start));
    }

    /// The problems as pieces of text with a meaning, for whoever prints them in colour.
    #[must_use]
    pub fn segments(&self) -> Vec<(Tone, String)> {
        let mut out = Vec::new();
        for diagnostic in &self.list {
            self.render(diagnostic, &mut out);
        }
        let text = match self.errors() {
            0 => return out,
            1 => "1 error\n".to_owned(),
            n => format!("{n} errors\n"),
        };
        out.push((Tone::Error, text));
        out
    }

    fn render(&self, diagnostic: &Diagnostic, out: &mut Vec<(Tone, String)>) {
        let (tone, label) = match diagnostic.severity {
            Severity::Error => (Tone::Error, "error"),
            Severity::Warning => (Tone::Warning, "warning"),
        };
        out.push((tone, label.to_owned()));
        out.push((Tone::Strong, format!(": {}\n", diagnostic.message)));
        let mut margin = 0;
        if let Some(place) = self.sources.locate(diagnostic.span) {
            let number = place.line.to_string();
            margin = number.len();
            let indent = " ".repeat(margin);
            out.push((Tone::Margin, format!("{indent}--> ")));
            let at = format!("{}:{}:{}\n", place.file, place.line, place.column);
            out.push((Tone::Plain, at));
            out.push((Tone::Margin, format!("{indent} |\n{number} | ")));
            out.push((Tone::Plain, format!("{}\n", place.text.replace('\t', " "))));
            out.push((Tone::Margin, format!("{indent} | ")));
            let caret = format!("{}{}\n", " ".repeat(place.column - 1), "^".repeat(place.width));
            out.push((tone, caret));
        }
        if let Some(help) = &diagnostic.help {
            out.push((Tone::Margin, format!("{} = ", " ".repeat(margin))));
            out.push((Tone::Plain, format!("help: {help}\n")));
        }
        out.push((Tone::Plain, "\n".to_owned()));
    }
}

/// What a piece of a rendered diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The word `error`, and carets under an error.
    Error,
    /// The word `warning`, and carets under a warning.
    Warning,
    /// The message.
    Strong,
    /// Line numbers and rules.
    Margin,
    /// Everything else.
    Plain,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments().iter().try_for_each(|(_, text)| f.write_str(text))
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate that `word` was probably meant to be.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    candidates
        .into_iter()
        .map(|candidate| (fold(candidate), candidate))
        .map(|(folded, candidate)| (distance(&word, &folded), folded.len(), candidate))
        .filter(|&(distance, len, _)| distance <= len.max(word.len()).div_ceil(3))
        .min_by_key(|&(distance, ..)| distance)
        .map(|(.., candidate)| candidate)
}

/// Advice about a name that doesn't exist: the closest one, or all if they are few.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let all: Vec<&str> = candidates.into_iter().collect();
    if let Some(best) = closest(word, all.iter().copied()) {
        return Some(format!("did you mean `{best}`?"));
    }
    if all.is_empty() || all.len() > 24 {
        return None;
    }
    let mut help = String::from("possible: ");
    for (index, candidate) in all.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(help, "{comma}`{candidate}`");
    }
    Some(help)
}

/// Letters and digits only, in lower case: `IocFacts`, `ioc-facts` and `IOC_FACTS` are one word.
fn fold(word: &str) -> Vec<char> {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Edit distance in which swapping two neighbours counts as one edit.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows = vec![0usize; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..width {
            rows[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[(i - 1) * width + j] + 1)
                    .min(rows[i * width + j - 1] + 1)
                    .min(rows[(i - 1) * width + j - 1] + changed);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    rows[rows.len() - 1]
}

#[cfg(test)]
mod tests;
