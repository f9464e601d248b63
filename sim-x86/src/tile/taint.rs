//! Values that depend on when the clock was read.
//!
//! The time-stamp counter, read on a core whose clock moves, gives a value that moves too. Such
//! values are followed through registers, flags and memory as `value + k · (v − here)`, within an
//! error: copies, sums, shifts and products with constants keep that form, and a comparison bounds
//! the swept values to where its outcome stays. Every other use cuts the tile.

mod rules;

use super::Tracker;
use super::pace::{Pace, Slope, VALUES};
use crate::core::regs::Registers;
use crate::event::Event;
use crate::ids::{CoreId, PhysAddr};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use sim_core::Cycle;
use std::collections::BTreeMap;

/// Most cycles by which the expiry of a timer that counts to a fixed time moves per unit: what the
/// rounding of a fixed-point factor makes of nothing.
const MOST_DRIFT: f64 = 1e-6;

/// How a value depends on the swept values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taint {
    /// Units per unit of each.
    k: [f64; VALUES],
    /// Largest deviation from that; infinite if the dependence is not known.
    error: f64,
}

impl Taint {
    const OPAQUE: Taint = Taint { k: [0.0; VALUES], error: f64::INFINITY };

    fn scaled(self, factor: f64) -> Taint {
        Taint { k: self.k.map(|k| k * factor), error: self.error * factor.abs() }
    }

    fn plus(self, other: Taint) -> Taint {
        let k = std::array::from_fn(|which| self.k[which] + other.k[which]);
        Taint { k, error: self.error + other.error }
    }

    /// Rounded down to a whole number.
    fn floored(self) -> Taint {
        Taint { error: self.error + 1.0, ..self }
    }
}

/// A tainted operand's sum.
fn sum(a: Option<Taint>, b: Option<Taint>) -> Option<Taint> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    }
}

/// The tainted registers of one core.
#[derive(Clone, Debug, Default)]
pub(super) struct Taints {
    gpr: [Option<Taint>; 16],
    flags: Option<Flags>,
    /// RDX:RAX after a multiplication.
    wide: Option<(u128, Taint)>,
}

impl Taints {
    fn any(&self) -> bool {
        self.flags.is_some() || self.gpr.iter().any(Option::is_some)
    }
}

/// Status flags that depend on the clock.
#[derive(Clone, Copy, Debug)]
struct Flags {
    /// They are those of this signed value.
    value: i64,
    taint: Taint,
    /// It is a difference: its moving operands, and how far each may fall before it wraps.
    operands: [Option<(Taint, u64)>; 2],
}

impl Flags {
    fn of(value: i64, taint: Taint) -> Flags {
        Flags { value, taint, operands: [None; 2] }
    }
}

/// What one instruction did to memory, and whether it read the clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    loads: Vec<(PhysAddr, u64, u64)>,
    stores: Vec<(PhysAddr, u64)>,
    clock: bool,
    /// It programs the timer: when that expires, and the cycles of a count.
    pub(super) timer: Option<(Cycle, u64)>,
}

/// Tainted memory, by aligned 8-byte words.
pub(super) type TaintedWords = BTreeMap<u64, TaintedWord>;

/// A tainted word and how many of its bytes hold the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaintedWord {
    taint: Taint,
    bytes: u64,
}

/// An instruction that has completed.
struct Done<'a> {
    core: CoreId,
    instruction: Instruction,
    before: &'a Registers,
    after: &'a Registers,
}

fn gpr(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

impl Done<'_> {
    fn operand_size(&self, operand: u32) -> u64 {
        match self.instruction.op_kind(operand) {
            OpKind::Register => self.instruction.op_register(operand).size() as u64,
            _ => self.instruction.memory_size().size() as u64,
        }
    }
}

impl Tracker {
    /// An instruction begins.
    #[cold]
    pub(crate) fn begin_step(&mut self) {
        self.step.loads.clear();
        self.step.stores.clear();
        self.step.clock = false;
        self.step.timer = None;
    }

    /// It loads from RAM.
    #[cold]
    pub(crate) fn loads(&mut self, addr: PhysAddr, size: u64, value: u64) {
        self.step.loads.push((addr, size, value));
    }

    /// It stores to RAM.
    #[cold]
    pub(crate) fn stores(&mut self, addr: PhysAddr, size: u64) {
        self.step.stores.push((addr, size));
    }

    /// It reads the time-stamp counter by RDTSC.
    #[cold]
    pub(crate) fn reads_clock(&mut self) {
        self.step.clock = true;
    }

    /// Memory is read or written by something that is not an instruction.
    #[cold]
    pub(crate) fn reads_memory(&mut self, addr: PhysAddr, len: u64) {
        if self.tainted(addr, len) {
            self.cut_by_value();
        }
    }

    /// Memory is overwritten by a device.
    pub(crate) fn overwrites(&mut self, addr: PhysAddr, len: u64) {
        for word in addr.0 / 8..=(addr.0 + len - 1) / 8 {
            self.words.remove(&word);
        }
    }

