//! Tasks: their CPUs, process ids and address spaces.

use super::{Plan, check_cpu};
use crate::diagnostics::Diagnostics;
use crate::schema::{Condition, Cpus, KernelOp, Population, Program, UserOp};
use crate::tree::{Span, Spanned};
use crate::units::Duration;

/// Process ids that are not given count from here.
const FIRST_PID: u32 = 2000;
/// User blocks, stacks and boot data have room for this many.
const MOST_TASKS: usize = 100_000;

/// A task with everything decided.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTask<'s> {
    /// Command name.
    pub comm: &'s str,
    /// Process id.
    pub pid: u32,
    /// CPU.
    pub cpu: u16,
    /// Start after the epoch, ns.
    pub start_ns: u64,
    /// Number of its address space; 0 for kernel threads.
    pub mm: u32,
    /// True: real-time priority 99.
    pub fifo: bool,
    /// What it runs.
    pub program: &'s Program,
    /// True if the run may wait for it: all of `tasks`, and populations that say so.
    pub listed: bool,
    /// True if its program has an end.
    pub finite: bool,
}

/// What a listed task and a member of a population have in common.
struct Like<'s> {
    comm: &'s Spanned<String>,
    cpu: u16,
    at: Option<&'s Spanned<Duration>>,
    mm: Option<&'s Spanned<String>>,
    program: &'s Program,
    span: Span,
}

impl<'s> Plan<'s> {
    pub(super) fn add_tasks(&mut self, diags: &mut Diagnostics) {
        let scenario = self.scenario;
        let named: Vec<u64> =
            scenario.tasks.iter().filter_map(|task| Some(task.pid.as_ref()?.value)).collect();
        let mut pids = (FIRST_PID..).filter(|pid| !named.contains(&u64::from(*pid)));
        for (index, task) in scenario.tasks.iter().enumerate() {
            if let Some(pid) = &task.pid
                && scenario.tasks[..index]
                    .iter()
                    .any(|other| other.pid.as_ref().is_some_and(|other| other.value == pid.value))
            {
                let help = Some("leave `pid` out to have one chosen".to_owned());
                diags.error(pid.span, format!("two tasks have the pid {}", pid.value), help);
            }
            let like = Like {
                comm: &task.comm,
                cpu: self.cpu(&task.cpu, diags),
                at: task.at.as_ref(),
                mm: task.mm.as_ref(),
                program: &task.program,
                span: task.span,
            };
            let given = task.pid.as_ref().and_then(|pid| u32::try_from(pid.value).ok());
            let pid = given.or_else(|| pids.next()).unwrap_or(FIRST_PID);
            self.add_task(&like, pid, true, task.fifo, diags);
        }
        for population in &scenario.populations {
            self.add_population(population, &mut pids, diags);
        }
    }

    fn add_population(
        &mut self,
        population: &'s Population,
        pids: &mut impl Iterator<Item = u32>,
        diags: &mut Diagnostics,
    ) {
        let cores = self.spec.cores;
        let cpus: Vec<u16> = match &population.cpus {
            Cpus::All => (0..u16::try_from(cores).unwrap_or(u16::MAX)).collect(),
            Cpus::Listed(list) => list.iter().map(|cpu| check_cpu(cpu, cores, diags)).collect(),
        };
        for (_, cpu) in (0..population.count.value).zip(cpus.iter().cycle()) {
            if self.tasks.len() == MOST_TASKS {
                let message = format!("there may be {MOST_TASKS} tasks at most");
                diags.error(population.count.span, message, None);
                return;
            }
            let like = Like {
                comm: &population.comm,
                cpu: *cpu,
                at: population.at.as_ref(),
                mm: population.mm.as_ref(),
                program: &population.program,
                span: population.span,
            };
            let pid = pids.next().unwrap_or(FIRST_PID);
            self.add_task(&like, pid, population.awaited, false, diags);
        }
    }

