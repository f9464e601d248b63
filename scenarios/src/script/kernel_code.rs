//! Kernel threads, `void f(u64 arg)`, and interrupt handlers, `int f(int irq, void *arg)`.
//!
//! Frames are kept as compilers do with `-fno-omit-frame-pointer`. RBX holds the result of the
//! last operation that has one, R12 the address of the task's own word (`arg`), which a thread
//! sets to 1 at its end. Loop counts and saved flags live in slots of the frame.

use super::{Area, World, compute};
use crate::diagnostics::{Diagnostics, suggest};
use crate::plan::check_cpu;
use crate::schema::{Argument, KernelOp, ObjectOp};
use crate::tree::{Span, Spanned};
use crate::units::Duration;
use iced_x86::IcedError;
use iced_x86::code_asm::{
    AsmMemoryOperand, AsmRegister64, CodeAssembler, dword_ptr, eax, ebx, ecx, edi, edx, qword_ptr,
    r8, r9, r10, r12, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, word_ptr,
};

type Code = Result<(), IcedError>;

/// The xAPIC registers of the CPU that accesses them.
const XAPIC: u64 = 0xffff_ffff_ff5f_c000;
const ICR_LOW: i32 = 0x300;
const ICR_HIGH: i32 = 0x310;
/// ICR: delivery status.
const ICR_BUSY: u32 = 0x1000;
/// ICR: delivery mode NMI.
const ICR_NMI: u32 = 0x400;
/// x2APIC MSR of the ICR.
const MSR_ICR: u32 = 0x830;
/// `struct completion`: offset of its wait queue.
const COMPLETION_WAIT: u64 = 8;

/// Assembles `ops` at `entry`; texts go to `data`.
pub(super) fn assemble(
    world: &World<'_>,
    data: &mut Area,
    ops: &[Spanned<KernelOp>],
    handler: bool,
    entry: u64,
    diags: &mut Diagnostics,
) -> Result<Vec<u8>, IcedError> {
    let a = CodeAssembler::new(64)?;
    let mut code = KernelCode { a, world, data, diags, slots: 0, saved: Vec::new(), handler };
    code.prologue(slots(ops))?;
    code.ops(ops)?;
    code.epilogue()?;
    code.a.assemble(entry)
}

/// Frame slots that `ops` need at most.
fn slots(ops: &[Spanned<KernelOp>]) -> i32 {
    ops.iter()
        .map(|op| match &op.value {
            KernelOp::Repeat(_, body) => 1 + slots(body),
            KernelOp::Forever(body) => slots(body),
            KernelOp::If(_, _, then, otherwise) => slots(then) + slots(otherwise),
            KernelOp::Object(ObjectOp::LockIrqsave, _) => 1,
            _ => 0,
        })
        .sum()
}

struct KernelCode<'c, 'w> {
    a: CodeAssembler,
    world: &'c World<'w>,
    data: &'c mut Area,
    diags: &'c mut Diagnostics,
    /// Frame slots in use.
    slots: i32,
    /// Locks taken with `LockIrqsave`, and the slots of the saved flags.
    saved: Vec<(String, i32)>,
    handler: bool,
}

impl KernelCode<'_, '_> {
    /// The stack is a multiple of 16 at every call: two registers and an even number of slots.
    fn prologue(&mut self, slots: i32) -> Code {
        self.a.push(rbp)?;
        self.a.mov(rbp, rsp)?;
        self.a.push(rbx)?;
        self.a.push(r12)?;
        if slots > 0 {
            self.a.sub(rsp, (slots + slots % 2) * 8)?;
        }
        self.a.mov(r12, if self.handler { rsi } else { rdi })?;
        self.a.xor(ebx, ebx)
    }

    fn epilogue(&mut self) -> Code {
        if self.handler {
            self.a.mov(eax, 1)?;
        } else {
            self.mark_done()?;
        }
        self.a.lea(rsp, rbp - 16)?;
        self.a.pop(r12)?;
        self.a.pop(rbx)?;
        self.a.pop(rbp)?;
        self.a.ret()
    }

    fn mark_done(&mut self) -> Code {
        self.a.mov(qword_ptr(r12), 1)
    }

    /// A new slot of the frame.
    fn slot(&mut self) -> i32 {
        self.slots += 1;
        self.slots
    }

