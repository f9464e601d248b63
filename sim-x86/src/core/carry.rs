//! HOT: waiting loops whose line goes or comes.
//!
//! Whoever writes a word that other CPUs poll gives each of them the same round: a probe takes the
//! line, the CPU's next load misses and asks for it, a fill brings it, the CPU sees that it still
//! has to wait. Nothing in it depends on anybody else, so it takes no windows: the probe carries the
//! core on to its miss, and the fill carries it back into the loop.
//!
//! A core that was carried is *ahead* of the machine's time for a few cycles. If anything reaches it
//! before its time has come (an interrupt, another probe, the end of the run), it falls back to where
//! it was and is executed as always. So nobody ever sees it ahead, and no result depends on it.
//!
//! Waiting CPUs take ticks, too. An interrupt takes the core out of its loop, and when it comes back
//! with the same registers and finds the word as it was, it is parked again at once.

use crate::core::bus::CoreBus;
use crate::core::regs::{General, Registers, Selectors};
use crate::core::spin::{Park, SpinProbe};
use crate::core::step::{self, Parts, Scratch};
use crate::core::{Core, NO_LINE, Run, Wait};
use crate::event::Want;
use crate::exec::Size;
use crate::ids::LineAddr;
use sim_core::{Cycle, Source, TraceHash};
use std::iter::Sum;

/// How far a core is ahead of time, and what it was before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// The first cycle at which the core is rightly where it is.
    until: Cycle,
    before: Before,
    /// If a probe has carried it to a miss.
    probed: Option<Probed>,
    /// How often it was carried, and how often it fell back.
    pub(crate) counts: Counts,
}

/// A probe that has carried a core to its miss.
#[derive(Clone, Copy, Debug)]
struct Probed {
    at: Cycle,
    line: LineAddr,
    /// The core's hash before its request.
    hash: TraceHash,
}

/// How often cores were carried on. Derived: it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To the miss on a line that a probe has taken.
    pub to_miss: u64,
    /// Into a waiting loop, when its line has come or the core has come back to it.
    pub into_loop: u64,
    /// Back to where they were, because something reached them before their time.
    pub back: u64,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |all, next| Counts {
            to_miss: all.to_miss + next.to_miss,
            into_loop: all.into_loop + next.into_loop,
            back: all.back + next.back,
        })
    }
}

/// How a core left a polling loop in which it was parked.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// Its registers when it left, and what else addresses are made of.
    regs: General,
    bases: Bases,
    /// Those at the loop's load, the same in each iteration.
    at_load: General,
    /// What it polls.
    word: Word,
    /// Cycles and instructions from where it left to the next load.
    cycles: u64,
    instructions: u64,
    /// How it was parked.
    park: Park,
}

/// Segments: what addresses and the privilege level follow from, apart from [`General`].
type Bases = (u64, u64, Selectors);

fn bases(regs: &Registers) -> Bases {
    (regs.fs_base, regs.gs_base, regs.sel)
}

/// A word that a loop polls.
#[derive(Clone, Copy, Debug)]
struct Word {
    /// Its linear address.
    addr: u64,
    size: Size,
    line: LineAddr,
    /// What it held.
    value: u64,
}

/// What being carried changes of a core.
#[derive(Clone, Debug)]
struct Before {
    regs: General,
    run: Run,
    clock: Cycle,
    instructions: u64,
    restarting: bool,
    paid: LineAddr,
    fetch_line: LineAddr,
}

impl Default for Before {
    fn default() -> Self {
        Before {
            regs: General::default(),
            run: Run::Off,
            clock: Cycle(0),
            instructions: 0,
            restarting: false,
            paid: NO_LINE,
            fetch_line: NO_LINE,
        }
    }
}

impl Before {
    fn of(Core { regs, unit }: &Core) -> Self {
        Before {
            regs: General::of(regs),
            run: unit.run,
            clock: unit.clock,
            instructions: unit.instructions,
            restarting: unit.restarting,
            paid: unit.paid,
            fetch_line: unit.fetch_line,
        }
    }

