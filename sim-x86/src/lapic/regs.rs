//! The registers, by offset in the xAPIC page and by MSR (SDM tables 10-1 and 10-6).

use super::timer::TimerMode;
use super::{APIC_BASE, ApicEffect, Destination, Ipi, LVT_MASKED, Lapic, Lvt, Mode, error};
use crate::trace::Delivery;
use sim_core::Cycle;

/// SVR bit 8: APIC software enable.
pub(super) const SVR_ENABLE: u32 = 1 << 8;

/// Version 15h, highest LVT entry 6 (CMCI present), as on Nehalem and Westmere.
const VERSION: u32 = 0x0006_0015;

/// IA32_APIC_BASE.
const MSR_BASE: u32 = 0x1b;
/// IA32_TSC_DEADLINE.
const MSR_TSC_DEADLINE: u32 = 0x6e0;
/// First and last x2APIC MSR that this chip has.
const MSR_X2APIC: std::ops::RangeInclusive<u32> = 0x800..=0x83f;
/// ICR in x2APIC mode: the only 64-bit register.
const MSR_ICR: u32 = 0x830;
/// SELF IPI.
const MSR_SELF_IPI: u32 = 0x83f;

/// IA32_APIC_BASE bits.
const BASE_BSP: u64 = 1 << 8;
const BASE_EXTD: u64 = 1 << 10;
const BASE_EN: u64 = 1 << 11;

/// Register offsets in the page; an x2APIC MSR is `0x800 + offset / 16`.
pub(super) mod at {
    pub(in crate::lapic) const ID: u32 = 0x020;
    pub(in crate::lapic) const VERSION: u32 = 0x030;
    pub(in crate::lapic) const TPR: u32 = 0x080;
    pub(in crate::lapic) const APR: u32 = 0x090;
    pub(in crate::lapic) const PPR: u32 = 0x0a0;
    pub(in crate::lapic) const EOI: u32 = 0x0b0;
    pub(in crate::lapic) const LDR: u32 = 0x0d0;
    pub(in crate::lapic) const DFR: u32 = 0x0e0;
    pub(in crate::lapic) const SVR: u32 = 0x0f0;
    pub(in crate::lapic) const ISR: u32 = 0x100;
    pub(in crate::lapic) const TMR: u32 = 0x180;
    pub(in crate::lapic) const IRR: u32 = 0x200;
    pub(in crate::lapic) const ESR: u32 = 0x280;
    pub(in crate::lapic) const CMCI: u32 = 0x2f0;
    pub(in crate::lapic) const ICR: u32 = 0x300;
    pub(in crate::lapic) const ICR2: u32 = 0x310;
    pub(in crate::lapic) const LVT_TIMER: u32 = 0x320;
    pub(in crate::lapic) const LVT_PERFORMANCE: u32 = 0x340;
    pub(in crate::lapic) const LVT_ERROR: u32 = 0x370;
    pub(in crate::lapic) const INITIAL_COUNT: u32 = 0x380;
    pub(in crate::lapic) const CURRENT_COUNT: u32 = 0x390;
    pub(in crate::lapic) const DIVIDE: u32 = 0x3e0;
}

impl Lvt {
    /// The entry whose register is at `offset`.
    fn at(offset: u32) -> Option<Lvt> {
        Some(match offset {
            at::CMCI => Lvt::Cmci,
            at::LVT_TIMER => Lvt::Timer,
            0x330 => Lvt::Thermal,
            at::LVT_PERFORMANCE => Lvt::Performance,
            0x350 => Lvt::Lint0,
            0x360 => Lvt::Lint1,
            at::LVT_ERROR => Lvt::Error,
            _ => return None,
        })
    }

    /// Bits that software may set (SDM figure 10-8); delivery status and remote IRR read as 0.
    fn writable(self) -> u32 {
        match self {
            Lvt::Timer => 0x0007_00ff,
            Lvt::Error => 0x0001_00ff,
            Lvt::Cmci | Lvt::Thermal | Lvt::Performance => 0x0001_07ff,
            Lvt::Lint0 | Lvt::Lint1 => 0x0001_a7ff,
        }
    }
}

impl Lapic {
    /// A load from the xAPIC page at `now`. Unimplemented and misaligned offsets read as 0; in
    /// x2APIC mode, or with the APIC off, nobody answers: all ones.
    #[must_use]
    pub fn read_mmio(&self, offset: u32, now: Cycle) -> u32 {
        match self.mode {
            Mode::XApic => self.read(offset, now).unwrap_or(0),
            Mode::X2Apic | Mode::Disabled => u32::MAX,
        }
    }

    /// For how many cycles after a store of `value` to the xAPIC page nothing outside of the APIC
    /// comes of it. `None` if that is not foreseen.
    #[must_use]
    pub fn quiet_after(&self, offset: u32, value: u32) -> Option<u64> {
        match offset {
            at::EOI => Some(u64::MAX),
            at::INITIAL_COUNT if value == 0 => Some(u64::MAX),
            at::INITIAL_COUNT => Some(u64::from(value) * self.cycles_per_count()),
            _ => None,
        }
    }

