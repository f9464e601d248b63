//! HOT: loops that only poll a word.
//!
//! Most waiting loops read one word over and over, and whatever else they do follows from what they
//! find there and from registers that they never change. Such a loop is parked at its load: from
//! there on, one *round* back to the load leaves the registers as every further round with the same
//! word does. So one round decides, and of its instructions only those count that write registers or
//! flags, and which way its branches go.

use super::survey::{Survey, Surveyed};
use crate::core::bus::CoreBus;
use crate::core::regs::Registers;
use crate::core::spin::Park;
use crate::core::{NO_LINE, Unit};
use crate::exec::operand::{mask, set_status};
use crate::exec::pure::{self, Operand, Pure};
use crate::exec::{Size, condition, execute};
use crate::ids::LineAddr;
use crate::op::effects::{Effects, RegisterSet, effects};
use crate::op::{Form, Kind, Op};
use sim_core::Cycle;

/// A loop that only polls a word.
#[derive(Clone, Debug)]
pub(in crate::core) struct Poll {
    /// Which of its instructions is the load.
    pub(super) load: usize,
    /// Cycles of a round that comes back to the load.
    cycles: u64,
    /// What a round does, from the load on.
    steps: Vec<Step>,
    /// Cycles from the load to the end of each of its instructions, if each register that it writes
    /// is written once: further rounds then leave them as they are all the time.
    ends: Option<Vec<u64>>,
    /// The line of the instruction before the load.
    pub(super) line_before: LineAddr,
}

/// A part of a round that is more than time.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Puts the low bytes of the polled word into a register.
    Take { to: u8, size: Size },
    /// Computes a register, or flags only.
    Compute { pure: Pure, size: Size, operands: [Operand; 2], to: Option<u8> },
    /// Executes the instruction of this number.
    Execute(usize),
    /// A branch that has to go as always.
    Branch { cond: u8, taken: bool },
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

/// True if no register is written by two instructions of a round, and flags by no two.
fn writes_once(round: &[Effects]) -> bool {
    let registers: u32 = round.iter().map(|next| next.writes.count_ones()).sum();
    let all = round.iter().fold(Written::default(), Written::with);
    let flags = round.iter().filter(|next| next.writes_flags).count();
    registers == all.registers.count_ones() && flags <= 1
}

/// True if what a round leaves in registers depends on nothing but the value that its first
/// instruction loads, and on registers that no instruction of it writes.
fn depends_on_the_load_only(round: &[Effects]) -> bool {
    let Some((load, others)) = round.split_first() else { return false };
    let written = others.iter().fold(Written::default(), Written::with);
    // Once the value is there, loading it again changes nothing.
    if load.writes & written.registers != 0 || load.writes_flags && written.flags {
        return false;
    }
    let (all, mut so_far) = (written.with(load), Written::default());
    for next in round {
        let registers = (next.reads | next.address) & all.registers & !so_far.registers;
        if registers != 0 || next.reads_flags && all.flags && !so_far.flags {
            return false;
        }
        so_far = so_far.with(next);
    }
    true
}

/// What `next` does, besides taking time, if `then` follows it: `None` if its time is not known.
fn step(number: usize, next: &Surveyed, then: &Surveyed) -> Option<Option<Step>> {
    let behind = next.rip.wrapping_add(next.op.length());
    match next.op.kind {
        Kind::Jmp | Kind::Nop | Kind::Pause => Some(None),
        Kind::Jcc if behind.wrapping_add(next.op.imm) == behind => None,
        Kind::Jcc => Some(Some(Step::Branch { cond: next.op.cond, taken: then.rip != behind })),
        _ => {
            let step = take(&next.op).or_else(|| compute(&next.op));
            Some(Some(step.unwrap_or(Step::Execute(number))))
        }
    }
}

/// A load that fills a whole register.
fn take(op: &Op) -> Option<Step> {
    let size = match op.kind {
        Kind::Mov => op.size,
        Kind::Movzx8 => Size::B1,
        Kind::Movzx16 => Size::B2,
        _ => return None,
    };
    let whole = op.form == Form::RegMem && op.size >= Size::B4;
    whole.then_some(Step::Take { to: op.dst, size })
}

fn compute(op: &Op) -> Option<Step> {
    let (pure, operands) = (Pure::of(op.kind)?, pure::operands(op)?);
    let to = (!matches!(op.kind, Kind::Cmp | Kind::Test)).then_some(op.dst);
    Some(Step::Compute { pure, size: op.size, operands, to })
}

/// Cycles of an instruction of a round, without those of a load from L1D.
fn cost(next: &Surveyed, step: Option<Step>) -> u64 {
    let taken = matches!(step, Some(Step::Branch { taken: true, .. }));
    u64::from(next.op.cost()) + if taken { u64::from(next.op.extra) } else { 0 }
}

/// When the instructions of a round end that takes `cycles`: what their `costs` leave is the load's.
fn ends(costs: &[u64], cycles: u64) -> Option<Vec<u64>> {
    let mut end = cycles.checked_sub(costs.iter().sum())?;
    let next = |cost: &u64| {
        end += cost;
        end
    };
    Some(costs.iter().map(next).collect())
}

