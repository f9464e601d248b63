//! Exact skipping of loops that only wait.
//!
//! A core that comes back to the same instruction with the same registers and flags, having done
//! nothing in between but L1 hits and stores that changed nothing, will do exactly the same again
//! until an event reaches it: a probe that takes its line, an interrupt, a counter overflow. Such a
//! core is *parked*: its iterations, cycles and retired instructions are computed when the next
//! event wakes it, and the rest of the iteration is executed as always.
//!
//! What a loop must not do is counted in [`Unit::activity`]: a miss or an L2 hit, a store
//! that changes memory or goes to a watched page, a read of time, an APIC, port or device access,
//! a system instruction. An iteration is repeatable only if the count stood still.
//!
//! A counted delay loop (`1: dec %reg; jnz 1b`) differs in one register per iteration, by one;
//! it is parked too, with the iteration at which it ends.
//!
//! Before a loop that only polls is parked, one more iteration is executed step by step, to learn
//! which lines it touches. A probe for any other line does not wake it. When the core comes back to
//! the loop that it was parked in last, an iteration or two are tried on a copy of its registers: if
//! they hit the most recent ways only and end as they began, the core is parked again at once.

use crate::core::NO_LINE;
use crate::core::bus::CoreBus;
use crate::core::regs::Registers;
use crate::core::step::Parts;
use crate::core::{Activity, Core, Run, Unit};
use crate::exec::{Flow, Size, alu, execute, operand};
use crate::ids::{LineAddr, PhysAddr};
use crate::mem::store_buffer::BufferedStore;
use crate::op::Op;
use crate::op::effects::{self, Effects, RegisterSet};
use serde::{Deserialize, Serialize};
use sim_core::Cycle;

/// A loop whose iterations are being skipped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Park {
    /// Clock at the head of the loop when it was parked.
    pub since: Cycle,
    /// Cycles of one iteration.
    pub period: u64,
    /// Instructions of one iteration.
    pub instructions: u64,
    /// True if an iteration has stores that commit.
    pub stores: bool,
    /// For a counted loop: the register that counts down and how many iterations may be skipped.
    pub counted: Option<(u8, u64)>,
    /// For a loop that only polls a word of this line: the iteration begins with its load.
    pub polls: Option<LineAddr>,
}

impl Park {
    /// Whole iterations that fit between parking and `now`.
    fn iterations(&self, now: Cycle) -> u64 {
        let fit = now.since(self.since) / self.period;
        self.counted.map_or(fit, |(_, most)| fit.min(most))
    }

    /// When a counted loop has to be woken.
    #[must_use]
    pub fn ends_at(&self) -> Option<Cycle> {
        self.counted.map(|(_, most)| self.since + most.saturating_mul(self.period))
    }
}

impl Core {
    /// Brings a parked core to the last loop head at or before `now`, running again.
    pub(crate) fn unpark(&mut self, now: Cycle) {
        let Run::Parked(park) = self.unit.run else { return };
        let n = park.iterations(now);
        self.unit.clock = park.since + n * park.period;
        self.unit.instructions += n * park.instructions;
        if park.stores {
            self.unit.stores.shift(n * park.period);
        }
        if self.unit.locked_until > park.since {
            self.unit.locked_until += n * park.period;
        }
        if let Some((register, _)) = park.counted {
            let left = &mut self.regs.gpr[usize::from(register)];
            *left -= n;
            // An interrupt may push the flags before the loop sets them again.
            let (_, status) = alu::dec(*left + 1, self.regs.rflags, Size::B8);
            operand::set_status(&mut self.regs, status);
        }
        self.unit.run = Run::Running;
    }
}

/// Where [`Core::walk`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// To the limit.
    Limit,
    /// To the head of the loop.
    Head,
    /// Out of the loop, or to an instruction that needs more than a look.
    Elsewhere,
}

impl Core {
    /// Executes what is left of an iteration of the loop that was parked last, as long as it hits
    /// the most recent ways only, up to `limit`: without a look at pages or at the next event. With
    /// `round`, on and on. No interrupt is to be taken, and nothing is buffered.
    pub(crate) fn walk(
        &mut self,
        spin: &mut SpinProbe,
        parts: &mut Parts<'_>,
        limit: Cycle,
        round: bool,
    ) -> Walked {
        spin.within = false;
        let plain = CoreBus::plain_ram(self.regs.cpl() == 3, parts.spec, parts.log);
        let edition = parts.code.edition();
        let mut bus = CoreBus { plain, ..parts.bus(&mut self.unit, self.regs.rip) };
        let survey = &spin.survey;
        if !survey.is_known(edition) || !bus.unit.stores.is_empty() || !survey.code_hits(bus.unit) {
            return Walked::Elsewhere;
        }
        let Some(mut at) = survey.ops.iter().position(|next| next.rip == self.regs.rip) else {
            return Walked::Elsewhere;
        };
        while bus.unit.clock < limit {
            let next = &survey.ops[at];
            let Some(cost) = survey.execute(next, &mut self.regs, &mut bus) else {
                return Walked::Elsewhere;
            };
            bus.unit.retire(cost);
            bus.unit.fetch_line = next.line;
            at += 1;
            if at == survey.ops.len() {
                at = 0;
                if !round {
                    return Walked::Head;
                }
            }
        }
        spin.within = true;
        Walked::Limit
    }
}