    fn add_task(
        &mut self,
        like: &Like<'s>,
        pid: u32,
        listed: bool,
        fifo: bool,
        diags: &mut Diagnostics,
    ) {
        let mm = self.mm(like, diags);
        self.check_start(like, diags);
        let finite = match like.program {
            Program::User(ops) => user_ends(ops),
            Program::Kernel(ops) => kernel_ends(ops),
            Program::Function(..) => false,
        };
        self.tasks.push(PlannedTask {
            comm: &like.comm.value,
            pid,
            cpu: like.cpu,
            start_ns: like.at.map_or(0, |at| at.value.nanos(self.spec.clock)),
            mm,
            fifo,
            program: like.program,
            listed,
            finite,
        });
    }

    /// The number of a task's address space: 0 in the kernel, shared by name, else its own.
    /// Numbers of unnamed ones follow those of all named ones.
    fn mm(&mut self, like: &Like<'s>, diags: &mut Diagnostics) -> u32 {
        let user = matches!(like.program, Program::User(_));
        if let (Some(mm), false) = (like.mm, user) {
            diags.error(mm.span, "a kernel thread has no address space of its own", None);
        }
        if !user {
            return 0;
        }
        let own = u32::try_from(self.named_mms() + 1 + self.tasks.len()).unwrap_or(u32::MAX);
        let Some(name) = like.mm else { return own };
        let next = u32::try_from(self.mms.len() + 1).unwrap_or(u32::MAX);
        *self.mms.entry(&name.value).or_insert(next)
    }

    /// How many address spaces the scenario names, at most.
    fn named_mms(&self) -> usize {
        let tasks = self.scenario.tasks.iter().filter(|task| task.mm.is_some()).count();
        tasks + self.scenario.populations.iter().filter(|p| p.mm.is_some()).count()
    }

    fn check_start(&self, like: &Like<'_>, diags: &mut Diagnostics) {
        let Some(at) = like.at else { return };
        let clock = self.spec.clock;
        let end = self.scenario.until.iter().filter_map(|condition| match &condition.value {
            Condition::Time(time) => Some(time.value.nanos(clock)),
            _ => None,
        });
        if end.min().is_some_and(|end| at.value.nanos(clock) >= end) {
            let message = format!("`{}` starts when the run is over", like.comm.value);
            let help = Some("start it earlier or let the run last longer".to_owned());
            diags.error(if at.span.end > 0 { at.span } else { like.span }, message, help);
        }
    }
}

/// True if a program in ring 3 comes to its end.
fn user_ends(ops: &[Spanned<UserOp>]) -> bool {
    for op in ops {
        match &op.value {
            UserOp::Exit(_) => return true,
            UserOp::Forever(body) => {
                return body.iter().any(|op| matches!(op.value, UserOp::Exit(_)));
            }
            UserOp::EpollWait(None) | UserOp::Uninterruptible(None) => return false,
            UserOp::Repeat(_, body) if !user_ends(body) => return false,
            _ => {}
        }
    }
    true
}

/// True if a kernel script comes to its end, or says that its work is done.
fn kernel_ends(ops: &[Spanned<KernelOp>]) -> bool {
    for op in ops {
        match &op.value {
            KernelOp::MarkDone => return true,
            KernelOp::Forever(body) => return mentions_done(body),
            KernelOp::Panic(_) => return false,
            KernelOp::Repeat(_, body) if !kernel_ends(body) => return false,
            _ => {}
        }
    }
    true
}

fn mentions_done(ops: &[Spanned<KernelOp>]) -> bool {
    ops.iter().any(|op| match &op.value {
        KernelOp::MarkDone => true,
        KernelOp::Forever(body) | KernelOp::Repeat(_, body) => mentions_done(body),
        KernelOp::If(_, _, then, otherwise) => mentions_done(then) || mentions_done(otherwise),
        _ => false,
    })
}