    fn restore(&self, Core { regs, unit }: &mut Core) {
        self.regs.restore(regs);
        unit.run = self.run;
        (unit.clock, unit.instructions) = (self.clock, self.instructions);
        (unit.restarting, unit.paid) = (self.restarting, self.paid);
        unit.fetch_line = self.fetch_line;
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
    /// A probe has just taken `line` from the core. If the core is parked in a loop that polls it, at
    /// the load, it goes on to the next load, which misses.
    pub(crate) fn carry_to_miss(
        &mut self,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        now: Cycle,
        line: LineAddr,
    ) {
        let Run::Parked(park) = self.unit.run else { return };
        if park.polls != Some(line) {
            return;
        }
        let carried = &mut scratch.carried;
        carried.before = Before::of(self);
        carried.probed = Some(Probed { at: now, line, hash: self.unit.hash });
        // A load that begins at this very cycle comes after the probe.
        let rounds = now.since(park.since).div_ceil(park.period);
        let unit = &mut self.unit;
        unit.clock = park.since + rounds * park.period;
        unit.instructions += rounds * park.instructions;
        unit.run = Run::Waiting(Wait::Line(line));
        unit.restarting = true;
        if let Some(load) = scratch.spin.instruction_at(self.regs.rip) {
            unit.fetch_line = load.line;
        }
        let clock = unit.clock;
        parts.bus(unit, self.regs.rip).request(clock, line, Want::Read);
        carried.until = clock + 1;
        carried.counts.to_miss += 1;
    }

    /// The line for which the core was waiting has just come: if the core polls it in its waiting
    /// loop and has to wait on, it is parked there.
    pub(crate) fn carry_into_loop(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        let unit = &self.unit;
        let came = unit.run == Run::Running && unit.paid != NO_LINE;
        if !came || scratch.spin.poll_at(self.regs.rip, parts.code.edition()).is_none() {
            return;
        }
        let alone = unit.attention || self.goes_alone(parts);
        if alone || !unit.is_quiet() || parts.log.code_dirty() {
            return;
        }
        self.park_ahead(scratch, parts, |spin, regs, bus, edition| {
            spin.go_round(regs, bus, edition)
        });
    }

    /// Parks the loop at RIP if it is the one that was parked last and repeats.
    pub(super) fn retry_loop(
        &mut self,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        until: Cycle,
    ) -> bool {
        let limit = (!parts.speed.carry).then(|| until.min(parts.queue.horizon()));
        self.park_ahead(scratch, parts, |spin, regs, bus, edition| {
            spin.retry(regs, bus, edition, limit)
        })
    }

    /// The core, which was parked as `park` and is at the start of an iteration, goes on up to `now`,
    /// when something reaches it.
    pub(crate) fn leave_loop(
        &mut self,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        park: Park,
        now: Cycle,
    ) {
        let Some(word) = park.polls.and_then(|_| self.polled(scratch, parts)) else {
            return step::run(self, scratch, parts, now);
        };
        let (at_load, clock, before) =
            (General::of(&self.regs), self.unit.clock, self.unit.instructions);
        if self.unit.attention || !scratch.spin.go_on(&mut self.regs, &mut self.unit, now) {
            step::run(self, scratch, parts, now);
        }
        // One that left at the load goes round once more.
        let cycles = park.period - (self.unit.clock - clock) % park.period;
        let executed = (self.unit.instructions - before) % park.instructions;
        let instructions = park.instructions - executed;
        let (regs, bases) = (General::of(&self.regs), bases(&self.regs));
        let left = Left { regs, bases, at_load, word, cycles, instructions, park };
        match &mut scratch.left {
            Some(place) => **place = left,
            None => scratch.left = Some(Box::new(left)),
        }
    }

    /// What the load at RIP polls, in the loop that was parked last.
    fn polled(&mut self, scratch: &Scratch, parts: &mut Parts<'_>) -> Option<Word> {
        let load = scratch.spin.instruction_at(self.regs.rip)?;
        let (addr, size) = (load.op.loads_from(&self.regs)?, load.op.size);
        let (_, bus) = self.plain_bus(parts);
        let (line, value) = bus.recent_word(addr, size)?;
        Some(Word { addr, size, line, value })
    }

    /// Parks the core again if it is where it left the polling loop that it was parked in last, and
    /// is going to find there what it found.
    pub(super) fn come_back(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) -> bool {
        let here = |left: &mut Box<Left>| {
            left.regs == General::of(&self.regs) && left.bases == bases(&self.regs)
        };
        let Some(left) = scratch.left.take_if(here) else { return false };
        let parked = self.park_ahead(scratch, parts, |spin, regs, bus, edition| {
            let same = bus.recent_word(left.word.addr, left.word.size)?
                == (left.word.line, left.word.value);
            let since = bus.unit.clock + left.cycles;
            left.at_load.restore(regs);
            let park = Park { since, ..left.park };
            (same && spin.comes_round(regs.rip, bus.unit, edition))
                .then_some((left.instructions, park))
        });
        scratch.left = Some(left);
        parked
    }

    /// Parks the core as `how` says (with the instructions that come before), or leaves it as it is.
    fn park_ahead(
        &mut self,
        scratch: &mut Scratch,
        parts: &mut Parts<'_>,
        how: impl FnOnce(&SpinProbe, &mut Registers, &mut CoreBus<'_>, u64) -> Option<(u64, Park)>,
    ) -> bool {
        let (edition, carried) = (parts.code.edition(), &mut scratch.carried);
        (carried.before, carried.probed) = (Before::of(self), None);
        let (regs, mut bus) = self.plain_bus(parts);
        let Some((executed, park)) = how(&scratch.spin, regs, &mut bus, edition) else {
            carried.before.restore(self);
            return false;
        };
        let unit = &mut self.unit;
        unit.clock = park.since;
        unit.instructions += executed;
        unit.run = Run::Parked(park);
        if executed > 0 {
            (unit.restarting, unit.announced) = (false, false);
        }
        carried.until = park.since;
        carried.counts.into_loop += 1;
        true
    }

    /// Something reaches the core, which is ahead of time: it is what it was before.
    #[cold]
    pub(crate) fn fall_back(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        let carried = &mut scratch.carried;
        carried.until = Cycle(0);
        carried.counts.back += 1;
        let Some(probed) = carried.probed else { return carried.before.restore(self) };
        // Its request has not been sent.
        let clock = self.unit.clock;
        let arrives = parts.bus(&mut self.unit, self.regs.rip).arrival(clock, probed.line);
        parts.queue.take_back(arrives, Source(self.unit.id.0));
        self.unit.requested.pop();
        carried.before.restore(self);
        self.unit.hash = probed.hash;
        self.unpark(probed.at);
        if self.unit.clock < probed.at {
            self.load_again(&scratch.spin, parts);
        }
    }

    /// Completes the load at RIP, of the loop that the core was parked in, whose line has gone since
    /// then. It brings what it has brought before: no register changes.
    fn load_again(&mut self, spin: &SpinProbe, parts: &Parts<'_>) {
        let Some(load) = spin.instruction_at(self.regs.rip) else { return };
        self.regs.rip += load.op.length();
        self.unit.fetch_line = load.line;
        self.unit.retire(parts.spec.memory.l1_hit + load.op.cost());
    }
}
