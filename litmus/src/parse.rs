//! Reads litmus tests in both dialects of herd7 and litmus7.
//!
//! A file is a header line, free text, an initial state in braces, a table of instructions with a
//! column for each thread, and a condition. `docs/litmus.md` describes what is understood.

mod cell;
mod condition;
mod scan;
mod table;

use crate::condition::Variable;
use crate::program::{Dialect, Location, Place, REGISTERS, Reg, Size, Test, Thread};
use scan::{Scanner, blank_comments};
use thiserror::Error;

/// A cache line, in bytes.
const LINE_BYTES: u64 = 64;
/// The longest variable: what CMPXCHG16B works on.
const LONGEST: u64 = 16;
/// More threads than this are refused.
const MOST_THREADS: usize = 16;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ParseError {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, with the offending value.
    pub problem: String,
    /// What to write instead.
    pub help: String,
}

/// A mistake at a byte of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    at: usize,
    problem: String,
    help: String,
}

type Parsed<T> = Result<T, Mistake>;

fn mistake<T>(at: usize, problem: impl Into<String>, help: impl Into<String>) -> Parsed<T> {
    Err(Mistake { at, problem: problem.into(), help: help.into() })
}

/// What is known so far: names become numbers here.
struct Builder {
    dialect: Dialect,
    locations: Vec<Location>,
    /// Registers' initial values, by thread.
    registers: Vec<[u64; REGISTERS]>,
    /// Threads named in the initial state, and where: whether they exist is known later.
    named_threads: Vec<(usize, usize)>,
    /// Size by which each location was declared.
    declared: Vec<Option<u64>>,
}

impl Builder {
    fn location(&mut self, name: &str) -> usize {
        if let Some(known) = self.locations.iter().position(|location| location.name == name) {
            return known;
        }
        self.locations.push(Location { name: name.to_owned(), bytes: 0, init: 0, at: None });
        self.declared.push(None);
        self.locations.len() - 1
    }

    /// An access of `size` at `place`: the location is at least as long.
    fn accessed(&mut self, place: Place, size: Size, at: usize) -> Parsed<()> {
        let end = place.offset + size.bytes();
        let location = &mut self.locations[place.location];
        let longest = self.declared[place.location].unwrap_or(LONGEST);
        if end > longest {
            let problem = format!("`{}` has {longest} bytes, this needs {end}", location.name);
            return mistake(at, problem, "declare it longer, e.g. `uint64_t x`, or access less");
        }
        location.bytes = location.bytes.max(end);
        Ok(())
    }

    fn set_register(&mut self, thread: usize, register: Reg, value: i64, at: usize) -> Parsed<()> {
        if thread >= MOST_THREADS {
            let help = format!("threads are numbered from 0 to {}", MOST_THREADS - 1);
            return mistake(at, format!("thread {thread} is too many"), help);
        }
        if self.registers.len() <= thread {
            self.registers.resize(thread + 1, [0; REGISTERS]);
        }
        self.registers[thread][usize::from(register.0)] = value as u64;
        self.named_threads.push((thread, at));
        Ok(())
    }

    /// Lengths that nobody determined: four bytes, herd's `int`.
    fn settle_lengths(&mut self) {
        for (location, declared) in self.locations.iter_mut().zip(&self.declared) {
            location.bytes = declared.unwrap_or(location.bytes);
            if location.bytes == 0 {
                location.bytes = 4;
            }
        }
    }
}

/// Reads the test in `text`; `file` is its name for messages.
///
/// # Errors
/// The first mistake, with its place and a way out.
pub fn parse(file: &str, text: &str) -> Result<Test, ParseError> {
    read(text).map_err(|mistake| {
        let before = &text[..mistake.at.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ParseError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: mistake.problem,
            help: mistake.help,
        }
    })
}