    /// An interrupt saves the flags.
    #[cold]
    pub(crate) fn saves_flags(&mut self, core: CoreId) {
        if self.cores[core.index()].taints.flags.take().is_some() {
            self.cut_by_value();
        }
    }

    fn tainted(&self, addr: PhysAddr, len: u64) -> bool {
        self.words.range(addr.0 / 8..=(addr.0 + len - 1) / 8).next().is_some()
    }

    /// It has completed: follows the values that depend on the clock.
    #[cold]
    pub(crate) fn end_step(
        &mut self,
        core: CoreId,
        bytes: &[u8],
        before: &Registers,
        after: &Registers,
    ) {
        let moves = self.step.clock && !self.cores[core.index()].pace.is_fixed();
        let loads = !self.words.is_empty()
            && self.step.loads.iter().any(|&(addr, size, _)| self.tainted(addr, size));
        if !moves && !loads && !self.cores[core.index()].taints.any() {
            return self.forget_stored();
        }
        let mut decoder = Decoder::with_ip(64, bytes, before.rip, DecoderOptions::NONE);
        let done = Done { core, instruction: decoder.decode(), before, after };
        if moves {
            return self.clock_value(&done);
        }
        self.addresses(&done);
        self.transfer(&done);
    }

    /// What was stored outside of an instruction's own step, or without taint, has none.
    #[cold]
    pub(crate) fn forget_stored(&mut self) {
        if !self.words.is_empty() {
            for (addr, size) in self.step.stores.clone() {
                self.overwrites(addr, size);
            }
        }
    }

    /// EDX:EAX moves with the core; the upper half must not.
    fn clock_value(&mut self, done: &Done<'_>) {
        let pace = self.cores[done.core.index()].pace;
        let k = std::array::from_fn(|which| f64::from(pace.slope[which]));
        let taint = Taint { k, error: 0.0 };
        if done.instruction.mnemonic() != Mnemonic::Rdtsc {
            return self.cut_by_value();
        }
        let low = done.after.gpr[0];
        self.stay_within(taint, low.min(u64::from(u32::MAX) - low));
        let taints = &mut self.cores[done.core.index()].taints;
        (taints.gpr[0], taints.gpr[2], taints.wide) = (Some(taint), None, None);
    }

    /// The value may move by `slack` either way.
    fn stay_within(&mut self, taint: Taint, slack: u64) {
        self.stay_above(taint, slack);
        self.stay_above(taint.scaled(-1.0), slack);
    }

    /// The value may fall by `slack`.
    fn stay_above(&mut self, taint: Taint, slack: u64) {
        let slack = slack as f64 - taint.error;
        let moving = taint.k.iter().filter(|&&k| k != 0.0).count();
        if !slack.is_finite() || slack < 0.0 {
            return self.cut_by_value();
        }
        for which in (0..VALUES).filter(|&which| taint.k[which] != 0.0) {
            let mut direction: Slope = [0; VALUES];
            direction[which] = if taint.k[which] > 0.0 { -1 } else { 1 };
            // Each value gets an equal share of the slack; a little less, for rounding here.
            let units = slack / moving as f64 / taint.k[which].abs() * (1.0 - 1e-9);
            self.bounds.add(direction, units as u64, None);
        }
    }

    /// A condition is decided by the flags.
    fn use_flags(&mut self, done: &Done<'_>) {
        let Some(flags) = self.cores[done.core.index()].taints.flags else { return };
        use iced_x86::ConditionCode as C;
        let unsigned = matches!(done.instruction.condition_code(), C::b | C::ae | C::be | C::a);
        let Flags { value, taint, operands } = flags;
        // What falls below nothing becomes large; and a signed difference may overflow then.
        if unsigned || value.unsigned_abs() >> 62 != 0 {
            for (taint, fall) in operands.into_iter().flatten() {
                self.stay_above(taint, fall);
            }
        }
        match value {
            0 => self.cut_by_value(),
            1.. => self.stay_above(taint, value as u64 - 1),
            _ => self.stay_above(taint.scaled(-1.0), value.unsigned_abs() - 1),
        }
    }

    /// An address that depends on the clock cuts.
    fn addresses(&mut self, done: &Done<'_>) {
        let i = &done.instruction;
        let memory = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
        if !memory || i.mnemonic() == Mnemonic::Lea {
            return;
        }
        let taints = &self.cores[done.core.index()].taints;
        let parts = [i.memory_base(), i.memory_index()];
        if parts.into_iter().filter_map(gpr).any(|n| taints.gpr[n].is_some()) {
            self.cut_by_value();
        }
    }

