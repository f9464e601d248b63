//! Recording: a stretch of code is executed as always, one instruction after the other, and what
//! each of them did is noted.

use super::plain::{Only, Plain};
use crate::core::bus::CoreBus;
use crate::core::regs::{Registers, flags};
use crate::core::step::{Parts, Scratch, at_hand, fetch};
use crate::core::translate::{Purpose, Target, translate};
use crate::core::{Core, Run};
use crate::exec::operand::mask;
use crate::exec::{Access, Bus, Flow, Size, Stall, execute};
use crate::ids::{LineAddr, PhysAddr};
use crate::mem::cache::{Footprint, LineState};
use crate::mem::store_buffer::{BufferedStore, Forward};
use crate::op::Op;
use crate::op::effects::{Effects, effects};
use sim_core::Cycle;

/// Longer stretches are cut.
const MOST_INSTRUCTIONS: usize = 400;

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryAccess {
    pub(super) addr: PhysAddr,
    pub(super) size: Size,
    pub(super) value: u64,
}

impl MemoryAccess {
    fn end(&self) -> u64 {
        self.addr.0 + self.size as u64
    }

    pub(super) fn overlaps(&self, other: &MemoryAccess) -> bool {
        self.addr.0 < other.end() && other.addr.0 < self.end()
    }

    pub(super) fn covers(&self, other: &MemoryAccess) -> bool {
        self.addr.0 <= other.addr.0 && other.end() <= self.end()
    }

    pub(super) fn is_at(&self, other: &MemoryAccess) -> bool {
        (self.addr, self.size) == (other.addr, other.size)
    }
}

/// A store to the local APIC: offset of the register, and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApicWrite {
    pub(super) offset: u32,
    pub(super) value: u32,
}

/// The registers that instructions with effects may change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    pub(super) gpr: [u64; 16],
    pub(super) rflags: u64,
}

impl Values {
    fn of(regs: &Registers) -> Self {
        Values { gpr: regs.gpr, rflags: regs.rflags }
    }

    pub(super) fn status(&self) -> u64 {
        self.rflags & flags::STATUS
    }
}

/// One instruction that was executed.
#[derive(Clone, Debug)]
pub(super) struct Executed {
    pub(super) op: Op,
    pub(super) effects: Effects,
    /// Cycles since the start of the stretch.
    pub(super) at: u64,
    pub(super) rip: u64,
    pub(super) before: Values,
    pub(super) after: Values,
    pub(super) load: Option<MemoryAccess>,
    pub(super) store: Option<MemoryAccess>,
    /// A store to the core's own local APIC.
    pub(super) apic: Option<ApicWrite>,
    /// Cycles by [`Bus::charge`].
    pub(super) charged: u32,
    pub(super) taken: bool,
}

/// A stretch that was executed.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) executed: Vec<Executed>,
    pub(super) start: Registers,
    /// [`Unit::paid`](crate::core::Unit::paid) before and after.
    pub(super) paid: [LineAddr; 2],
    /// [`Unit::fetch_line`](crate::core::Unit::fetch_line) after it.
    pub(super) fetch_line: LineAddr,
    /// The first instruction lay in the line of the one before.
    pub(super) on_line: bool,
    pub(super) first_line: LineAddr,
    /// Where it ended.
    pub(super) rip: u64,
    /// Cycles that it took.
    pub(super) cycles: u64,
    /// Cycles after its start at which a store became visible last, if any did.
    pub(super) last_commit: Option<u64>,
    /// Stores that were still buffered, their times from its start on.
    pub(super) pending: Vec<BufferedStore>,
    pub(super) footprint: Footprint,
}

/// The world of a recorded instruction.
struct Recorder<'a, 'b> {
    bus: &'a mut CoreBus<'b>,
    load: Option<MemoryAccess>,
    store: Option<MemoryAccess>,
    apic: Option<ApicWrite>,
    /// Lines of L1D that were looked up.
    data: &'a mut Vec<LineAddr>,
    charged: u32,
}

impl Recorder<'_, '_> {
    /// Where a plain access lies that does not cross an aligned word.
    fn place(&self, addr: u64, size: Size) -> Access<PhysAddr> {
        let at = self.bus.plain.find(addr).ok_or(Stall::Wait)?;
        if at.0 % 8 + size as u64 <= 8 { Ok(at) } else { Err(Stall::Wait) }
    }

    /// A store to the local APIC that interrupts nobody before the end of the stretch: with
    /// interrupts off.
    fn store_to_apic(
        &mut self,
        regs: &Registers,
        addr: u64,
        (offset, size): (u32, Size),
        value: u64,
    ) -> Access<()> {
        let foreseen = self.bus.unit.lapic.quiet_after(offset, value as u32).is_some();
        if !foreseen || size != Size::B4 || regs.interrupts_enabled() || self.load.is_some() {
            return Err(Stall::Wait);
        }
        self.bus.store(regs, addr, size, value)?;
        self.apic = Some(ApicWrite { offset, value: value as u32 });
        Ok(())
    }
}

