//! Recording: instructions executed one by one as always, and watched.
//!
//! The recorder executes with the very same bus and leaves the core as the instruction loop would;
//! it only notes what went on, and where the first instruction stands that cannot be in a segment.

use super::effects::{Effects, effects};
use crate::core::bus::CoreBus;
use crate::core::regs::{Registers, flags};
use crate::core::step::{Exit, Parts, Scratch};
use crate::core::translate::{Purpose, Target, translate};
use crate::core::{Core, NO_LINE, Unit};
use crate::exec::{Access, Bus, Flow, Size, execute};
use crate::ids::{LINE_BYTES, LineAddr, PhysAddr};
use crate::mem::cache::LineState;
use crate::mem::store_buffer::Forward;
use crate::op::{Kind, Op};
use sim_core::Cycle;

/// Instructions of the longest recording.
const LONGEST: usize = 320;

/// One access of an instruction to memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) store: bool,
    pub(super) addr: PhysAddr,
    pub(super) size: u8,
    pub(super) value: u64,
}

/// What the core is like before an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boundary {
    /// Cycles since the start.
    pub(super) at: u64,
    pub(super) gpr: [u64; 16],
    pub(super) rip: u64,
    pub(super) rflags: u64,
    pub(super) paid: LineAddr,
    pub(super) fetch_line: LineAddr,
    /// How many of [`Recording::data`] and [`Recording::code`] came before.
    pub(super) data: usize,
    pub(super) code: usize,
    /// Stores that had left the buffer.
    pub(super) committed: usize,
}

/// An instruction that was executed.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) before: Boundary,
    pub(super) op: Op,
    pub(super) effects: Effects,
    /// Cycles that it charged on top of its table cost and of its accesses.
    pub(super) charged: u32,
    pub(super) touches: Vec<Touch>,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At an instruction that will never be part of a segment, or at the greatest length.
    Final,
    /// At something that may be different the next time: a miss.
    Miss,
    /// Something came in between: an event, the end of the window.
    Interrupted,
}

/// A run of instructions, as executed once.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) start: Registers,
    pub(super) restarting: bool,
    pub(super) store_commit: u64,
    pub(super) steps: Vec<Step>,
    /// Before the first instruction that is not part of it.
    pub(super) after: Boundary,
    /// Lines that became the most recent of their L1D set, in order; true if by a store.
    pub(super) data: Vec<(LineAddr, bool)>,
    /// The same for L1I, without the line of the first instruction.
    pub(super) code: Vec<LineAddr>,
    pub(super) first_line: LineAddr,
    pub(super) end: End,
}

impl Recording {
    /// Before the `n`-th instruction, or after the last one.
    pub(super) fn boundary(&self, n: usize) -> &Boundary {
        self.steps.get(n).map_or(&self.after, |step| &step.before)
    }
}

/// The bus of a core, with somebody who writes down what is asked of it.
struct Witness<'a, 'b> {
    bus: &'a mut CoreBus<'b>,
    touches: Vec<Touch>,
    data: &'a mut Vec<(LineAddr, bool)>,
    /// False after anything that no segment may contain.
    plain: bool,
    missed: bool,
    /// Cycles that the instruction itself charged, without those of its accesses.
    charged: u32,
}

impl Witness<'_, '_> {
    /// Where an access goes, if that is RAM and within a line.
    fn ram(&self, regs: &Registers, addr: u64, size: Size, purpose: Purpose) -> Option<PhysAddr> {
        match translate(self.bus.spec.translation, addr, regs.cpl() == 3, purpose) {
            Ok(Target::Ram(addr)) if addr.0 % LINE_BYTES + size as u64 <= LINE_BYTES => Some(addr),
            Ok(_) | Err(_) => None,
        }
    }

    /// A load is about to happen: an L1D hit or a value forwarded from the store buffer is plain.
    fn expect_load(&mut self, regs: &Registers, addr: u64, size: Size, purpose: Purpose) {
        let Some(at) = self.ram(regs, addr, size, purpose) else { return self.plain = false };
        match self.bus.unit.stores.forward(at, size as u64) {
            Forward::Hit(_) => {}
            Forward::Blocked => self.plain = false,
            Forward::None => {
                let line = at.line();
                if self.bus.unit.caches.data_state(line) == LineState::Invalid {
                    (self.plain, self.missed) = (false, true);
                }
                self.data.push((line, false));
            }
        }
    }

