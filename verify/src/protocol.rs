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
//! is what would be a lost write in hardware.)
//!
//! # How far
//!
//! Until nothing new is found. Nothing bounds how many operations follow one another, nor how many
//! are in progress at a time: a core can have as many as the machine's cores have, one instruction
//! that waits and as many stores as the store buffer has entries, which here is one. Where fewer
//! than that may be in progress at a time ([`Setup::in_progress`]), the report says so: fetches
//! beside data, and 3 cores whose lines evict each other from L1D alone or from an L3, unless
//! [`Extent::Long`] is asked for.
//!
//! # What is left out, and why nothing is lost
//!
//! States are kept whole, in 16 bytes, not as hashes. Each is a number for each core and for the
//! home agent (`parts.rs`). What an event makes of such a part is computed by the machine's code
//! once and looked up from then on, which is sound as the code is a function of part and event.
//! Two parts have one number only if they behave alike:
//!
//! - Mirror images: cores of one die, and lines unless an operation treats them in order, can
//!   change places. A state stands for all of its images.
//! - Whether a die's copy is dirty (Modified or Exclusive in its L3) decides latencies only, and
//!   there is no time here.
//! - The state in L2 of a line that is in L1D too is never looked at if no L1D ever evicts.
//! - With two lines, a set has room for both or for one: it never has to choose between two, and
//!   the order in which they were used is never looked at.
//! - Where an L3 has room for both lines, the home agent does nothing to one line that depends on
//!   the other: it makes room for none, and everything else it knows is by line. So it is taken as
//!   two home agents with a line each. Transactions on different lines are not put in an order by
//!   this; all their interleavings are explored.
//!
//! The tests explore small machines without any of this, and find exactly the states that the
//! reduced ones stand for.

pub mod explore;
mod parts;
mod state;
pub mod system;
mod table;

#[cfg(test)]
mod tests;

pub use explore::{Exploration, Found, explore};
pub use system::{Mutation, Setup, Violation};

/// How much of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What takes seconds.
    Quick,
    /// 3 cores and 2 lines that fit the L3, complete: 70 million states, which take 2 GB.
    Full,
    /// 3 cores and 2 lines however they share the caches. Nobody has seen the end of those that
    /// conflict in L1 or L3.
    Long,
}

/// The explorations of the proof.
#[must_use]
pub fn all(extent: Extent) -> Vec<Setup> {
    let kinds = Setup::kinds();
    let [fit, l1, l2, l3, everywhere, fetches, split] = &kinds;
    let sized = |kind: &Setup, cores, lines, in_progress| Setup {
        cores,
        lines,
        in_progress,
        ..kind.clone()
    };
    let unbounded = usize::MAX;
    let mut all = vec![
        sized(fit, 2, 1, unbounded),
        sized(fit, 3, 1, unbounded),
        sized(fetches, 2, 1, 2),
        sized(fetches, 2, 2, 1),
    ];
    all.extend([fit, l1, l2, l3, everywhere].map(|kind| sized(kind, 2, 2, unbounded)));
    all.push(sized(fit, 3, 2, 1));
    all.push(sized(split, 3, 2, unbounded));
    if extent == Extent::Quick {
        return all;
    }
    all.push(sized(fetches, 3, 1, 2));
    all.push(sized(fetches, 3, 2, 1));
    all.extend([l1, l3, everywhere].map(|kind| sized(kind, 3, 2, 2)));
    all.extend([fit, l2].map(|kind| sized(kind, 3, 2, unbounded)));
    if extent == Extent::Long {
        all.extend([everywhere, l1, l3].map(|kind| sized(kind, 3, 2, unbounded)));
    }
    all
}
