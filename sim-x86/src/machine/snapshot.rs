//! Snapshots: the machine as bytes, and their hash.
//!
//! A snapshot belongs to the build that made it: magic, format version and the machine's spec come
//! first, and nothing is restored if they do not fit. What is derived is rebuilt.

use crate::machine::{Derived, Machine, State};
use crate::spec::MachineSpec;
use sim_core::StateHash;
use std::hash::Hasher;
use std::io::{self, Write};
use std::sync::Arc;
use thiserror::Error;

const MAGIC: [u8; 8] = *b"latchup\0";
/// Raised whenever the layout of the state changes.
const VERSION: u32 = 3;

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

/// Bytes that are hashed at once; whole words.
const BLOCK: usize = 4096;

/// Hashes what is written to it, the same however it comes in pieces.
#[derive(Default)]
struct HashWriter {
    hash: StateHash,
    /// What is still to be hashed.
    block: Vec<u8>,
}

impl HashWriter {
    fn finish(mut self) -> u64 {
        self.hash.write(&self.block);
        self.hash.finish()
    }
}

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.hash.write(&self.block);
            self.block.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Machine {
    /// Hash of the whole state: what it is made of and what a run has changed. Equal machines have
    /// equal hashes in one build; the layout of the state decides it.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    pub fn state_hash(&self) -> Result<u64, SnapshotError> {
        let mut writer = HashWriter::default();
        self.encode(&mut writer)?;
        Ok(writer.finish())
    }

    fn encode(&self, into: &mut impl Write) -> Result<(), SnapshotError> {
        let body = (&*self.spec, &self.state);
        let config = bincode::config::standard();
        bincode::serde::encode_into_std_write(body, into, config).map_err(SnapshotError::Write)?;
        Ok(())
    }

    /// The machine as bytes.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        self.encode(&mut bytes)?;
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