    fn load_as(
        &mut self,
        regs: &Registers,
        addr: u64,
        size: Size,
        purpose: Purpose,
    ) -> Access<u64> {
        self.expect_load(regs, addr, size, purpose);
        let value = match purpose {
            Purpose::Write => self.bus.load_for_write(regs, addr, size),
            Purpose::Read | Purpose::Fetch => self.bus.load(regs, addr, size),
        }?;
        if let Some(addr) = self.ram(regs, addr, size, purpose) {
            self.touches.push(Touch { store: false, addr, size: size as u8, value });
        }
        Ok(value)
    }
}

/// Delegates what no segment contains, and notes that it was asked for.
macro_rules! never_plain {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $name(&mut self, $($arg: $type),*) -> $out {
            self.plain = false;
            self.bus.$name($($arg),*)
        })*
    };
}

impl Bus for Witness<'_, '_> {
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Read)
    }

    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Write)
    }

    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        match self.ram(regs, addr, size, Purpose::Write) {
            Some(addr) => {
                if !self.bus.unit.caches.data_state(addr.line()).writable() {
                    (self.plain, self.missed) = (false, true);
                }
                self.plain &= self.bus.unit.stores.room() > 0;
                self.touches.push(Touch { store: true, addr, size: size as u8, value });
            }
            None => self.plain = false,
        }
        self.bus.store(regs, addr, size, value)
    }

    fn room(&mut self, stores: usize) -> Access<()> {
        self.plain &= self.bus.unit.stores.room() >= stores;
        self.bus.room(stores)
    }

    fn tsc(&mut self) -> u64 {
        self.bus.tsc()
    }

    fn charge(&mut self, cycles: u32) {
        self.charged += cycles;
        self.bus.charge(cycles);
    }

    never_plain! {
        locked_read(regs: &Registers, addr: u64, bytes: u8) -> Access<u128>;
        locked_write(addr: u64, bytes: u8, value: u128) -> ();
        drain() -> Access<()>;
        port_in(port: u16, size: Size) -> Access<u32>;
        port_out(port: u16, size: Size, value: u32) -> Access<()>;
        rdmsr(regs: &Registers, msr: u32) -> Access<u64>;
        wrmsr(regs: &Registers, msr: u32, value: u64) -> Access<()>;
        rdpmc(counter: u32) -> Access<u64>;
        cpuid(leaf: u32, subleaf: u32) -> [u32; 4];
        cr8() -> u8;
        set_cr8(value: u8) -> ();
        monitor(regs: &Registers, addr: u64) -> Access<()>;
        flush_line(regs: &Registers, addr: u64) -> Access<()>;
        flush_tlb(addr: Option<u64>) -> ();
        read_system(addr: u64, size: Size) -> Access<u64>;
    }
}

/// A recording in the making.
struct Recorder {
    started: Cycle,
    recording: Recording,
}

/// Executes from here on as the instruction loop does, and records it. The store buffer is empty.
pub(super) fn record(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    until: Cycle,
) -> (Exit, Recording) {
    let mut recorder = Recorder::new(core, u64::from(parts.spec.memory.store_commit));
    let (exit, end) = recorder.run(core, scratch, parts, until);
    recorder.recording.end = end;
    (exit, recorder.recording)
}

impl Recorder {
    fn new(core: &Core, store_commit: u64) -> Self {
        let started = core.unit.clock;
        Recorder {
            started,
            recording: Recording {
                start: core.regs,
                restarting: core.unit.restarting,
                store_commit,
                steps: Vec::new(),
                after: Recorder::boundary(core, started, (0, 0, 0)),
                data: Vec::new(),
                code: Vec::new(),
                first_line: NO_LINE,
                end: End::Final,
            },
        }
    }

    /// `counts`: entries of data and code, stores committed.
    fn boundary(core: &Core, started: Cycle, counts: (usize, usize, usize)) -> Boundary {
        Boundary {
            at: core.unit.clock - started,
            gpr: core.regs.gpr,
            rip: core.regs.rip,
            rflags: core.regs.rflags,
            paid: core.unit.paid,
            fetch_line: core.unit.fetch_line,
            data: counts.0,
            code: counts.1,
            committed: counts.2,
        }
    }

