//! Privilege, flags, interrupts, system registers.

use super::*;
use crate::core::regs::gpr::{R11, RAX, RBX, RCX, RDX, RSP};
use iced_x86::code_asm::*;

const GP0: Stall = Stall::Fault(Exception::GeneralProtection(0));
const UD: Stall = Stall::Fault(Exception::InvalidOpcode);

#[test]
fn ring_3_may_not() {
    let refused: [&[u8]; 12] = [
        &[0xfa],             // cli
        &[0xfb],             // sti
        &[0xf4],             // hlt
        &[0x0f, 0x30],       // wrmsr
        &[0x0f, 0x32],       // rdmsr
        &[0x0f, 0x01, 0xf8], // swapgs
        &[0x0f, 0x01, 0x3b], // invlpg [rbx]
        &[0x0f, 0x22, 0xd8], // mov cr3, rax
        &[0x0f, 0x01, 0x13], // lgdt [rbx]
        &[0xe6, 0xe9],       // out 0xe9, al
        &[0x6e],             // outsb
        &[0x48, 0x0f, 0x07], // sysretq
    ];
    for code in refused {
        bytes(code).user().fails(GP0);
    }
    bytes(&[0x0f, 0x01, 0xc9]).user().fails(UD);
    let mut b = bytes(&[0xfa]).user().flags(flags::IOPL | flags::IF);
    assert_eq!((b.step(), b.regs.interrupts_enabled()), (Ok(Flow::Next), false));
}

#[test]
fn sti_opens_a_shadow_only_if_it_enables() {
    assert_eq!(asm(CodeAssembler::sti).step(), Ok(Flow::Shadow { nmi_too: false }));
    assert_eq!(asm(CodeAssembler::sti).flags(flags::IF).step(), Ok(Flow::Next));
}

#[test]
fn popf_masks_by_privilege() {
    let image = u64::MAX;
    let kernel = asm(CodeAssembler::popfq).poke(0x800, image).run().regs.rflags;
    assert_eq!(kernel, 0x24_7fd7, "all but RF, VM, VIF, VIP");
    let user = asm(CodeAssembler::popfq).user().poke(0x800, image).run().regs.rflags;
    assert_eq!(user, kernel & !flags::IF & !flags::IOPL);
    let short = bytes(&[0x66, 0x9d]).poke(0x800, image).run();
    assert_eq!((short.regs.rflags, short.reg(RSP)), (kernel & 0xffff, DATA + 0x802));
    let done = asm(CodeAssembler::pushfq).flags(flags::RF | flags::CF).run();
    assert_eq!(done.word(0x7f8), flags::CF | flags::FIXED);
}

fn iret_frame(code: u64, stack: u64) -> Bench {
    let frame = asm(CodeAssembler::iretq).poke(0x800, 0x4000).poke(0x808, code).poke(0x810, 0x246);
    frame.poke(0x818, 0x7000).poke(0x820, stack)
}

#[test]
fn iret() {
    let mut b = iret_frame(0x33, 0x2b);
    assert_eq!(b.step(), Ok(Flow::Iret));
    assert_eq!((b.regs.rip, b.regs.rflags, b.reg(RSP)), (0x4000, 0x246, 0x7000));
    assert_eq!((b.regs.cpl(), b.regs.sel.ss, b.bus.charged, b.bus.drained), (3, 0x2b, 31, 1));
    let mut b = iret_frame(0x10, 0);
    assert_eq!((b.step(), b.regs.cpl(), b.bus.charged), (Ok(Flow::Iret), 0, 0));
    iret_frame(0, 0).fails(GP0);
    iret_frame(0x33, 0).fails(GP0);
    iret_frame(0x33, 0x28).fails(Stall::Fault(Exception::GeneralProtection(0x28)));
    iret_frame(0x10, 0x18).user().fails(Stall::Fault(Exception::GeneralProtection(0x10)));
    iret_frame(0x33, 0x2b).poke(0x800, 1 << 63).fails(GP0);
    iret_frame(0x33, 0x2b).flags(flags::NT).fails(GP0);
}

