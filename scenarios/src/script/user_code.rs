//! Programs of ring 3.
//!
//! RDI holds the address of the task's own word at the start, which the program sets to 1 at its
//! end. It is kept in RBX: system calls change RAX, RCX and R11 only.

use super::{Area, World, compute};
use crate::diagnostics::{Diagnostics, suggest};
use crate::schema::{Submit, UserOp};
use crate::tree::Spanned;
use crate::units::Duration;
use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, CodeLabel, eax, qword_ptr, r8, r9, r10, rax, rbx, rdi, rdx, rsi, rsp,
};

/// System call numbers of x86-64 Linux.
mod nr {
    pub(super) const READ: u64 = 0;
    pub(super) const WRITE: u64 = 1;
    pub(super) const OPEN: u64 = 2;
    pub(super) const MMAP: u64 = 9;
    pub(super) const MPROTECT: u64 = 10;
    pub(super) const MUNMAP: u64 = 11;
    pub(super) const IOCTL: u64 = 16;
    pub(super) const SCHED_YIELD: u64 = 24;
    pub(super) const NANOSLEEP: u64 = 35;
    pub(super) const GETPID: u64 = 39;
    pub(super) const EXECVE: u64 = 59;
    pub(super) const EXIT: u64 = 60;
    pub(super) const FCNTL: u64 = 72;
    pub(super) const FLOCK: u64 = 73;
    pub(super) const EPOLL_WAIT: u64 = 232;
    /// The guest kernel's own calls.
    pub(super) const HOLD_BKL: u64 = 0x1000;
    pub(super) const UNINTERRUPTIBLE_WAIT: u64 = 0x1001;
    pub(super) const LOG: u64 = 0x1002;
}

/// File descriptors that every program of the guest has.
mod fd {
    /// A terminal.
    pub(super) const TTY: u64 = 1;
    /// A file of a driver without `unlocked_ioctl`.
    pub(super) const LEGACY: u64 = 2;
    /// The first HBA's control device; the others follow.
    pub(super) const MPT2CTL: u64 = 3;
    /// A plain file.
    pub(super) const PLAIN: u64 = 7;
}

/// `_IOWR('L', 20, 72 bytes)`.
const MPT2COMMAND: u64 = 0xc048_4c14;
const TCGETS: u64 = 0x5401;
const F_SETLK: u64 = 6;
const LOCK_EX_NB: u64 = 2 | 4;
const PROT_READ: u64 = 1;
const PAGE: u64 = 4096;
/// The guest's log call refuses longer texts.
const LONGEST_LOG: usize = 255;
/// Bytes of the MPI request frame that a command carries.
const FRAME_BYTES: usize = 32;

/// Assembles `ops` at `entry`; constants go to `data`.
pub(super) fn assemble(
    world: &World<'_>,
    data: &mut Area,
    ops: &[Spanned<UserOp>],
    entry: u64,
    diags: &mut Diagnostics,
) -> Result<Vec<u8>, IcedError> {
    let a = CodeAssembler::new(64)?;
    let mut code = UserCode { a, world, data, diags };
    code.a.mov(rbx, rdi)?;
    code.ops(ops)?;
    code.end(0)?;
    code.a.assemble(entry)
}

struct UserCode<'c, 'w> {
    a: CodeAssembler,
    world: &'c World<'w>,
    data: &'c mut Area,
    diags: &'c mut Diagnostics,
}

impl UserCode<'_, '_> {
    fn ops(&mut self, ops: &[Spanned<UserOp>]) -> Result<(), IcedError> {
        ops.iter().try_for_each(|op| self.op(op))
    }

