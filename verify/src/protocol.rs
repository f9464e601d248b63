//! The coherence protocol, explored completely for a small machine.
//!
//! What is explored is the machine's own transition code: [`Home`](sim_x86::mem::home::Home) with
//! its directory and [`PrivateCaches`](sim_x86::mem::cache::PrivateCaches), driven by the messages
//! that `machine/run.rs` would carry. Only the cores are replaced: each may do anything, at any
//! time. What is checked in every state are the invariants of
//! [`check_coherence`](sim_x86::machine::invariants::check_coherence), those of `--check`.
//!
//! # What is abstracted
//!
//! Time. Every latency is one and the same, so that states differ in what they are and not in when
//! they came about; in exchange any message may arrive before any other, unless the machine
//! guarantees their order:
//!
//! - Requests and write-backs of one core reach the home agent in the order in which the core sent
//!   them: all of them travel for the same time, and a core's clock never goes back.
//! - Probes, fills and repeated requests arrive in any order. The home agent itself sees to it that
//!   a line has one transaction at a time, and that a fill is sent after the last probe's answer.
//! - A probe's answer takes no message: the machine gives it to the home agent in the same event.
//! - A probe is held back while a locked operation has its line.
//! - A buffered store commits at any time at which its core may write the line, in the order of the
//!   stores. A blocked instruction tries again after the fills that wake it in the machine.
//!
//! Values are abstracted to one bit for each core and line: whether the copy is of the last version
//! written. (The machine keeps one value of every byte; a copy that outlives another core's write
//! is what would be a lost write in hardware.) Lines that a symmetry of the machine maps to each
//! other, and cores of one die, are told apart no further: a state stands for all its mirror
//! images. Where no line ever has to make room for another, the order in which lines were used
//! does not count.
//!
//! # How far
//!
//! Nothing bounds how many operations follow one another. What is bounded is how many are in
//! progress at the same time ([`Setup::in_progress`]): without a bound for one line or two cores,
//! up to a few for 3 cores and 2 lines, since the states of two lines multiply.

pub mod explore;
mod parts;
mod state;
pub mod system;
mod table;

#[cfg(test)]
mod tests;

pub use explore::{Exploration, Found, explore};
pub use system::{Mutation, Setup, Violation};

/// The explorations of the proof. `quick` leaves out those that take minutes.
#[must_use]
pub fn all(quick: bool) -> Vec<Setup> {
    let kinds = Setup::kinds();
    let [fit, _, _, _, _, fetches, _] = &kinds;
    let sized = |kind: &Setup, cores, lines, in_progress| {
        Setup { cores, lines, in_progress, ..kind.clone() }
    };
    let mut all = vec![
        sized(fit, 2, 1, usize::MAX),
        sized(fit, 3, 1, usize::MAX),
        sized(fetches, 2, 1, 2),
        sized(fetches, 2, 2, 1),
        sized(fit, 3, 2, 1),
    ];
    let bounded = |kind: &&Setup| kind.name == fetches.name;
    all.extend(kinds.iter().filter(|kind| !bounded(kind)).map(|kind| Setup { cores: 2, ..kind.clone() }));
    all
}
