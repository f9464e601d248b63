//! One CPU: its state as data. Behaviour stands in the submodules.
//!
//! - [`step`]: the instruction loop
//! - [`bus`]: what an instruction asks of the world
//! - `apic`: what its local APIC asks of the machine
//! - [`interrupt`]: recognition and delivery of interrupts and exceptions
//! - [`spin`]: exact skipping of loops that only wait
//! - [`carry`]: waiting loops whose line goes or comes
//! - [`replay`]: stretches of code that repeat
//! - [`code`]: predecoded instructions
//! - [`translate`]: linear to physical addresses
//! - [`msr`]: CPUID and constant MSRs
//! - [`regs`]: architectural registers

mod apic;
pub mod bus;
pub mod carry;
pub mod code;
pub mod interrupt;
pub mod msr;
pub mod regs;
pub mod replay;
pub mod spin;
pub mod step;
pub mod translate;

use crate::event::Want;
use crate::ids::{CoreId, LineAddr};
use crate::lapic::Lapic;
use crate::mem::cache::PrivateCaches;
use crate::mem::store_buffer::StoreBuffer;
use crate::pmu::{Counts, Pmu};
use crate::spec::MachineSpec;
use msr::PlainMsrs;
use regs::Registers;
use serde::{Deserialize, Serialize};
use sim_core::{Cycle, TraceHash};
use spin::Park;

/// A line number that no line has.
pub const NO_LINE: LineAddr = LineAddr(u64::MAX);

/// What a CPU is doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Run {
    /// Waiting to be started.
    Off,
    /// Executing: the next instruction starts at [`Unit::clock`].
    Running,
    /// Blocked in the middle of an instruction, which is executed again when what it waits for
    /// has come.
    Waiting(Wait),
    /// In HLT (or MWAIT) since this cycle.
    Halted(Cycle),
    /// In a loop whose iterations are computed instead of executed.
    Parked(Park),
}

/// What a blocked instruction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// A cache line.
    Line(LineAddr),
    /// Some line that the store buffer needs before it can drain.
    Stores,
    /// A device register.
    Device,
}

/// The answer to an uncached read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceRead {
    /// None in flight.
    #[default]
    Idle,
    /// Asked.
    Pending,
    /// Answered.
    Ready(u32),
}

/// Interrupt inhibition that lasts until one more instruction has completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Value of [`Unit::instructions`] at which it holds.
    pub at: u64,
    /// True if it holds maskable interrupts off at all.
    pub active: bool,
    /// True if it holds NMIs off as well (MOV SS, POP SS).
    pub nmi_too: bool,
}

/// See [`Unit::activity`]. It decides what is skipped, never what happens, and it counts stores near
/// code that was decoded, which a snapshot does not know: so it is no part of a machine's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity(u64);

impl Activity {
    /// True if nothing was counted in between.
    pub(crate) fn is_still(self, earlier: Activity) -> bool {
        self.0 == earlier.0
    }
}

impl std::ops::AddAssign<u64> for Activity {
    #[inline]
    fn add_assign(&mut self, count: u64) {
        self.0 = self.0.wrapping_add(count);
    }
}

impl PartialEq for Activity {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Core {
    /// What instructions name.
    pub regs: Registers,
    /// Everything else.
    pub unit: Unit,
}

/// A CPU without its architectural registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Its number.
    pub id: CoreId,
    /// What it is doing.
    pub run: Run,
    /// Start of the next instruction (or of the one that is blocked).
    pub clock: Cycle,
    /// True if something may have to be serviced before the next instruction.
    pub attention: bool,
    /// True while an instruction has started and not completed: it completes before an interrupt
    /// is taken.
    pub restarting: bool,
    /// Devices that watch the instruction at RIP have been told that it was reached.
    pub announced: bool,
    /// Interrupt shadow.
    pub shadow: Shadow,
    /// An NMI is latched.
    pub nmi_pending: bool,
    /// NMIs are blocked until IRET.
    pub nmi_blocked: bool,
    /// Line whose latency the blocked instruction has already paid by waiting.
    pub paid: LineAddr,
    /// Code line that the last instruction came from: known to be in L1I.
    pub fetch_line: LineAddr,
    /// Lines asked for and not yet here.
    pub requested: Vec<(LineAddr, Want)>,
    /// Line held by a locked operation.
    pub locked_line: LineAddr,
    /// First cycle at which [`Unit::locked_line`] may be taken away.
    pub locked_until: Cycle,
    /// First line of a split locked operation, held until the second has come.
    pub split_hold: LineAddr,
    /// Armed by MONITOR.
    pub monitor: LineAddr,
    /// An uncached read in flight.
    pub device_read: DeviceRead,
    /// Stopped by an SMI-like stall until then.
    pub stalled_until: Cycle,
    /// L1 and L2.
    pub caches: PrivateCaches,
    /// Store buffer.
    pub stores: StoreBuffer,
    /// Local APIC.
    pub lapic: Lapic,
    /// Performance counters.
    pub pmu: Pmu,
    /// Makes overflow events stale.
    pub pmu_generation: u32,
    /// MSRs that only hold a value.
    pub msrs: PlainMsrs,
    /// Instructions retired.
    pub instructions: u64,
    /// Cycles spent halted before now.
    pub halted: u64,
    /// Added to the core clock by RDTSC.
    pub tsc_offset: u64,
    /// Counts everything that a repeating loop must not do; see [`spin`].
    #[serde(skip)]
    pub activity: Activity,
    /// One more than the number of the last instruction that was perturbed.
    pub perturbed: u64,
    /// What this CPU did, hashed.
    pub hash: TraceHash,
}

