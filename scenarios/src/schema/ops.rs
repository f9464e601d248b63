//! Operations of tasks and handlers.

mod kernel_ops;

pub use kernel_ops::{Argument, KernelOp, ObjectOp};

use super::{Decoder, Fields};
use crate::tree::{Node, Spanned, Value};
use crate::units::Duration;

/// An MPI function of the HBA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MptFunction(pub u8);

/// A command for the HBA's control device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submit {
    /// MPI function.
    pub function: Spanned<MptFunction>,
    /// Timeout; the driver takes at least 10 s.
    pub timeout: Spanned<Duration>,
    /// Bytes to read from the device.
    pub data_in: u64,
    /// Bytes to write to it.
    pub data_out: u64,
}

/// What a program in ring 3 does.
#[derive(Clone, Debug, PartialEq)]
pub enum UserOp {
    /// Computes for this long.
    Compute(Spanned<Duration>),
    /// `ioctl(MPT2COMMAND)` on the control device of an HBA.
    Ioctl(Spanned<String>, Submit),
    /// `ioctl(TCGETS)` on a terminal, under the Big Kernel Lock.
    TtyIoctl,
    /// `ioctl` on a file of a driver without `unlocked_ioctl`: `vfs_ioctl` takes the Big Kernel
    /// Lock for it.
    LegacyIoctl,
    /// `fcntl(F_SETLK)`, under the Big Kernel Lock.
    Fcntl,
    /// `flock`, under the Big Kernel Lock.
    Flock,
    /// `open` of a misc device, under the Big Kernel Lock.
    Open,
    /// `execve`, which takes the Big Kernel Lock (and finds no program).
    Exec,
    /// `read` from a terminal, under the Big Kernel Lock.
    Read,
    /// `write` to a terminal, under the Big Kernel Lock.
    Write(String),
    /// Holds the Big Kernel Lock for this long.
    HoldBkl(Spanned<Duration>),
    /// `mmap` of this many pages.
    Mmap(u64),
    /// `munmap` of this many pages, mapped before.
    Munmap(u64),
    /// `mprotect` of this many pages.
    Mprotect(u64),
    /// `nanosleep`.
    Sleep(Spanned<Duration>),
    /// `epoll_wait`; without a timeout for ever.
    EpollWait(Option<Spanned<Duration>>),
    /// Sleeps uninterruptibly, as on a disk that doesn't answer; without a duration for ever.
    Uninterruptible(Option<Spanned<Duration>>),
    /// `sched_yield`.
    Yield,
    /// `getpid`: the shortest way into the kernel and back.
    GetPid,
    /// Prints to the kernel log.
    Log(String),
    /// Ends the task.
    Exit(u64),
    /// Any system call.
    Syscall(u64, Vec<u64>),
    /// Repeats without end.
    Forever(Vec<Spanned<UserOp>>),
    /// Repeats this often.
    Repeat(u64, Vec<Spanned<UserOp>>),
}

/// Names of [`UserOp`]s.
const USER_OPS: [&str; 24] = [
    "Compute",
    "Ioctl",
    "TtyIoctl",
    "LegacyIoctl",
    "Fcntl",
    "Flock",
    "Open",
    "Exec",
    "Read",
    "Write",
    "HoldBkl",
    "Mmap",
    "Munmap",
    "Mprotect",
    "Sleep",
    "EpollWait",
    "Uninterruptible",
    "Yield",
    "GetPid",
    "Log",
    "Exit",
    "Syscall",
    "Forever",
    "Repeat",
];

/// MPI 2.0 function codes (MPI2_FUNCTION_*).
const MPT_FUNCTIONS: [(&str, u8); 18] = [
    ("SCSI_IO_REQUEST", 0x00),
    ("SCSI_TASK_MGMT", 0x01),
    ("IOC_INIT", 0x02),
    ("IOC_FACTS", 0x03),
    ("CONFIG", 0x04),
    ("PORT_FACTS", 0x05),
    ("PORT_ENABLE", 0x06),
    ("EVENT_NOTIFICATION", 0x07),
    ("EVENT_ACK", 0x08),
    ("FW_DOWNLOAD", 0x09),
    ("FW_UPLOAD", 0x12),
    ("RAID_ACTION", 0x15),
    ("RAID_SCSI_IO_PASSTHROUGH", 0x16),
    ("TOOLBOX", 0x17),
    ("SCSI_ENCLOSURE_PROCESSOR", 0x18),
    ("SMP_PASSTHROUGH", 0x1a),
    ("SAS_IO_UNIT_CONTROL", 0x1b),
    ("SATA_PASSTHROUGH", 0x1c),
];

/// A repeat count.
fn times(d: &mut Decoder, node: &Node) -> Option<Spanned<u64>> {
    d.uint(node, "the number of repetitions", 0..=u64::from(u32::MAX))
}

