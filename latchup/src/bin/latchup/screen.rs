//! Standard output and standard error: colours only on a terminal, and no fuss if the reader of
//! a pipe has gone.

use crate::fail::Failure;
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use scenarios::diagnostics::{Diagnostics, Tone};
use std::error::Error;
use std::io::{self, Stderr, Stdout, Write};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const BOLD: Style = Style::new().bold();

/// Both streams.
pub(crate) struct Screen {
    out: AutoStream<Stdout>,
    err: AutoStream<Stderr>,
    /// True once nobody reads standard output any more: the command goes on without it.
    deaf: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let (out, err) = (AutoStream::auto(io::stdout()), AutoStream::auto(io::stderr()));
        Screen { out, err, deaf: false }
    }

    /// Prints to standard output.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes to standard output as they are.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.deaf {
            return Ok(());
        }
        let result = self.out.as_inner().lock().write_all(bytes);
        self.heard(result)
    }

    /// Prints a word in the colour of success or failure, then text.
    pub(crate) fn verdict(&mut self, good: bool, word: &str, text: &str) -> io::Result<()> {
        if self.deaf {
            return Ok(());
        }
        let style = if good { GREEN } else { RED };
        let result = writeln!(self.out, "{style}{word}{style:#}{text}");
        self.heard(result)
    }

    /// Makes everything printed so far visible.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.heard(result)
    }

    fn heard(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.deaf = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Prints a line to standard error. That it cannot be printed is nothing to report anywhere.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Shows the problems of a scenario.
    pub(crate) fn diagnostics(&mut self, diagnostics: &Diagnostics) {
        for (tone, text) in diagnostics.segments() {
            let style = match tone {
                Tone::Error => RED,
                Tone::Warning => YELLOW,
                Tone::Strong => BOLD,
                Tone::Margin => BLUE,
                Tone::Plain => Style::new(),
            };
            let _ = write!(self.err, "{style}{text}{style:#}");
        }
    }

    /// Says why the command failed.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if let Failure::Refused(diagnostics) = failure {
            self.diagnostics(diagnostics);
            return;
        }
        let _ = write!(self.err, "{RED}error{RED:#}{BOLD}: {failure}");
        let mut source = failure.source();
        while let Some(error) = source {
            let _ = write!(self.err, ": {error}");
            source = error.source();
        }
        let _ = writeln!(self.err, "{BOLD:#}");
        if let Some(help) = failure.help() {
            let _ = writeln!(self.err, "{BLUE} = {BLUE:#}help: {help}");
        }
    }
}
