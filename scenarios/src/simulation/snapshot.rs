//! Snapshots of a simulation: its machine, what was collected of it, and when its time began.
//!
//! The scenario itself is not in the snapshot: whoever restores it loads the scenario again.

use super::Simulation;
use crate::collect::Collector;
use crate::load::Loaded;
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use sim_x86::Machine;
use sim_x86::machine::snapshot::SnapshotError;
use std::sync::Arc;
use thiserror::Error;

/// Why a simulation cannot be restored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The machine cannot be restored.
    #[error("the machine cannot be restored")]
    Machine(#[from] SnapshotError),
    /// The bytes are damaged or of another version.
    #[error("not a snapshot of a simulation of this version")]
    Damaged(#[source] bincode::error::DecodeError),
    /// The snapshot is of a different scenario.
    #[error("the snapshot belongs to a different scenario or a changed one")]
    OtherScenario,
}

/// What is kept beside the machine.
#[derive(Serialize, Deserialize)]
struct Kept {
    machine: Vec<u8>,
    collector: Collector,
    epoch: Option<Cycle>,
}

impl Simulation {
    /// The simulation as bytes.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let kept = Kept {
            machine: self.machine.snapshot()?,
            collector: self.collector.clone(),
            epoch: self.epoch,
        };
        bincode::serde::encode_to_vec(kept, bincode::config::standard())
            .map_err(SnapshotError::Write)
    }

    /// The simulation of `loaded` that [`Simulation::snapshot`] wrote. It goes on as the original
    /// would have.
    ///
    /// # Errors
    /// If the bytes are no snapshot of this scenario.
    pub fn restore(loaded: Loaded, bytes: &[u8]) -> Result<Self, RestoreError> {
        let (kept, _): (Kept, usize) =
            bincode::serde::decode_from_slice(bytes, bincode::config::standard())
                .map_err(RestoreError::Damaged)?;
        let mut machine = Machine::restore(&kept.machine)?;
        if *machine.spec() != loaded.spec {
            return Err(RestoreError::OtherScenario);
        }
        for (addr, len) in kept.collector.watched() {
            machine.watch(addr, len);
        }
        let Kept { collector, epoch, .. } = kept;
        Ok(Simulation { loaded: Arc::new(loaded), machine, collector, epoch })
    }
}