/// Branches to other places before a candidate loop head is given up.
const PATIENCE: u32 = 8;
/// Failures in a row after which looking becomes rarer.
const EAGER: u32 = 8;
/// At most this power of two of visits are passed over between two looks.
const LAZIEST: u32 = 6;

/// More lines than these are not worth the search at every probe.
const MOST_LINES: usize = 8;
/// Longer iterations than this are not surveyed.
const MOST_INSTRUCTIONS: u64 = 32;

/// An instruction of a loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surveyed {
    rip: u64,
    pub(super) op: Op,
    /// The line that it ends in.
    pub(super) line: LineAddr,
}

/// What one iteration of a loop does and which lines it touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// True while each instruction is to be looked at.
    active: bool,
    /// The instructions looked at, in their order.
    ops: Vec<Surveyed>,
    /// The lines that they lie in.
    code: Vec<LineAddr>,
    /// The lines that they read.
    data: Vec<LineAddr>,
    /// False if something was done whose lines are not known.
    complete: bool,
    /// Set when the loop was parked: what has to be the same for it to be tried.
    known: Option<Known>,
    /// If an iteration that begins with its one load, of this number, depends on nothing but the
    /// value loaded: what it leaves in registers is then the same each time.
    poll: Option<usize>,
}

/// See [`Survey::known`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    /// Line of the jump that closes the loop.
    fetch_line: LineAddr,
    /// See [`CodeCache::edition`](crate::core::code::CodeCache::edition).
    edition: u64,
}

impl Survey {
    fn start(&mut self) {
        (self.active, self.complete, self.known) = (true, true, None);
        self.ops.clear();
        self.code.clear();
        self.data.clear();
    }

    /// True if its instructions only poll, and are still what they were.
    fn is_known(&self, edition: u64) -> bool {
        self.known.is_some_and(|known| known.edition == edition)
    }

    /// The instructions of the loop at `head`, if it is the one that was parked last and its code
    /// is where it was then.
    fn loop_at(&self, head: u64, unit: &Unit, edition: u64) -> Option<&[Surveyed]> {
        let begins = self.ops.first().is_some_and(|first| first.rip == head);
        let same = begins && self.known == Some(Known { fetch_line: unit.fetch_line, edition });
        (same && self.code_hits(unit)).then_some(&self.ops)
    }

    /// True if fetching its instructions changes nothing in L1I.
    fn code_hits(&self, unit: &Unit) -> bool {
        self.code.iter().all(|&line| unit.caches.is_recent_code(line))
    }

    /// The instruction at RIP, if it is `next` of the loop, reads the surveyed lines only, and
    /// changes nothing but `regs`: its cycles. If not, nothing has changed.
    fn execute(&self, next: &Surveyed, regs: &mut Registers, bus: &mut CoreBus<'_>) -> Option<u32> {
        if regs.rip != next.rip {
            return None;
        }
        if let Some(addr) = next.op.loads_from(regs) {
            // Probes for other lines do not wake the core.
            let line = bus.recent_line(addr, next.op.size)?;
            if !self.data.contains(&line) {
                return None;
            }
        }
        bus.cost = 0;
        let flow = execute(regs, bus, &next.op).ok()?;
        matches!(flow, Flow::Next | Flow::Taken).then(|| bus.cost + next.op.cost())
    }

