//! Runs a test under many timings and counts the final states.

use crate::condition::State;
use crate::program::Test;
use crate::rig::Rig;
pub use crate::rig::RunError;
use crate::timing::{BLOCK, arrangement, perturbation};
use rayon::prelude::*;
use serde::Serialize;
use sim_x86::Speed;
use std::collections::BTreeMap;

/// How a state was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// In how many tries.
    pub count: u64,
    /// In which one first.
    pub first_try: u64,
}

/// The final states of all tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    /// Tries.
    pub tries: u64,
    /// Values of the observed variables, and how they were seen.
    pub states: BTreeMap<State, Seen>,
}

impl Observations {
    fn add(&mut self, number: u64, state: State) {
        self.tries += 1;
        self.states.entry(state).or_insert(Seen { count: 0, first_try: number }).count += 1;
    }

    fn join(mut self, later: Observations) -> Self {
        self.tries += later.tries;
        for (state, seen) in later.states {
            let known = self.states.entry(state).or_insert(Seen { count: 0, ..seen });
            known.count += seen.count;
        }
        self
    }
}

/// Runs `test` under the first `tries` timings of `seed`, in parallel on the current rayon pool.
/// The result depends on nothing but the arguments.
///
/// # Errors
/// The first try that could not be run to its end.
pub fn run(test: &Test, seed: u64, tries: u64) -> Result<Observations, RunError> {
    let run = |block| run_block(test, seed, block, tries);
    let blocks: Vec<_> = (0..tries.div_ceil(BLOCK)).into_par_iter().map(run).collect();
    sum(blocks.into_iter())
}

/// As [`run`], on the caller's thread alone: for callers that run many tests at the same time.
///
/// # Errors
/// The first try that could not be run to its end.
pub fn run_alone(test: &Test, seed: u64, tries: u64) -> Result<Observations, RunError> {
    sum((0..tries.div_ceil(BLOCK)).map(|block| run_block(test, seed, block, tries)))
}

fn sum(
    mut blocks: impl Iterator<Item = Result<Observations, RunError>>,
) -> Result<Observations, RunError> {
    blocks.try_fold(Observations::default(), |sum, block| Ok(sum.join(block?)))
}

/// Runs `test` under the timing of one try.
///
/// # Errors
/// If it could not be run to its end.
pub fn run_one(test: &Test, seed: u64, number: u64) -> Result<State, RunError> {
    let arrangement = arrangement(test, seed, number);
    Rig::new(test, &arrangement)?.run_checked(number, perturbation(seed, number))
}

/// Runs `test` under the timings of the first `tries` tries with each speed-up on and off; names the
/// tries and settings whose traces or ends differ. There is none, or a speed-up is wrong.
///
/// # Errors
/// The first try that could not be run to its end.
pub fn speed_differences(
    test: &Test,
    seed: u64,
    tries: u64,
) -> Result<Vec<(u64, &'static str)>, RunError> {
    let mut differences = Vec::new();
    // One try of each arrangement: a block shares it.
    for number in (0..tries).map(|block| block * BLOCK + block % BLOCK) {
        let arrangement = arrangement(test, seed, number);
        let rig = Rig::new(test, &arrangement)?;
        let run = |speed| rig.run_at(speed, number, perturbation(seed, number));
        let reference = run(Speed::default())?;
        for (name, speed) in Speed::variants() {
            let other = run(speed)?;
            if other.trace_hash() != reference.trace_hash() || other != reference {
                differences.push((number, name));
            }
        }
    }
    Ok(differences)
}

fn run_block(test: &Test, seed: u64, block: u64, tries: u64) -> Result<Observations, RunError> {
    let numbers = block * BLOCK..tries.min((block + 1) * BLOCK);
    let arrangement = arrangement(test, seed, numbers.start);
    let rig = Rig::new(test, &arrangement)?;
    let mut observations = Observations::default();
    for number in numbers {
        let perturbation = perturbation(seed, number);
        // Looking at all caches takes longer than a try: once a block.
        let state = if number % BLOCK == BLOCK - 1 {
            rig.run_checked(number, perturbation)?
        } else {
            rig.run(number, perturbation)?
        };
        observations.add(number, state);
    }
    Ok(observations)
}