impl Plain for Recorder<'_, '_> {
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        let at = self.place(addr, size)?;
        let line = at.line();
        let forwarded = match self.bus.unit.stores.forward(at, size as u64) {
            Forward::None => false,
            Forward::Hit(_) => true,
            Forward::Blocked => return Err(Stall::Wait),
        };
        let held = forwarded || self.bus.unit.caches.l1_state(line) != LineState::Invalid;
        if !held || self.load.is_some() {
            return Err(Stall::Wait);
        }
        let value = self.bus.load(regs, addr, size)?;
        self.load = Some(MemoryAccess { addr: at, size, value });
        if !forwarded {
            self.data.push(line);
        }
        Ok(value)
    }

    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        if let Ok(Target::Apic(offset)) =
            translate(self.bus.spec.translation, addr, false, Purpose::Write)
        {
            return self.store_to_apic(regs, addr, (offset, size), value);
        }
        let at = self.place(addr, size)?;
        let line = at.line();
        let unit = &self.bus.unit;
        let plain = unit.stores.room() > 0
            && unit.caches.l1_state(line) == LineState::Modified
            && !self.bus.log.watches(at)
            && self.store.is_none();
        if !plain {
            return Err(Stall::Wait);
        }
        self.bus.store(regs, addr, size, value)?;
        self.store = Some(MemoryAccess { addr: at, size, value: value & mask(size) });
        self.data.push(line);
        Ok(())
    }

    fn tsc(&mut self) -> u64 {
        self.bus.tsc()
    }

    fn charge(&mut self, cycles: u32) {
        self.charged += cycles;
        self.bus.charge(cycles);
    }
}

/// Executes a stretch of code that begins at RIP, up to `limit` at most, and records it. The store
/// buffer is empty, and no interrupt is to be taken. `None` if there is nothing to be recorded.
pub(super) fn record(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    limit: Cycle,
) -> Option<Recording> {
    let start = core.regs;
    let began = core.unit.clock;
    let paid = core.unit.paid;
    let before = core.unit.caches.first_level();
    let first_line = at_hand(core, scratch, parts)?.1;
    let on_line = first_line == core.unit.fetch_line;
    let (mut executed, mut data, mut code) = (Vec::new(), Vec::new(), Vec::new());
    while executed.len() < MOST_INSTRUCTIONS && core.unit.clock < limit.min(parts.queue.horizon()) {
        // A store to the local APIC asks for it. Nothing is taken: interrupts are off then.
        if core.unit.attention && core.service(parts) {
            break;
        }
        let clock = core.unit.clock;
        parts.bus(&mut core.unit, core.regs.rip).drain_before(clock);
        let Some((op, first, last)) = at_hand(core, scratch, parts) else { break };
        let Some(effects) = effects(&op) else { break };
        if first != core.unit.fetch_line {
            code.push(first);
        }
        if last != first {
            code.push(last);
        }
        if fetch(core, scratch, parts).is_err() {
            break;
        }
        match execute_one(core, parts, (op, effects), &mut data) {
            Outcome::Done(step) => {
                executed.push(Executed { at: step.at - began.0, ..*step });
            }
            // It waits for stores to leave; another time it will be recorded, if there is time.
            Outcome::Waits if core.unit.clock >= limit => {
                core.unit.restarting = true;
                return None;
            }
            Outcome::Waits => {}
            Outcome::Refused => break,
        }
    }
    if executed.is_empty() {
        return None;
    }
    let end = core.unit.clock;
    let visible = end.min(limit).min(parts.queue.horizon());
    parts.bus(&mut core.unit, core.regs.rip).drain_before(visible);
    let unit = &core.unit;
    let moved =
        |store: &BufferedStore| BufferedStore { ready: Cycle(store.ready - began), ..*store };
    let committed = unit.stores.last_commit();
    let stored = executed.iter().filter(|step: &&Executed| step.store.is_some()).count();
    let pending: Vec<BufferedStore> = unit.stores.iter().map(moved).collect();
    Some(Recording {
        start,
        paid: [paid, unit.paid],
        fetch_line: unit.fetch_line,
        on_line,
        first_line,
        rip: core.regs.rip,
        cycles: end - began,
        last_commit: (stored > pending.len()).then(|| committed - began),
        pending,
        footprint: unit.caches.footprint(&before, &data, &code),
        executed,
    })
}

/// What came of an instruction.
enum Outcome {
    Done(Box<Executed>),
    /// It has to wait until the core's own stores have left.
    Waits,
    /// It needs more than hits in L1: it has not been executed.
    Refused,
}

/// Executes `op`, unless it needs more than hits in L1.
fn execute_one(
    core: &mut Core,
    parts: &mut Parts<'_>,
    (op, effects): (Op, Effects),
    data: &mut Vec<LineAddr>,
) -> Outcome {
    let Core { regs, unit } = core;
    let (before, paid, began, rip) = (Values::of(regs), unit.paid, unit.clock, regs.rip);
    let plain = CoreBus::plain_ram(regs.cpl() == 3, parts.spec, parts.log);
    let mut bus = CoreBus { plain, ..parts.bus(unit, rip) };
    let recorder =
        Recorder { bus: &mut bus, load: None, store: None, apic: None, data, charged: 0 };
    let mut world = Only(recorder);
    let flow = execute(regs, &mut world, &op);
    let Only(Recorder { load, store, apic, charged, .. }) = world;
    let cost = bus.cost + op.cost();
    let taken = match flow {
        Ok(Flow::Next) => false,
        Ok(Flow::Taken) => true,
        Err(Stall::Wait) if unit.clock > began && unit.run == Run::Running => {
            return Outcome::Waits;
        }
        // It did not complete, and will be executed again.
        Ok(_) | Err(_) => {
            unit.paid = paid;
            return Outcome::Refused;
        }
    };
    unit.retire(cost);
    let (at, after) = (began.0, Values::of(regs));
    let step = Executed { op, effects, at, rip, before, after, load, store, apic, charged, taken };
    Outcome::Done(Box::new(step))
}