    /// Value and taint of an operand that is read.
    fn operand(&mut self, done: &Done<'_>, operand: u32) -> (u64, Option<Taint>) {
        let i = &done.instruction;
        let size = done.operand_size(operand);
        let (value, taint, whole) = match i.op_kind(operand) {
            OpKind::Register => {
                let Some(n) = gpr(i.op_register(operand)) else { return (0, None) };
                (done.before.gpr[n], self.cores[done.core.index()].taints.gpr[n], 8)
            }
            OpKind::Memory => self.loaded(),
            _ => return (i.try_immediate(operand).unwrap_or(0), None),
        };
        let value = if size >= 8 { value } else { value & ((1 << (8 * size)) - 1) };
        if let Some(taint) = taint
            && size < whole
        {
            self.fits(taint, value, done, operand);
        }
        (value, taint)
    }

    /// Only the low part of a value is read: it has to be all of it.
    fn fits(&mut self, taint: Taint, value: u64, done: &Done<'_>, operand: u32) {
        let size = done.operand_size(operand);
        let most = if size >= 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
        let full = match done.instruction.op_kind(operand) {
            OpKind::Register => {
                gpr(done.instruction.op_register(operand)).map(|n| done.before.gpr[n])
            }
            _ => None,
        };
        if full.is_some_and(|full| full > most) {
            return self.cut_by_value();
        }
        self.stay_within(taint, value.min(most - value));
    }

    /// What the instruction loaded: value, taint, bytes that the tainted value has in memory.
    fn loaded(&mut self) -> (u64, Option<Taint>, u64) {
        let Some(&(addr, size, value)) = self.step.loads.first() else { return (0, None, 8) };
        if !self.tainted(addr, size) {
            return (value, None, size);
        }
        let word = self.words.get(&(addr.0 / 8)).copied();
        match word {
            Some(word) if addr.0 % 8 == 0 && size <= word.bytes && self.step.loads.len() == 1 => {
                (value, Some(word.taint), word.bytes)
            }
            _ => {
                self.cut_by_value();
                (value, None, size)
            }
        }
    }

    /// The first operand gets `taint`, and the flags, if they are written, those of `flags`.
    fn set(&mut self, done: &Done<'_>, taint: Option<Taint>, flags: Option<Option<Taint>>) {
        let i = &done.instruction;
        match i.op0_kind() {
            OpKind::Register => {
                if taint.is_some() && done.operand_size(0) < 4 {
                    self.cut_by_value();
                }
                if let Some(n) = gpr(i.op0_register()) {
                    let taints = &mut self.cores[done.core.index()].taints;
                    // A part of a register is written: the rest keeps its taint.
                    if taint.is_some() || done.operand_size(0) >= 4 {
                        taints.gpr[n] = taint;
                    }
                    if n == 0 || n == 2 {
                        taints.wide = None;
                    }
                }
            }
            _ => self.set_memory(done.core, taint),
        }
        if let Some(flags) = flags {
            self.set_flags(done, flags.map(|flags| Flags::of(0, flags)));
        }
    }

    fn set_flags(&mut self, done: &Done<'_>, flags: Option<Flags>) {
        if done.instruction.rflags_modified() != 0 {
            self.cores[done.core.index()].taints.flags = flags;
        }
    }

    /// What the instruction stored has `taint`.
    fn set_memory(&mut self, core: CoreId, taint: Option<Taint>) {
        let stores = std::mem::take(&mut self.step.stores);
        for &(addr, size) in &stores {
            self.overwrites(addr, size);
        }
        let Some(taint) = taint else { return };
        match stores.as_slice() {
            &[(addr, bytes)] if addr.0 % 8 == 0 && bytes >= 4 => {
                self.words.insert(addr.0 / 8, TaintedWord { taint, bytes });
            }
            // To a device or the local APIC, or in a part of a word.
            _ => match self.step.timer.take() {
                Some(programmed) => self.loosen(core, programmed, taint),
                None => self.cut_by_value(),
            },
        }
    }

    /// A timer is programmed with a count that may move against the clock that it is added to: as
    /// the distance to a fixed time does, so that it expires at the same cycle for all values, or
    /// as a time span does, so that it expires at the pace of the clock; but for the rounding of
    /// the count.
    fn loosen(&mut self, core: CoreId, (at, tick): (Cycle, u64), count: Taint) {
        let clock = self.cores[core.index()].pace.slope;
        let moves: [f64; VALUES] =
            std::array::from_fn(|which| f64::from(clock[which]) + count.k[which] * tick as f64);
        let pace = Pace { slope: moves.map(|moves| moves.round() as i16) };
        let drift: [f64; VALUES] =
            std::array::from_fn(|which| moves[which] - f64::from(pace.slope[which]));
        if !count.error.is_finite() || drift.iter().any(|drift| drift.abs() > MOST_DRIFT) {
            return self.cut_by_value();
        }
        // As far as all of the drift is less than a cycle.
        self.stay_within(Taint { k: drift, error: 0.0 }, 1);
        let margin = (count.error * tick as f64).ceil() as u64 + 2;
        let event = Event::ApicTimer { core };
        self.pending.retain(|&(then, other, _)| then != at || other != event);
        self.posted_as(at, event, pace);
        self.cores[core.index()].loose.insert(at, margin);
    }
}
