//! `locations [...]` and the final condition.

use super::cell::{place_in_brackets, register};
use super::scan::Scanner;
use super::{Builder, Parsed, mistake};
use crate::condition::{Condition, Proposition, Quantifier, Variable};
use crate::program::Place;

/// A condition nested deeper than this is refused.
const DEEPEST: usize = 200;

/// Reads the rest of the file: the condition and everything that is observed.
pub(super) fn question(
    builder: &Builder,
    threads: usize,
    scanner: &mut Scanner<'_>,
) -> Parsed<(Condition, Vec<Variable>)> {
    let mut reader = Reader { builder, threads, observed: Vec::new() };
    if scanner.keyword("locations") {
        reader.locations(scanner)?;
    }
    let quantifier = quantifier(scanner)?;
    scanner.skip_blanks();
    let start = *scanner;
    let proposition = reader.disjunction(scanner, 0)?;
    let text = start.rest()[..scanner.at() - start.at()].trim().to_owned();
    scanner.skip_blanks();
    // Trailers of old tools: `with tso: ~exists; …`, `<< … >>`.
    let trailer = scanner.rest();
    let old_form = quantifier.is_none();
    let known = |start: &str| trailer.starts_with(start);
    if !(trailer.is_empty() || known(";") || known("with") || known("<<")) {
        let problem = format!("{} after the condition", scanner.found());
        return mistake(scanner.at(), problem, "join propositions with /\\ and \\/");
    }
    let asks_for_none = || {
        let words: Vec<&str> = trailer.split_whitespace().take(3).collect();
        words.first() == Some(&"with") && words.last().is_some_and(|word| word.starts_with('~'))
    };
    let quantifier = match quantifier {
        Some(quantifier) => quantifier,
        None if old_form && asks_for_none() => Quantifier::NotExists,
        None => Quantifier::Exists,
    };
    Ok((Condition { quantifier, proposition, text }, reader.observed))
}

/// The quantifier; `None` for the old form `final`, which is followed by its quantifier.
fn quantifier(scanner: &mut Scanner<'_>) -> Parsed<Option<Quantifier>> {
    const HELP: &str = "write `exists`, `~exists` or `forall`";
    scanner.skip_blanks();
    let at = scanner.at();
    if scanner.take("~") {
        if scanner.keyword("exists") {
            return Ok(Some(Quantifier::NotExists));
        }
        return mistake(at, "`~` without `exists`", HELP);
    }
    for (word, quantifier) in [
        ("exists", Some(Quantifier::Exists)),
        ("forall", Some(Quantifier::Forall)),
        ("final", None),
    ] {
        if scanner.keyword(word) {
            return Ok(quantifier);
        }
    }
    mistake(at, format!("a condition expected, found {}", scanner.found()), HELP)
}

struct Reader<'a> {
    builder: &'a Builder,
    threads: usize,
    observed: Vec<Variable>,
}

impl Reader<'_> {
    fn locations(&mut self, scanner: &mut Scanner<'_>) -> Parsed<()> {
        scanner.expect("[", "write `locations [x; 0:rax;]`")?;
        loop {
            if scanner.take("]") {
                return Ok(());
            }
            self.variable(scanner)?;
            scanner.take(";");
        }
    }

    fn disjunction(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Parsed<Proposition> {
        let mut left = self.conjunction(scanner, depth)?;
        while scanner.take("\\/") {
            let right = self.conjunction(scanner, depth)?;
            left = Proposition::Or(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn conjunction(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Parsed<Proposition> {
        let mut left = self.factor(scanner, depth)?;
        while scanner.take("/\\") {
            let right = self.factor(scanner, depth)?;
            left = Proposition::And(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn factor(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Parsed<Proposition> {
        if depth > DEEPEST {
            return mistake(scanner.at(), "nested too deeply", "write it flatter");
        }
        if scanner.take("~") || scanner.keyword("not") {
            return Ok(Proposition::Not(Box::new(self.factor(scanner, depth + 1)?)));
        }
        if scanner.keyword("true") {
            return Ok(Proposition::True);
        }
        if scanner.take("(") {
            let inner = self.disjunction(scanner, depth + 1)?;
            scanner.expect(")", "close the parenthesis")?;
            return Ok(inner);
        }
        let variable = self.variable(scanner)?;
        scanner.expect("=", "an atom is e.g. `0:rax=1` or `x=1`")?;
        Ok(Proposition::Equals(variable, scanner.number()?))
    }

    /// A register or a location; returns its index among the observed ones.
    fn variable(&mut self, scanner: &mut Scanner<'_>) -> Parsed<usize> {
        const HELP: &str = "name a register (`0:rax`) or a location (`x`, `[x]`, `[x+8]`)";
        scanner.skip_blanks();
        let at = scanner.at();
        if scanner.take("[") {
            let variable = self.memory(scanner)?;
            return Ok(self.observe(variable));
        }
        let Some(name) = scanner.word() else {
            return mistake(at, format!("{} is nothing observed", scanner.found()), HELP);
        };
        if !scanner.take(":") {
            let location = self.known_location(name, at)?;
            return Ok(self.observe(Variable::Memory(Place { location, offset: 0 })));
        }
        let Ok(thread) = name.trim_start_matches(['P', 'p']).parse::<usize>() else {
            return mistake(at, format!("`{name}` is not a thread"), HELP);
        };
        if thread >= self.threads {
            let help = format!("the table has P0 to P{}", self.threads - 1);
            return mistake(at, format!("there is no thread {thread}"), help);
        }
        let (register, size) = register(scanner)?;
        Ok(self.observe(Variable::Register { thread, register, size }))
    }

    fn memory(&self, scanner: &mut Scanner<'_>) -> Parsed<Variable> {
        let at = scanner.at();
        // A location that only the condition names would be a new one: refuse it instead.
        let mut probe = Builder {
            dialect: self.builder.dialect,
            locations: self.builder.locations.clone(),
            registers: Vec::new(),
            named_threads: Vec::new(),
            declared: self.builder.declared.clone(),
        };
        let place = place_in_brackets(&mut probe, scanner, "]")?;
        let location = &probe.locations[place.location];
        self.known_location(&location.name, at)?;
        if place.offset >= location.bytes {
            let problem = format!("`{}` has only {} bytes", location.name, location.bytes);
            return mistake(at, problem, "observe a byte that it has");
        }
        Ok(Variable::Memory(place))
    }

    fn known_location(&self, name: &str, at: usize) -> Parsed<usize> {
        let known = self.builder.locations.iter().position(|location| location.name == name);
        match known {
            Some(location) => Ok(location),
            None => {
                let problem = format!("the test has no location `{name}`");
                mistake(at, problem, "name one that a thread uses or the initial state sets")
            }
        }
    }

    fn observe(&mut self, variable: Variable) -> usize {
        let same = |known: &Variable| match (*known, variable) {
            (
                Variable::Register { thread: a, register: r, .. },
                Variable::Register { thread: b, register: s, .. },
            ) => a == b && r == s,
            (Variable::Memory(a), Variable::Memory(b)) => a == b,
            _ => false,
        };
        if let Some(known) = self.observed.iter().position(same) {
            return known;
        }
        self.observed.push(variable);
        self.observed.len() - 1
    }
}
