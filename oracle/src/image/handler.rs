//! The handler of all vectors, and the stubs before it.

use super::at;
use iced_x86::IcedError;
use iced_x86::code_asm::*;

/// Bits of the second word of an action; the first is added to the RIP that the handler returns to,
/// or is the address of the hook.
pub(super) mod action {
    /// Write EOI.
    pub(in crate::image) const EOI: u64 = 1 << 0;
    /// Return to the address in [`super::at::RESUME`].
    pub(in crate::image) const RESUME: u64 = 1 << 1;
    /// Return to ring 0, on the stack in [`super::at::KERNEL_RSP`].
    pub(in crate::image) const TO_KERNEL: u64 = 1 << 2;
    /// Call the address in the first word, before EOI.
    pub(in crate::image) const HOOK: u64 = 1 << 3;
    /// The interrupted place depends on time: log neither RIP nor RFLAGS, RCX and the like.
    pub(in crate::image) const ANY_PLACE: u64 = 1 << 4;
}

/// Offsets from RSP in the handler, after its pushes.
const VECTOR: i32 = 32;
const RIP: i32 = 48;
const CS: i32 = 56;
const RFLAGS: i32 = 64;
const RSP: i32 = 72;
const SS: i32 = 80;
/// Entries kept in the log.
const ENTRIES: i32 = 0x1ff;

/// True for vectors that push an error code (SDM vol. 3A §6.13).
fn has_error(vector: u64) -> bool {
    matches!(vector, 8 | 10..=14 | 17)
}

/// The 256 stubs.
pub(super) fn stubs() -> Vec<u8> {
    let mut code = Vec::new();
    for vector in 0..256_u64 {
        let mut stub = if has_error(vector) { Vec::new() } else { vec![0x6a, 0] };
        stub.push(0x68);
        stub.extend_from_slice(&(vector as u32).to_le_bytes());
        let next = at::STUBS + 16 * vector + stub.len() as u64 + 5;
        stub.push(0xe9);
        stub.extend_from_slice(&(at::HANDLER.wrapping_sub(next) as u32).to_le_bytes());
        stub.resize(16, 0x90);
        code.extend(stub);
    }
    code
}

/// The handler's code.
pub(super) fn handler() -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    for register in [rax, rcx, rdx, rbx] {
        a.push(register)?;
    }
    log(&mut a)?;
    act(&mut a)?;
    for register in [rbx, rdx, rcx, rax] {
        a.pop(register)?;
    }
    a.add(rsp, 16)?;
    a.iretq()?;
    a.assemble(at::HANDLER)
}

/// RAX = CPU number times `64 KiB`, by the task register.
fn cpu_offset(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.xor(eax, eax)?;
    a.str(ax)?;
    a.sub(eax, i32::from(super::selector::TSS))?;
    a.shl(eax, 12)
}

fn log(a: &mut CodeAssembler) -> Result<(), IcedError> {
    cpu_offset(a)?;
    a.lea(rbx, qword_ptr(rax + at::LOG as i32))?;
    a.mov(rcx, qword_ptr(rbx))?;
    a.inc(qword_ptr(rbx))?;
    a.and(ecx, ENTRIES)?;
    a.shl(ecx, 6)?;
    a.lea(rdx, qword_ptr(rbx + rcx + 64))?;
    for word in 0..7 {
        a.mov(rax, qword_ptr(rsp + VECTOR + 8 * word))?;
        a.mov(qword_ptr(rdx + 8 * word), rax)?;
    }
    let mut no_address = a.create_label();
    a.xor(eax, eax)?;
    a.cmp(dword_ptr(rsp + VECTOR), 14)?;
    a.jne(no_address)?;
    a.mov(rax, cr2)?;
    a.set_label(&mut no_address)?;
    a.mov(qword_ptr(rdx + 56), rax)?;
    // Which entry it was, for what follows.
    a.mov(rbx, rdx)
}

fn act(a: &mut CodeAssembler) -> Result<(), IcedError> {
    use action::{ANY_PLACE, EOI, HOOK, RESUME, TO_KERNEL};
    let [mut placed, mut hooked, mut ended, mut resumed, mut done] =
        std::array::from_fn(|_| a.create_label());
    let reload = |a: &mut CodeAssembler| -> Result<(), IcedError> {
        a.mov(eax, dword_ptr(rsp + VECTOR))?;
        a.shl(eax, 4)?;
        a.mov(rcx, qword_ptr(rax + at::ACTIONS as i32))?;
        a.mov(rdx, qword_ptr(rax + at::ACTIONS as i32 + 8))
    };
    reload(a)?;
    a.test(edx, ANY_PLACE as i32)?;
    a.jz(placed)?;
    a.mov(qword_ptr(rbx + 16), 0)?;
    a.mov(qword_ptr(rbx + 32), 0)?;
    a.set_label(&mut placed)?;
    a.test(edx, HOOK as i32)?;
    a.jz(hooked)?;
    a.call(rcx)?;
    reload(a)?;
    a.xor(ecx, ecx)?;
    a.set_label(&mut hooked)?;
    a.test(edx, EOI as i32)?;
    a.jz(ended)?;
    a.mov(eax, at::APIC as u32)?;
    a.mov(dword_ptr(rax + 0xb0), 0)?;
    a.set_label(&mut ended)?;
    a.test(edx, (RESUME | TO_KERNEL) as i32)?;
    a.jz(resumed)?;
    cpu_offset(a)?;
    a.shr(eax, 13)?;
    a.mov(rcx, qword_ptr(rax + at::RESUME as i32))?;
    a.mov(qword_ptr(rsp + RIP), rcx)?;
    a.xor(ecx, ecx)?;
    a.test(edx, TO_KERNEL as i32)?;
    a.jz(resumed)?;
    a.mov(qword_ptr(rsp + CS), i32::from(super::selector::KERNEL_CODE))?;
    a.mov(qword_ptr(rsp + SS), i32::from(super::selector::KERNEL_DATA))?;
    a.mov(rax, qword_ptr(rax + at::KERNEL_RSP as i32))?;
    a.mov(qword_ptr(rsp + RSP), rax)?;
    a.and(qword_ptr(rsp + RFLAGS), !0x4300)?;
    a.jmp(done)?;
    a.set_label(&mut resumed)?;
    a.add(qword_ptr(rsp + RIP), rcx)?;
    a.set_label(&mut done)?;
    a.nop()
}