fn read(text: &str) -> Parsed<Test> {
    let text = blank_comments(text)?;
    let mut scanner = Scanner::new(&text);
    let (dialect, name) = header(&mut scanner)?;
    let mut builder = Builder {
        dialect,
        locations: Vec::new(),
        registers: Vec::new(),
        named_threads: Vec::new(),
        declared: Vec::new(),
    };
    let places = scanner.until('{', "the initial state in braces")?;
    let init = scanner.until('}', "the end of the initial state")?;
    table::initial_state(&mut builder, init)?;
    let threads = table::threads(&mut builder, &mut scanner)?;
    builder.settle_lengths();
    placement(&mut builder, places)?;
    if let Some(&(thread, at)) =
        builder.named_threads.iter().find(|(thread, _)| *thread >= threads.len())
    {
        let problem = format!("there is no thread {thread}");
        return mistake(at, problem, format!("the table has P0 to P{}", threads.len() - 1));
    }
    builder.registers.resize(threads.len(), [0; REGISTERS]);
    let threads: Vec<Thread> = threads
        .into_iter()
        .zip(&builder.registers)
        .map(|(code, &init)| Thread { code, init })
        .collect();
    let (condition, observed) = condition::question(&builder, threads.len(), &mut scanner)?;
    let mut test =
        Test { dialect, name, locations: builder.locations, threads, condition, observed };
    sort_observed(&mut test);
    Ok(test)
}

fn header(scanner: &mut Scanner<'_>) -> Parsed<(Dialect, String)> {
    const HELP: &str = "the first line of a test is `X86 NAME` or `X86_64 NAME`";
    scanner.skip_blanks();
    let at = scanner.at();
    let line = scanner.line();
    let mut words = line.split_whitespace();
    let dialect = match words.next() {
        Some("X86") => Dialect::X86,
        Some("X86_64") => Dialect::X86_64,
        Some(other) => return mistake(at, format!("`{other}` is not an x86 dialect"), HELP),
        None => return mistake(at, "an empty file", HELP),
    };
    match words.next() {
        Some(name) => Ok((dialect, name.to_owned())),
        None => mistake(at, "the test has no name", HELP),
    }
}

/// `Place=x@60 y@0` in the free text: where in its line a location begins.
fn placement(builder: &mut Builder, mut free: Scanner<'_>) -> Parsed<()> {
    const HELP: &str = "write e.g. `Place=x@60`: x begins at byte 60 of its line (0 to 63)";
    while !free.is_done() {
        let start = free.at();
        let line = free.line();
        let Some(items) = line.trim().strip_prefix("Place=") else { continue };
        for item in items.split_whitespace() {
            let at = start + line.find(item).unwrap_or(0);
            let Some((name, byte)) = item.split_once('@') else {
                return mistake(at, format!("`{item}` places nothing"), HELP);
            };
            let Some(byte) = byte.parse().ok().filter(|&byte: &u64| byte < LINE_BYTES) else {
                return mistake(at, format!("`{byte}` is not a byte of a line"), HELP);
            };
            let known = builder.locations.iter_mut().find(|location| location.name == name);
            let Some(location) = known else {
                return mistake(at, format!("the test has no location `{name}`"), HELP);
            };
            location.at = Some(byte);
        }
    }
    Ok(())
}

/// Observed variables in order of name, registers first, as herd7 prints them.
fn sort_observed(test: &mut Test) {
    let key = |variable: Variable| match variable {
        Variable::Register { thread, .. } => (0, thread, test.variable_name(variable)),
        Variable::Memory(_) => (1, 0, test.variable_name(variable)),
    };
    let mut order: Vec<usize> = (0..test.observed.len()).collect();
    order.sort_by_key(|&i| key(test.observed[i]));
    let mut to = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        to[old] = new;
    }
    test.observed = order.iter().map(|&old| test.observed[old]).collect();
    let proposition =
        std::mem::replace(&mut test.condition.proposition, crate::condition::Proposition::True);
    test.condition.proposition = proposition.renamed(&to);
}
