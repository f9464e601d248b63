//! HOT: a stretch of code, ready to be replayed: first the comparisons, then the instructions whose
//! operands vary, then all that the stretch leaves behind.

use super::Varying;
use super::by_page::ByPage;
use super::plain::{Only, Plain};
use super::record::Recording;
use crate::core::regs::{Registers, flags};
use crate::core::step::Parts;
use crate::core::{Core, Unit};
use crate::exec::muldiv::mul;
use crate::exec::operand::{mask, set_status};
use crate::exec::pure::Pure;
use crate::exec::{Access, Flow, Size, condition, execute, holds_after_cmp, shift};
use crate::ids::{LineAddr, PhysAddr};
use crate::mem::cache::Footprint;
use crate::mem::ram::{PAGE_BYTES, Ram};
use crate::mem::store_buffer::BufferedStore;
use crate::op::Op;
use crate::op::effects::bit;
use sim_core::Cycle;

/// Where a value stands during a replay: first the registers at the start, then the constants of
/// the stretch, then what is loaded and computed.
pub(super) type Slot = u16;
/// Slots of the registers at the start.
pub(super) const REGISTERS: usize = 16;
/// Most slots of a stretch.
const SLOTS: usize = 256;
/// Where an instruction's store goes if there is none.
pub(super) const NOWHERE: Slot = SLOTS as Slot - 1;

/// A few bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    addr: u32,
    size: u32,
}

impl Place {
    /// The `size` bytes at `addr`; `None` if they lie beyond all RAM.
    pub(super) fn new(addr: PhysAddr, size: Size) -> Option<Self> {
        Some(Place { addr: u32::try_from(addr.0).ok()?, size: size as u32 })
    }

    /// The step that loads them.
    pub(super) fn load(self, to: Slot) -> Step {
        Step::Load { to, size: self.size as u8, addr: self.addr }
    }

    /// `bits` from byte `at` of a page on.
    pub(super) fn on(page: u32, at: u16, bits: u32) -> Self {
        Place { addr: page * PAGE_BYTES as u32 + u32::from(at), size: bits / 8 }
    }

    pub(super) fn page(self) -> u32 {
        self.addr / PAGE_BYTES as u32
    }

    pub(super) fn offset(self) -> u16 {
        (self.addr % PAGE_BYTES as u32) as u16
    }

    pub(super) fn addr(self) -> PhysAddr {
        PhysAddr(self.addr.into())
    }

    pub(super) fn size(self) -> u64 {
        self.size.into()
    }

    #[inline(always)]
    fn read(self, ram: &Ram) -> u64 {
        ram.read(self.addr(), self.size())
    }
}

/// A step of a replay.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Loads a word that varies.
    Load { to: Slot, size: u8, addr: u32 },
    /// The low bytes of a value.
    Low { to: Slot, from: Slot, size: Size },
    /// An instruction with two operands.
    Compute { pure: Pure, size: Size, a: Slot, b: Slot, to: Slot },
    /// The same, but for its flags.
    NoFlags { pure: Pure, size: Size, a: Slot, b: Slot, to: Slot },
    /// SHLD or SHRD.
    Double { right: bool, count: u8, size: Size, a: Slot, b: Slot, to: Slot },
    /// MUL.
    Product { size: Size, a: Slot, b: Slot, low: Slot, high: Slot },
    /// CMOVcc.
    Select { cond: u8, size: Size, a: Slot, b: Slot, to: Slot },
    /// LEA: base, shifted index, displacement.
    Sum { a: Slot, b: Slot, shift: u8, disp: Slot, to: Slot },
    /// RDTSC, so many cycles after the start.
    Clock { at: u32, low: Slot, high: Slot },
    /// Puts a value where the next instructions look for it.
    Put { register: u8, from: Slot },
    /// Sets the status flags.
    Flags { from: Slot },
    /// Executes any other instruction, which loads what stands in `load`.
    Execute { op: u16, load: Slot, stored: Slot },
    /// Takes a result.
    Keep { to: Slot, register: u8 },
    /// A branch goes the way that it went.
    Branch { cond: u8, taken: bool },
    /// CMP (or TEST, if `test`), and a branch that goes the way that it went.
    Decide { test: bool, size: Size, cond: u8, taken: bool, a: Slot, b: Slot },
    /// A value that decides where the stretch goes or what it touches is what it was.
    Expect { slot: Slot, value: Slot },
}

const _: () = assert!(size_of::<Step>() <= 12);