    /// See [`Survey::poll`].
    fn find_poll(&self) -> Option<usize> {
        let loads = |next: &&Surveyed| next.op.reads_memory();
        let load = self.ops.iter().position(|next| loads(&next))?;
        let separate = self.data.iter().all(|line| !self.code.contains(line));
        if self.ops.iter().filter(loads).count() > 1 || !separate {
            return None;
        }
        let effects: Option<Vec<Effects>> =
            self.ops.iter().map(|next| effects::effects(&next.op)).collect();
        let mut effects = effects?;
        effects.rotate_left(load);
        let (first, others) = effects.split_first()?;
        let written = others.iter().fold(Written::default(), |all, next| all.with(next));
        // Once it has the value, loading it again changes nothing.
        if first.writes & written.registers != 0 || first.writes_flags && written.flags {
            return None;
        }
        let (all, mut so_far) = (written.with(first), Written::default());
        for next in &effects {
            let registers = (next.reads | next.address) & all.registers & !so_far.registers;
            let flags = next.reads_flags && all.flags && !so_far.flags;
            if registers != 0 || flags {
                return None;
            }
            so_far = so_far.with(next);
        }
        Some(load)
    }

    /// The iteration that begins with the load of [`Survey::poll`], from `regs` on, if it changes
    /// nothing but `regs` and comes back to the load.
    fn round(
        &self,
        load: usize,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<Round> {
        let first = self.ops.get(load)?;
        let line = bus.recent_line(first.op.loads_from(regs)?, first.op.size)?;
        let (before, from) = self.ops.split_at(load);
        let cycles = self.execute_all(from, regs, bus)? + self.execute_all(before, regs, bus)?;
        (regs.rip == first.rip && cycles > 0).then_some(Round { line, cycles })
    }

    /// Executes `ops`: their cycles.
    fn execute_all(
        &self,
        ops: &[Surveyed],
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<u64> {
        let mut cycles = 0;
        for next in ops {
            cycles += u64::from(self.execute(next, regs, bus)?);
        }
        Some(cycles)
    }

    /// The line of the instruction before the load of [`Survey::poll`].
    fn line_before(&self, load: usize) -> LineAddr {
        let before = load.checked_sub(1).unwrap_or(self.ops.len() - 1);
        self.ops[before].line
    }

    /// The core has come to the load of [`Survey::poll`] after a round.
    fn park_at(&self, load: usize, since: Cycle, round: Round, unit: &mut Unit) -> Park {
        unit.fetch_line = self.line_before(load);
        let (period, instructions) = (round.cycles, self.ops.len() as u64);
        Park { since, period, instructions, stores: false, counted: None, polls: Some(round.line) }
    }

    /// From the head to the load of [`Survey::poll`], and once round.
    fn poll_from_head(
        &self,
        load: usize,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        limit: Cycle,
    ) -> Option<(u64, Park)> {
        let cycles = self.execute_all(&self.ops[..load], regs, bus)?;
        let round = self.round(load, regs, bus)?;
        let since = bus.unit.clock + cycles + round.cycles;
        let executed = (load + self.ops.len()) as u64;
        (since <= limit).then(|| (executed, self.park_at(load, since, round, bus.unit)))
    }

    /// One iteration from the head, or two.
    fn repeat(
        &self,
        ops: &[Surveyed],
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        limit: Cycle,
    ) -> Option<(u64, Park)> {
        let (head, instructions) = (regs.rip, ops.len() as u64);
        let mut since = bus.unit.clock;
        for executed in [0, instructions] {
            let before = *regs;
            let period = self.execute_all(ops, regs, bus)?;
            if regs.rip != head || period == 0 {
                return None;
            }
            if *regs == before {
                let (stores, counted, polls) = (false, None, None);
                let park = Park { since, period, instructions, stores, counted, polls };
                return Some((executed, park));
            }
            since += period;
            if since > limit {
                return None;
            }
        }
        None
    }
}

/// See [`Survey::round`].
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The line that it polls.
    line: LineAddr,
    cycles: u64,
}

/// What instructions write.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    registers: RegisterSet,
    flags: bool,
}

impl Written {
    fn with(self, effects: &Effects) -> Self {
        let registers = self.registers | effects.writes;
        Written { registers, flags: self.flags || effects.writes_flags }
    }
}

