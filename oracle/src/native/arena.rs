//! The one place where native code is run: memory at fixed low addresses, a trampoline that loads
//! and saves registers, and signal handlers that end a case.
//!
//! Four mappings: data (never executable), code, control words, and the trampoline. All are made
//! once with `MAP_FIXED_NOREPLACE` and never unmapped, so pointers into them stay valid for the
//! life of the process. Words that the trampoline and the handler write are read as volatile.

#![allow(unsafe_code, reason = "runs machine code and handles signals; audited as a whole")]

use super::NativeError;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use oracle_cases::{CODE, CODE_BYTES, DATA, DATA_BYTES, GS_BASE};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Control words.
const CONTROL: u64 = 0x1002_0000;
const IN_GPR: u64 = CONTROL;
const IN_FLAGS: u64 = CONTROL + 0x80;
const IN_RIP: u64 = CONTROL + 0x88;
const HOST_RSP: u64 = CONTROL + 0x90;
const OUT_GPR: u64 = CONTROL + 0x100;
const OUT_FLAGS: u64 = CONTROL + 0x180;
const OUT_RIP: u64 = CONTROL + 0x188;
const VECTOR: u64 = CONTROL + 0x190;
const ERROR: u64 = CONTROL + 0x198;
const ADDRESS: u64 = CONTROL + 0x1a0;
const SIGNALLED: u64 = CONTROL + 0x1a8;
/// Not 0 while a case runs.
const ACTIVE: u64 = CONTROL + 0x1b0;
/// Address of the trampoline's last part, for the handler.
const RESTORE: u64 = CONTROL + 0x1b8;
/// The trampoline.
const TRAMPOLINE: u64 = 0x1003_0000;
const PAGE: usize = 0x1000;
/// Bytes of the stack on which signals are handled: large enough for any vector state.
const SIGNAL_STACK: usize = 0x4_0000;
/// `arch_prctl` operation that sets the base of GS.
const ARCH_SET_GS: libc::c_int = 0x1001;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// A signal that ended a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) vector: u8,
    pub(crate) error: u16,
    pub(crate) address: u64,
}

/// Registers after a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) gpr: [u64; 16],
    pub(crate) rflags: u64,
    pub(crate) rip: u64,
    pub(crate) signal: Option<Signal>,
}

/// The mappings. Only one exists in a process.
#[derive(Debug)]
pub(crate) struct Arena {
    finish: u64,
}

fn refused(what: &'static str) -> NativeError {
    NativeError::Refused { what, source: std::io::Error::last_os_error() }
}

/// Reads a control word.
fn get(addr: u64) -> u64 {
    // SAFETY: only called with the aligned addresses above, in the control page, which an `Arena`
    // (or a signal of a case that it runs) has mapped.
    unsafe { ptr::read_volatile(addr as *const u64) }
}

/// Writes a control word.
fn put(addr: u64, value: u64) {
    // SAFETY: as for `get`; the control page is writable, and no reference to it exists.
    unsafe { ptr::write_volatile(addr as *mut u64, value) }
}

impl Arena {
    /// Maps everything and installs the handlers.
    pub(crate) fn new() -> Result<Self, NativeError> {
        if TAKEN.swap(true, Ordering::SeqCst) {
            let source = std::io::Error::other("one is there already");
            return Err(NativeError::Refused { what: "make a second arena", source });
        }
        const RW: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
        map(DATA, DATA_BYTES, RW)?;
        map(CODE, CODE_BYTES, RW | libc::PROT_EXEC)?;
        map(CONTROL, PAGE, RW)?;
        map(TRAMPOLINE, PAGE, RW | libc::PROT_EXEC)?;
        let (code, finish, restore) = trampoline().expect("the trampoline assembles");
        assert!(code.len() <= PAGE, "the trampoline fits");
        // SAFETY: the page was mapped writable above, and `code` is not longer than it.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), TRAMPOLINE as *mut u8, code.len()) };
        put(RESTORE, restore);
        handle_signals()?;
        // SAFETY: sets the base of GS, which neither Rust nor the C library uses on x86-64 Linux.
        let done = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, GS_BASE) };
        if done != 0 {
            return Err(refused("set the base of GS"));
        }
        Ok(Arena { finish })
    }

    /// Where a case jumps at its end.
    pub(crate) fn finish(&self) -> u64 {
        self.finish
    }

    /// The data page.
    pub(crate) fn data(&mut self) -> &mut [u8] {
        // SAFETY: mapped for the life of the process; the one `Arena` is borrowed, so this is the
        // only reference, and no case runs meanwhile.
        unsafe { std::slice::from_raw_parts_mut(DATA as *mut u8, DATA_BYTES) }
    }

    /// The code page.
    pub(crate) fn code(&mut self) -> &mut [u8] {
        // SAFETY: as for `data`.
        unsafe { std::slice::from_raw_parts_mut(CODE as *mut u8, CODE_BYTES) }
    }

    /// Runs what is in the code page from `rip` on until it jumps to [`Arena::finish`] or a signal
    /// comes.
    pub(crate) fn run(&mut self, gpr: &[u64; 16], rflags: u64, rip: u64) -> Raw {
        for (addr, &word) in (IN_GPR..).step_by(8).zip(gpr) {
            put(addr, word);
        }
        put(IN_FLAGS, rflags);
        put(IN_RIP, rip);
        put(SIGNALLED, 0);
        put(ACTIVE, 1);
        // SAFETY: the trampoline is a function of the C calling convention: it saves what the
        // convention wants saved, flags and stack pointer included, and restores it however the
        // case ends. A case can touch no memory but its own page: the caller has run it on the
        // simulated machine first, and addresses that are not data are not mapped, up to chance
        // (see `docs/oracle.md`).
        unsafe {
            let entry: extern "C" fn() = std::mem::transmute(TRAMPOLINE as *const ());
            entry();
        }
        put(ACTIVE, 0);
        let signal = (get(SIGNALLED) != 0).then(|| Signal {
            vector: get(VECTOR) as u8,
            error: get(ERROR) as u16,
            address: get(ADDRESS),
        });
        Raw {
            gpr: std::array::from_fn(|n| get(OUT_GPR + 8 * n as u64)),
            rflags: get(OUT_FLAGS),
            rip: get(OUT_RIP),
            signal,
        }
    }
}