    fn op(&mut self, op: &Spanned<UserOp>) -> Result<(), IcedError> {
        match &op.value {
            UserOp::Compute(time) => {
                let cycles = time.value.cycles(self.world.clock());
                compute(&mut self.a, &self.world.spec.costs, cycles)
            }
            UserOp::Ioctl(device, submit) => self.ioctl(device, submit),
            UserOp::TtyIoctl => {
                let termios = self.data.add(&[0; 64], 64);
                self.syscall(nr::IOCTL, &[fd::TTY, TCGETS, termios])
            }
            UserOp::LegacyIoctl => self.syscall(nr::IOCTL, &[fd::LEGACY, 0, 0]),
            UserOp::Fcntl => {
                let flock = self.data.add(&[0; 32], 32);
                self.syscall(nr::FCNTL, &[fd::PLAIN, F_SETLK, flock])
            }
            UserOp::Flock => self.syscall(nr::FLOCK, &[fd::PLAIN, LOCK_EX_NB]),
            UserOp::Open => {
                let path = self.data.add(b"7\0", 8);
                self.syscall(nr::OPEN, &[path])
            }
            UserOp::Exec => {
                let path = self.data.add(b"/bin/true\0\0\0\0\0\0\0", 16);
                self.syscall(nr::EXECVE, &[path])
            }
            UserOp::Read => {
                let buffer = self.data.add(&[0; 64], 64);
                self.syscall(nr::READ, &[fd::TTY, buffer, 64])
            }
            UserOp::Write(text) => {
                let buffer = self.data.add(text.as_bytes(), 8);
                self.syscall(nr::WRITE, &[fd::TTY, buffer, text.len() as u64])
            }
            UserOp::Mmap(pages) => self.syscall(nr::MMAP, &[0, pages * PAGE]),
            UserOp::Munmap(pages) => {
                self.syscall(nr::MMAP, &[0, pages * PAGE])?;
                self.a.mov(rdi, rax)?;
                self.a.mov(rsi, pages * PAGE)?;
                self.call(nr::MUNMAP)
            }
            UserOp::Mprotect(pages) => {
                self.a.mov(rdi, rbx)?;
                self.a.and(rdi, -0x1000)?;
                self.a.mov(rsi, pages * PAGE)?;
                self.a.mov(rdx, PROT_READ)?;
                self.call(nr::MPROTECT)
            }
            UserOp::Log(text) => self.log(text, op),
            UserOp::Yield => self.syscall(nr::SCHED_YIELD, &[]),
            UserOp::GetPid => self.syscall(nr::GETPID, &[]),
            UserOp::Exit(code) => self.end(*code),
            UserOp::Syscall(number, args) => self.syscall(*number, args),
            UserOp::Forever(body) => {
                let mut top = self.label()?;
                self.a.set_label(&mut top)?;
                self.ops(body)?;
                // An empty body would leave nothing between two jumps; that is what was asked for.
                self.a.jmp(top)
            }
            UserOp::Repeat(count, body) => self.repeat(*count, body),
            UserOp::HoldBkl(_)
            | UserOp::Sleep(_)
            | UserOp::EpollWait(_)
            | UserOp::Uninterruptible(_) => self.wait(&op.value),
        }
    }

    fn wait(&mut self, op: &UserOp) -> Result<(), IcedError> {
        let clock = self.world.clock();
        let nanos = |time: &Spanned<Duration>| time.value.nanos(clock);
        match op {
            UserOp::HoldBkl(time) => self.syscall(nr::HOLD_BKL, &[nanos(time)]),
            UserOp::Sleep(time) => {
                let (seconds, rest) = (nanos(time) / 1_000_000_000, nanos(time) % 1_000_000_000);
                let timespec = [seconds.to_le_bytes(), rest.to_le_bytes()].concat();
                let timespec = self.data.add(&timespec, 16);
                self.syscall(nr::NANOSLEEP, &[timespec, 0])
            }
            UserOp::EpollWait(timeout) => {
                let millis = timeout.as_ref().map(|time| nanos(time).div_ceil(1_000_000));
                let millis = millis.unwrap_or(u64::MAX);
                let events = self.data.add(&[0; 16], 16);
                self.syscall(nr::EPOLL_WAIT, &[0, events, 1, millis])
            }
            UserOp::Uninterruptible(timeout) => {
                self.syscall(nr::UNINTERRUPTIBLE_WAIT, &[timeout.as_ref().map_or(0, nanos)])
            }
            _ => Ok(()),
        }
    }

