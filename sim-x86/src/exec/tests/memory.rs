//! Operands, moves, stack, branches, strings and atomics.

use super::*;
use crate::core::regs::gpr::{R8, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};
use iced_x86::code_asm::*;

const PAGE_FAULT_READ: Stall = Stall::Fault(Exception::PageFault { addr: 0x10, code: 0 });
const PAGE_FAULT_WRITE: Stall = Stall::Fault(Exception::PageFault { addr: 0x10, code: 2 });
const GP0: Stall = Stall::Fault(Exception::GeneralProtection(0));

#[test]
fn register_widths() {
    let all = u64::MAX;
    let run = |code: &[u8]| bytes(code).with(&[(RAX, all), (RBX, 0x1122_3344)]).run().reg(RAX);
    assert_eq!(run(&[0x88, 0xd8]), 0xffff_ffff_ffff_ff44, "mov al, bl");
    assert_eq!(run(&[0x88, 0xfc]), 0xffff_ffff_ffff_33ff, "mov ah, bh");
    assert_eq!(run(&[0x66, 0x89, 0xd8]), 0xffff_ffff_ffff_3344, "mov ax, bx");
    assert_eq!(run(&[0x89, 0xd8]), 0x1122_3344, "mov eax, ebx");
    assert_eq!(run(&[0x48, 0x89, 0xd8]), 0x1122_3344, "mov rax, rbx");
    assert_eq!(run(&[0x40, 0x88, 0xe0]), 0xffff_ffff_ffff_ff00, "mov al, spl");
    assert_eq!(run(&[0x48, 0x63, 0xc0]), all, "movsxd rax, eax");
    assert_eq!(run(&[0x0f, 0xb6, 0xc7]), 0x33, "movzx eax, bh");
    assert_eq!(run(&[0x0f, 0x42, 0xc3]), 0xffff_ffff, "cmovb eax, ebx, not taken");
    assert_eq!(run(&[0x0f, 0xc8]), 0xffff_ffff, "bswap eax");
    assert_eq!(run(&[0x98]), 0xffff_ffff, "cwde");
}