/// A store to the core's own local APIC.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApicStore {
    pub(super) offset: u32,
    /// When, in cycles and in instructions after the start.
    pub(super) at: u32,
    pub(super) index: u32,
    pub(super) rip: u64,
    pub(super) value: Slot,
}

/// A stretch of code.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) frame: Frame,
    pub(super) program: Program,
}

/// Where and when it runs, whatever it computes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    start: Start,
    footprint: Footprint,
    /// Cycles that it takes.
    cycles: u64,
    pub(super) instructions: u64,
    rip: u64,
    fetch_line: LineAddr,
    paid: LineAddr,
    last_commit: Option<u64>,
    /// Lines that it writes.
    written: Vec<PhysAddr>,
}

/// What it computes.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// Registers that have to hold these values.
    pub(super) fixed: Box<[(u8, u64)]>,
    /// Words that have to be what they were.
    pub(super) words: ByPage<u64>,
    /// What is copied into the slots behind the registers.
    pub(super) constants: Box<[u64]>,
    pub(super) steps: Box<[Step]>,
    pub(super) ops: Box<[Op]>,
    /// Registers at its end, those that it changes.
    pub(super) registers: Box<[(u8, Slot)]>,
    /// Stores that are visible at its end; of those to the same bytes the last.
    pub(super) stores: ByPage<Slot>,
    /// Stores that are buffered at its end, their times from the start on.
    pub(super) pending: Box<[(BufferedStore, Slot)]>,
    /// Stores to the local APIC.
    pub(super) apic: Box<[ApicStore]>,
    /// RFLAGS at its end, apart from the status flags.
    pub(super) flags: u64,
    /// Cycles charged to the instructions that are executed.
    pub(super) charged: u32,
}

/// What has to be the same for a stretch to be tried.
#[derive(Clone, Copy, Debug)]
struct Start {
    rflags: u64,
    gs_base: u64,
    fs_base: u64,
    cs: u16,
    paid: LineAddr,
    /// First line, and whether it is the one that the core fetched from before.
    first_line: LineAddr,
    on_line: bool,
}

impl Start {
    fn fits(&self, regs: &Registers, unit: &Unit) -> bool {
        regs.rflags & !flags::STATUS == self.rflags
            && regs.gs_base == self.gs_base
            && regs.fs_base == self.fs_base
            && regs.sel.cs == self.cs
            && unit.paid == self.paid
            && (unit.fetch_line == self.first_line) == self.on_line
    }
}

/// The world of an instruction that is replayed.
struct Tape {
    load: u64,
    stored: u64,
    charged: u32,
}

impl Plain for Tape {
    #[inline]
    fn load(&mut self, _regs: &Registers, _addr: u64, _size: Size) -> Access<u64> {
        Ok(self.load)
    }

    #[inline]
    fn store(&mut self, _regs: &Registers, _addr: u64, size: Size, value: u64) -> Access<()> {
        self.stored = value & mask(size);
        Ok(())
    }

    fn tsc(&mut self) -> u64 {
        // RDTSC has a step of its own.
        0
    }

    fn charge(&mut self, cycles: u32) {
        self.charged += cycles;
    }
}

/// Why a stretch was not replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not enough time is left.
    Time,
    /// Something has another value than when it was recorded; it is known to vary now.
    Value,
    /// Anything else.
    Course,
}

/// Where the instructions of a replay find their operands. Kept from one to the next: what a
/// stretch does not set it does not read.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    regs: Registers,
    slots: [u64; SLOTS],
}

impl Default for Desk {
    fn default() -> Self {
        Desk { regs: Registers::default(), slots: [0; SLOTS] }
    }
}

impl Desk {
    #[inline(always)]
    fn at(&self, slot: Slot) -> u64 {
        self.slots[usize::from(slot) % SLOTS]
    }

    #[inline(always)]
    fn put(&mut self, slot: Slot, value: u64) {
        self.slots[usize::from(slot) % SLOTS] = value;
    }

    /// Takes a result and its status flags.
    #[inline(always)]
    fn set(&mut self, to: Slot, (value, status): (u64, u64)) {
        self.put(to, value);
        set_status(&mut self.regs, status);
    }

    /// The registers, and the constants of a stretch.
    fn lay_out(&mut self, regs: &Registers, constants: &[u64]) {
        // Of the others, instructions with effects look at none but the privilege level.
        (self.regs.gpr, self.regs.rflags, self.regs.sel) = (regs.gpr, regs.rflags, regs.sel);
        self.slots[..REGISTERS].copy_from_slice(&regs.gpr);
        self.slots[REGISTERS..REGISTERS + constants.len()].copy_from_slice(constants);
    }
}

