//! The local APIC of one CPU (SDM vol. 3A ch. 10, edition of September 2009), in xAPIC and x2APIC
//! mode.
//!
//! The chip holds registers and answers with effects; the machine carries messages, delivers
//! NMI/INIT/SIPI itself (they bypass IRR and ISR) and calls [`Lapic::timer_expired`] at
//! [`Lapic::next_timer`]. Not modelled: SMI, ExtINT (there is no 8259), and the arbitration of
//! lowest-priority messages, which are delivered like fixed ones.

mod regs;
#[cfg(test)]
mod tests;
mod timer;
mod vectors;

use crate::trace::Delivery;
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use timer::Timer;
use vectors::VectorSet;

/// Physical address of the xAPIC register page of every CPU; the machine's map is fixed, so
/// IA32_APIC_BASE accepts no other.
pub const APIC_BASE: u64 = 0xfee0_0000;

/// Bit of an LVT register that masks it (SDM figure 10-8).
const LVT_MASKED: u32 = 1 << 16;

/// Error status bits (SDM §10.5.3).
mod error {
    /// An IPI was to be sent with a vector below 16.
    pub(super) const SEND_VECTOR: u32 = 1 << 5;
    /// A message or LVT entry carried a vector below 16.
    pub(super) const RECEIVE_VECTOR: u32 = 1 << 6;
    /// An unimplemented register was written.
    pub(super) const REGISTER: u32 = 1 << 7;
}

/// Access mode, by the EN and EXTD bits of IA32_APIC_BASE (SDM table 10-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    /// Globally disabled: no registers, no messages.
    Disabled,
    /// Registers in the page at [`APIC_BASE`].
    XApic,
    /// Registers are MSRs 0x800–0x83f.
    X2Apic,
}

/// Entries of the local vector table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lvt {
    /// Corrected machine checks, register 0x2f0.
    Cmci,
    /// The timer, register 0x320.
    Timer,
    /// The thermal sensor, register 0x330.
    Thermal,
    /// Performance counter overflow, register 0x340.
    Performance,
    /// Pin LINT0, register 0x350.
    Lint0,
    /// Pin LINT1, register 0x360.
    Lint1,
    /// APIC errors, register 0x370.
    Error,
}

/// Number of entries in [`Lvt`].
const LVT_ENTRIES: usize = 7;

/// Whom an IPI is for. The machine resolves it with [`Lapic::id`] and [`Lapic::matches_logical`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// The CPU with this APIC id.
    One(u32),
    /// Every CPU that matches this logical destination.
    Logical(u32),
    /// The sender.
    Self_,
    /// Every CPU.
    All,
    /// Every CPU but the sender.
    AllButSelf,
}

/// An interrupt message that this CPU sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipi {
    /// To whom.
    pub to: Destination,
    /// What.
    pub delivery: Delivery,
}

/// What the machine has to do after a register write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApicEffect {
    /// Nothing.
    None,
    /// Send an IPI.
    Ipi(Ipi),
    /// The timer was armed, moved or stopped: look at [`Lapic::next_timer`] again.
    Timer,
    /// Broadcast the end of this level-triggered interrupt to the I/O APICs.
    Eoi(u8),
}

/// One CPU's local APIC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lapic {
    id: u32,
    x2apic_capable: bool,
    mode: Mode,
    /// Accepted, waiting for the CPU.
    irr: VectorSet,
    /// Being serviced.
    isr: VectorSet,
    /// Trigger mode of what is in the IRR: set for level.
    tmr: VectorSet,
    tpr: u8,
    svr: u32,
    ldr: u32,
    dfr: u32,
    /// ESR as the guest reads it: the errors up to its last write.
    esr: u32,
    /// Errors since the guest's last write to ESR.
    esr_new: u32,
    icr: u64,
    lvt: [u32; LVT_ENTRIES],
    timer: Timer,
}

impl Lapic {
    /// The APIC of the CPU with `apic_id`, in its state after reset (SDM §10.4.7.1): xAPIC mode,
    /// software-disabled, every LVT entry masked. `timer_tick` is the number of core cycles per
    /// timer tick at divide-by-1; `x2apic_capable` tells whether EXTD may be set.
    #[must_use]
    pub fn new(apic_id: u32, timer_tick: u32, x2apic_capable: bool) -> Self {
        Lapic {
            id: apic_id,
            x2apic_capable,
            mode: Mode::XApic,
            irr: VectorSet::default(),
            isr: VectorSet::default(),
            tmr: VectorSet::default(),
            tpr: 0,
            svr: 0xff,
            ldr: 0,
            dfr: u32::MAX,
            esr: 0,
            esr_new: 0,
            icr: 0,
            lvt: [LVT_MASKED; LVT_ENTRIES],
            timer: Timer::new(timer_tick),
        }
    }

    /// APIC id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// True in x2APIC mode, when the registers are MSRs.
    #[must_use]
    pub fn in_x2apic_mode(&self) -> bool {
        self.mode == Mode::X2Apic
    }

    /// INIT: registers return to their state after reset; id and mode stay (SDM §10.4.7.3).
    pub fn init(&mut self) {
        let mode = self.mode;
        *self = Lapic::new(self.id, self.timer.tick(), self.x2apic_capable);
        self.enter(mode);
    }

    /// Takes in a fixed message. Messages are lost while the APIC is software-disabled; vectors
    /// below 16 are errors (SDM §10.5.2).
    pub fn accept(&mut self, vector: u8, level: bool) {
        if !self.enabled() {
            return;
        }
        if vector < 16 {
            self.raise_error(error::RECEIVE_VECTOR);
            return;
        }
        self.irr.insert(vector);
        self.tmr.set(vector, level);
    }