    fn slot_at(slot: i32) -> AsmMemoryOperand {
        qword_ptr(rbp - (16 + slot * 8))
    }

    fn ops(&mut self, ops: &[Spanned<KernelOp>]) -> Code {
        ops.iter().try_for_each(|op| self.op(op))
    }

    fn op(&mut self, op: &Spanned<KernelOp>) -> Code {
        let span = op.span;
        match &op.value {
            KernelOp::Object(what, name) => self.object(*what, name, span),
            KernelOp::LockBkl => self.call("lock_kernel", span),
            KernelOp::UnlockBkl => self.call("unlock_kernel", span),
            KernelOp::Schedule => self.call("schedule", span),
            KernelOp::Cli => self.a.cli(),
            KernelOp::Sti => self.a.sti(),
            KernelOp::Fence => self.a.mfence(),
            KernelOp::Pause => self.a.pause(),
            KernelOp::MarkDone if self.handler => {
                self.refuse(span, "only a task can be done, a handler is not one")
            }
            KernelOp::MarkDone => self.mark_done(),
            KernelOp::Load(name) => {
                self.load_address(name)?;
                self.a.mov(rbx, qword_ptr(rdi))
            }
            KernelOp::Store(name, value) => {
                self.address_and_value(name, value)?;
                self.a.mov(qword_ptr(rdi), rax)
            }
            KernelOp::Add(name, value) => {
                self.address_and_value(name, value)?;
                self.a.add(qword_ptr(rdi), rax)
            }
            KernelOp::Xadd(name, value) => {
                self.address_and_value(name, value)?;
                self.a.lock().xadd(qword_ptr(rdi), rax)?;
                self.a.mov(rbx, rax)
            }
            KernelOp::Xchg(name, value) => {
                self.address_and_value(name, value)?;
                self.a.xchg(qword_ptr(rdi), rax)?;
                self.a.mov(rbx, rax)
            }
            KernelOp::Cmpxchg(name, old, new) => {
                self.value(rcx, new)?;
                self.address_and_value(name, old)?;
                self.a.lock().cmpxchg(qword_ptr(rdi), rcx)?;
                self.a.mov(rbx, rax)
            }
            KernelOp::SpinWhile(name, value) => self.spin(name, *value, true),
            KernelOp::SpinUntil(name, value) => self.spin(name, *value, false),
            KernelOp::If(name, value, then, otherwise) => {
                self.branch(name, *value, then, otherwise)
            }
            KernelOp::Ipi(cpu, vector) => self.ipi(cpu, u32::from(*vector)),
            KernelOp::Nmi(cpu) => self.ipi(cpu, ICR_NMI),
            KernelOp::FlushTlb(mm) => self.flush_tlb(mm, span),
            KernelOp::Call(name, args) => self.call_symbol(name, args),
            KernelOp::Log(text) => self.print("printk", "%s\n", text, span),
            KernelOp::Panic(text) => self.print("panic", "%s", text, span),
            KernelOp::Forever(body) => {
                let mut top = self.a.create_label();
                self.a.set_label(&mut top)?;
                self.ops(body)?;
                self.a.jmp(top)
            }
            KernelOp::Repeat(count, body) => self.repeat(*count, body),
            KernelOp::Compute(_) | KernelOp::Delay(_) | KernelOp::Sleep(_) | KernelOp::Wait(..) => {
                self.timed(&op.value, span)
            }
        }
    }

