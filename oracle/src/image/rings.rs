//! Ring 3 and back: interrupts with their stack switch, privileges, SYSCALL, SYSRET, SWAPGS.

use super::kit::{Built, Expected, Image, Kit, action, image};
use super::{at, selector};
use iced_x86::code_asm::*;

/// STAR: SYSCALL selectors from 0x10, SYSRET selectors from 0x20 (with RPL 3).
const STAR_HIGH: u32 = 0x0023_0010;
const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FMASK: u32 = 0xc000_0084;
const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

pub(super) fn images() -> Vec<Image> {
    let mut images = interrupts();
    images.extend(privileges());
    images.extend(calls());
    images
}

/// Writes an MSR from RAX (all 64 bits). RCX and RDX are lost; all status flags are defined, as a
/// fault logs them.
fn write_msr(a: &mut CodeAssembler, msr: u32) -> Built {
    a.mov(rdx, rax)?;
    a.shr(rdx, 32)?;
    a.cmp(edx, edx)?;
    a.mov(ecx, msr)?;
    a.wrmsr()
}

/// Stores an MSR as a result.
fn msr_result(k: &mut Kit, slot: usize, msr: u32) -> Built {
    k.a.mov(ecx, msr)?;
    k.a.rdmsr()?;
    k.a.shl(rdx, 32)?;
    k.a.or(rax, rdx)?;
    k.result(slot, rax)
}

fn flags_result(k: &mut Kit, slot: usize) -> Built {
    k.a.pushfq()?;
    k.a.pop(rbx)?;
    k.result(slot, rbx)
}

fn interrupts() -> Vec<Image> {
    vec![
        image("ring3-interrupt", |k| {
            k.gate(0x40, 0, 3, 0xe, true);
            k.hook(0x40, 0, |k| {
                k.a.mov(eax, ss)?;
                k.result(0, rax)?;
                k.a.mov(eax, cs)?;
                k.result(1, rax)?;
                k.result(2, rsp)
            })?;
            k.in_ring3(0x202, |k| {
                k.a.int(0x40)?;
                k.a.mov(eax, ss)?;
                k.result(3, rax)
            })?;
            k.expect_vectors(&[0x40, 0x80]);
            k.expect_result(0, 0);
            k.expect_result(3, u64::from(selector::USER_DATA));
            Ok(())
        }),
        image("ring3-gate-privilege", |k| {
            k.gate(4, 0, 3, 0xe, true);
            k.on(13, action::RESUME, 0);
            k.in_ring3(2, |k| {
                k.attempt(|a| a.int(0x40))?;
                k.attempt(CodeAssembler::int3)?;
                k.attempt(|a| a.int(14))?;
                k.a.int(4)
            })?;
            k.expect_vectors(&[13, 13, 13, 4, 0x80]);
            k.expect(Expected::Error(0, 0x40 * 8 + 2));
            k.expect(Expected::Error(1, 3 * 8 + 2));
            Ok(())
        }),
        image("ring3-int1-needs-no-privilege", |k| {
            k.in_ring3(2, |k| k.a.int1())?;
            k.expect_vectors(&[1, 0x80]);
            Ok(())
        }),
        image("ring3-interrupt-stack", |k| {
            k.gate(0x48, 1, 3, 0xe, true);
            k.hook(0x48, 0, |k| k.result(0, rsp))?;
            k.in_ring3(2, |k| k.a.int(0x48))?;
            k.expect_vectors(&[0x48, 0x80]);
            Ok(())
        }),
        image("ring3-pending-interrupt", |k| {
            k.on(0x50, action::EOI, 0);
            k.send_self(0x50)?;
            k.delay()?;
            k.in_ring3(0x202, |k| {
                k.a.inc(ebx)?;
                k.a.inc(ebx)
            })?;
            k.expect_vectors(&[0x50, 0x80]);
            Ok(())
        }),
        image("ring3-far-return", |k| {
            k.gate(0x80, 0, 3, 0xe, true);
            k.on(0x80, action::RESUME | action::TO_KERNEL, 0);
            let (mut user, mut back) = (k.a.create_label(), k.a.create_label());
            k.a.lea(rax, qword_ptr(back))?;
            k.a.mov(qword_ptr(at::RESUME), rax)?;
            k.a.mov(qword_ptr(at::KERNEL_RSP), rsp)?;
            k.a.push(i32::from(selector::USER_DATA))?;
            k.a.push(at::STACKS[3] as i32)?;
            k.a.push(i32::from(selector::USER_CODE))?;
            k.a.lea(rax, qword_ptr(user))?;
            k.a.push(rax)?;
            k.a.db(&[0x48, 0xcb])?;
            k.a.ud2()?;
            k.a.set_label(&mut user)?;
            k.a.mov(eax, cs)?;
            k.result(0, rax)?;
            k.a.int(0x80)?;
            k.a.set_label(&mut back)?;
            k.a.nop()?;
            k.expect_vectors(&[0x80]);
            k.expect_result(0, u64::from(selector::USER_CODE));
            Ok(())
        }),
    ]
}

