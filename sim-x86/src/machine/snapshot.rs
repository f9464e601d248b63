//! Snapshots: the machine as bytes.
//!
//! A snapshot belongs to the build that made it: magic, format version and the machine's spec come
//! first, and nothing is restored if they do not fit. What is derived is rebuilt.

use crate::machine::{Derived, Machine, State};
use crate::spec::MachineSpec;
use std::sync::Arc;
use thiserror::Error;

const MAGIC: [u8; 8] = *b"latchup\0";
/// Raised whenever the layout of the state changes.
const VERSION: u32 = 2;

/// Why bytes are no snapshot.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not a snapshot at all.
    #[error("not a latchup snapshot")]
    Magic,
    /// Written by another version.
    #[error("snapshot format {found}, this build reads {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Truncated or damaged.
    #[error("damaged snapshot")]
    Damaged(#[source] bincode::error::DecodeError),
    /// The state could not be written.
    #[error("cannot write the snapshot")]
    Write(#[source] bincode::error::EncodeError),
}

impl Machine {
    /// The machine as bytes.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        let body = (&*self.spec, &self.state);
        let config = bincode::config::standard();
        bincode::serde::encode_into_std_write(body, &mut bytes, config)
            .map_err(SnapshotError::Write)?;
        Ok(bytes)
    }

    /// The machine that [`Machine::snapshot`] wrote. Watched and stop words are the caller's to set
    /// again.
    ///
    /// # Errors
    /// If the bytes are no snapshot of this version, or damaged.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(SnapshotError::Magic)?;
        let (version, body) = rest.split_first_chunk().ok_or(SnapshotError::Magic)?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(SnapshotError::Version { found });
        }
        let config = bincode::config::standard();
        let ((spec, state), _): ((MachineSpec, State), usize) =
            bincode::serde::decode_from_slice(body, config).map_err(SnapshotError::Damaged)?;
        let derived = Derived::new(&spec, &state.devices);
        Ok(Machine { spec: Arc::new(spec), state, derived })
    }
}