    fn timed(&mut self, op: &KernelOp, span: Span) -> Code {
        let clock = self.world.clock();
        match op {
            KernelOp::Compute(time) => {
                compute(&mut self.a, &self.world.spec.costs, time.value.cycles(clock))
            }
            KernelOp::Delay(time) => {
                self.a.mov(rdi, time.value.nanos(clock))?;
                self.call("ndelay", span)
            }
            KernelOp::Sleep(time) => {
                self.sleeps(span);
                let jiffies = self.jiffies(time.value);
                self.a.mov(rdi, jiffies)?;
                self.call("schedule_timeout_interruptible", span)
            }
            KernelOp::Wait(name, timeout) => {
                self.sleeps(span);
                let jiffies = timeout.as_ref().map(|time| self.jiffies(time.value));
                self.load_address(name)?;
                match jiffies {
                    None => self.call("wait_for_completion", span),
                    Some(jiffies) => {
                        self.a.mov(rsi, jiffies)?;
                        self.call("wait_for_completion_timeout", span)?;
                        self.a.mov(rbx, rax)
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// Ticks, rounded up as `msecs_to_jiffies` does.
    fn jiffies(&self, time: Duration) -> u64 {
        let ticks = u128::from(time.nanos(self.world.clock())) * u128::from(self.world.hz);
        u64::try_from(ticks.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    fn sleeps(&mut self, span: Span) {
        if self.handler {
            let help = Some("wake a task that does it".to_owned());
            self.diags.error(span, "an interrupt handler cannot sleep", help);
        }
    }

    fn refuse(&mut self, span: Span, message: &str) -> Code {
        self.diags.error(span, message, None);
        Ok(())
    }

    fn object(&mut self, what: ObjectOp, name: &Spanned<String>, span: Span) -> Code {
        self.load_address(name)?;
        match what {
            ObjectOp::Lock => self.call("_spin_lock", span),
            ObjectOp::LockIrq => self.call("_spin_lock_irq", span),
            ObjectOp::Unlock => self.a.inc(word_ptr(rdi)),
            ObjectOp::UnlockIrq => {
                self.a.inc(word_ptr(rdi))?;
                self.a.sti()
            }
            ObjectOp::LockIrqsave => {
                self.call("_spin_lock_irqsave", span)?;
                let slot = self.slot();
                self.saved.push((name.value.clone(), slot));
                self.a.mov(Self::slot_at(slot), rax)
            }
            ObjectOp::UnlockIrqrestore => {
                let saved = self.saved.iter().rfind(|(lock, _)| *lock == name.value);
                let Some(slot) = saved.map(|(_, slot)| *slot) else {
                    let message = format!("no `LockIrqsave(\"{}\")` comes before this", name.value);
                    return self.refuse(span, &message);
                };
                self.a.mov(rsi, Self::slot_at(slot))?;
                self.call("_spin_unlock_irqrestore", span)
            }
            ObjectOp::Trylock => {
                self.call("_spin_trylock", span)?;
                self.a.mov(ebx, eax)
            }
            ObjectOp::InitLock => self.a.mov(dword_ptr(rdi), 0),
            ObjectOp::MutexLock => {
                self.sleeps(span);
                self.call("mutex_lock", span)
            }
            ObjectOp::MutexUnlock => self.call("mutex_unlock", span),
            // The order of stores of 2.6.32: done, then the wait queue in a function.
            ObjectOp::InitCompletion => {
                self.a.mov(dword_ptr(rdi), 0)?;
                self.a.add(rdi, COMPLETION_WAIT as i32)?;
                self.call("__init_waitqueue_head", span)
            }
            ObjectOp::Complete => self.call("complete", span),
            ObjectOp::CompleteAll => self.call("complete_all", span),
        }
    }

    /// RDI = address of `name`.
    fn load_address(&mut self, name: &Spanned<String>) -> Code {
        let address = self.world.address(name, self.diags).unwrap_or(0);
        self.a.mov(rdi, address)
    }

    fn value(&mut self, register: AsmRegister64, value: &Argument) -> Code {
        match value {
            Argument::Number(number) => self.a.mov(register, *number),
            Argument::Result => self.a.mov(register, rbx),
            Argument::Address(name) => {
                let address = self.world.address(name, self.diags).unwrap_or(0);
                self.a.mov(register, address)
            }
        }
    }

    /// RDI = address of `name`, RAX = `value`.
    fn address_and_value(&mut self, name: &Spanned<String>, value: &Argument) -> Code {
        self.value(rax, value)?;
        self.load_address(name)
    }

    /// Calls a function of the guest kernel with the arguments in their registers.
    fn call(&mut self, function: &str, span: Span) -> Code {
        match self.world.symbols.address(function) {
            Some(address) => self.a.call(address),
            None => {
                let message = format!("the guest kernel has no `{function}`");
                self.refuse(span, &message)
            }
        }
    }

    fn call_symbol(&mut self, name: &Spanned<String>, args: &[Argument]) -> Code {
        for (register, arg) in [rdi, rsi, rdx, rcx, r8, r9].into_iter().zip(args) {
            self.value(register, arg)?;
        }
        let Some(address) = self.world.address(name, self.diags) else { return Ok(()) };
        self.a.xor(eax, eax)?;
        self.a.call(address)?;
        self.a.mov(rbx, rax)
    }

    fn print(&mut self, function: &str, format: &str, text: &str, span: Span) -> Code {
        let format = self.data.add(format!("{format}\0").as_bytes(), 8);
        let text = format!("{}\0", text.trim_end_matches('\n'));
        let text = self.data.add(text.as_bytes(), 8);
        self.a.mov(rdi, format)?;
        self.a.mov(rsi, text)?;
        self.a.xor(eax, eax)?;
        self.call(function, span)
    }

    /// Spins on a plain load with `pause`, while (or until) the word holds `value`.
    fn spin(&mut self, name: &Spanned<String>, value: u64, while_equal: bool) -> Code {
        self.address_and_value(name, &Argument::Number(value))?;
        let mut top = self.a.create_label();
        let mut done = self.a.create_label();
        self.a.set_label(&mut top)?;
        self.a.cmp(qword_ptr(rdi), rax)?;
        if while_equal {
            self.a.jne(done)?;
        } else {
            self.a.je(done)?;
        }
        self.a.pause()?;
        self.a.jmp(top)?;
        self.a.set_label(&mut done)?;
        self.a.zero_bytes()
    }

    fn branch(
        &mut self,
        name: &Spanned<String>,
        value: u64,
        then: &[Spanned<KernelOp>],
        otherwise: &[Spanned<KernelOp>],
    ) -> Code {
        self.address_and_value(name, &Argument::Number(value))?;
        let mut differs = self.a.create_label();
        let mut done = self.a.create_label();
        self.a.cmp(qword_ptr(rdi), rax)?;
        self.a.jne(differs)?;
        self.ops(then)?;
        self.a.jmp(done)?;
        self.a.set_label(&mut differs)?;
        self.a.zero_bytes()?;
        self.ops(otherwise)?;
        self.a.set_label(&mut done)?;
        self.a.zero_bytes()
    }

    fn repeat(&mut self, count: u64, body: &[Spanned<KernelOp>]) -> Code {
        if count == 0 {
            return Ok(());
        }
        let slot = self.slot();
        self.a.mov(rax, count)?;
        self.a.mov(Self::slot_at(slot), rax)?;
        let mut top = self.a.create_label();
        self.a.set_label(&mut top)?;
        self.ops(body)?;
        self.a.dec(Self::slot_at(slot))?;
        self.a.jnz(top)
    }

    /// Writes the ICR with interrupts off, as the guest's APIC drivers do: two registers in xAPIC
    /// mode after waiting for the last message to be gone, one MSR in x2APIC mode.
    fn ipi(&mut self, cpu: &Spanned<u64>, command: u32) -> Code {
        let cpu = u32::from(check_cpu(cpu, self.world.spec.cores, self.diags));
        self.a.pushfq()?;
        self.a.cli()?;
        if self.world.spec.x2apic {
            self.a.mfence()?;
            self.a.mov(ecx, MSR_ICR)?;
            self.a.mov(eax, command)?;
            self.a.mov(edx, cpu)?;
            self.a.wrmsr()?;
        } else {
            self.a.mov(r10, XAPIC)?;
            let mut busy = self.a.create_label();
            self.a.set_label(&mut busy)?;
            self.a.mov(eax, dword_ptr(r10 + ICR_LOW))?;
            self.a.test(eax, ICR_BUSY)?;
            self.a.jnz(busy)?;
            self.a.mov(dword_ptr(r10 + ICR_HIGH), cpu << 24)?;
            self.a.mov(dword_ptr(r10 + ICR_LOW), command)?;
        }
        self.a.popfq()
    }

    fn flush_tlb(&mut self, mm: &Spanned<String>, span: Span) -> Code {
        let Some(number) = self.world.mms.get(mm.value.as_str()) else {
            let help = suggest(&mm.value, self.world.mms.keys().copied());
            let message = format!("no task has the address space `{}`", mm.value);
            let help = help.or_else(|| Some("give tasks `mm: \"name\"`".to_owned()));
            self.diags.error(mm.span, message, help);
            return Ok(());
        };
        self.a.mov(edi, *number)?;
        self.call("mm_by_number", span)?;
        self.a.mov(rdi, rax)?;
        self.call("flush_tlb_mm", span)
    }
}