    /// The vector that the CPU would be interrupted with now if it allowed it: the highest in the
    /// IRR, if its class is above that of [`Lapic::ppr`].
    #[inline]
    #[must_use]
    pub fn deliverable(&self) -> Option<u8> {
        let vector = self.irr.highest()?;
        (vector >> 4 > self.ppr() >> 4).then_some(vector)
    }

    /// The CPU takes its interrupt: the deliverable vector moves from the IRR to the ISR.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.deliverable()?;
        self.irr.remove(vector);
        self.isr.insert(vector);
        Some(vector)
    }

    /// Processor priority (SDM §10.9.3.1): the task priority, or the class of the highest vector
    /// in service if that is above it.
    #[inline]
    #[must_use]
    pub fn ppr(&self) -> u8 {
        let in_service = self.isr.highest().unwrap_or(0);
        if self.tpr >> 4 >= in_service >> 4 { self.tpr } else { in_service & 0xf0 }
    }

    /// CR8: the class of the task priority.
    #[must_use]
    pub fn cr8(&self) -> u8 {
        self.tpr >> 4
    }

    /// MOV to CR8: the task priority becomes `v << 4`.
    pub fn set_cr8(&mut self, v: u8) {
        self.tpr = v << 4;
    }

    /// When the armed timer expires next; `None` if it is stopped or masked.
    #[must_use]
    pub fn next_timer(&self) -> Option<Cycle> {
        if self.lvt(Lvt::Timer) & LVT_MASKED != 0 { None } else { self.timer.expiry() }
    }

    /// Core cycles per count of the timer.
    #[must_use]
    pub fn cycles_per_count(&self) -> u64 {
        self.timer.cycles_per_count()
    }

    /// The timer reaches its expiry at `at`: re-arms it if it is periodic, and gives what to
    /// deliver. `None` if it isn't due at `at` (the event is stale) or is masked.
    pub fn timer_expired(&mut self, at: Cycle) -> Option<Delivery> {
        if self.next_timer()? > at {
            return None;
        }
        self.timer.pass(at);
        self.local(Lvt::Timer)
    }

    /// A local source raises its interrupt: what to deliver, `None` if it is masked. Delivering
    /// from the performance entry masks it, until the handler writes it again (SDM figure 10-8).
    pub fn local(&mut self, lvt: Lvt) -> Option<Delivery> {
        let entry = self.lvt(lvt);
        if entry & LVT_MASKED != 0 {
            return None;
        }
        if lvt == Lvt::Performance {
            self.lvt[lvt as usize] |= LVT_MASKED;
        }
        // The timer and error entries have no delivery mode: their bits 10:8 read as 0, fixed.
        match entry >> 8 & 7 {
            0 if entry & 0xff < 16 => {
                self.raise_error(error::RECEIVE_VECTOR);
                None
            }
            0 => Some(Delivery::Fixed(entry as u8)),
            4 => Some(Delivery::Nmi),
            5 => Some(Delivery::Init),
            _ => None,
        }
    }

    /// Whether a logical destination of an IPI means this CPU (SDM §10.6.2.2, §10.6.2.4): flat or
    /// cluster model by DFR in xAPIC mode, cluster in x2APIC mode.
    #[must_use]
    pub fn matches_logical(&self, mda: u32) -> bool {
        let ldr = self.logical_id();
        match self.mode {
            Mode::Disabled => false,
            Mode::X2Apic => mda == u32::MAX || (mda >> 16 == ldr >> 16 && mda & ldr & 0xffff != 0),
            Mode::XApic => {
                let (mda, ldr) = (mda as u8, (ldr >> 24) as u8);
                let flat = self.dfr >> 28 == 0xf;
                let same_cluster = mda >> 4 == 0xf || mda >> 4 == ldr >> 4;
                mda == 0xff
                    || if flat { mda & ldr != 0 } else { same_cluster && mda & ldr & 0xf != 0 }
            }
        }
    }

    /// True if fixed messages are accepted: SVR bit 8 is set and the APIC isn't off altogether.
    fn enabled(&self) -> bool {
        self.mode != Mode::Disabled && self.svr & regs::SVR_ENABLE != 0
    }

    fn lvt(&self, lvt: Lvt) -> u32 {
        self.lvt[lvt as usize]
    }

    /// LDR as read; in x2APIC mode it is derived from the id (SDM §10.12.10.2).
    fn logical_id(&self) -> u32 {
        match self.mode {
            Mode::X2Apic => (self.id >> 4) << 16 | 1 << (self.id & 0xf),
            Mode::XApic | Mode::Disabled => self.ldr,
        }
    }

    /// Notes an error and raises the error interrupt, unless that is masked or has itself an
    /// illegal vector.
    fn raise_error(&mut self, bit: u32) {
        self.esr_new |= bit;
        let entry = self.lvt(Lvt::Error);
        let vector = entry as u8;
        if entry & LVT_MASKED == 0 && vector >= 16 {
            self.irr.insert(vector);
            self.tmr.set(vector, false);
        }
    }

    /// End of the highest interrupt in service (SDM §10.9.5).
    fn end_of_interrupt(&mut self) -> ApicEffect {
        let Some(vector) = self.isr.highest() else { return ApicEffect::None };
        self.isr.remove(vector);
        if self.tmr.contains(vector) { ApicEffect::Eoi(vector) } else { ApicEffect::None }
    }

    fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        // Interrupts that a disabled APIC held are gone (SDM §10.4.3).
        if mode == Mode::Disabled {
            *self = Lapic { mode, ..Lapic::new(self.id, self.timer.tick(), self.x2apic_capable) };
        }
    }
}