    fn run(
        &mut self,
        core: &mut Core,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        until: Cycle,
    ) -> (Exit, End) {
        let horizon = until.min(parts.queue.horizon());
        let mut committed = 0;
        loop {
            let counts = (self.recording.data.len(), self.recording.code.len(), committed);
            let boundary = Recorder::boundary(core, self.started, counts);
            self.recording.after = boundary;
            let stop = core.unit.attention || core.regs.rflags & flags::TF != 0;
            if stop || self.recording.steps.len() == LONGEST {
                return (Exit::Look, End::Final);
            }
            if core.unit.clock >= horizon {
                return (Exit::Look, End::Interrupted);
            }
            committed += self.drain(&mut core.unit, parts, core.regs.rip);
            if parts.log.code_dirty() {
                return (Exit::Look, End::Interrupted);
            }
            let Some(op) = self.fetch(core, scratch, parts) else {
                return (Exit::Fetch, End::Miss);
            };
            let Some(effects) = effects(&op) else { return (Exit::Look, End::Final) };
            if let Some(end) = self.step(core, scratch, parts, (op, effects), boundary) {
                return end;
            }
        }
    }

    /// Makes visible the stores that are due, as the instruction loop does before an instruction.
    fn drain(&mut self, unit: &mut Unit, parts: &mut Parts<'_>, rip: u64) -> usize {
        let clock = unit.clock;
        if unit.stores.due() >= clock {
            return 0;
        }
        let before: Vec<LineAddr> = unit.stores.iter().map(|store| store.addr.line()).collect();
        parts.bus(unit, rip).drain_before(clock);
        let gone = before.len() - unit.stores.iter().count();
        self.recording.data.extend(before[..gone].iter().map(|&line| (line, true)));
        gone
    }

    /// The instruction at RIP, if it is decoded and its lines are in L1I.
    fn fetch(&mut self, core: &mut Core, scratch: &Scratch, parts: &Parts<'_>) -> Option<Op> {
        let rip = core.regs.rip;
        let (page, base) = scratch.code_page(rip, core.regs.cpl())?;
        let op = *parts.code.lookup(page, rip as usize & 0xfff)?;
        let addr = PhysAddr(base | rip & 0xfff);
        let last = PhysAddr(addr.0 + op.length() - 1);
        if last.0 >> 12 != addr.0 >> 12 {
            return None;
        }
        let first = self.recording.steps.is_empty();
        if first {
            self.recording.first_line = addr.line();
        }
        if addr.line() != core.unit.fetch_line {
            if !core.unit.caches.fetch_l1(addr.line()) {
                return None;
            }
            core.unit.fetch_line = addr.line();
            if !first {
                self.recording.code.push(addr.line());
            }
        }
        if last.line() != addr.line() {
            if !core.unit.caches.fetch_l1(last.line()) {
                return None;
            }
            core.unit.fetch_line = last.line();
            self.recording.code.push(last.line());
        }
        Some(op)
    }

    /// True if a jump from `from` to `target` closes a loop.
    fn has_been_at(&self, target: u64, from: u64) -> bool {
        let steps = &self.recording.steps;
        target <= from && (target == from || steps.iter().any(|step| step.before.rip == target))
    }

    /// Executes `op`. Returns how the recording ends, if it does; `op` is not part of it then.
    fn step(
        &mut self,
        core: &mut Core,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        (op, effects): (Op, Effects),
        before: Boundary,
    ) -> Option<(Exit, End)> {
        let (rip, skip, outer) = (core.regs.rip, parts.skip, core.regs.cpl() != 0);
        let mut bus = parts.bus(&mut core.unit, rip);
        let mut witness = Witness {
            bus: &mut bus,
            touches: Vec::new(),
            data: &mut self.recording.data,
            plain: !(op.kind == Kind::Rdtsc && outer),
            missed: false,
            charged: 0,
        };
        let result = execute(&mut core.regs, &mut witness, &op);
        let Witness { plain, missed, charged, touches, .. } = witness;
        let end = if missed { End::Miss } else { End::Final };
        let flow = match result {
            Ok(flow) => flow,
            Err(stall) => return Some((Exit::Stalled(stall), end)),
        };
        let cycles = bus.cost + op.cost();
        core.unit.retire(cycles);
        if !matches!(flow, Flow::Next | Flow::Repeat | Flow::Taken) {
            return Some((Exit::Flow(flow, rip), end));
        }
        // A loop is the business of loop detection.
        if flow == Flow::Taken && op.is_jump() && self.has_been_at(core.regs.rip, rip) {
            let back = skip && scratch.spin.is_due();
            return Some((if back { Exit::Back } else { Exit::Look }, end));
        }
        if !plain {
            return Some((Exit::Look, end));
        }
        self.recording.steps.push(Step { before, op, effects, charged, touches });
        None
    }
}
