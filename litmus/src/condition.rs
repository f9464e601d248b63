//! The question that a litmus test asks about its final states.

use crate::program::{Place, Reg, Size};
use serde::Serialize;

/// The values of the observed variables at the end of a run, in their order.
pub type State = Vec<i64>;

/// Something observed at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// A register of a thread.
    Register {
        /// Whose.
        thread: usize,
        /// Which.
        register: Reg,
        /// As which it is named: its value is a signed number of this size.
        size: Size,
    },
    /// Memory, once all store buffers have drained.
    Memory(Place),
}

/// Over which final states the proposition is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Quantifier {
    /// Is there one?
    #[serde(rename = "exists")]
    Exists,
    /// Is there none?
    #[serde(rename = "~exists")]
    NotExists,
    /// Is it true of all?
    #[serde(rename = "forall")]
    Forall,
}

/// What is asked of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposition {
    /// True (an empty conjunction).
    True,
    /// An observed variable, by its index, has this value.
    Equals(usize, i64),
    /// Not.
    Not(Box<Proposition>),
    /// Both.
    And(Box<Proposition>, Box<Proposition>),
    /// One of the two.
    Or(Box<Proposition>, Box<Proposition>),
}

impl Proposition {
    /// Is it true of `state`?
    #[must_use]
    pub fn holds(&self, state: &[i64]) -> bool {
        match self {
            Proposition::True => true,
            Proposition::Equals(variable, value) => state[*variable] == *value,
            Proposition::Not(p) => !p.holds(state),
            Proposition::And(p, q) => p.holds(state) && q.holds(state),
            Proposition::Or(p, q) => p.holds(state) || q.holds(state),
        }
    }

    /// Renames variable `i` to `to[i]`.
    #[must_use]
    pub(crate) fn renamed(self, to: &[usize]) -> Self {
        let boxed = |p: Box<Proposition>| Box::new(p.renamed(to));
        match self {
            Proposition::True => Proposition::True,
            Proposition::Equals(variable, value) => Proposition::Equals(to[variable], value),
            Proposition::Not(p) => Proposition::Not(boxed(p)),
            Proposition::And(p, q) => Proposition::And(boxed(p), boxed(q)),
            Proposition::Or(p, q) => Proposition::Or(boxed(p), boxed(q)),
        }
    }
}

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Over which states.
    pub quantifier: Quantifier,
    /// What of each.
    pub proposition: Proposition,
    /// As written, for people.
    pub text: String,
}

impl Condition {
    /// True if the answer is yes (herd7's `Ok`) for these states.
    pub fn is_ok<'a>(&self, mut states: impl Iterator<Item = &'a State>) -> bool {
        match self.quantifier {
            Quantifier::Exists => states.any(|state| self.proposition.holds(state)),
            Quantifier::NotExists => !states.any(|state| self.proposition.holds(state)),
            Quantifier::Forall => states.all(|state| self.proposition.holds(state)),
        }
    }
}