impl Core {
    /// A CPU after reset, not started.
    #[must_use]
    pub fn new(id: CoreId, spec: &MachineSpec) -> Self {
        let unit = Unit {
            id,
            run: Run::Off,
            clock: Cycle(0),
            attention: spec.perturb.at_boundaries(),
            restarting: false,
            announced: false,
            shadow: Shadow::default(),
            nmi_pending: false,
            nmi_blocked: false,
            paid: NO_LINE,
            fetch_line: NO_LINE,
            requested: Vec::new(),
            locked_line: NO_LINE,
            locked_until: Cycle(0),
            split_hold: NO_LINE,
            monitor: NO_LINE,
            device_read: DeviceRead::Idle,
            stalled_until: Cycle(0),
            caches: PrivateCaches::new(&spec.memory),
            stores: StoreBuffer::new(spec.memory.store_buffer),
            lapic: Lapic::new(u32::from(id.0), spec.interrupts.apic_timer_tick, spec.x2apic),
            pmu: Pmu::new(spec.intel_pmu),
            pmu_generation: 0,
            msrs: PlainMsrs::default(),
            instructions: 0,
            halted: 0,
            tsc_offset: 0,
            activity: Activity::default(),
            perturbed: 0,
            hash: TraceHash::default(),
        };
        Core { regs: Registers::default(), unit }
    }
}

impl Unit {
    /// Counter inputs at `now`: instructions, and cycles not spent halted.
    #[must_use]
    pub fn counts(&self, now: Cycle) -> Counts {
        let halted = match self.run {
            Run::Halted(since) => self.halted + now.since(since),
            Run::Off | Run::Running | Run::Waiting(_) | Run::Parked(_) => self.halted,
        };
        Counts { instructions: self.instructions, unhalted: now.0.saturating_sub(halted) }
    }

    /// True if it executes instructions, however many of them are skipped.
    pub(crate) fn spins(&self) -> bool {
        matches!(self.run, Run::Running | Run::Parked(_))
    }

    /// True if no store is buffered and no line is held by a locked operation.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stores.is_empty() && self.locked_until <= self.clock
    }

    /// Adds an event to the core's hash: what, when, where it was, and a detail.
    pub(crate) fn note(&mut self, kind: Note, at: Cycle, rip: u64, detail: u64) {
        self.hash.add((kind as u64) << 56 ^ at.0);
        self.hash.add(rip);
        self.hash.add(detail ^ self.instructions.rotate_left(32));
    }

    /// Adds a probe to the core's hash. Not where the core was: one in a skipped loop is not
    /// brought there for each probe.
    pub(crate) fn note_probe(&mut self, at: Cycle, line: LineAddr) {
        self.hash.add((Note::Probe as u64) << 56 ^ at.0);
        self.hash.add(line.0);
    }

    /// Makes the core run from `at` on, or from the end of a stall.
    pub(crate) fn resume(&mut self, at: Cycle) {
        self.run = Run::Running;
        self.clock = at.max(self.stalled_until);
    }
}

/// Kinds of hashed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Note {
    /// A line was asked for.
    Request = 1,
    /// A line came.
    Fill = 2,
    /// A probe was answered.
    Probe = 3,
    /// Control entered a handler.
    Enter = 4,
    /// HLT or MWAIT.
    Halt = 5,
    /// Woken from HLT.
    Wake = 6,
    /// A device register was read or written.
    Device = 7,
    /// A model-specific or APIC register was written.
    System = 8,
    /// An interrupt message arrived.
    Arrive = 9,
    /// A port was written.
    Port = 10,
}