    /// A store to the xAPIC page at `now`. Unimplemented registers note an error in ESR; in
    /// x2APIC mode, or with the APIC off, the store is lost.
    pub fn write_mmio(&mut self, offset: u32, value: u32, now: Cycle) -> ApicEffect {
        match (self.mode, offset) {
            (Mode::X2Apic | Mode::Disabled, _) => ApicEffect::None,
            (Mode::XApic, at::ICR) => {
                self.icr = self.icr & !0xffff_ffff | u64::from(value & 0x000c_cfff);
                self.send((self.icr >> 56) as u32)
            }
            (Mode::XApic, at::ICR2) => {
                self.icr = self.icr & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
                ApicEffect::None
            }
            (Mode::XApic, at::LDR) => {
                self.ldr = value & 0xff00_0000;
                ApicEffect::None
            }
            (Mode::XApic, at::DFR) => {
                self.dfr = value | 0x0fff_ffff;
                ApicEffect::None
            }
            (Mode::XApic, _) => self.write(offset, value, now).unwrap_or_else(|| {
                // Stores to read-only registers are ignored, to others they are errors.
                if self.read(offset, now).is_none() {
                    self.raise_error(error::REGISTER);
                }
                ApicEffect::None
            }),
        }
    }

    /// RDMSR of IA32_APIC_BASE, IA32_TSC_DEADLINE or, in x2APIC mode, an APIC register; `None`
    /// means #GP.
    #[must_use]
    pub fn rdmsr(&self, msr: u32, now: Cycle) -> Option<u64> {
        match msr {
            MSR_BASE => Some(self.base()),
            MSR_TSC_DEADLINE => Some(self.timer.deadline()),
            _ if self.mode != Mode::X2Apic => None,
            MSR_ICR => Some(self.icr),
            _ if MSR_X2APIC.contains(&msr) => match (msr - 0x800) << 4 {
                // Not in x2APIC mode: no arbitration, no flat model, and no upper half of ICR.
                at::APR | at::DFR | at::ICR2 => None,
                offset => self.read(offset, now).map(u64::from),
            },
            _ => None,
        }
    }

    /// WRMSR of the same registers; `None` means #GP: not there, read-only, or a reserved bit.
    pub fn wrmsr(&mut self, msr: u32, value: u64, now: Cycle) -> Option<ApicEffect> {
        match msr {
            MSR_BASE => return self.set_base(value),
            MSR_TSC_DEADLINE => {
                self.timer.set_deadline(value, now);
                return Some(ApicEffect::Timer);
            }
            _ if self.mode != Mode::X2Apic => return None,
            MSR_ICR => {
                if value & 0xfff3_3000 != 0 {
                    return None;
                }
                self.icr = value;
                return Some(self.send((value >> 32) as u32));
            }
            _ => {}
        }
        let value = u32::try_from(value).ok()?;
        match msr {
            MSR_SELF_IPI if value < 0x100 => Some(self.self_ipi(value as u8)),
            MSR_SELF_IPI => None,
            _ if MSR_X2APIC.contains(&msr) => {
                let offset = (msr - 0x800) << 4;
                if value & !x2apic_writable(offset) != 0 {
                    return None;
                }
                self.write(offset, value, now)
            }
            _ => None,
        }
    }

    /// Registers that both modes have, and those only of the page. `None`: no such register, or
    /// it can't be read.
    fn read(&self, offset: u32, now: Cycle) -> Option<u32> {
        let word = |first: u32| ((offset - first) >> 4) as usize;
        Some(match offset {
            _ if offset & 0xf != 0 => return None,
            at::ID if self.mode == Mode::X2Apic => self.id,
            at::ID => self.id << 24,
            at::VERSION => VERSION,
            at::TPR => u32::from(self.tpr),
            at::APR => u32::from(self.arbitration_priority()),
            at::PPR => u32::from(self.ppr()),
            at::LDR => self.logical_id(),
            at::DFR => self.dfr,
            at::SVR => self.svr,
            at::ISR..at::TMR => self.isr.word(word(at::ISR)),
            at::TMR..at::IRR => self.tmr.word(word(at::TMR)),
            at::IRR..at::ESR => self.irr.word(word(at::IRR)),
            at::ESR => self.esr,
            at::ICR => self.icr as u32,
            at::ICR2 => (self.icr >> 32) as u32,
            at::INITIAL_COUNT => self.timer.initial(),
            at::CURRENT_COUNT => self.timer.current(now),
            at::DIVIDE => self.timer.divide(),
            _ => self.lvt(Lvt::at(offset)?),
        })
    }

    /// Registers that both modes have. `None`: no such register, or it can't be written.
    fn write(&mut self, offset: u32, value: u32, now: Cycle) -> Option<ApicEffect> {
        match offset {
            at::TPR => self.tpr = value as u8,
            at::EOI => return Some(self.end_of_interrupt()),
            at::SVR => self.set_svr(value),
            at::ESR => self.esr = std::mem::take(&mut self.esr_new),
            at::INITIAL_COUNT => {
                self.timer.start(value, now);
                return Some(ApicEffect::Timer);
            }
            at::DIVIDE => {
                self.timer.set_divide(value, now);
                return Some(ApicEffect::Timer);
            }
            _ => return self.set_lvt(Lvt::at(offset)?, value, now),
        }
        Some(ApicEffect::None)
    }

