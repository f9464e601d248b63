//! The performance monitoring unit of one CPU.
//!
//! Intel: architectural PMU version 3 as on Nehalem and Westmere (SDM vol. 3B ch. 30, 2009 edition;
//! ch. 18 in later ones): four general and three fixed counters of 48 bits with global control and
//! status. AMD: four counters as on family 10h, without global registers.
//!
//! Counters are lazy: each holds its value at the last change of its control and is brought up to
//! date from the CPU's running totals, which come with every call. Events that the machine counts:
//! instructions retired and unhalted cycles (core, reference and TSC clocks are one clock here, as
//! the model has neither turbo nor throttling). Counters of any other event stand still. A counter
//! that is enabled for ring 0 or ring 3 or both counts in every ring. Freezing on PMI isn't
//! modelled.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// Counter width in bits, of both vendors.
const WIDTH: u32 = 48;
/// Values that a counter can have.
const MODULUS: u64 = 1 << WIDTH;
/// General counters, of both vendors.
const GENERAL: usize = 4;
/// Fixed counters of Intel's PMU.
const FIXED: usize = 3;

/// MSR numbers (SDM vol. 3B appendix B; AMD BKDG for family 10h, section MSRs).
mod msr {
    pub(super) const PMC: u32 = 0xc1;
    pub(super) const PERFEVTSEL: u32 = 0x186;
    pub(super) const FIXED_CTR: u32 = 0x309;
    pub(super) const PERF_CAPABILITIES: u32 = 0x345;
    pub(super) const FIXED_CTR_CTRL: u32 = 0x38d;
    pub(super) const GLOBAL_STATUS: u32 = 0x38e;
    pub(super) const GLOBAL_CTRL: u32 = 0x38f;
    pub(super) const GLOBAL_OVF_CTRL: u32 = 0x390;
    pub(super) const AMD_PERFEVTSEL: u32 = 0xc001_0000;
    pub(super) const AMD_PMC: u32 = 0xc001_0004;
}

/// PERFEVTSEL bits (SDM figure 30-1).
mod select {
    /// Count in ring 3, count in ring 0.
    pub(super) const RINGS: u64 = 3 << 16;
    /// Interrupt on overflow.
    pub(super) const INT: u64 = 1 << 20;
    /// Counter enable.
    pub(super) const EN: u64 = 1 << 22;
    /// Event, unit mask, invert and counter mask: what is counted.
    pub(super) const EVENT: u64 = 0xff80_ffff;
}

/// Global control and status bits that exist: general counters 0–3, fixed counters 32–34.
const GLOBAL_BITS: u64 = 7 << 32 | 0xf;

/// A CPU's totals since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Instructions retired.
    pub instructions: u64,
    /// Cycles in which it wasn't halted.
    pub unhalted: u64,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Instructions,
    Cycles,
}

impl Event {
    fn total(self, c: Counts) -> u64 {
        match self {
            Event::Instructions => c.instructions,
            Event::Cycles => c.unhalted,
        }
    }
}

/// One counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    /// Value when `since` was the total of its event.
    value: u64,
    since: u64,
}

impl Counter {
    /// Value without the limit of 48 bits: at or above [`MODULUS`] it has overflowed.
    fn unwrapped(self, event: Option<Event>, c: Counts) -> u64 {
        self.value + event.map_or(0, |event| event.total(c) - self.since)
    }
}

/// One CPU's PMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pmu {
    intel: bool,
    general: [Counter; GENERAL],
    select: [u64; GENERAL],
    fixed: [Counter; FIXED],
    fixed_ctrl: u64,
    global_ctrl: u64,
    global_status: u64,
    /// A counter with its interrupt enabled overflowed and [`Pmu::overflow`] hasn't said so yet.
    due: bool,
}

/// The name of a counter: its bit in the global registers.
type Bit = u32;

impl Pmu {
    /// The PMU after reset: Intel's if `intel`, else AMD's. After reset all counters are off,
    /// except that GLOBAL_CTRL enables the general ones (SDM table 9-1).
    #[must_use]
    pub fn new(intel: bool) -> Self {
        Pmu {
            intel,
            general: [Counter::default(); GENERAL],
            select: [0; GENERAL],
            fixed: [Counter::default(); FIXED],
            fixed_ctrl: 0,
            global_ctrl: 0xf,
            global_status: 0,
            due: false,
        }
    }