fn map(addr: u64, bytes: usize, protection: libc::c_int) -> Result<(), NativeError> {
    const FLAGS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new anonymous mapping; NOREPLACE keeps it from replacing another.
    let found = unsafe { libc::mmap(addr as *mut libc::c_void, bytes, protection, FLAGS, -1, 0) };
    if found as u64 == addr { Ok(()) } else { Err(refused("map memory for the cases")) }
}

/// Sixteen registers by encoding.
const GPR: [AsmRegister64; 16] =
    [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

/// Code at [`TRAMPOLINE`], and the addresses of its parts `finish` and `restore`.
fn trampoline() -> Result<(Vec<u8>, u64, u64), IcedError> {
    let mut a = CodeAssembler::new(64)?;
    let saved = [rbx, rbp, r12, r13, r14, r15];
    for register in saved {
        a.push(register)?;
    }
    a.pushfq()?;
    a.mov(qword_ptr(HOST_RSP), rsp)?;
    a.mov(esp, IN_FLAGS as u32)?;
    a.popfq()?;
    for (addr, register) in (IN_GPR..).step_by(8).zip(GPR) {
        a.mov(register, qword_ptr(addr))?;
    }
    a.jmp(qword_ptr(IN_RIP))?;
    let mut finish = a.create_label();
    a.set_label(&mut finish)?;
    for (addr, register) in (OUT_GPR..).step_by(8).zip(GPR) {
        a.mov(qword_ptr(addr), register)?;
    }
    a.mov(esp, OUT_FLAGS as u32 + 8)?;
    a.pushfq()?;
    let mut restore = a.create_label();
    a.set_label(&mut restore)?;
    a.mov(rsp, qword_ptr(HOST_RSP))?;
    a.popfq()?;
    // A case may have loaded other null selectors.
    a.xor(eax, eax)?;
    a.mov(ds, eax)?;
    a.mov(es, eax)?;
    for register in saved.iter().rev() {
        a.pop(*register)?;
    }
    a.ret()?;
    let options = iced_x86::BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
    let done = a.assemble_options(TRAMPOLINE, options)?;
    let (finish, restore) = (done.label_ip(&finish)?, done.label_ip(&restore)?);
    Ok((done.inner.code_buffer, finish, restore))
}

fn handle_signals() -> Result<(), NativeError> {
    let stack = Box::leak(vec![0_u8; SIGNAL_STACK].into_boxed_slice());
    let stack =
        libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIGNAL_STACK };
    // SAFETY: the stack is leaked, so it lives as long as it may be used.
    if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
        return Err(refused("set a signal stack"));
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
        // SAFETY: an all-zero `sigaction` is a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the handler has the signature that SA_SIGINFO asks for and calls nothing that
        // is not safe in a signal handler.
        if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
            return Err(refused("handle a signal"));
        }
    }
    Ok(())
}

/// Indices of the saved registers by encoding.
const SAVED: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Saves what the processor had when the signal came, and goes on at the trampoline's end.
extern "C" fn on_signal(
    signal: libc::c_int,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    /// TF, NT and AC must not be in force any more.
    const TROUBLE: i64 = 1 << 8 | 1 << 14 | 1 << 18;
    if get(ACTIVE) == 0 {
        // Not of a case: let it happen again, and end the process.
        // SAFETY: resetting a handler is allowed in a handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    // SAFETY: for a handler with SA_SIGINFO the third argument is the interrupted context, which
    // nobody else uses.
    let regs = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    for (addr, index) in (OUT_GPR..).step_by(8).zip(SAVED) {
        put(addr, regs[index as usize] as u64);
    }
    put(OUT_FLAGS, regs[libc::REG_EFL as usize] as u64);
    put(OUT_RIP, regs[libc::REG_RIP as usize] as u64);
    put(VECTOR, regs[libc::REG_TRAPNO as usize] as u64);
    put(ERROR, regs[libc::REG_ERR as usize] as u64);
    put(ADDRESS, regs[libc::REG_CR2 as usize] as u64);
    put(SIGNALLED, 1);
    regs[libc::REG_EFL as usize] &= !TROUBLE;
    regs[libc::REG_RIP as usize] = get(RESTORE) as i64;
}