fn add_lines(lines: &mut Vec<LineAddr>, (first, bytes): (PhysAddr, u64)) {
    for line in [first.line(), PhysAddr(first.0 + bytes - 1).line()] {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

/// What is remembered of the last visit to a loop head. Derived: it never changes a result.
#[derive(Clone, Debug, Default)]
pub struct SpinProbe {
    head: u64,
    regs: Registers,
    clock: Cycle,
    instructions: u64,
    activity: Activity,
    stores: Vec<BufferedStore>,
    last_commit: Cycle,
    patience: u32,
    failures: u32,
    pass: u32,
    /// True if the next loop is likely to be one that was interrupted.
    resumes: bool,
    /// True if the core is likely to be within the loop that was parked last.
    within: bool,
    survey: Survey,
}

impl SpinProbe {
    /// True if this backward branch is to be looked at by [`SpinProbe::visit`]. HOT.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        let due = self.pass == 0;
        self.pass = self.pass.saturating_sub(1);
        due
    }

    /// The core has just jumped back to `regs.rip`. Returns how to park it if the iteration since
    /// the last visit repeats. `counter` tells the register of a counted delay loop at its head;
    /// `edition` is that of the decoded code.
    pub fn visit(
        &mut self,
        regs: &Registers,
        unit: &Unit,
        edition: u64,
        counter: impl FnOnce() -> Option<u8>,
    ) -> Option<Park> {
        if regs.rip != self.head {
            if self.patience > 0 {
                self.patience -= 1;
            } else {
                self.failures = 0;
                self.survey.active = false;
                self.remember(regs, unit);
                if std::mem::take(&mut self.resumes) {
                    self.survey.start();
                }
            }
            return None;
        }
        self.look(regs, unit, edition, counter)
    }

    /// Another run begins: nothing is taken over from the one before.
    pub(crate) fn begin(&mut self) {
        self.survey.known = None;
        self.forget();
    }

    /// The core's clock has jumped: what was remembered of it is no iteration any more.
    pub(crate) fn forget(&mut self) {
        (self.head, self.patience, self.failures, self.pass) = (0, 0, 0, 0);
        (self.resumes, self.survey.active, self.within) = (false, false, false);
    }

    /// The core has left the loop that it was parked in, somewhere within an iteration.
    pub(crate) fn leave(&mut self) {
        self.forget();
        self.within = true;
    }

    /// True if the core may be within the loop that was parked last: see [`Core::walk`].
    #[inline]
    pub(crate) fn is_within(&self) -> bool {
        self.within
    }

    /// The core returns from an interrupt: the loop that was interrupted is likely to go on.
    pub(crate) fn resume(&mut self) {
        self.leave();
        self.resumes = true;
    }

    /// True if what comes next is likely to be a loop, or is one that is surveyed.
    pub(crate) fn is_looking(&self) -> bool {
        self.resumes || self.survey.active
    }

    /// True while the lines of an iteration are wanted: [`SpinProbe::survey`] for each instruction.
    #[inline]
    pub(crate) fn surveys(&self) -> bool {
        self.survey.active
    }

    /// `op` of the iteration lies at `rip`, in the bytes at `code`, and its operand at `data`.
    /// `known` is false if it may touch more than that.
    pub(crate) fn survey(
        &mut self,
        (rip, op): (u64, Op),
        code: (PhysAddr, u64),
        data: Option<(PhysAddr, u64)>,
        known: bool,
    ) {
        let survey = &mut self.survey;
        let line = PhysAddr(code.0.0 + code.1 - 1).line();
        survey.ops.push(Surveyed { rip, op, line });
        add_lines(&mut survey.code, code);
        if let Some(data) = data {
            add_lines(&mut survey.data, data);
        }
        survey.complete &= known && survey.code.len() + survey.data.len() <= MOST_LINES;
        survey.active = (survey.ops.len() as u64) < MOST_INSTRUCTIONS;
    }

    /// Tries the loop that was parked last, if the core has just come back to its head: how it can
    /// be parked again, if it repeats, and how many instructions come before that; `limit`: it has to
    /// repeat by then. If it does not, `regs` are of no use.
    pub(super) fn retry(
        &self,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        edition: u64,
        limit: Cycle,
    ) -> Option<(u64, Park)> {
        let unit = &*bus.unit;
        let fresh = unit.stores.is_empty() && unit.paid == NO_LINE;
        if !fresh || unit.locked_until > unit.clock {
            return None;
        }
        let ops = self.survey.loop_at(regs.rip, unit, edition)?;
        match self.survey.poll {
            Some(load) => self.survey.poll_from_head(load, regs, bus, limit),
            None => self.survey.repeat(ops, regs, bus, limit),
        }
    }

    /// True if the loop that was parked last begins with a load at `rip`, and its code is where it was
    /// then. The core is about to come to that load from within.
    pub(super) fn comes_round(&self, rip: u64, unit: &mut Unit, edition: u64) -> bool {
        let survey = &self.survey;
        let Some(load) = survey.poll.filter(|_| survey.is_known(edition)) else { return false };
        let fresh = unit.stores.is_empty() && unit.paid == NO_LINE;
        let same = survey.ops[load].rip == rip && survey.code_hits(unit);
        let comes = same && fresh && unit.locked_until <= unit.clock;
        if comes {
            unit.fetch_line = survey.line_before(load);
        }
        comes
    }

    /// The load at RIP has got its line: how the core is parked again, if it polls the line and has
    /// to wait on, and how many instructions come before that. If not, `regs` are of no use.
    pub(super) fn go_round(
        &self,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        edition: u64,
    ) -> Option<(u64, Park)> {
        let survey = &self.survey;
        let load = survey.poll.filter(|_| survey.is_known(edition))?;
        if survey.ops[load].rip != regs.rip || !survey.code_hits(bus.unit) {
            return None;
        }
        let paid = std::mem::replace(&mut bus.unit.paid, NO_LINE);
        let round = survey.round(load, regs, bus)?;
        if round.line != paid {
            return None;
        }
        // The load's latency has passed while the core waited.
        let since = bus.unit.clock + (round.cycles - u64::from(bus.memory().l1_hit));
        Some((survey.ops.len() as u64, survey.park_at(load, since, round, bus.unit)))
    }

    /// The instruction at `rip` of the loop that was parked last.
    pub(super) fn instruction_at(&self, rip: u64) -> Option<&Surveyed> {
        self.survey.ops.iter().find(|next| next.rip == rip)
    }

    /// True if the loop that was parked last never touches `line`.
    pub(crate) fn never_touches(&self, line: LineAddr) -> bool {
        let survey = &self.survey;
        survey.complete && !survey.code.contains(&line) && !survey.data.contains(&line)
    }

    /// True if the iteration before this visit was surveyed, or need not be. If not, the next one
    /// will be.
    fn is_surveyed(&mut self, park: &Park, unit: &Unit) -> bool {
        let polls = park.counted.is_none() && !park.stores && unit.stores.is_empty();
        if !polls || park.instructions >= MOST_INSTRUCTIONS {
            (self.survey.active, self.survey.complete) = (false, false);
            self.survey.known = None;
            return true;
        }
        let surveyed = self.survey.active && self.survey.ops.len() as u64 == park.instructions;
        if surveyed {
            self.survey.active = false;
        } else {
            self.survey.start();
        }
        surveyed
    }

    fn look(
        &mut self,
        regs: &Registers,
        unit: &Unit,
        edition: u64,
        counter: impl FnOnce() -> Option<u8>,
    ) -> Option<Park> {
        let quiet = unit.activity.is_still(self.activity) && unit.clock > self.clock;
        let park = if !quiet || !self.same_stores(unit) {
            None
        } else if *regs == self.regs {
            Some(None)
        } else {
            counter().and_then(|register| self.counts_down(regs, register)).map(Some)
        };
        let park = park.map(|counted| Park {
            since: unit.clock,
            period: unit.clock - self.clock,
            instructions: unit.instructions - self.instructions,
            stores: unit.stores.last_commit() != self.last_commit,
            counted,
            polls: None,
        });
        if park.is_none() {
            self.survey.active = false;
            self.failures += 1;
            self.pass = match self.failures.checked_sub(EAGER) {
                Some(over) => 1 << over.min(LAZIEST),
                None => 0,
            };
        } else {
            self.failures = 0;
        }
        self.remember(regs, unit);
        let park = park.filter(|park| self.is_surveyed(park, unit))?;
        if self.survey.complete {
            self.survey.known = Some(Known { fetch_line: unit.fetch_line, edition });
            self.survey.poll = self.survey.find_poll();
        }
        Some(park)
    }

    /// True if the buffered stores are the same as at the last visit, shifted in time.
    fn same_stores(&self, unit: &Unit) -> bool {
        let shift = unit.clock - self.clock;
        let same = |(then, now): (&BufferedStore, &BufferedStore)| {
            BufferedStore { ready: then.ready + shift, ..*then } == *now
        };
        self.stores.len() == unit.stores.iter().count()
            && self.stores.iter().zip(unit.stores.iter()).all(same)
    }

    /// True (with the iterations that may be skipped) if only `register` changed, by -1. Flags
    /// may differ: they are those of the DEC at the loop's head.
    fn counts_down(&self, regs: &Registers, register: u8) -> Option<(u8, u64)> {
        let at = usize::from(register);
        let mut expected = self.regs;
        expected.gpr[at] = expected.gpr[at].wrapping_sub(1);
        expected.rflags = regs.rflags;
        let left = regs.gpr[at];
        (expected == *regs && left > 2).then_some((register, left - 1))
    }

    fn remember(&mut self, regs: &Registers, unit: &Unit) {
        self.head = regs.rip;
        self.regs = *regs;
        self.clock = unit.clock;
        self.instructions = unit.instructions;
        self.activity = unit.activity;
        self.last_commit = unit.stores.last_commit();
        self.stores.clear();
        self.stores.extend(unit.stores.iter());
        self.patience = PATIENCE;
    }
}