    /// RDMSR; `None` if the PMU has no such register or it is write-only.
    #[must_use]
    pub fn rdmsr(&self, msr: u32, c: Counts) -> Option<u64> {
        if let Some((bit, register)) = self.counter_at(msr) {
            return Some(match register {
                Register::Count => self.value(bit, c),
                Register::Select => self.select[bit as usize],
            });
        }
        match msr {
            _ if !self.intel => None,
            msr::PERF_CAPABILITIES => Some(0),
            msr::FIXED_CTR_CTRL => Some(self.fixed_ctrl),
            msr::GLOBAL_STATUS => {
                let new = self.bits().filter(|&bit| self.unwrapped(bit, c) >= MODULUS);
                Some(new.fold(self.global_status, |status, bit| status | 1 << bit))
            }
            msr::GLOBAL_CTRL => Some(self.global_ctrl),
            _ => None,
        }
    }

    /// WRMSR; `None` (#GP) if the PMU has no such register, it is read-only, or a reserved bit
    /// is set. Intel's general counters take the low 32 bits, sign-extended (no full-width
    /// writes); fixed counters and AMD's take 48.
    pub fn wrmsr(&mut self, msr: u32, value: u64, c: Counts) -> Option<()> {
        self.sync(c);
        if let Some((bit, register)) = self.counter_at(msr) {
            return self.write_counter(bit, register, value, c);
        }
        match msr {
            _ if !self.intel => return None,
            msr::FIXED_CTR_CTRL if value >> 12 == 0 => self.fixed_ctrl = value,
            msr::GLOBAL_CTRL if value & !GLOBAL_BITS == 0 => self.global_ctrl = value,
            // Bits 62 and 63 clear states that this PMU never reports.
            msr::GLOBAL_OVF_CTRL if value & !(GLOBAL_BITS | 3 << 62) == 0 => {
                self.global_status &= !value;
            }
            _ => return None,
        }
        self.restart(c);
        Some(())
    }

    /// RDPMC with ECX = `index`: bit 30 selects Intel's fixed counters. `None` is #GP.
    #[must_use]
    pub fn rdpmc(&self, index: u32, c: Counts) -> Option<u64> {
        const FIXED_SPACE: u32 = 1 << 30;
        match (index & FIXED_SPACE != 0, (index & !FIXED_SPACE) as usize) {
            (false, n) if n < GENERAL => Some(self.value(index, c)),
            (true, n) if n < FIXED && self.intel => Some(self.value(32 + n as Bit, c)),
            _ => None,
        }
    }

    /// Unhalted cycles from now until the first cycle counter with its interrupt enabled
    /// overflows; 0 if an overflow waits for [`Pmu::overflow`], `None` if none is coming.
    #[must_use]
    pub fn next_overflow(&self, c: Counts) -> Option<u64> {
        self.nearest(Event::Cycles, c)
    }

    /// The same for counters of instructions: instructions until the first overflow.
    #[must_use]
    pub fn next_overflow_by_instructions(&self, c: Counts) -> Option<u64> {
        self.nearest(Event::Instructions, c)
    }

    /// Notes every overflow so far in the status register. True if a performance interrupt is
    /// to be raised (once per overflow: the next call says false).
    pub fn overflow(&mut self, c: Counts) -> bool {
        self.sync(c);
        std::mem::take(&mut self.due)
    }

    fn nearest(&self, event: Event, c: Counts) -> Option<u64> {
        if self.due {
            return Some(0);
        }
        let armed = |&bit: &Bit| self.interrupts(bit) && self.event(bit) == Some(event);
        let left = |bit| MODULUS.saturating_sub(self.unwrapped(bit, c));
        self.bits().filter(armed).map(left).min()
    }

    fn bits(&self) -> impl Iterator<Item = Bit> + use<> {
        let fixed = if self.intel { FIXED } else { 0 };
        (0..GENERAL as Bit).chain(32..32 + fixed as Bit)
    }

