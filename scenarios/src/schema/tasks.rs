//! `tasks: […]` and `populations: […]`.

use super::{Decoder, Fields, KernelOp, UserOp, devices::cpu};
use crate::tree::{Node, Span, Spanned, Value};
use crate::units::Duration;

/// What a task runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// In ring 3.
    User(Vec<Spanned<UserOp>>),
    /// A kernel thread.
    Kernel(Vec<Spanned<KernelOp>>),
    /// A kernel thread that runs a function `void f(u64 arg)` of an object.
    Function(Spanned<String>, u64),
}

/// A task as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its command name, at most 15 bytes.
    pub comm: Spanned<String>,
    /// Its process id; chosen if left out.
    pub pid: Option<Spanned<u64>>,
    /// Its CPU.
    pub cpu: Spanned<u64>,
    /// When it starts, after the epoch; at once if left out.
    pub at: Option<Spanned<Duration>>,
    /// Its address space; tasks that name the same one share it.
    pub mm: Option<Spanned<String>>,
    /// True: real-time priority 99, first in, first out.
    pub fifo: bool,
    /// What it runs.
    pub program: Program,
    /// Where it was written.
    pub span: Span,
}

/// Which CPUs a population spreads over.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cpus {
    /// All of them, in turn.
    #[default]
    All,
    /// These, in turn.
    Listed(Vec<Spanned<u64>>),
}

/// A group of equal tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// Command name of each.
    pub comm: Spanned<String>,
    /// How many.
    pub count: Spanned<u64>,
    /// Where they run.
    pub cpus: Cpus,
    /// When they start.
    pub at: Option<Spanned<Duration>>,
    /// Address space that all of them share; each has its own if left out.
    pub mm: Option<Spanned<String>>,
    /// True: `AllTasksDone` waits for its members, and `tasks_done` counts them.
    pub awaited: bool,
    /// What each runs.
    pub program: Program,
    /// Where it was written.
    pub span: Span,
}

impl Task {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Task> {
        let mut f = d.structure(node, "a task", None)?;
        let task = Task {
            comm: f.required(d, "comm", comm).unwrap_or_default(),
            pid: f.optional(d, "pid", |d, n| d.uint(n, "a process id", 1..=0x3f_ffff)),
            cpu: f.required(d, "cpu", cpu).unwrap_or_default(),
            at: f.optional(d, "at", Decoder::duration),
            mm: f.optional(d, "mm", Decoder::string),
            fifo: f.optional(d, "fifo", Decoder::bool).is_some_and(|b| b.value),
            program: Program::decode(d, &mut f),
            span: node.span,
        };
        f.finish(d);
        Some(task)
    }
}

impl Population {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Population> {
        let mut f = d.structure(node, "a population", None)?;
        let population = Population {
            comm: f.required(d, "comm", comm).unwrap_or_default(),
            count: f
                .required(d, "count", |d, n| d.uint(n, "the number of tasks", 0..=100_000))
                .unwrap_or_default(),
            cpus: f.optional(d, "cpus", Cpus::decode).unwrap_or_default(),
            awaited: f.optional(d, "awaited", Decoder::bool).is_some_and(|b| b.value),
            at: f.optional(d, "at", Decoder::duration),
            mm: f.optional(d, "mm", Decoder::string),
            program: Program::decode(d, &mut f),
            span: node.span,
        };
        f.finish(d);
        Some(population)
    }
}

impl Cpus {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Cpus> {
        match &node.value {
            Value::Word(word) if word == "All" => Some(Cpus::All),
            Value::List(items) if !items.is_empty() => d.list(node, "CPUs", cpu).map(Cpus::Listed),
            _ => {
                let help = Some("write All or a list such as [0, 1, 2]".to_owned());
                d.mismatch(node, "CPUs", help);
                None
            }
        }
    }
}

impl Program {
    fn decode(d: &mut Decoder, f: &mut Fields<'_>) -> Program {
        let run = f.node("run");
        let kernel = f.node("kernel");
        let arg = f.optional(d, "arg", Decoder::word);
        if let (Some(run), Some(_)) = (run, kernel) {
            let help = Some("remove `run` or `kernel`".to_owned());
            d.error(run.span, "a task runs either in ring 3 or in the kernel, not both", help);
        }
        let program = match (run, kernel) {
            (Some(run), _) => d.list(run, "operations", UserOp::decode).map(Program::User),
            (None, Some(kernel)) => match kernel.value {
                Value::Str(_) => d
                    .string(kernel)
                    .map(|name| Program::Function(name, arg.as_ref().map_or(0, |arg| arg.value))),
                _ => d.list(kernel, "kernel operations", KernelOp::decode).map(Program::Kernel),
            },
            (None, None) => {
                let help = Some("add `run: […]` (ring 3) or `kernel: […]`".to_owned());
                d.error(f.span, "a task needs something to run", help);
                None
            }
        };
        if let (Some(arg), Some(Program::User(_) | Program::Kernel(_))) = (arg, &program) {
            let help = Some("`arg` goes with `kernel: \"function\"`".to_owned());
            d.error(arg.span, "a script takes no argument", help);
        }
        program.unwrap_or(Program::User(Vec::new()))
    }
}

/// A command name: `TASK_COMM_LEN` is 16 with the final NUL.
fn comm(d: &mut Decoder, node: &Node) -> Option<Spanned<String>> {
    let name = d.string(node)?;
    if name.value.is_empty() || name.value.len() > 15 || name.value.contains('\0') {
        let help = Some("the kernel keeps 15 bytes".to_owned());
        d.error(node.span, "a command name has 1 to 15 bytes", help);
        return None;
    }
    Some(name)
}
