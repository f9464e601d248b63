//! Operations of kernel threads and interrupt handlers.

use super::{USER_OPS, times};
use crate::schema::{Decoder, Fields, devices::cpu};
use crate::tree::{Node, Spanned, Value};
use crate::units::Duration;

/// A value that an operation uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// The address of a variable or symbol.
    Address(Spanned<String>),
    /// What the last `Load`, `Xadd`, `Xchg`, `Cmpxchg`, `Trylock`, `Wait` or `Call` gave.
    Result,
}

/// What can be done to a lock, mutex or completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectOp {
    /// `spin_lock`.
    Lock,
    /// `spin_unlock`.
    Unlock,
    /// `spin_lock_irq`.
    LockIrq,
    /// `spin_unlock_irq`.
    UnlockIrq,
    /// `spin_lock_irqsave`.
    LockIrqsave,
    /// `spin_unlock_irqrestore`.
    UnlockIrqrestore,
    /// `spin_trylock`.
    Trylock,
    /// `spin_lock_init`.
    InitLock,
    /// `mutex_lock`.
    MutexLock,
    /// `mutex_unlock`.
    MutexUnlock,
    /// `init_completion`.
    InitCompletion,
    /// `complete`.
    Complete,
    /// `complete_all`.
    CompleteAll,
}

/// What a kernel thread or an interrupt handler does.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelOp {
    /// Something to a lock, mutex or completion.
    Object(ObjectOp, Spanned<String>),
    /// `wait_for_completion`, with a timeout `wait_for_completion_timeout`.
    Wait(Spanned<String>, Option<Spanned<Duration>>),
    /// `lock_kernel`.
    LockBkl,
    /// `unlock_kernel`.
    UnlockBkl,
    /// `cli`.
    Cli,
    /// `sti`.
    Sti,
    /// `mfence`.
    Fence,
    /// `pause`.
    Pause,
    /// Reads 64 bits.
    Load(Spanned<String>),
    /// Writes 64 bits.
    Store(Spanned<String>, Argument),
    /// Adds to 64 bits, not atomically.
    Add(Spanned<String>, Argument),
    /// `lock xadd`.
    Xadd(Spanned<String>, Argument),
    /// `xchg`.
    Xchg(Spanned<String>, Argument),
    /// `lock cmpxchg` from the first to the second value.
    Cmpxchg(Spanned<String>, Argument, Argument),
    /// Spins while 64 bits hold a value.
    SpinWhile(Spanned<String>, u64),
    /// Spins until 64 bits hold a value.
    SpinUntil(Spanned<String>, u64),
    /// If 64 bits hold a value, the first list, else the second.
    If(Spanned<String>, u64, Vec<Spanned<KernelOp>>, Vec<Spanned<KernelOp>>),
    /// Sends a CPU an interrupt.
    Ipi(Spanned<u64>, u8),
    /// Sends a CPU an NMI.
    Nmi(Spanned<u64>),
    /// `flush_tlb_mm` of a named address space.
    FlushTlb(Spanned<String>),
    /// Calls a function.
    Call(Spanned<String>, Vec<Argument>),
    /// Computes for this long.
    Compute(Spanned<Duration>),
    /// `ndelay`: polls the TSC for this long.
    Delay(Spanned<Duration>),
    /// `schedule_timeout_interruptible`.
    Sleep(Spanned<Duration>),
    /// `schedule`.
    Schedule,
    /// `printk`.
    Log(String),
    /// `panic`.
    Panic(String),
    /// Notes that the task has done its work, though it may go on.
    MarkDone,
    /// Repeats without end.
    Forever(Vec<Spanned<KernelOp>>),
    /// Repeats this often.
    Repeat(u64, Vec<Spanned<KernelOp>>),
}

/// Operations on one object, by name.
const OBJECT_OPS: [(&str, ObjectOp); 13] = [
    ("Lock", ObjectOp::Lock),
    ("Unlock", ObjectOp::Unlock),
    ("LockIrq", ObjectOp::LockIrq),
    ("UnlockIrq", ObjectOp::UnlockIrq),
    ("LockIrqsave", ObjectOp::LockIrqsave),
    ("UnlockIrqrestore", ObjectOp::UnlockIrqrestore),
    ("Trylock", ObjectOp::Trylock),
    ("InitLock", ObjectOp::InitLock),
    ("MutexLock", ObjectOp::MutexLock),
    ("MutexUnlock", ObjectOp::MutexUnlock),
    ("InitCompletion", ObjectOp::InitCompletion),
    ("Complete", ObjectOp::Complete),
    ("CompleteAll", ObjectOp::CompleteAll),
];

/// Operations without fields, by name.
const PLAIN_OPS: [(&str, KernelOp); 8] = [
    ("LockBkl", KernelOp::LockBkl),
    ("UnlockBkl", KernelOp::UnlockBkl),
    ("Cli", KernelOp::Cli),
    ("Sti", KernelOp::Sti),
    ("Fence", KernelOp::Fence),
    ("Pause", KernelOp::Pause),
    ("Schedule", KernelOp::Schedule),
    ("MarkDone", KernelOp::MarkDone),
];

/// All other operations.
const OTHER_OPS: [&str; 20] = [
    "Wait",
    "Load",
    "Store",
    "Add",
    "Xadd",
    "Xchg",
    "Cmpxchg",
    "SpinWhile",
    "SpinUntil",
    "If",
    "Ipi",
    "Nmi",
    "FlushTlb",
    "Call",
    "Compute",
    "Delay",
    "Sleep",
    "Log",
    "Panic",
    "Forever",
];

