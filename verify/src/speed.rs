//! Speed-ups and snapshots change nothing: a scenario run with each speed-up switched off, and
//! once more in pieces, written down and read back in between, ends in the same state by the same
//! trace.

pub mod generate;

use scenarios::load::Loaded;
use scenarios::simulation::{RestoreError, RunOptions, Simulation, SimulationError};
use sim_core::{Cycle, Stream};
use sim_x86::machine::snapshot::SnapshotError;
use sim_x86::{Machine, Speed};
use thiserror::Error;

/// How far a scenario is run, and in how many pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The run ends so many nanoseconds after the epoch, if the scenario does not end before.
    pub nanoseconds: u64,
    /// Snapshots on the way, at random cycles from the first one of the boot on.
    pub snapshots: usize,
}

/// Why nothing could be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpeedError {
    /// A run broke off.
    #[error(transparent)]
    Run(#[from] SimulationError),
    /// A snapshot could not be written.
    #[error("a snapshot could not be written")]
    Snapshot(#[from] SnapshotError),
    /// A snapshot could not be read back.
    #[error("a snapshot could not be read back")]
    Restore(#[from] RestoreError),
}

/// A run that came to another end than the one with everything on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How it was run.
    pub how: String,
    /// Its trace hash; the state differs even if this does not.
    pub trace_hash: u64,
}

/// What was compared, and what came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Where the runs ended.
    pub end: Cycle,
    /// Trace hash of the run with everything on.
    pub trace_hash: u64,
    /// Instructions of each run.
    pub instructions: u64,
    /// Runs that were compared with it.
    pub runs: usize,
    /// Those that came to another end.
    pub differences: Vec<Difference>,
}

/// Runs `loaded` in every way and compares the ends. `seed` draws the cycles of the snapshots.
///
/// # Errors
/// If a run breaks off, or a snapshot is refused.
pub fn compare(loaded: &Loaded, extent: Extent, seed: u64) -> Result<Comparison, SpeedError> {
    let straight = run(loaded, extent, Speed::default())?;
    let mut others = Vec::new();
    for (name, speed) in Speed::variants() {
        others.push((name.to_owned(), run(loaded, extent, speed)?));
    }
    let pieces = format!("{} snapshots", extent.snapshots);
    others.push((pieces, run_through_snapshots(loaded, extent, &straight, seed)?));
    let machine = straight.machine();
    Ok(Comparison {
        end: machine.now(),
        trace_hash: machine.trace_hash(),
        instructions: machine.instructions(),
        runs: others.len(),
        differences: others
            .iter()
            .filter_map(|(how, other)| difference(machine, how, other.machine()))
            .collect(),
    })
}

fn difference(straight: &Machine, how: &str, other: &Machine) -> Option<Difference> {
    let trace_hash = other.trace_hash();
    let same = trace_hash == straight.trace_hash() && other == straight;
    (!same).then(|| Difference { how: how.to_owned(), trace_hash })
}

fn options(loaded: &Loaded, extent: Extent, speed: Speed) -> RunOptions {
    let limit = loaded.spec.clock.cycles_in_ns(extent.nanoseconds);
    RunOptions { speed, limit: Some(limit), ..RunOptions::default() }
}

fn run(loaded: &Loaded, extent: Extent, speed: Speed) -> Result<Simulation, SpeedError> {
    let mut simulation = Simulation::new(loaded.clone())?;
    simulation.run(&options(loaded, extent, speed))?;
    Ok(simulation)
}

/// The run that is written down and read back at random cycles until the end of `straight`.
fn run_through_snapshots(
    loaded: &Loaded,
    extent: Extent,
    straight: &Simulation,
    seed: u64,
) -> Result<Simulation, SpeedError> {
    let mut stream = Stream::new(seed, "cycles of snapshots");
    let end = straight.machine().now().0;
    let mut cuts: Vec<u64> = (0..extent.snapshots).map(|_| stream.between(0, end)).collect();
    cuts.sort_unstable();
    let epoch = straight.epoch().unwrap_or_default().0;
    let whole = options(loaded, extent, Speed::default());
    let mut simulation = Simulation::new(loaded.clone())?;
    for cut in cuts {
        match cut.checked_sub(epoch) {
            // The guest still boots.
            None => {
                simulation.advance(Cycle(cut), whole.speed, &mut ());
            }
            Some(after) => {
                simulation.run(&RunOptions { limit: Some(after), ..whole })?;
            }
        }
        simulation = Simulation::restore(loaded.clone(), &simulation.snapshot()?)?;
    }
    simulation.run(&whole)?;
    Ok(simulation)
}