    fn set_lvt(&mut self, lvt: Lvt, value: u32, now: Cycle) -> Option<ApicEffect> {
        // While the APIC is software-disabled, mask bits can't be cleared (SDM §10.4.7.2).
        let forced = if self.enabled() { 0 } else { LVT_MASKED };
        self.lvt[lvt as usize] = value & lvt.writable() | forced;
        if lvt != Lvt::Timer {
            return Some(ApicEffect::None);
        }
        self.timer.set_mode(TimerMode::of(value), now);
        Some(ApicEffect::Timer)
    }

    fn set_svr(&mut self, value: u32) {
        self.svr = value & 0x3ff;
        if !self.enabled() {
            for entry in &mut self.lvt {
                *entry |= LVT_MASKED;
            }
        }
    }

    /// Arbitration priority (SDM §10.6.2.5), of the page only.
    fn arbitration_priority(&self) -> u8 {
        let irr = self.irr.highest().unwrap_or(0);
        let isr = self.isr.highest().unwrap_or(0);
        if self.tpr >> 4 >= irr >> 4 && self.tpr >> 4 > isr >> 4 {
            return self.tpr;
        }
        (self.tpr & isr).max(irr).max(isr) & 0xf0
    }

    fn base(&self) -> u64 {
        let mode = match self.mode {
            Mode::Disabled => 0,
            Mode::XApic => BASE_EN,
            Mode::X2Apic => BASE_EN | BASE_EXTD,
        };
        APIC_BASE | mode | if self.id == 0 { BASE_BSP } else { 0 }
    }

    /// Mode changes (SDM §10.12.5): x2APIC is entered from xAPIC only and left only by turning the
    /// APIC off; everything else is #GP, and so is another base address or a reserved bit.
    fn set_base(&mut self, value: u64) -> Option<ApicEffect> {
        let to = match (value & BASE_EN != 0, value & BASE_EXTD != 0) {
            (false, false) => Mode::Disabled,
            (true, false) => Mode::XApic,
            (true, true) => Mode::X2Apic,
            (false, true) => return None,
        };
        let refused = (to == Mode::X2Apic && !self.x2apic_capable)
            || (self.mode == Mode::X2Apic && to == Mode::XApic)
            || (self.mode == Mode::Disabled && to == Mode::X2Apic)
            || value & !(BASE_EN | BASE_EXTD | BASE_BSP) != APIC_BASE;
        if refused {
            return None;
        }
        if to == self.mode {
            return Some(ApicEffect::None);
        }
        // The two modes lay out the destination differently: it starts from 0 (SDM §10.12.5.1).
        self.icr = 0;
        self.enter(to);
        Some(ApicEffect::Timer)
    }

    /// Sends what ICR says to `destination` (SDM figures 10-12 and 10-28). Delivery status is
    /// never busy: the message has left by the time software can look.
    fn send(&mut self, destination: u32) -> ApicEffect {
        let icr = self.icr as u32;
        let vector = icr as u8;
        let delivery = match icr >> 8 & 7 {
            0 | 1 if vector < 16 => {
                self.raise_error(error::SEND_VECTOR);
                return ApicEffect::None;
            }
            0 | 1 => Delivery::Fixed(vector),
            4 => Delivery::Nmi,
            // Level-triggered with level 0 is the INIT de-assert of old CPUs: no effect.
            5 if icr & 0xc000 == 0x8000 => return ApicEffect::None,
            5 => Delivery::Init,
            6 => Delivery::Startup(vector),
            // SMI isn't modelled, 3 and 7 are reserved.
            _ => return ApicEffect::None,
        };
        let broadcast = if self.mode == Mode::X2Apic { u32::MAX } else { 0xff };
        let to = match icr >> 18 & 3 {
            1 => Destination::Self_,
            2 => Destination::All,
            3 => Destination::AllButSelf,
            _ if icr & 1 << 11 != 0 => Destination::Logical(destination),
            _ if destination == broadcast => Destination::All,
            _ => Destination::One(destination),
        };
        ApicEffect::Ipi(Ipi { to, delivery })
    }

    fn self_ipi(&mut self, vector: u8) -> ApicEffect {
        if vector < 16 {
            self.raise_error(error::SEND_VECTOR);
            return ApicEffect::None;
        }
        ApicEffect::Ipi(Ipi { to: Destination::Self_, delivery: Delivery::Fixed(vector) })
    }
}

/// Bits that don't raise #GP when they are set by WRMSR (SDM §10.12.1.3 and the register figures).
fn x2apic_writable(offset: u32) -> u32 {
    match offset {
        at::TPR => 0xff,
        at::EOI | at::ESR => 0,
        at::SVR => 0x1ff,
        at::INITIAL_COUNT => u32::MAX,
        at::DIVIDE => 0xb,
        // Delivery status (and remote IRR) are read-only, not reserved.
        _ => Lvt::at(offset).map_or(0, |lvt| lvt.writable() | 0x5000),
    }
}
