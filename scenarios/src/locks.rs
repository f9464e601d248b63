//! The write history of ticket-lock words: who holds, who waits, and what broke them.
//!
//! A ticket lock is one 32-bit word: bits 0–15 are the owner ("now serving"), bits 16–31 the next
//! ticket. Taking it is a locked add of 0x10000; releasing it is a 16-bit add of 1 to the owner
//! that is *not* locked; initialising it is a plain store of 0. Everything here follows from the
//! order in which those writes became visible.

mod replay;
mod report;

pub use replay::{Effect, LockState, LockWrite, Ticket};
pub use report::{Holder, LockReport, Waiter};

use serde::{Deserialize, Serialize};
use sim_x86::ids::PhysAddr;

/// Stands for a device where a CPU number is expected.
pub const DEVICE: u32 = u32::MAX;

/// A ticket-lock word to watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWord {
    /// Its name, e.g. `mpt2sas_ioc[0].ctl_cmds.done.wait.lock`.
    pub name: String,
    /// Its linear address.
    pub va: u64,
    /// Its physical address.
    pub addr: PhysAddr,
    /// Its value when watching begins.
    pub initial: u32,
}

/// How a lock was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyKind {
    /// Stored 0 over the word while a CPU held the lock or waited for it.
    ReinitialisedWhileHeld,
    /// Changed in a way that no lock operation changes it, while a CPU held it or waited.
    OverwrittenWhileHeld,
    /// Granted to a CPU while another one was still inside.
    MutualExclusionBroken,
    /// Released by a CPU that did not hold it.
    ReleasedByNonHolder,
    /// Released with a value of Owner that another write had made obsolete: the release is a
    /// load, an addition and a store, not one step.
    OverlappedRelease,
    /// Owner went past Next: more releases than acquisitions.
    OwnerPastNext,
    /// A ticket that Owner will not reach any more.
    NeverServed,
}

impl AnomalyKind {
    /// In words, as a verb phrase about the lock.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            AnomalyKind::ReinitialisedWhileHeld => "re-initialised while held",
            AnomalyKind::OverwrittenWhileHeld => "overwritten while held",
            AnomalyKind::MutualExclusionBroken => "granted to two CPUs at once",
            AnomalyKind::ReleasedByNonHolder => "released by a CPU that did not hold it",
            AnomalyKind::OverlappedRelease => "released with an obsolete Owner",
            AnomalyKind::OwnerPastNext => "Owner is past Next",
            AnomalyKind::NeverServed => "a ticket can never be served",
        }
    }
}

/// One thing that went wrong with a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// What.
    pub kind: AnomalyKind,
    /// Cycle at which the write became visible.
    pub at: u64,
    /// CPU that wrote, or [`DEVICE`].
    pub cpu: u32,
    /// Address of the instruction that wrote.
    pub rip: u64,
    /// The word before.
    pub before: u32,
    /// The word after.
    pub after: u32,
    /// The acquisition that suffered: of the holder, or of the CPU that can never be served.
    pub victim: Option<Ticket>,
}

/// Next ticket of a word.
#[must_use]
pub fn next_of(word: u32) -> u16 {
    (word >> 16) as u16
}

/// Owner ("now serving") of a word.
#[must_use]
pub fn owner_of(word: u32) -> u16 {
    (word & 0xffff) as u16
}

#[cfg(test)]
mod tests;
