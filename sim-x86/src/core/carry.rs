//! HOT: waiting loops whose line goes or comes.
//!
//! Whoever writes a word that other CPUs poll gives each of them the same round: a probe takes the
//! line, the CPU's next load misses and asks for it, a fill brings it, the CPU sees that it still
//! has to wait. Nothing in it depends on anybody else, so it takes no windows: the probe carries the
//! core on to its miss, and the fill carries it back into the loop.
//!
//! A core that was carried is *ahead* of the machine's time, up to [`Carried::until`]. If anything
//! reaches it before then (an interrupt, another probe, the end of the run), it falls back to where
//! it was and is executed as always. So nobody ever sees it ahead, and no result depends on it.

use crate::core::bus::CoreBus;
use crate::core::regs::{Registers, flags};
use crate::core::spin::{SpinProbe, Walked};
use crate::core::step::{Parts, Scratch};
use crate::core::{Core, NO_LINE, Run, Wait};
use crate::event::Want;
use crate::ids::LineAddr;
use sim_core::{Cycle, Source, TraceHash};

/// A miss that is further away than this is not looked for.
const FARTHEST: u64 = 1_000;

/// How far a core is ahead of time, and what it was before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// The first cycle at which the core is rightly where it is.
    until: Cycle,
    before: Before,
    /// When the request that it has sent ahead of time arrives.
    arrives: Option<Cycle>,
}

/// What being carried changes of a core.
#[derive(Clone, Debug, Default)]
struct Before {
    regs: Registers,
    clock: Cycle,
    instructions: u64,
    restarting: bool,
    paid: LineAddr,
    fetch_line: LineAddr,
    hash: TraceHash,
}

impl Before {
    fn of(Core { regs, unit }: &Core) -> Self {
        Before {
            regs: *regs,
            clock: unit.clock,
            instructions: unit.instructions,
            restarting: unit.restarting,
            paid: unit.paid,
            fetch_line: unit.fetch_line,
            hash: unit.hash,
        }
    }

    fn restore(&self, Core { regs, unit }: &mut Core) {
        *regs = self.regs;
        unit.run = Run::Running;
        (unit.clock, unit.instructions) = (self.clock, self.instructions);
        (unit.restarting, unit.paid) = (self.restarting, self.paid);
        (unit.fetch_line, unit.hash) = (self.fetch_line, self.hash);
    }
}

impl Carried {
    /// True if the core has to fall back before anything reaches it at `now`.
    #[inline]
    pub(crate) fn is_ahead_of(&self, now: Cycle) -> bool {
        now < self.until
    }
}

impl Core {
    /// True if instructions are all that can happen to the core next, as far as it goes by itself.
    fn may_be_carried(&self, parts: &Parts<'_>) -> bool {
        let unit = &self.unit;
        let alone = unit.attention || unit.announced || self.regs.rflags & flags::TF != 0;
        let pending = !unit.stores.is_empty() || unit.locked_until > unit.clock;
        let looked_at = parts.log.wants_retire() || parts.log.code_dirty();
        unit.run == Run::Running && !alone && !pending && !looked_at
    }

    /// `line` has just been taken away from the core: if that is within its waiting loop, the core
    /// goes on up to the load that misses, and asks for the line.
    pub(crate) fn carry_to_miss(
        &mut self,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        line: LineAddr,
    ) {
        if !scratch.spin.is_within() || !self.may_be_carried(parts) {
            return;
        }
        let carried = &mut scratch.carried;
        carried.before = Before::of(self);
        let limit = self.unit.clock + FARTHEST;
        let walked = self.walk(&mut scratch.spin, parts, limit, true);
        carried.arrives = match walked {
            Walked::Elsewhere => self.miss(&scratch.spin, parts, line),
            Walked::Head | Walked::Limit => None,
        };
        if carried.arrives.is_some() {
            // An event at the cycle at which the load begins comes before it.
            carried.until = self.unit.clock + 1;
        } else {
            carried.before.restore(self);
        }
    }

    /// The instruction at RIP polls `line`, which is away: when the request for it arrives.
    fn miss(
        &mut self,
        spin: &SpinProbe,
        parts: &mut Parts<'_>,
        line: LineAddr,
    ) -> Option<Cycle> {
        let next = spin.instruction_at(self.regs.rip)?;
        let addr = next.op.loads_from(&self.regs)?;
        let plain = CoreBus::plain_ram(self.regs.cpl() == 3, parts.spec, parts.log);
        let mut bus = CoreBus { plain, ..parts.bus(&mut self.unit, self.regs.rip) };
        let away = bus.word_line(addr, next.op.size)? == line
            && !bus.unit.caches.state(line).readable()
            && bus.unit.requested.is_empty();
        if !away {
            return None;
        }
        let clock = bus.unit.clock;
        bus.unit.fetch_line = next.line;
        bus.request(clock, line, Want::Read);
        let arrives = bus.arrival(clock, line);
        bus.unit.run = Run::Waiting(Wait::Line(line));
        bus.unit.restarting = true;
        Some(arrives)
    }

    /// The line for which the core was waiting has just come: if the core polls it in its waiting
    /// loop and has to wait on, it is parked there.
    pub(crate) fn carry_into_loop(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        if self.unit.paid == NO_LINE || !self.may_be_carried(parts) {
            return;
        }
        let (edition, carried) = (parts.code.edition(), &mut scratch.carried);
        carried.before = Before::of(self);
        let plain = CoreBus::plain_ram(self.regs.cpl() == 3, parts.spec, parts.log);
        let mut bus = CoreBus { plain, ..parts.bus(&mut self.unit, self.regs.rip) };
        match scratch.spin.go_on(&mut self.regs, &mut bus, edition) {
            Some(park) => {
                self.unit.clock = park.since;
                self.unit.run = Run::Parked(park);
                (carried.until, carried.arrives) = (park.since, None);
            }
            None => carried.before.restore(self),
        }
    }

    /// Something reaches the core, which is ahead of time: it is what it was before.
    #[cold]
    pub(crate) fn fall_back(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        let carried = &mut scratch.carried;
        if let Some(arrives) = carried.arrives.take() {
            parts.queue.take_back(arrives, Source(self.unit.id.0));
            self.unit.requested.pop();
        }
        carried.before.restore(self);
        carried.until = Cycle(0);
    }
}