fn privileges() -> Vec<Image> {
    /// Attempts in ring 3, then the way back.
    fn user(name: &'static str, flags: u32, write: fn(&mut Kit) -> Built) -> Image {
        image(name, move |k| {
            for vector in [6, 13, 14] {
                k.on(vector, action::RESUME, 0);
            }
            k.in_ring3(flags, write)
        })
    }
    vec![
        user("ring3-privileged", 2, |k| {
            k.attempt(CodeAssembler::cli)?;
            k.attempt(CodeAssembler::sti)?;
            k.attempt(CodeAssembler::hlt)?;
            k.attempt(|a| a.in_(al, 0x80_u32))?;
            k.attempt(|a| a.mov(rcx, cr0))?;
            k.attempt(|a| a.mov(cr8, rcx))?;
            k.attempt(|a| a.mov(rcx, dr7))?;
            k.attempt(CodeAssembler::rdmsr)?;
            k.attempt(CodeAssembler::wrmsr)?;
            k.attempt(CodeAssembler::swapgs)?;
            k.attempt(|a| a.lgdt(ptr(at::TABLE_REGISTERS)))?;
            k.attempt(|a| a.invlpg(ptr(at::SCRATCH)))?;
            k.attempt(CodeAssembler::clts)?;
            k.attempt(CodeAssembler::sysretq)?;
            k.attempt(CodeAssembler::wbinvd)?;
            k.expect_vectors(&[13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 0x80]);
            Ok(())
        }),
        user("ring3-page-faults", 2, |k| {
            k.a.mov(rbx, at::UNMAPPED)?;
            k.attempt(|a| a.mov(rcx, qword_ptr(rbx)))?;
            k.attempt(|a| a.mov(qword_ptr(rbx), rcx))?;
            k.attempt(|a| a.jmp(rbx))?;
            k.expect_vectors(&[14, 14, 14, 0x80]);
            k.expect(Expected::Error(0, 4));
            k.expect(Expected::Error(1, 6));
            k.expect(Expected::Error(2, 0x14));
            Ok(())
        }),
        user("ring3-selectors", 2, |k| {
            for bad in [selector::KERNEL_DATA, selector::BASED, selector::BEYOND, selector::ABSENT]
            {
                k.attempt(|a| {
                    a.mov(ecx, u32::from(bad))?;
                    a.mov(ds, ecx)
                })?;
            }
            k.attempt(|a| {
                a.xor(ecx, ecx)?;
                a.mov(ss, ecx)
            })?;
            k.a.mov(ecx, u32::from(selector::USER_DATA))?;
            k.a.mov(ds, ecx)?;
            k.a.mov(ebx, ds)?;
            k.result(0, rbx)?;
            k.expect_vectors(&[13, 13, 13, 13, 13, 0x80]);
            Ok(())
        }),
        user("ring3-iopl", 0x3002, |k| {
            k.attempt(CodeAssembler::sti)?;
            flags_result(k, 0)?;
            k.attempt(CodeAssembler::cli)?;
            flags_result(k, 1)?;
            k.expect_result(0, 0x3202);
            k.expect_result(1, 0x3002);
            Ok(())
        }),
        user("ring3-popf", 0x202, |k| {
            for (slot, image) in [0x0, 0x3000, 0x24_4cd5, 0x1_0200].into_iter().enumerate() {
                k.a.push(image)?;
                k.a.popfq()?;
                flags_result(k, slot)?;
            }
            k.a.push(2)?;
            k.a.popfq()?;
            k.expect_result(0, 0x202);
            Ok(())
        }),
    ]
}

/// SYSCALL enabled, with its entry at `entry`.
fn enable(k: &mut Kit, entry: CodeLabel, mask: u64) -> Built {
    k.a.mov(rax, u64::from(STAR_HIGH) << 32)?;
    write_msr(&mut k.a, STAR)?;
    k.a.lea(rax, qword_ptr(entry))?;
    write_msr(&mut k.a, LSTAR)?;
    k.a.mov(rax, mask)?;
    write_msr(&mut k.a, FMASK)
}

/// Results from `slot` on: RCX less the code's start, R11, RFLAGS, CS, SS, RSP.
fn entry_results(k: &mut Kit, slot: usize) -> Built {
    k.result(slot, rcx)?;
    k.result(slot + 1, r11)?;
    k.a.mov(r13, rsp)?;
    k.a.mov(rsp, at::STACKS[1])?;
    flags_result(k, slot + 2)?;
    k.a.mov(rsp, r13)?;
    k.a.mov(eax, cs)?;
    k.result(slot + 3, rax)?;
    k.a.mov(eax, ss)?;
    k.result(slot + 4, rax)?;
    k.result(slot + 5, rsp)
}