#[test]
fn system_calls() {
    let mut b = asm(CodeAssembler::syscall).user().flags(flags::IF | flags::DF | flags::CF);
    b.regs.sys.star = 0x0023_0010_0000_0000;
    b.regs.sys.lstar = 0xffff_ffff_8100_0000;
    b.regs.sys.fmask = flags::IF | flags::DF;
    assert_eq!(b.step(), Ok(Flow::Ring));
    assert_eq!((b.regs.rip, b.regs.sel.cs, b.regs.sel.ss), (0xffff_ffff_8100_0000, 0x10, 0x18));
    assert_eq!((b.reg(RCX), b.reg(R11)), (CODE + 2, 0x603));
    assert_eq!(b.regs.rflags, flags::FIXED | flags::CF);
    let mut b = asm(CodeAssembler::sysretq).with(&[(RCX, 0x4000), (R11, 0x203)]);
    b.regs.sys.star = 0x0023_0010_0000_0000;
    assert_eq!(b.step(), Ok(Flow::Ring));
    assert_eq!((b.regs.rip, b.regs.sel.cs, b.regs.sel.ss), (0x4000, 0x33, 0x2b));
    assert_eq!((b.regs.rflags, b.regs.cpl()), (0x203, 3));
    asm(CodeAssembler::sysretq).with(&[(RCX, 1 << 47)]).fails(GP0);
    let mut off = asm(CodeAssembler::syscall);
    off.regs.sys.efer &= !1;
    off.fails(UD);
}

#[test]
fn model_specific_registers() {
    let write = |msr: u64, high: u64, low: u64| {
        asm(CodeAssembler::wrmsr).with(&[(RCX, msr), (RDX, high), (RAX, low)])
    };
    let done = write(0xc000_0101, 0xffff_8800, 0x1000).run();
    assert_eq!(done.regs.gs_base, 0xffff_8800_0000_1000);
    assert_eq!((done.bus.drained, done.bus.charged), (1, 59));
    write(0xc000_0101, 0x8000_0000, 0).fails(GP0);
    write(0xc000_0084, 1, 0).fails(GP0);
    write(0x1234, 0, 0).fails(GP0);
    let mut x2apic = write(0x80b, 0, 0);
    x2apic.bus.msrs.insert(0x80b, 1);
    let done = x2apic.run();
    assert_eq!((done.bus.msrs[&0x80b], done.bus.drained, done.bus.charged), (0, 0, 0));
    let mut b = asm(CodeAssembler::rdmsr).with(&[(RCX, 0xc000_0080), (RDX, 5)]);
    assert_eq!((b.step(), b.reg(RAX), b.reg(RDX)), (Ok(Flow::Next), 0xd01, 0));
    let mut b = asm(CodeAssembler::swapgs);
    (b.regs.gs_base, b.regs.sys.kernel_gs_base) = (1, 2);
    let done = b.run();
    assert_eq!((done.regs.gs_base, done.regs.sys.kernel_gs_base), (2, 1));
}

#[test]
fn control_registers() {
    let done = bytes(&[0x0f, 0x22, 0xd8]).with(&[(RAX, 0x1000)]).run();
    assert_eq!((done.regs.sys.cr3, done.bus.drained), (0x1000, 1));
    assert_eq!(done.bus.tlb, [None]);
    bytes(&[0x0f, 0x22, 0xc0]).with(&[(RAX, 0x11)]).fails(GP0);
    bytes(&[0x0f, 0x22, 0xe0]).fails(GP0);
    let done = bytes(&[0x44, 0x0f, 0x22, 0xc0]).with(&[(RAX, 9)]).run();
    assert_eq!((done.bus.cr8, done.bus.drained), (9, 0));
    bytes(&[0x44, 0x0f, 0x22, 0xc0]).with(&[(RAX, 16)]).fails(GP0);
    let done = bytes(&[0x0f, 0x23, 0xf8]).with(&[(RAX, 1)]).run();
    assert_eq!(done.regs.sys.dr[5], 0x401);
    let mut b = bytes(&[0x0f, 0x20, 0xd0]);
    b.regs.sys.cr2 = 0x1234;
    assert_eq!(b.run().reg(RAX), 0x1234);
}

