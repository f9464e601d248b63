//! Sets of allowed states as a JSON file beside the tests (`docs/litmus.md` describes it).

use crate::condition::State;
use crate::program::Test;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// The allowed states of one test. Further fields of the file are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path of the test's file, relative to the JSON file.
    pub path: String,
    /// Names of the observed variables: `0:rax`, `[x]`.
    pub observed: Vec<String>,
    /// The states, values in the order of `observed`.
    pub states: Vec<State>,
}

/// Why a file holds no expectations.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExpectedError {
    /// Not this kind of JSON.
    #[error("not a list of tests with `path`, `observed` and `states`: {0}")]
    Json(#[from] serde_json::Error),
    /// A state with too few or too many values.
    #[error("{path}: state {state:?} does not have {wanted} values")]
    Length {
        /// Which test.
        path: String,
        /// Which state.
        state: State,
        /// How many variables are observed.
        wanted: usize,
    },
    /// Other variables than the test observes.
    #[error("{path}: the file lists {listed:?}, the test observes {observed:?}")]
    Variables {
        /// Which test.
        path: String,
        /// What the file says.
        listed: Vec<String>,
        /// What the test says.
        observed: Vec<String>,
    },
}

/// Reads the JSON file.
///
/// # Errors
/// If it is not what it should be.
pub fn read(json: &str) -> Result<Vec<Entry>, ExpectedError> {
    let entries: Vec<Entry> = serde_json::from_str(json)?;
    for entry in &entries {
        let wanted = entry.observed.len();
        if let Some(state) = entry.states.iter().find(|state| state.len() != wanted) {
            let (path, state) = (entry.path.clone(), state.clone());
            return Err(ExpectedError::Length { path, state, wanted });
        }
    }
    Ok(entries)
}

impl Entry {
    /// The allowed states with values in the test's own order.
    ///
    /// # Errors
    /// If the test observes other variables.
    pub fn states_of(&self, test: &Test) -> Result<BTreeSet<State>, ExpectedError> {
        let observed = test.observed_names();
        let position = |name: &String| self.observed.iter().position(|listed| listed == name);
        let order: Option<Vec<usize>> = observed.iter().map(position).collect();
        match order {
            Some(order) if order.len() == self.observed.len() => {
                let reorder = |state: &State| order.iter().map(|&i| state[i]).collect();
                Ok(self.states.iter().map(reorder).collect())
            }
            _ => Err(ExpectedError::Variables {
                path: self.path.clone(),
                listed: self.observed.clone(),
                observed,
            }),
        }
    }
}