    fn counter(&self, bit: Bit) -> Counter {
        match bit {
            32.. => self.fixed[bit as usize - 32],
            _ => self.general[bit as usize],
        }
    }

    fn counter_mut(&mut self, bit: Bit) -> &mut Counter {
        match bit {
            32.. => &mut self.fixed[bit as usize - 32],
            _ => &mut self.general[bit as usize],
        }
    }

    /// FIXED_CTR_CTRL field of a fixed counter: bits 1:0 rings, 2 any thread, 3 interrupt.
    fn fixed_field(&self, bit: Bit) -> u64 {
        self.fixed_ctrl >> (4 * (bit - 32)) & 0xf
    }

    /// True if the counter interrupts on overflow.
    fn interrupts(&self, bit: Bit) -> bool {
        match bit {
            32.. => self.fixed_field(bit) & 8 != 0,
            _ => self.select[bit as usize] & select::INT != 0,
        }
    }

    /// What the counter counts now; `None` if it stands still.
    fn event(&self, bit: Bit) -> Option<Event> {
        if self.intel && self.global_ctrl >> bit & 1 == 0 {
            return None;
        }
        if bit >= 32 {
            let event = if bit == 32 { Event::Instructions } else { Event::Cycles };
            return (self.fixed_field(bit) & 3 != 0).then_some(event);
        }
        let select = self.select[bit as usize];
        if select & select::EN == 0 || select & select::RINGS == 0 {
            return None;
        }
        match (self.intel, select & select::EVENT) {
            (_, 0x00c0) => Some(Event::Instructions),
            // Unhalted core cycles, unhalted reference cycles; AMD: CPU clocks not halted.
            (true, 0x003c | 0x013c) | (false, 0x0076) => Some(Event::Cycles),
            _ => None,
        }
    }

    fn unwrapped(&self, bit: Bit, c: Counts) -> u64 {
        self.counter(bit).unwrapped(self.event(bit), c)
    }

    fn value(&self, bit: Bit, c: Counts) -> u64 {
        self.unwrapped(bit, c) % MODULUS
    }

    /// Brings all counters up to date, noting overflows. Call before any control changes.
    fn sync(&mut self, c: Counts) {
        for bit in self.bits() {
            let unwrapped = self.unwrapped(bit, c);
            if unwrapped >= MODULUS {
                self.global_status |= 1 << bit;
                self.due |= self.interrupts(bit);
            }
            self.counter_mut(bit).value = unwrapped % MODULUS;
        }
        self.restart(c);
    }

    /// Counts from now on. Call after a control has changed.
    fn restart(&mut self, c: Counts) {
        for bit in self.bits() {
            let total = self.event(bit).map_or(0, |event| event.total(c));
            self.counter_mut(bit).since = total;
        }
    }

    /// Which counter an MSR belongs to.
    fn counter_at(&self, msr: u32) -> Option<(Bit, Register)> {
        let general = GENERAL as u32;
        let offset = |first: u32, n: u32| msr.checked_sub(first).filter(|&i| i < n);
        let (count, select) = match self.intel {
            true => (msr::PMC, msr::PERFEVTSEL),
            false => (msr::AMD_PMC, msr::AMD_PERFEVTSEL),
        };
        if let Some(i) = offset(count, general) {
            return Some((i, Register::Count));
        }
        if let Some(i) = offset(select, general) {
            return Some((i, Register::Select));
        }
        let fixed = offset(msr::FIXED_CTR, FIXED as u32).filter(|_| self.intel)?;
        Some((32 + fixed, Register::Count))
    }

    fn write_counter(&mut self, bit: Bit, register: Register, value: u64, c: Counts) -> Option<()> {
        match register {
            Register::Select if self.intel && value >> 32 != 0 => return None,
            Register::Select => self.select[bit as usize] = value,
            Register::Count if bit >= 32 && value >= MODULUS => return None,
            Register::Count => {
                let full = bit >= 32 || !self.intel;
                let value = if full { value } else { value as u32 as i32 as u64 };
                self.counter_mut(bit).value = value % MODULUS;
            }
        }
        self.restart(c);
        Some(())
    }
}

/// The two registers of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Count,
    Select,
}