#[test]
fn descriptor_tables() {
    let table = bytes(&[0x0f, 0x01, 0x13]).with(&[(RBX, DATA)]).poke(0, 0x5678_002f);
    let done = table.poke(8, 0).run();
    assert_eq!((done.regs.sys.gdtr.limit, done.regs.sys.gdtr.base), (0x2f, 0x5678));
    let mut b = bytes(&[0x0f, 0x01, 0x03]).with(&[(RBX, DATA)]);
    b.regs.sys.gdtr.limit = 0x2f;
    b.regs.sys.gdtr.base = 0x1234;
    let done = b.run();
    assert_eq!(done.word(0), 0x1234_002f);
    let tss = |code: &[u8], kind: u64| {
        let mut b = bytes(code).with(&[(RAX, 0x10)]);
        b.regs.sys.gdtr = crate::core::regs::TableRegister { base: DATA, limit: 0x1f };
        b.poke(0x10, kind << 40 | 0x34_5678 << 16 | 0x67).poke(0x18, 0xffff_8800)
    };
    let done = tss(&[0x0f, 0x00, 0xd8], 0x89).run();
    assert_eq!((done.regs.sys.tr, done.regs.sys.tss_base), (0x10, 0xffff_8800_0034_5678));
    let np = Stall::Fault(Exception::SegmentNotPresent(0x10));
    tss(&[0x0f, 0x00, 0xd8], 0x09).fails(np);
    tss(&[0x0f, 0x00, 0xd8], 0x8b).fails(Stall::Fault(Exception::GeneralProtection(0x10)));
    tss(&[0x0f, 0x00, 0xd8], 0x89)
        .with(&[(RAX, 0x18)])
        .fails(Stall::Fault(Exception::GeneralProtection(0x18)));
}

#[test]
fn segment_registers() {
    let load = |code: &[u8], selector: u64| {
        let mut b = bytes(code).with(&[(RAX, selector)]);
        b.regs.sys.gdtr = crate::core::regs::TableRegister { base: DATA, limit: 0x1f };
        b.regs.fs_base = 99;
        b.poke(8, 0x1200_9234_5678_ffff).poke(0x10, 0x00af_9b00_0000_ffff)
    };
    let done = load(&[0x8e, 0xe0], 8).run();
    assert_eq!((done.regs.sel.fs, done.regs.fs_base), (8, 0x1234_5678));
    assert_eq!(load(&[0x8e, 0xe0], 0).run().regs.fs_base, 0);
    assert_eq!(load(&[0x8e, 0xd0], 8).step(), Ok(Flow::Shadow { nmi_too: true }));
    load(&[0x8e, 0xd0], 0x10).fails(Stall::Fault(Exception::GeneralProtection(0x10)));
    load(&[0x8e, 0xd8], 0x20).fails(Stall::Fault(Exception::GeneralProtection(0x20)));
    load(&[0x8e, 0xc8], 8).fails(UD);
}

#[test]
fn ports_time_and_identity() {
    let done = asm(|a| a.out(0xe9, al)).with(&[(RAX, 0x141)]).run();
    assert_eq!(done.bus.outputs, [(0xe9, Size::B1, 0x41)]);
    let done = asm(|a| a.out(dx, eax)).with(&[(RAX, 7), (RDX, 0x1_0cf8)]).run();
    assert_eq!(done.bus.outputs, [(0xcf8, Size::B4, 7)]);
    let mut b = asm(|a| a.in_(ax, dx)).with(&[(RAX, u64::MAX)]);
    b.bus.inputs = vec![0x1234];
    assert_eq!(b.run().reg(RAX), 0xffff_ffff_ffff_1234);
    let mut b = asm(CodeAssembler::rdtscp);
    (b.bus.tsc, b.regs.sys.tsc_aux) = (5 << 32 | 6, 7);
    let done = b.run();
    assert_eq!((done.reg(RDX), done.reg(RAX), done.reg(RCX)), (5, 6, 7));
    let done = asm(CodeAssembler::cpuid).with(&[(RAX, 1), (RCX, 2)]).run();
    assert_eq!((done.reg(RAX), done.reg(RBX), done.bus.drained), (1, 2, 1));
}

#[test]
fn software_interrupts_and_sleep() {
    for (code, flow) in [
        (&[0xcc][..], Flow::Interrupt(3)),
        (&[0xcd, 0x80], Flow::Interrupt(0x80)),
        (&[0xf1], Flow::DebugTrap),
        (&[0xcd, 1], Flow::Interrupt(1)),
        (&[0xf4], Flow::Halt),
        (&[0x0f, 0x01, 0xc9], Flow::Mwait),
    ] {
        let mut b = bytes(code);
        assert_eq!((b.step(), b.regs.rip), (Ok(flow), CODE + code.len() as u64));
    }
    let done = bytes(&[0x0f, 0x01, 0xc8]).with(&[(RAX, DATA)]).run();
    assert_eq!(done.bus.monitored, Some(DATA));
    bytes(&[0x0f, 0x0b]).fails(UD);
    bytes(&[0x0f, 0x28, 0xc1]).fails(Stall::Unimplemented);
}
