//! What must hold of a machine at rest: used by tests and by `--check`.

use crate::ids::{CoreId, LineAddr};
use crate::machine::Machine;
use crate::mem::cache::LineState;
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

impl Machine {
    /// Checks coherence and store buffers. Lines with a transaction in flight are in between two
    /// states and are passed over.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn check(&self) -> Result<(), Broken> {
        self.check_lines()?;
        for core in &self.state.cores {
            let id = core.unit.id;
            if let Some(line) = core.unit.caches.not_included().first() {
                return Err(Broken::PrivateInclusion { line: line.0, core: id });
            }
            if core.unit.stores.iter().count() > core.unit.stores.capacity() {
                return Err(Broken::StoreBuffer { core: id });
            }
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<(), Broken> {
        let mut holders: BTreeMap<LineAddr, Vec<(CoreId, LineState)>> = BTreeMap::new();
        for core in &self.state.cores {
            for (line, state) in core.unit.caches.lines() {
                holders.entry(line).or_default().push((core.unit.id, state));
            }
        }
        let settled = holders.iter().filter(|(line, _)| !self.state.home.in_flight(**line));
        for (line, holders) in settled {
            let writer = holders.iter().find(|(_, state)| state.writable());
            if let Some(&(writer, _)) = writer
                && let Some(&(other, _)) = holders.iter().find(|&&(core, _)| core != writer)
            {
                return Err(Broken::SingleWriter { line: line.0, writer, other });
            }
            for &(core, _) in holders {
                let die = self.spec.topology.die(core);
                let bit = 1 << (u32::from(core.0) % self.spec.topology.cores_per_die);
                let entry = self.state.home.dies()[die].get(*line);
                if entry.is_none_or(|entry| entry.sharers & bit == 0) {
                    return Err(Broken::Inclusion { line: line.0, core });
                }
            }
        }
        Ok(())
    }
}
