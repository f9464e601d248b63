//! What a machine tells its observer: plain records, in one total order.

use crate::ids::{CoreId, DeviceId, PhysAddr};
use serde::{Deserialize, Serialize};
use sim_core::Cycle;

/// Why control went into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Maskable interrupt, by vector.
    Interrupt(u8),
    /// Non-maskable interrupt.
    Nmi,
    /// Exception, by vector.
    Exception(u8),
    /// SYSCALL.
    Syscall,
}

/// How an interrupt message was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// Fixed, with a vector.
    Fixed(u8),
    /// NMI.
    Nmi,
    /// INIT.
    Init,
    /// Start-up IPI with its vector.
    Startup(u8),
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trace {
    /// A store or locked operation changed a watched word (became globally visible).
    Write {
        /// Physical address of the first byte.
        addr: PhysAddr,
        /// Bytes written: 1–8.
        size: u8,
        /// True for a locked read-modify-write.
        locked: bool,
        /// Address of the instruction that stored it (0 for a device).
        rip: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
    },
    /// A load of a watched word.
    Read {
        /// Physical address of the first byte.
        addr: PhysAddr,
        /// Bytes read: 1–8.
        size: u8,
        /// Address of the instruction.
        rip: u64,
        /// Value read.
        value: u64,
    },
    /// Control entered the kernel or a handler at `rip`'s expense.
    Enter {
        /// Why.
        entry: Entry,
        /// Interrupted instruction.
        rip: u64,
        /// True if it came from ring 3.
        from_user: bool,
    },
    /// IRET or SYSRET.
    Leave {
        /// Where to.
        rip: u64,
        /// True if to ring 3.
        to_user: bool,
    },
    /// HLT: the CPU sleeps.
    Halt,
    /// The CPU woke from HLT.
    Wake,
    /// An interrupt message was sent by this CPU.
    Ipi {
        /// Target.
        to: CoreId,
        /// Kind.
        delivery: Delivery,
    },
    /// An interrupt message reached this CPU's LAPIC.
    Arrive {
        /// Kind.
        delivery: Delivery,
    },
    /// This CPU wrote to a register of a device; the write is on its way.
    DeviceWrite {
        /// Which device.
        device: DeviceId,
    },
    /// A device asked for an interrupt.
    DeviceInterrupt {
        /// Which device.
        device: DeviceId,
        /// To which CPU.
        to: CoreId,
        /// With which vector.
        vector: u8,
    },
    /// A device received a request (for an HBA: the SMID posted).
    DeviceRequest {
        /// Which device.
        device: DeviceId,
        /// Request id.
        id: u32,
    },
    /// A device answered a request.
    DeviceReply {
        /// Which device.
        device: DeviceId,
        /// Request id.
        id: u32,
    },
    /// A byte left by the debug console port.
    Console(u8),
    /// An instruction retired (only if asked for).
    Retire {
        /// Its address.
        rip: u64,
    },
}

/// Which records an observer wants. Those not asked for cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceMask {
    /// [`Trace::Write`] of watched words.
    pub writes: bool,
    /// [`Trace::Read`] of watched words.
    pub reads: bool,
    /// [`Trace::Enter`], [`Trace::Leave`], [`Trace::Halt`], [`Trace::Wake`].
    pub control: bool,
    /// [`Trace::Ipi`], [`Trace::Arrive`], and the device records.
    pub messages: bool,
    /// [`Trace::Console`].
    pub console: bool,
    /// [`Trace::Retire`].
    pub retire: bool,
}

impl std::ops::BitOr for TraceMask {
    type Output = TraceMask;
    fn bitor(self, other: TraceMask) -> TraceMask {
        TraceMask {
            writes: self.writes | other.writes,
            reads: self.reads | other.reads,
            control: self.control | other.control,
            messages: self.messages | other.messages,
            console: self.console | other.console,
            retire: self.retire | other.retire,
        }
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Actor {
    /// A CPU.
    Core(CoreId),
    /// A device.
    Device(DeviceId),
}

/// One record with its time and place. Records reach an observer in order of (cycle, actor,
/// order within the actor), whatever order the host computed them in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Cycle,
    /// Who.
    pub actor: Actor,
    /// What.
    pub what: Trace,
}

/// Watches a run. It gets records by reference and cannot change the machine.
pub trait Observer {
    /// Which records it wants; asked once at the start of a run.
    fn wants(&self) -> TraceMask;
    /// Takes one record.
    fn on(&mut self, record: &Record);
}

/// Watches nothing.
impl Observer for () {
    fn wants(&self) -> TraceMask {
        TraceMask::default()
    }
    fn on(&mut self, _record: &Record) {}
}