    /// Counts on the stack, so that system calls and nested loops leave the count alone.
    fn repeat(&mut self, count: u64, body: &[Spanned<UserOp>]) -> Result<(), IcedError> {
        if count == 0 {
            return Ok(());
        }
        self.a.mov(rax, count)?;
        self.a.push(rax)?;
        let mut top = self.label()?;
        self.a.set_label(&mut top)?;
        self.ops(body)?;
        self.a.dec(qword_ptr(rsp))?;
        self.a.jnz(top)?;
        self.a.pop(rax)
    }

    fn label(&mut self) -> Result<CodeLabel, IcedError> {
        Ok(self.a.create_label())
    }

    fn log(&mut self, text: &str, op: &Spanned<UserOp>) -> Result<(), IcedError> {
        let line = format!("{}\n", text.trim_end_matches('\n'));
        if line.len() > LONGEST_LOG {
            let message = format!("a text may have {} bytes", LONGEST_LOG - 1);
            self.diags.error(op.span, message, None);
        }
        let buffer = self.data.add(line.as_bytes(), 8);
        self.syscall(nr::LOG, &[buffer, line.len() as u64])
    }

    fn ioctl(&mut self, device: &Spanned<String>, submit: &Submit) -> Result<(), IcedError> {
        let Some(index) = self.world.hbas.iter().position(|name| *name == device.value) else {
            let help = suggest(&device.value, self.world.hbas.iter().copied());
            let message = format!("there is no HBA `{}`", device.value);
            let help = help.or_else(|| Some("add it to `devices`: Hba(…)".to_owned()));
            self.diags.error(device.span, message, help);
            return Ok(());
        };
        let nanos = submit.timeout.value.nanos(self.world.clock());
        let command = self.command(submit, index as u32, nanos.div_ceil(1_000_000_000));
        self.syscall(nr::IOCTL, &[fd::MPT2CTL + index as u64, MPT2COMMAND, command])
    }

    /// A `struct mpt2_ioctl_command` with its MPI frame, and its buffers, in user memory.
    fn command(&mut self, submit: &Submit, ioc: u32, seconds: u64) -> u64 {
        let reply = self.data.add(&[0; 128], 64);
        let buffer = |data: &mut Area, bytes: u64| match bytes {
            0 => 0,
            bytes => data.add(&vec![0; bytes as usize], 64),
        };
        let data_in = buffer(self.data, submit.data_in);
        let data_out = buffer(self.data, submit.data_out);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let mut bytes: Vec<u8> = Vec::with_capacity(68 + FRAME_BYTES);
        bytes.extend(ioc.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(seconds.to_le_bytes());
        for pointer in [reply, data_in, data_out, 0] {
            bytes.extend(pointer.to_le_bytes());
        }
        for size in [128, submit.data_in as u32, submit.data_out as u32, 0] {
            bytes.extend(size.to_le_bytes());
        }
        bytes.extend((FRAME_BYTES as u32 / 4).to_le_bytes());
        let mut frame = [0; FRAME_BYTES];
        frame[3] = submit.function.value.0;
        bytes.extend(frame);
        self.data.add(&bytes, 64)
    }

    fn syscall(&mut self, number: u64, args: &[u64]) -> Result<(), IcedError> {
        for (register, &value) in [rdi, rsi, rdx, r10, r8, r9].into_iter().zip(args) {
            self.a.mov(register, value)?;
        }
        self.call(number)
    }

    fn call(&mut self, number: u64) -> Result<(), IcedError> {
        match u32::try_from(number) {
            Ok(number) => self.a.mov(eax, number)?,
            Err(_) => self.a.mov(rax, number)?,
        }
        self.a.syscall()
    }

    /// Notes that the task is done and ends it.
    fn end(&mut self, code: u64) -> Result<(), IcedError> {
        self.a.mov(qword_ptr(rbx), 1)?;
        self.syscall(nr::EXIT, &[code])
    }
}
