//! Identifiers and addresses: newtypes, so that a line is never taken for an address.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A CPU (hardware thread) of the machine, numbered from 0 as the guest sees it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CoreId(pub u16);

impl CoreId {
    /// Position in arrays of cores.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {}", self.0)
    }
}

/// A device of the machine: its index in [`crate::spec::MachineSpec::devices`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DeviceId(pub u8);

impl DeviceId {
    /// Position in arrays of devices.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A physical address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PhysAddr(pub u64);

/// Bytes in a cache line on every machine modelled here.
pub const LINE_BYTES: u64 = 64;

impl PhysAddr {
    /// The cache line that holds this byte.
    #[inline]
    #[must_use]
    pub fn line(self) -> LineAddr {
        LineAddr(self.0 / LINE_BYTES)
    }
}

impl fmt::LowerHex for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// A cache line: physical address divided by [`LINE_BYTES`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LineAddr(pub u64);

impl LineAddr {
    /// First byte of the line.
    #[must_use]
    pub fn base(self) -> PhysAddr {
        PhysAddr(self.0 * LINE_BYTES)
    }
}
