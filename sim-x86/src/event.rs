//! Everything that can be pending: a closed `Copy` enum of ids and addresses, never code.

use crate::ids::{CoreId, DeviceId, LineAddr};
use crate::trace::Delivery;
use serde::{Deserialize, Serialize};

/// What a core (or a device, through DMA) wants of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// To read data.
    Read,
    /// To fetch instructions.
    Fetch,
    /// To write.
    Own,
    /// To write by a locked read-modify-write.
    OwnLocked,
}

impl Want {
    /// True if other copies have to go.
    #[must_use]
    pub fn owns(self) -> bool {
        matches!(self, Want::Own | Want::OwnLocked)
    }

    /// True if a request for this, still on its way, makes another one for `other` needless.
    #[must_use]
    pub fn covers(self, other: Want) -> bool {
        (self.owns() || !other.owns()) && (self == Want::Fetch) == (other == Want::Fetch)
    }
}

/// Why a run stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// A stop word was written (see [`crate::Machine::stop_on_write`]).
    Written,
    /// A CPU came to an instruction set by [`crate::Machine::stop_at`].
    Reached,
    /// A fault while delivering a double fault.
    TripleFault,
    /// An instruction that is not implemented, on the core that posted the event.
    Unimplemented,
}

/// A pending event. Its key in the queue says when, and in which order at one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A request for a line reaches the home agent.
    Request {
        /// Who asks.
        core: CoreId,
        /// For what.
        want: Want,
        /// Which line.
        line: LineAddr,
    },
    /// A dirty line evicted by `core` reaches the home agent.
    WriteBack {
        /// Who evicted it.
        core: CoreId,
        /// Which line.
        line: LineAddr,
    },
    /// The home agent's probe for its active transaction on `line` reaches `core`.
    Probe {
        /// Who is probed.
        core: CoreId,
        /// Which line.
        line: LineAddr,
    },
    /// The line that `core` asked for arrives.
    Fill {
        /// Who asked.
        core: CoreId,
        /// Which line.
        line: LineAddr,
    },
    /// The oldest DMA write of a device reaches the home agent.
    DmaRequest {
        /// Which device.
        device: DeviceId,
    },
    /// The oldest DMA write of a device becomes visible.
    DmaVisible {
        /// Which device.
        device: DeviceId,
        /// The line it writes.
        line: LineAddr,
    },
    /// An interrupt message reaches a LAPIC.
    Interrupt {
        /// Target.
        core: CoreId,
        /// What.
        delivery: Delivery,
    },
    /// A LAPIC timer may have expired (stale ones are told by the LAPIC's own deadline).
    ApicTimer {
        /// Whose.
        core: CoreId,
    },
    /// A performance counter may have overflowed.
    PmuOverflow {
        /// Whose.
        core: CoreId,
        /// The core's PMU generation when this was scheduled; another one makes it stale.
        generation: u32,
    },
    /// A register write reaches a device.
    MmioWrite {
        /// Which device.
        device: DeviceId,
        /// Byte offset of the register.
        offset: u32,
        /// Value.
        value: u32,
    },
    /// A register read reaches a device.
    MmioRead {
        /// Which device.
        device: DeviceId,
        /// Who reads.
        core: CoreId,
        /// Byte offset of the register.
        offset: u32,
    },
    /// A byte reaches an I/O port: debug console or exit.
    PortOut {
        /// Who wrote.
        core: CoreId,
        /// Port number.
        port: u16,
        /// Value.
        value: u32,
    },
    /// A device's own event.
    Device {
        /// Which device.
        device: DeviceId,
        /// What the device chose to be told.
        token: u32,
    },
    /// A CPU reached a device's trigger.
    Trigger {
        /// Which device.
        device: DeviceId,
    },
    /// The run ends.
    Stop {
        /// On which core.
        core: CoreId,
        /// Why.
        cause: StopCause,
    },
}

/// Whose state an event may read or change, apart from the home agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody's.
    Home,
    /// One core's.
    Core(CoreId),
    /// Devices', and through them memory and any core.
    Devices,
}

impl Event {
    /// Whose state it may read or change.
    #[inline]
    #[must_use]
    pub fn reach(&self) -> Reach {
        match *self {
            Event::Request { .. } | Event::WriteBack { .. } => Reach::Home,
            Event::Probe { core, .. }
            | Event::Fill { core, .. }
            | Event::Interrupt { core, .. }
            | Event::ApicTimer { core }
            | Event::PmuOverflow { core, .. } => Reach::Core(core),
            Event::DmaRequest { .. }
            | Event::DmaVisible { .. }
            | Event::MmioWrite { .. }
            | Event::MmioRead { .. }
            | Event::PortOut { .. }
            | Event::Device { .. }
            | Event::Trigger { .. }
            | Event::Stop { .. } => Reach::Devices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_stay_small() {
        assert!(size_of::<Event>() <= 16, "{}", size_of::<Event>());
    }
}
