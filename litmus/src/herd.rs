//! Final states in the words of herd7.

use crate::condition::{Quantifier, State, Variable};
use crate::program::{Dialect, Test};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A state as herd7 writes it: `0:EAX=0; [x]=1;`.
#[must_use]
pub fn state(test: &Test, state: &[i64]) -> String {
    let one = |(&variable, value): (&Variable, &i64)| match variable {
        Variable::Register { thread, register, size } => {
            let name = register.name_of(size);
            let name = if test.dialect == Dialect::X86 { name.to_uppercase() } else { name };
            format!("{thread}:{name}={value};")
        }
        Variable::Memory(_) => format!("{}={value};", test.variable_name(variable)),
    };
    test.observed.iter().zip(state).map(one).collect::<Vec<_>>().join(" ")
}

/// What herd7 prints of a test with these final states.
#[must_use]
pub fn summary(test: &Test, states: &BTreeSet<State>) -> String {
    let condition = &test.condition;
    let kind = match condition.quantifier {
        Quantifier::Exists => "Allowed",
        Quantifier::NotExists => "Forbidden",
        Quantifier::Forall => "Required",
    };
    let word = match condition.quantifier {
        Quantifier::Exists => "exists",
        Quantifier::NotExists => "~exists",
        Quantifier::Forall => "forall",
    };
    let holding = states.iter().filter(|state| condition.proposition.holds(state)).count();
    // herd7 counts for `~exists` what would break it.
    let (positive, negative) = match condition.quantifier {
        Quantifier::NotExists => (states.len() - holding, holding),
        Quantifier::Exists | Quantifier::Forall => (holding, states.len() - holding),
    };
    let observation = match (holding, states.len()) {
        (0, _) => "Never",
        (all, count) if all == count => "Always",
        _ => "Sometimes",
    };
    let verdict = if condition.is_ok(states.iter()) { "Ok" } else { "No" };
    let mut text = format!("Test {} {kind}\nStates {}\n", test.name, states.len());
    for one in states {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", state(test, one));
    }
    let _ = writeln!(text, "{verdict}\nWitnesses\nPositive: {positive} Negative: {negative}");
    let _ = writeln!(text, "Condition {word} {}", parenthesised(&condition.text));
    let _ = writeln!(
        text,
        "Observation {} {observation} {holding} {}",
        test.name,
        states.len() - holding
    );
    text
}

fn parenthesised(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.starts_with('(') && text.ends_with(')') { text } else { format!("({text})") }
}