impl Poll {
    /// The loop of `survey`, whose iterations take so many cycles, if it only polls a word.
    pub(super) fn of(survey: &Survey, cycles: u64) -> Option<Self> {
        let ops = &survey.ops;
        let loads = |next: &&Surveyed| next.op.reads_memory();
        let load = ops.iter().position(|next| loads(&next))?;
        let separate = survey.data.iter().all(|line| !survey.code.contains(line));
        if ops.iter().filter(loads).count() > 1 || !separate {
            return None;
        }
        let round = || (0..ops.len()).map(|n| (load + n) % ops.len());
        let effects: Option<Vec<Effects>> = round().map(|n| effects(&ops[n].op)).collect();
        let effects = effects?;
        if !depends_on_the_load_only(&effects) {
            return None;
        }
        let steps: Option<Vec<Option<Step>>> =
            round().map(|n| step(n, &ops[n], &ops[(n + 1) % ops.len()])).collect();
        let steps = steps?;
        let costs: Vec<u64> = round().zip(&steps).map(|(n, step)| cost(&ops[n], *step)).collect();
        let ends = writes_once(&effects).then(|| ends(&costs, cycles)).flatten();
        let steps = steps.into_iter().flatten().collect();
        let line_before = ops[(load + ops.len() - 1) % ops.len()].line;
        Some(Poll { load, cycles, steps, ends, line_before })
    }

    /// Lets a core that is parked at the load, which begins at its clock, go on to the first boundary
    /// at or after `now`, within a round: false if that takes executing.
    pub(super) fn go_on(
        &self,
        ops: &[Surveyed],
        regs: &mut Registers,
        unit: &mut Unit,
        now: Cycle,
    ) -> bool {
        let Some(ends) = &self.ends else { return false };
        let behind = now.since(unit.clock);
        if behind == 0 {
            return true;
        }
        let Some(last) = ends.iter().position(|&end| end >= behind) else { return false };
        let of = |n: usize| &ops[(self.load + n) % ops.len()];
        (regs.rip, unit.fetch_line) = (of(last + 1).rip, of(last).line);
        unit.clock += ends[last];
        unit.instructions += last as u64 + 1;
        (unit.restarting, unit.announced) = (false, false);
        true
    }

    /// The word that the load at RIP brings, if it is one of the lines that the loop reads: probes for
    /// others do not wake the core.
    fn word(
        &self,
        survey: &Survey,
        regs: &Registers,
        bus: &CoreBus<'_>,
    ) -> Option<(LineAddr, u64)> {
        let load = survey.ops.get(self.load)?;
        let word = bus.recent_word(load.op.loads_from(regs)?, load.op.size)?;
        survey.data.contains(&word.0).then_some(word)
    }

    /// A round from the load on, if the core comes back to the load. If not, `regs` are of no use.
    fn round(
        &self,
        survey: &Survey,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        word: u64,
    ) -> Option<()> {
        let load = survey.ops.get(self.load)?;
        for step in &self.steps {
            match *step {
                Step::Take { to, size } => regs.gpr[usize::from(to & 15)] = word & mask(size),
                Step::Compute { pure, size, operands: [a, b], to } => {
                    let of = |operand| match operand {
                        Operand::Register(register) => regs.gpr[usize::from(register & 15)],
                        Operand::Memory => word,
                        Operand::Immediate(value) => value,
                    };
                    let (value, status) = pure.apply(of(a), of(b), regs.rflags, size);
                    set_status(regs, status);
                    if let Some(to) = to {
                        regs.gpr[usize::from(to & 15)] = value;
                    }
                }
                Step::Execute(number) => {
                    let next = survey.ops.get(number)?;
                    regs.rip = next.rip;
                    execute(regs, bus, &next.op).ok()?;
                }
                Step::Branch { cond, taken } => {
                    if condition(cond, regs.rflags) != taken {
                        return None;
                    }
                }
            }
        }
        regs.rip = load.rip;
        Some(())
    }

    /// The core is parked at the load from `since` on, after a round that polled `line`.
    fn park(&self, survey: &Survey, since: Cycle, line: LineAddr, unit: &mut Unit) -> Park {
        unit.fetch_line = self.line_before;
        let (period, instructions) = (self.cycles, survey.ops.len() as u64);
        Park { since, period, instructions, stores: false, counted: None, polls: Some(line) }
    }

    /// From the head of the loop to its load, and once round: how the core is parked, and how many
    /// instructions come before.
    pub(super) fn park_from_head(
        &self,
        survey: &Survey,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<(u64, Park)> {
        let cycles = survey.execute_all(&survey.ops[..self.load], regs, bus)?;
        let since = bus.unit.clock + cycles + self.cycles;
        if regs.rip != survey.ops[self.load].rip {
            return None;
        }
        let (line, word) = self.word(survey, regs, bus)?;
        self.round(survey, regs, bus, word)?;
        let executed = (self.load + survey.ops.len()) as u64;
        Some((executed, self.park(survey, since, line, bus.unit)))
    }

    /// Once round from the load, for whose line the core has waited: as [`Poll::park_from_head`].
    pub(super) fn park_from_load(
        &self,
        survey: &Survey,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<(u64, Park)> {
        let paid = std::mem::replace(&mut bus.unit.paid, NO_LINE);
        let (line, word) = self.word(survey, regs, bus)?;
        if line != paid {
            return None;
        }
        self.round(survey, regs, bus, word)?;
        // The load's latency has passed while the core waited.
        let since = bus.unit.clock + (self.cycles - u64::from(bus.memory().l1_hit));
        Some((survey.ops.len() as u64, self.park(survey, since, line, bus.unit)))
    }
}