fn syscall_image(name: &'static str, user_flags: u32, mask: u64, r11_flags: Option<u64>) -> Image {
    image(name, move |k| {
        let (mut entry, mut over) = (k.a.create_label(), k.a.create_label());
        enable(k, entry, mask)?;
        k.a.jmp(over)?;
        k.a.set_label(&mut entry)?;
        entry_results(k, 0)?;
        if let Some(flags) = r11_flags {
            k.a.mov(r11, flags)?;
        }
        k.a.sysretq()?;
        k.a.set_label(&mut over)?;
        k.in_ring3(user_flags, |k| {
            k.a.syscall()?;
            flags_result(k, 8)?;
            k.a.mov(eax, cs)?;
            k.result(9, rax)?;
            k.a.mov(eax, ss)?;
            k.result(10, rax)?;
            k.a.push(2)?;
            k.a.popfq()
        })?;
        k.expect_result(1, u64::from(user_flags));
        k.expect_result(3, u64::from(selector::KERNEL_CODE));
        k.expect_result(4, u64::from(selector::KERNEL_DATA));
        k.expect_result(9, u64::from(selector::USER_CODE));
        k.expect_result(10, u64::from(selector::USER_DATA));
        Ok(())
    })
}

fn calls() -> Vec<Image> {
    vec![
        syscall_image("syscall", 0x202, 0x4_7700, None),
        syscall_image("syscall-masks-all", 0xed7, 0xffff_ffff, None),
        syscall_image("syscall-masks-nothing", 0xcd7, 0, None),
        syscall_image("sysret-flags", 0x202, 0x200, Some(0xffff_ffff_fffb_beff)),
        syscall_image("sysret-clears-flags", 0xa02, 0x200, Some(0)),
        image("syscall-off", |k| {
            k.on(6, action::RESUME, 0);
            k.a.mov(ecx, EFER)?;
            k.a.rdmsr()?;
            k.a.and(eax, !1)?;
            k.a.wrmsr()?;
            k.attempt(CodeAssembler::syscall)?;
            k.attempt(CodeAssembler::sysretq)?;
            k.expect_vectors(&[6, 6]);
            Ok(())
        }),
        image("sysret-noncanonical", |k| {
            k.on(13, action::RESUME, 0);
            k.attempt(|a| {
                a.mov(rcx, 1_u64 << 47)?;
                a.mov(r11d, 2)?;
                a.sysretq()
            })?;
            k.a.mov(ebx, cs)?;
            k.result(0, rbx)?;
            k.expect_vectors(&[13]);
            Ok(())
        }),
        image("swapgs", |k| {
            k.a.mov(rax, 0x1234_5678_9abc_u64)?;
            write_msr(&mut k.a, GS_BASE)?;
            k.a.mov(rax, at::SCRATCH)?;
            write_msr(&mut k.a, KERNEL_GS_BASE)?;
            k.memory(at::SCRATCH + 8, &[0xfeed_face_cafe_beef]);
            k.a.swapgs()?;
            k.a.mov(ebx, 8)?;
            k.a.mov(rbx, qword_ptr(rbx).gs())?;
            k.result(0, rbx)?;
            msr_result(k, 1, GS_BASE)?;
            msr_result(k, 2, KERNEL_GS_BASE)?;
            k.a.swapgs()?;
            msr_result(k, 3, GS_BASE)?;
            k.expect_result(0, 0xfeed_face_cafe_beef);
            k.expect_result(1, at::SCRATCH);
            k.expect_result(2, 0x1234_5678_9abc);
            k.expect_result(3, 0x1234_5678_9abc);
            Ok(())
        }),
        image("msr-faults", |k| {
            k.on(13, action::RESUME, 0);
            for (msr, value) in [
                (LSTAR, 1_u64 << 47),
                (GS_BASE, 1 << 63),
                (KERNEL_GS_BASE, 0x7fff_ffff_ffff_ffff),
                (EFER, 0x2000_0d01),
                (EFER, 0xc01),
                (LSTAR, 0xffff_8000_0000_0000),
            ] {
                k.attempt(|a| {
                    a.mov(rax, value)?;
                    write_msr(a, msr)
                })?;
            }
            msr_result(k, 0, LSTAR)?;
            msr_result(k, 1, EFER)?;
            k.expect_vectors(&[13, 13, 13, 13, 13]);
            k.expect_result(0, 0xffff_8000_0000_0000);
            Ok(())
        }),
    ]
}