#[test]
fn effective_addresses() {
    let at = |code: &[u8]| {
        let b = bytes(code).with(&[(RAX, 0x100), (RBX, 0x10), (RCX, u64::MAX)]);
        let op = b.op();
        op.address(&b.regs)
    };
    assert_eq!(at(&[0x48, 0x8b, 0x54, 0x98, 0xf8]), 0x138, "[rax+rbx*4-8]");
    assert_eq!(at(&[0x48, 0x8b, 0x15, 0x10, 0, 0, 0]), CODE + 0x17, "[rip+0x10]");
    assert_eq!(at(&[0x67, 0x48, 0x8b, 0x51, 0x01]), 0, "[ecx+1]");
    assert_eq!(at(&[0x48, 0x8b, 0x14, 0x25, 0, 0, 0, 0x80]), 0xffff_ffff_8000_0000, "[disp32]");
    let moffs = [0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(at(&moffs), 0x0807_0605_0403_0201, "movabs");
    let mut b = bytes(&[0x65, 0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0]).poke(8, 77);
    b.regs.gs_base = DATA;
    assert_eq!(b.run().reg(RAX), 77, "mov rax, gs:8");
}

#[test]
fn read_modify_write_and_its_faults() {
    let add = || asm(|a| a.add(qword_ptr(rbx), rax));
    let done = add().with(&[(RBX, DATA), (RAX, 5)]).poke(0, 7).run();
    assert_eq!((done.word(0), done.bus.locked), (12, 0));
    add().with(&[(RBX, 0x10)]).fails(PAGE_FAULT_WRITE);
    asm(|a| a.mov(rax, qword_ptr(rbx))).with(&[(RBX, 0x10)]).fails(PAGE_FAULT_READ);
    add().with(&[(RBX, 1 << 63)]).fails(GP0);
    let stack = asm(|a| a.mov(rax, qword_ptr(rbp))).with(&[(RBP, 1 << 63)]);
    stack.fails(Stall::Fault(Exception::StackFault(0)));
}

#[test]
fn locked_instructions() {
    let done = asm(|a| a.lock().inc(dword_ptr(rbx))).with(&[(RBX, DATA)]).poke(0, 41).run();
    assert_eq!((done.word(0), done.bus.locked), (42, 1));
    let done = asm(|a| a.xchg(qword_ptr(rbx), rax)).with(&[(RBX, DATA), (RAX, 3)]).poke(0, 9);
    let done = done.run();
    assert_eq!((done.word(0), done.reg(RAX), done.bus.locked), (3, 9, 1));
    let done = asm(|a| a.lock().xadd(word_ptr(rbx), ax)).with(&[(RBX, DATA), (RAX, 1)]);
    let done = done.poke(0, 0x1_0005).run();
    assert_eq!((done.word(0), done.reg(RAX)), (0x1_0006, 5));
    bytes(&[0xf0, 0x01, 0xd8]).fails(Stall::Fault(Exception::InvalidOpcode));
}

#[test]
fn compare_and_exchange() {
    let swap = || asm(|a| a.lock().cmpxchg(qword_ptr(rbx), rcx)).poke(0, 5);
    let done = swap().with(&[(RBX, DATA), (RAX, 5), (RCX, 8)]).run();
    assert_eq!((done.word(0), names(done.regs.rflags).as_str()), (8, "ZF PF"));
    let done = swap().with(&[(RBX, DATA), (RAX, 6), (RCX, 8)]).run();
    assert_eq!((done.word(0), done.reg(RAX), names(done.regs.rflags).as_str()), (5, 5, ""));
    // 32-bit register form: only what is written loses its upper half.
    let high = 1 << 40;
    let run = |low: u64| {
        let start = [(RBX, high | 5), (RAX, high | low), (RCX, high | 8)];
        asm(|a| a.cmpxchg(ebx, ecx)).with(&start).run()
    };
    assert_eq!((run(5).reg(RBX), run(5).reg(RAX)), (8, high | 5));
    assert_eq!((run(6).reg(RBX), run(6).reg(RAX)), (high | 5, 5));
}

#[test]
fn double_width_compare_and_exchange() {
    let start = [(RDI, DATA), (RAX, 1), (RDX, 2), (RBX, 3), (RCX, 4)];
    for locked in [false, true] {
        let code: &[u8] = &[0xf0, 0x48, 0x0f, 0xc7, 0x0f];
        let code = if locked { code } else { &code[1..] };
        let done = bytes(code).with(&start).poke(0, 1).poke(8, 2).run();
        assert_eq!((done.word(0), done.word(8)), (3, 4));
        assert_eq!(names(done.regs.rflags), "ZF");
        let done = bytes(code).with(&start).poke(0, 1).poke(8, 9).run();
        assert_eq!((done.word(8), done.reg(RAX), done.reg(RDX)), (9, 1, 9));
        bytes(code).with(&start).with(&[(RDI, DATA + 8)]).fails(GP0);
    }
    let done = asm(|a| a.cmpxchg8b(qword_ptr(rdi))).with(&start).poke(0, 2 << 32 | 1).run();
    assert_eq!(done.word(0), 4 << 32 | 3);
}

#[test]
fn bit_strings_reach_beyond_their_operand() {
    let start = |bit: i64| [(RBX, DATA + 0x100), (RCX, bit as u64)];
    let done = asm(|a| a.bts(qword_ptr(rbx), rcx)).with(&start(-1)).run();
    assert_eq!(done.word(0xf8), 1 << 63);
    let done = asm(|a| a.lock().bts(dword_ptr(rbx), ecx)).with(&start(100)).run();
    assert_eq!((done.word(0x108), done.bus.locked), (1 << 36, 1));
    let done = asm(|a| a.bts(qword_ptr(rbx), 65)).with(&start(0)).run();
    assert_eq!(done.word(0x100), 2);
}

#[test]
fn stack_instructions() {
    let top = DATA + 0x800;
    let done = asm(|a| a.push(rsp)).run();
    assert_eq!((done.word(0x7f8), done.reg(RSP)), (top, top - 8));
    assert_eq!(asm(|a| a.pop(rsp)).poke(0x800, 99).run().reg(RSP), 99);
    let done = asm(|a| a.pop(qword_ptr(rsp + 8))).poke(0x800, 99).run();
    assert_eq!((done.word(0x810), done.reg(RSP)), (99, top + 8));
    let done = bytes(&[0x66, 0x6a, 0xff]).run();
    assert_eq!((done.word(0x7f8) >> 48, done.reg(RSP)), (0xffff, top - 2));
    assert_eq!(asm(|a| a.push(-2)).run().word(0x7f8), (-2i64) as u64);
    let done = asm(CodeAssembler::leave).with(&[(RBP, DATA + 0x100)]).poke(0x100, 7).run();
    assert_eq!((done.reg(RBP), done.reg(RSP)), (7, DATA + 0x108));
    let done = asm(|a| a.enter(0x20, 0)).with(&[(RBP, 7)]).run();
    assert_eq!((done.word(0x7f8), done.reg(RBP), done.reg(RSP)), (7, top - 8, top - 0x28));
    let done = asm(|a| a.enter(0x10, 2)).with(&[(RBP, DATA + 0x108)]).poke(0x100, 55).run();
    assert_eq!((done.word(0x7f0), done.word(0x7e8)), (55, top - 8));
    assert_eq!(done.reg(RSP), top - 0x28);
    let bad = asm(|a| a.push(rax)).with(&[(RSP, 1 << 63)]);
    bad.fails(Stall::Fault(Exception::StackFault(0)));
}

#[test]
fn branches() {
    let next = CODE + 2;
    let mut b = bytes(&[0x75, 0x10]);
    assert_eq!((b.step(), b.regs.rip, b.bus.charged), (Ok(Flow::Taken), next + 0x10, 2));
    let mut b = bytes(&[0x75, 0x10]).flags(flags::ZF);
    assert_eq!((b.step(), b.regs.rip, b.bus.charged), (Ok(Flow::Next), next, 0));
    let done = bytes(&[0xe8, 0xfb, 0xff, 0xff, 0xff]).run();
    assert_eq!((done.regs.rip, done.word(0x7f8)), (CODE, CODE + 5));
    let done = asm(|a| a.ret_1(0x10)).poke(0x800, 0x4000).run();
    assert_eq!((done.regs.rip, done.reg(RSP)), (0x4000, DATA + 0x818));
    asm(CodeAssembler::ret).poke(0x800, 1 << 63).fails(GP0);
    let done = asm(|a| a.jmp(qword_ptr(rbx + r8 * 8))).with(&[(RBX, DATA), (R8, 2)]);
    assert_eq!(done.poke(16, 0x5000).run().regs.rip, 0x5000);
    asm(|a| a.jmp(rbx)).with(&[(RBX, 1 << 50)]).fails(GP0);
    let done = bytes(&[0xe2, 0x10]).with(&[(RCX, 1)]).run();
    assert_eq!((done.regs.rip, done.reg(RCX)), (next, 0));
    let done = bytes(&[0xe0, 0x10]).with(&[(RCX, 2)]).run();
    assert_eq!((done.regs.rip, done.reg(RCX)), (next + 0x10, 1));
    assert_eq!(bytes(&[0xe3, 0x10]).run().regs.rip, next + 0x10);
    let done = bytes(&[0x48, 0xcb]).poke(0x800, 0x4000).poke(0x808, 0x20).run();
    assert_eq!((done.regs.rip, done.regs.sel.cs, done.reg(RSP)), (0x4000, 0x20, DATA + 0x810));
}

#[test]
fn string_instructions_go_one_iteration_at_a_time() {
    let start = [(RSI, DATA), (RDI, DATA + 0x100), (RCX, 2)];
    let mut b = asm(|a| a.rep().movsq()).with(&start).poke(0, 11).poke(8, 22);
    assert_eq!((b.step(), b.regs.rip), (Ok(Flow::Repeat), CODE));
    assert_eq!((b.reg(RCX), b.reg(RSI), b.word(0x100), b.word(0x108)), (1, DATA + 8, 11, 0));
    assert_eq!((b.step(), b.word(0x108), b.bus.charged), (Ok(Flow::Next), 22, 18));
    let mut b = asm(|a| a.rep().stosb()).with(&[(RCX, 0), (RDI, 0x10)]);
    assert_eq!(b.step(), Ok(Flow::Next), "no iteration, no access");
    let done = asm(CodeAssembler::stosd).with(&start).with(&[(RAX, 7)]).flags(flags::DF).run();
    assert_eq!((done.word(0x100), done.reg(RDI), done.reg(RCX)), (7, DATA + 0xfc, 2));
    let mut b = asm(|a| a.repe().cmpsb()).with(&start).poke(0, 1);
    assert_eq!((b.step(), names(b.regs.rflags).as_str()), (Ok(Flow::Next), ""));
    let mut b = asm(|a| a.repne().scasb()).with(&start).with(&[(RAX, 0)]).poke(0x100, 5);
    assert_eq!((b.step(), b.step()), (Ok(Flow::Repeat), Ok(Flow::Next)));
    assert_eq!((b.reg(RCX), b.regs.rflags & flags::ZF), (0, flags::ZF));
    let done = asm(CodeAssembler::lodsw).with(&start).with(&[(RAX, u64::MAX)]).run();
    assert_eq!(done.reg(RAX), 0xffff_ffff_ffff_0000);
}

#[test]
fn waiting_changes_nothing() {
    let programs: [&[u8]; 9] = [
        &[0x48, 0x01, 0x03],             // add [rbx], rax
        &[0xf0, 0x48, 0x0f, 0xb1, 0x0b], // lock cmpxchg [rbx], rcx
        &[0x48, 0x87, 0x03],             // xchg [rbx], rax
        &[0x48, 0x0f, 0xc7, 0x0b],       // cmpxchg16b [rbx]
        &[0xff, 0x13],                   // call [rbx]
        &[0x8f, 0x03],                   // pop qword [rbx]
        &[0xc8, 0x10, 0x00, 0x03],       // enter 16, 3
        &[0x48, 0xa5],                   // movsq
        &[0x0f, 0x01, 0x0b],             // sidt [rbx]
    ];
    let start = [(RBX, DATA), (RSI, DATA + 0x40), (RDI, DATA + 0x80), (RBP, DATA + 0x200)];
    for code in programs {
        let mut asked = 0;
        loop {
            let mut b = bytes(code).with(&start).with(&[(RAX, 9), (RCX, 8)]);
            b.bus.patience = Some(asked);
            let before = (b.regs, b.bus.memory.clone());
            if b.step().is_ok() {
                break;
            }
            assert_eq!((b.regs, b.bus.memory), before, "{code:02x?} after {asked}");
            asked += 1;
        }
        assert!(asked > 0, "{code:02x?} asks the bus for something");
    }
}