impl Frame {
    pub(super) fn of(recording: &Recording) -> Self {
        let start = &recording.start;
        let stores = recording.executed.iter().filter_map(|step| step.store);
        let mut written: Vec<PhysAddr> = stores.map(|store| store.addr.line().base()).collect();
        written.sort_unstable();
        written.dedup();
        Frame {
            start: Start {
                rflags: start.rflags & !flags::STATUS,
                gs_base: start.gs_base,
                fs_base: start.fs_base,
                cs: start.sel.cs,
                paid: recording.paid[0],
                first_line: recording.first_line,
                on_line: recording.on_line,
            },
            footprint: recording.footprint.clone(),
            cycles: recording.cycles,
            instructions: recording.executed.len() as u64,
            rip: recording.rip,
            fetch_line: recording.fetch_line,
            paid: recording.paid[1],
            last_commit: recording.last_commit,
            written,
        }
    }

    /// The state at the end, apart from what was computed.
    fn leave_behind(&self, core: &mut Core) {
        let Core { regs, unit } = core;
        self.footprint.apply(&mut unit.caches);
        regs.rip = self.rip;
        unit.clock += self.cycles;
        unit.instructions += self.instructions;
        (unit.fetch_line, unit.paid) = (self.fetch_line, self.paid);
        unit.restarting = false;
        unit.activity += 1;
    }
}

impl Program {
    /// True if there is room for so many slots.
    pub(super) fn has_room(slots: usize) -> bool {
        slots < usize::from(NOWHERE)
    }

    /// Compares what has to be the same, and learns what varies.
    #[inline]
    fn compare(&self, core: &Core, ram: &Ram, varying: &mut Varying) -> Result<(), Refusal> {
        let same = |&(register, value): &(u8, u64)| {
            core.regs.gpr[usize::from(register) % REGISTERS] == value
        };
        if self.fixed.iter().all(same) && self.words.hold(ram, |value| value) {
            return Ok(());
        }
        for &(register, _) in self.fixed.iter().filter(|&fixed| !same(fixed)) {
            varying.registers |= bit(usize::from(register));
        }
        let words = self.words.others(ram, |value| value);
        varying.words.extend(words.iter().map(|place| (place.addr(), place.size())));
        Err(Refusal::Value)
    }

    /// The instructions whose operands vary. False if they take another course.
    fn execute(&self, desk: &mut Desk, began: u64, ram: &Ram) -> bool {
        let mut charged = 0;
        for step in &self.steps {
            match *step {
                Step::Load { to, size, addr } => {
                    desk.put(to, Place { addr, size: size.into() }.read(ram));
                }
                Step::Low { to, from, size } => desk.put(to, desk.at(from) & mask(size)),
                Step::Compute { pure, size, a, b, to } => {
                    let old = desk.regs.rflags;
                    desk.set(to, pure.apply(desk.at(a), desk.at(b), old, size));
                }
                Step::NoFlags { pure, size, a, b, to } => {
                    let (value, _) = pure.apply(desk.at(a), desk.at(b), 0, size);
                    desk.put(to, value);
                }
                Step::Double { right, count, size, a, b, to } => {
                    let shift = if right { shift::shrd } else { shift::shld };
                    let (a, b) = (desk.at(a) & mask(size), desk.at(b) & mask(size));
                    desk.set(to, shift(a, b, count.into(), desk.regs.rflags, size));
                }
                Step::Product { size, a, b, low, high } => {
                    let (a, b) = (desk.at(a) & mask(size), desk.at(b) & mask(size));
                    let (upper, out) = mul(a, b, size);
                    desk.set(low, out);
                    desk.put(high, upper);
                }
                Step::Select { cond, size, a, b, to } => {
                    let which = if condition(cond, desk.regs.rflags) { b } else { a };
                    desk.put(to, desk.at(which) & mask(size));
                }
                Step::Sum { a, b, shift, disp, to } => {
                    let sum = desk.at(a).wrapping_add(desk.at(b) << shift);
                    desk.put(to, sum.wrapping_add(desk.at(disp)));
                }
                Step::Clock { at, low, high } => {
                    let tsc = began.wrapping_add(at.into());
                    desk.put(low, tsc & mask(Size::B4));
                    desk.put(high, tsc >> 32);
                }
                Step::Put { register, from } => {
                    desk.regs.gpr[usize::from(register) % REGISTERS] = desk.at(from);
                }
                Step::Flags { from } => {
                    let status = desk.at(from);
                    set_status(&mut desk.regs, status);
                }
                Step::Execute { op, load, stored } => {
                    let mut world = Only(Tape { load: desk.at(load), stored: 0, charged });
                    let flow = execute(&mut desk.regs, &mut world, &self.ops[usize::from(op)]);
                    if flow != Ok(Flow::Next) {
                        return false;
                    }
                    charged = world.0.charged;
                    desk.put(stored, world.0.stored);
                }
                Step::Keep { to, register } => {
                    desk.put(to, desk.regs.gpr[usize::from(register) % REGISTERS]);
                }
                Step::Branch { cond, taken } => {
                    if condition(cond, desk.regs.rflags) != taken {
                        return false;
                    }
                }
                Step::Decide { test, size, cond, taken, a, b } => {
                    let (a, b) = (desk.at(a), desk.at(b));
                    let (a, b) = if test { (a & b, 0) } else { (a, b) };
                    if holds_after_cmp(cond, a, b, size) != taken {
                        return false;
                    }
                }
                Step::Expect { slot, value } => {
                    if desk.at(slot) != desk.at(value) {
                        return false;
                    }
                }
            }
        }
        charged == self.charged
    }

