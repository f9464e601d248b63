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
//! which lines it touches (`survey`). A probe for any other line does not wake it. When the core comes
//! back to the loop that it was parked in last, an iteration or two are tried: if they hit the most
//! recent ways only and end as they began, the core is parked again at once. One is enough where all
//! depends on one word (`poll`); [`carry`](crate::core::carry) has what else comes of that.

mod poll;
mod survey;

use crate::core::NO_LINE;
use crate::core::bus::CoreBus;
use crate::core::regs::Registers;
use crate::core::step::Parts;
use crate::core::{Activity, Core, Run, Unit};
use crate::exec::{Size, alu, operand};
use crate::ids::{LineAddr, PhysAddr};
use crate::mem::store_buffer::BufferedStore;
use crate::op::Op;
use poll::Poll;
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use survey::{Known, MOST_INSTRUCTIONS, MOST_LINES, Survey, Surveyed, add_lines};

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
        let edition = parts.code.edition();
        let (regs, mut bus) = self.plain_bus(parts);
        let survey = &spin.survey;
        if survey.known(edition).is_none()
            || !bus.unit.stores.is_empty()
            || !survey.code_hits(bus.unit)
        {
            return Walked::Elsewhere;
        }
        let Some(mut at) = survey.ops.iter().position(|next| next.rip == regs.rip) else {
            return Walked::Elsewhere;
        };
        while bus.unit.clock < limit {
            let next = &survey.ops[at];
            let Some(cost) = survey.execute(next, regs, &mut bus) else {
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
    /// Head of the last loop that was parked without a survey: it is too long for one, or does more.
    unsurveyed: u64,
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
                if std::mem::take(&mut self.resumes) && self.unsurveyed != regs.rip {
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
    /// be parked again, if it repeats, and how many instructions come before that. By `limit`, if it
    /// may not be ahead of time. If it does not repeat, `regs` are of no use.
    pub(super) fn retry(
        &self,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        edition: u64,
        limit: Option<Cycle>,
    ) -> Option<(u64, Park)> {
        let survey = &self.survey;
        let known = survey.known_at(regs.rip, bus.unit, edition)?;
        if !bus.unit.is_quiet() || bus.unit.paid != NO_LINE {
            return None;
        }
        match (&known.poll, limit) {
            (Some(poll), None) => poll.park_from_head(survey, regs, bus),
            (_, limit) => survey.repeat(regs, bus, limit.unwrap_or(Cycle::NEVER)),
        }
    }

    /// Lets a core that polls in the loop that was parked last go on to `now`: see [`Poll::go_on`].
    pub(super) fn go_on(&self, regs: &mut Registers, unit: &mut Unit, now: Cycle) -> bool {
        let poll = self.survey.known.as_ref().and_then(|known| known.poll.as_ref());
        poll.is_some_and(|poll| poll.go_on(&self.survey.ops, regs, unit, now))
    }

    /// How the loop that was parked last is polled, if its load lies at `rip`.
    pub(super) fn poll_at(&self, rip: u64, edition: u64) -> Option<&Poll> {
        let poll = self.survey.known(edition)?.poll.as_ref()?;
        (self.survey.ops[poll.load].rip == rip).then_some(poll)
    }

    /// True if the core, which is within the loop that was parked last, is about to come to its load
    /// at `rip`: it has then fetched what comes before.
    pub(super) fn comes_round(&self, rip: u64, unit: &mut Unit, edition: u64) -> bool {
        let Some(poll) = self.poll_at(rip, edition) else { return false };
        let fits = self.survey.code_hits(unit) && unit.is_quiet() && unit.paid == NO_LINE;
        unit.fetch_line = poll.line_before;
        fits
    }

    /// The load at RIP has got its line: how the core is parked again, if it polls the line and has
    /// to wait on, and how many instructions come before that. If not, `regs` are of no use.
    pub(super) fn go_round(
        &self,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        edition: u64,
    ) -> Option<(u64, Park)> {
        let poll = self.poll_at(regs.rip, edition)?;
        if !self.survey.code_hits(bus.unit) {
            return None;
        }
        poll.park_from_load(&self.survey, regs, bus)
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
            self.unsurveyed = self.head;
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
            let poll = Poll::of(&self.survey, park.period);
            self.survey.known = Some(Known { fetch_line: unit.fetch_line, edition, poll });
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