fn pages(d: &mut Decoder, f: &mut Fields<'_>) -> u64 {
    f.required(d, "pages", |d, n| d.uint(n, "the number of pages", 1..=65_536))
        .map_or(1, |pages| pages.value)
}

impl UserOp {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Spanned<UserOp>> {
        let (name, mut f) = d.variant_or(node, "an operation", &USER_OPS, |word| {
            kernel_ops::names()
                .contains(&word)
                .then(|| "it is a kernel operation: use `kernel: […]` instead of `run`".to_owned())
        })?;
        let op = match name.value.as_str() {
            "Ioctl" => {
                let device = f.required(d, "device", Decoder::string);
                let command = f.required(d, "command", Submit::decode);
                device.zip(command).map(|(device, command)| UserOp::Ioctl(device, command))
            }
            "TtyIoctl" => Some(UserOp::TtyIoctl),
            "Fcntl" => Some(UserOp::Fcntl),
            "Read" => Some(UserOp::Read),
            "LegacyIoctl" => Some(UserOp::LegacyIoctl),
            "Flock" => Some(UserOp::Flock),
            "Open" => Some(UserOp::Open),
            "Exec" => Some(UserOp::Exec),
            "Write" => f.required(d, "text", Decoder::string).map(|text| UserOp::Write(text.value)),
            "Yield" => Some(UserOp::Yield),
            "GetPid" => Some(UserOp::GetPid),
            "Mmap" => Some(UserOp::Mmap(pages(d, &mut f))),
            "Munmap" => Some(UserOp::Munmap(pages(d, &mut f))),
            "Mprotect" => Some(UserOp::Mprotect(pages(d, &mut f))),
            "Log" => f.required(d, "text", Decoder::string).map(|text| UserOp::Log(text.value)),
            "Exit" => {
                let code = f.optional(d, "code", |d, n| d.uint(n, "an exit code", 0..=255));
                Some(UserOp::Exit(code.map_or(0, |code| code.value)))
            }
            "Syscall" => {
                let number = f.required(d, "number", Decoder::word);
                let args = f.optional(d, "args", syscall_args).unwrap_or_default();
                number.map(|number| UserOp::Syscall(number.value, args))
            }
            "Forever" => f.required(d, "body", body).map(UserOp::Forever),
            "Repeat" => {
                let count = f.required(d, "times", times);
                let body = f.required(d, "body", body);
                count.zip(body).map(|(count, body)| UserOp::Repeat(count.value, body))
            }
            timed => UserOp::timed(d, timed, &mut f),
        };
        f.finish(d);
        op.map(|op| Spanned::new(op, node.span))
    }

    /// Operations whose one field is a duration.
    fn timed(d: &mut Decoder, name: &str, f: &mut Fields<'_>) -> Option<UserOp> {
        match name {
            "EpollWait" => Some(UserOp::EpollWait(f.optional(d, "timeout", Decoder::duration))),
            "Uninterruptible" => {
                Some(UserOp::Uninterruptible(f.optional(d, "timeout", Decoder::positive)))
            }
            "Compute" => f.required(d, "time", Decoder::duration).map(UserOp::Compute),
            "HoldBkl" => f.required(d, "time", Decoder::duration).map(UserOp::HoldBkl),
            _ => f.required(d, "time", Decoder::duration).map(UserOp::Sleep),
        }
    }
}

fn body(d: &mut Decoder, node: &Node) -> Option<Vec<Spanned<UserOp>>> {
    d.list(node, "operations", UserOp::decode)
}

fn syscall_args(d: &mut Decoder, node: &Node) -> Option<Vec<u64>> {
    let args = d.list(node, "arguments", |d, n| d.word(n).map(|word| word.value))?;
    if args.len() > 6 {
        d.error(node.span, "a system call takes at most 6 arguments", None);
    }
    Some(args)
}

impl Submit {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Submit> {
        let (_, mut f) = d.variant(node, "a command", &["MptCommand"])?;
        let size = |d: &mut Decoder, n: &Node| d.uint(n, "a buffer's size", 0..=65_536);
        let ten_seconds = Duration::Picos(10_000_000_000_000);
        let submit = Submit {
            function: f.required(d, "function", function).unwrap_or_default(),
            timeout: f
                .optional(d, "timeout", Decoder::positive)
                .unwrap_or(Spanned::new(ten_seconds, node.span)),
            data_in: f.optional(d, "data_in", size).map_or(0, |n| n.value),
            data_out: f.optional(d, "data_out", size).map_or(0, |n| n.value),
        };
        f.finish(d);
        Some(submit)
    }
}

fn function(d: &mut Decoder, node: &Node) -> Option<Spanned<MptFunction>> {
    if matches!(node.value, Value::Int(_)) {
        let code = d.uint(node, "an MPI function", 0..=255)?;
        return Some(Spanned::new(MptFunction(code.value as u8), node.span));
    }
    let code = d.choice(node, "an MPI function", &MPT_FUNCTIONS)?;
    Some(Spanned::new(MptFunction(code.value), node.span))
}