pub(super) fn names() -> Vec<&'static str> {
    let objects = OBJECT_OPS.iter().map(|&(name, _)| name);
    let plain = PLAIN_OPS.iter().map(|(name, _)| *name);
    objects.chain(plain).chain(OTHER_OPS).chain(["Repeat"]).collect()
}

fn body(d: &mut Decoder, node: &Node) -> Option<Vec<Spanned<KernelOp>>> {
    d.list(node, "kernel operations", KernelOp::decode)
}

impl Argument {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Argument> {
        match &node.value {
            Value::Str(name) => Some(Argument::Address(Spanned::new(name.clone(), node.span))),
            Value::Word(word) if word == "Result" => Some(Argument::Result),
            Value::Int(_) => d.word(node).map(|word| Argument::Number(word.value)),
            _ => {
                let help = "write a number, \"name\" (its address) or Result (of the last step)";
                d.mismatch(node, "a value", Some(help.to_owned()));
                None
            }
        }
    }
}

impl KernelOp {
    pub(in crate::schema) fn decode(d: &mut Decoder, node: &Node) -> Option<Spanned<KernelOp>> {
        let (name, mut f) = d.variant_or(node, "a kernel operation", &names(), |word| {
            USER_OPS
                .contains(&word)
                .then(|| "it is an operation of ring 3: use `run: […]`".to_owned())
        })?;
        let name = name.value.as_str();
        let op = if let Some((_, op)) = OBJECT_OPS.iter().find(|(known, _)| *known == name) {
            f.required(d, "object", Decoder::string).map(|object| KernelOp::Object(*op, object))
        } else if let Some((_, op)) = PLAIN_OPS.iter().find(|(known, _)| *known == name) {
            Some(op.clone())
        } else {
            KernelOp::control(d, name, &mut f)
        };
        f.finish(d);
        op.map(|op| Spanned::new(op, node.span))
    }

    /// Calls, loops, time and messages.
    fn control(d: &mut Decoder, name: &str, f: &mut Fields<'_>) -> Option<KernelOp> {
        let op = match name {
            "Compute" => KernelOp::Compute(f.required(d, "time", Decoder::duration)?),
            "Delay" => KernelOp::Delay(f.required(d, "time", Decoder::duration)?),
            "Sleep" => KernelOp::Sleep(f.required(d, "time", Decoder::duration)?),
            "Log" => KernelOp::Log(f.required(d, "text", Decoder::string)?.value),
            "Panic" => KernelOp::Panic(f.required(d, "text", Decoder::string)?.value),
            "Forever" => KernelOp::Forever(f.required(d, "body", body)?),
            "Repeat" => {
                let count = f.required(d, "times", times);
                let body = f.required(d, "body", body);
                KernelOp::Repeat(count?.value, body?)
            }
            "Call" => {
                let symbol = f.required(d, "symbol", Decoder::string);
                let args = f.optional(d, "args", call_args).unwrap_or_default();
                KernelOp::Call(symbol?, args)
            }
            "Ipi" => {
                let cpu = f.required(d, "cpu", cpu);
                let vector = f.required(d, "vector", |d, n| d.uint(n, "a vector", 16..=255));
                KernelOp::Ipi(cpu?, vector?.value as u8)
            }
            "Nmi" => KernelOp::Nmi(f.required(d, "cpu", cpu)?),
            "FlushTlb" => KernelOp::FlushTlb(f.required(d, "mm", Decoder::string)?),
            memory => return KernelOp::memory(d, memory, f),
        };
        Some(op)
    }

    /// Operations on a word of memory or a completion.
    fn memory(d: &mut Decoder, name: &str, f: &mut Fields<'_>) -> Option<KernelOp> {
        let object = f.required(d, "object", Decoder::string);
        let op = match name {
            "Wait" => {
                let timeout = f.optional(d, "timeout", Decoder::positive);
                KernelOp::Wait(object?, timeout)
            }
            "Load" => KernelOp::Load(object?),
            "Cmpxchg" => {
                let old = f.required(d, "old", Argument::decode);
                let new = f.required(d, "new", Argument::decode);
                KernelOp::Cmpxchg(object?, old?, new?)
            }
            "SpinWhile" | "SpinUntil" | "If" => {
                let value = f.required(d, "value", Decoder::word).map(|word| word.value);
                match name {
                    "SpinWhile" => KernelOp::SpinWhile(object?, value?),
                    "SpinUntil" => KernelOp::SpinUntil(object?, value?),
                    _ => {
                        let then = f.required(d, "then", body);
                        let otherwise = f.optional(d, "otherwise", body).unwrap_or_default();
                        KernelOp::If(object?, value?, then?, otherwise)
                    }
                }
            }
            _ => {
                let value = f.required(d, "value", Argument::decode);
                match name {
                    "Store" => KernelOp::Store(object?, value?),
                    "Add" => KernelOp::Add(object?, value?),
                    "Xadd" => KernelOp::Xadd(object?, value?),
                    _ => KernelOp::Xchg(object?, value?),
                }
            }
        };
        Some(op)
    }
}

fn call_args(d: &mut Decoder, node: &Node) -> Option<Vec<Argument>> {
    let args = d.list(node, "arguments", Argument::decode)?;
    if args.len() > 6 {
        d.error(node.span, "a function takes at most 6 arguments here", None);
    }
    Some(args)
}
