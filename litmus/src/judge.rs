//! Compares what was seen with what is allowed.

use crate::condition::State;
use crate::runner::{Observations, Seen};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is to be said of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Seen, and not allowed: the machine is wrong.
    ForbiddenSeen,
    /// Allowed, and seen.
    AllowedSeen,
    /// Allowed, and not seen in these tries.
    AllowedNotSeen,
}

/// One state with its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Values of the observed variables.
    pub state: State,
    /// What is to be said of it.
    pub verdict: Verdict,
    /// How it was seen.
    #[serde(flatten)]
    pub seen: Option<Seen>,
}

/// All states of a test, those that were seen and those that are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// In order of their values.
    pub rows: Vec<Row>,
}

impl Judgement {
    /// Sets `observations` against the `allowed` states.
    #[must_use]
    pub fn new(observations: &Observations, allowed: &BTreeSet<State>) -> Self {
        let all: BTreeSet<&State> = observations.states.keys().chain(allowed).collect();
        let row = |state: &State| {
            let seen = observations.states.get(state).copied();
            let verdict = match (seen, allowed.contains(state)) {
                (Some(_), false) => Verdict::ForbiddenSeen,
                (Some(_), true) => Verdict::AllowedSeen,
                (None, _) => Verdict::AllowedNotSeen,
            };
            Row { state: state.clone(), verdict, seen }
        };
        Judgement { rows: all.into_iter().map(row).collect() }
    }

    /// The states with one verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// How many states have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.with(verdict).count()
    }
}
