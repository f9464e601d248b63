//! What must hold of a machine at rest: used by tests and by `--check`.

use crate::ids::{CoreId, LineAddr};
use crate::machine::Machine;
use crate::mem::cache::{LineState, PrivateCaches};
use crate::mem::home::Home;
use crate::spec::Topology;
use std::collections::BTreeMap;
use thiserror::Error;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// Two cores may use a line that one of them may write.
    #[error("line {line:#x}: {writer} may write it while {other} holds it too")]
    SingleWriter {
        /// Line number.
        line: u64,
        /// Who may write.
        writer: CoreId,
        /// Who else has it.
        other: CoreId,
    },
    /// A private copy that the die's L3 does not know of.
    #[error("line {line:#x} is in {core} but not in its die's L3")]
    Inclusion {
        /// Line number.
        line: u64,
        /// Who has it.
        core: CoreId,
    },
    /// A core may write a line that its die's L3 does not take for its own.
    #[error("{core} may write line {line:#x}, but its die's L3 does not know it as the owner")]
    Ownership {
        /// Line number.
        line: u64,
        /// Who may write.
        core: CoreId,
    },
    /// An L1 line that is missing in L2.
    #[error("line {line:#x} is in an L1 of {core} but not in its L2")]
    PrivateInclusion {
        /// Line number.
        line: u64,
        /// Whose L1.
        core: CoreId,
    },
    /// Buffered stores that are not in the order in which they may leave.
    #[error("the store buffer of {core} holds more stores than it has entries")]
    StoreBuffer {
        /// Whose.
        core: CoreId,
    },
}

/// Checks the coherence of `caches` under `home`: a line that one core may write is in no other
/// core, at any time; and the directory knows of every private copy. Lines with a transaction in
/// flight are passed over for the second: the directory is ahead of the caches then.
///
/// # Errors
/// The first broken invariant.
pub fn check_coherence<'a>(
    topology: &Topology,
    home: &Home,
    caches: impl Iterator<Item = (CoreId, &'a PrivateCaches)>,
) -> Result<(), Broken> {
    let mut holders: BTreeMap<LineAddr, Vec<(CoreId, LineState)>> = BTreeMap::new();
    for (core, caches) in caches {
        for (line, state) in caches.lines() {
            holders.entry(line).or_default().push((core, state));
        }
        if let Some(line) = caches.not_included().first() {
            return Err(Broken::PrivateInclusion { line: line.0, core });
        }
    }
    holders.iter().try_for_each(|(&line, holders)| check_line(topology, home, line, holders))
}

/// The part of [`check_coherence`] for one line, which `holders` have in their caches.
///
/// # Errors
/// The first broken invariant.
pub fn check_line(
    topology: &Topology,
    home: &Home,
    line: LineAddr,
    holders: &[(CoreId, LineState)],
) -> Result<(), Broken> {
    let writer = holders.iter().find(|(_, state)| state.writable());
    if let Some(&(writer, _)) = writer
        && let Some(&(other, _)) = holders.iter().find(|&&(core, _)| core != writer)
    {
        return Err(Broken::SingleWriter { line: line.0, writer, other });
    }
    if home.in_flight(line) {
        return Ok(());
    }
    for &(core, state) in holders {
        let local = u32::from(core.0) % topology.cores_per_die;
        let entry = home.dies()[topology.die(core)].get(line);
        if entry.is_none_or(|entry| entry.sharers & (1 << local) == 0) {
            return Err(Broken::Inclusion { line: line.0, core });
        }
        let owns = entry.and_then(|entry| entry.owner()).map(u32::from) == Some(local);
        if state.writable() && !owns {
            return Err(Broken::Ownership { line: line.0, core });
        }
    }
    Ok(())
}

impl Machine {
    /// Checks coherence and store buffers (see [`check_coherence`]).
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn check(&self) -> Result<(), Broken> {
        let caches = self.state.cores.iter().map(|core| (core.unit.id, &core.unit.caches));
        check_coherence(&self.spec.topology, &self.state.home, caches)?;
        for core in &self.state.cores {
            if core.unit.stores.iter().count() > core.unit.stores.capacity() {
                return Err(Broken::StoreBuffer { core: core.unit.id });
            }
        }
        Ok(())
    }
}