    /// True if nothing comes of the stores to the local APIC before the stretch ends.
    fn is_quiet(&self, unit: &Unit, desk: &Desk, cycles: u64) -> bool {
        self.apic.iter().all(|store| {
            let quiet = unit.lapic.quiet_after(store.offset, desk.at(store.value) as u32);
            quiet.is_some_and(|quiet| quiet >= cycles - u64::from(store.at))
        })
    }

    /// The local APIC gets what was stored to it.
    fn act(&self, core: &mut Core, parts: &mut Parts<'_>, desk: &Desk) {
        let (began, before) = (core.unit.clock, core.unit.instructions);
        for store in &self.apic {
            core.unit.clock = began + u64::from(store.at);
            core.unit.instructions = before + u64::from(store.index);
            let mut bus = parts.bus(&mut core.unit, store.rip);
            bus.write_apic(store.offset, desk.at(store.value) as u32);
        }
        (core.unit.clock, core.unit.instructions) = (began, before);
    }

    /// What was computed is put in place.
    fn leave_behind(&self, frame: &Frame, core: &mut Core, ram: &mut Ram, desk: &Desk) {
        let Core { regs, unit } = core;
        self.stores.write(ram, |slot| desk.at(slot));
        if let Some(commit) = frame.last_commit {
            unit.stores.left_until(unit.clock + commit);
        }
        for &(store, slot) in &self.pending {
            let ready = unit.clock + store.ready.0;
            unit.stores.push(BufferedStore { value: desk.at(slot), ready, ..store });
        }
        for &(register, slot) in &self.registers {
            regs.gpr[usize::from(register) % REGISTERS] = desk.at(slot);
        }
        regs.rflags = self.flags & !flags::STATUS | desk.regs.rflags & flags::STATUS;
    }
}

impl Stretch {
    /// True if somebody watches a line that it writes.
    pub(super) fn is_watched(&self, parts: &Parts<'_>) -> bool {
        self.frame.written.iter().any(|&line| parts.log.watches(line))
    }

    /// Replays the stretch, if it would take the course that was recorded and ends before `limit`.
    /// Else nothing has changed. HOT.
    pub(super) fn replay(
        &self,
        core: &mut Core,
        parts: &mut Parts<'_>,
        limit: Cycle,
        (desk, varying): (&mut Desk, &mut Varying),
    ) -> Result<(), Refusal> {
        let Stretch { frame, program } = self;
        // At its end, the instruction loop has gone on: the next one has been fetched.
        if core.unit.clock + frame.cycles >= limit {
            return Err(Refusal::Time);
        }
        if !frame.start.fits(&core.regs, &core.unit) || !frame.footprint.fits(&core.unit.caches) {
            return Err(Refusal::Course);
        }
        program.compare(core, parts.ram, varying)?;
        desk.lay_out(&core.regs, &program.constants);
        let began = core.unit.clock.0.wrapping_add(core.unit.tsc_offset);
        if !program.execute(desk, began, parts.ram) {
            return Err(Refusal::Course);
        }
        if !program.is_quiet(&core.unit, desk, frame.cycles) {
            return Err(Refusal::Course);
        }
        program.act(core, parts, desk);
        program.leave_behind(frame, core, parts.ram, desk);
        frame.leave_behind(core);
        Ok(())
    }
}
