//! Exceptions and software interrupts in ring 0: frames, error codes, gates, double faults, and
//! when interrupts are recognised.

use super::kit::{Built, Expected, Image, Kit, action, image};
use super::{at, selector};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

const FAULTS: [u64; 9] = [0, 5, 6, 8, 11, 12, 13, 14, 17];

/// An image of attempts that fault.
fn faulting(name: &'static str, write: impl FnOnce(&mut Kit) -> Built) -> Image {
    image(name, |k| {
        k.resume_on(&FAULTS);
        write(k)
    })
}

pub(super) fn images() -> Vec<Image> {
    let mut images = exceptions();
    images.extend(addresses());
    images.extend(software());
    images.extend(windows());
    images.extend(returns());
    images
}

fn exceptions() -> Vec<Image> {
    vec![
        faulting("divide-error", |k| {
            k.a.xor(ebx, ebx)?;
            k.attempt(|a| a.div(ebx))?;
            k.a.mov(edx, 5)?;
            k.a.mov(ebx, 2)?;
            k.attempt(|a| a.div(ebx))?;
            k.expect_vectors(&[0, 0]);
            Ok(())
        }),
        faulting("invalid-opcode", |k| {
            k.attempt(CodeAssembler::ud2)?;
            k.attempt(|a| a.db(&[0xce]))?;
            k.attempt(|a| a.db(&[0xf0, 0x01, 0xc0]))?;
            k.attempt(|a| a.db(&[0x0f, 0x20, 0xc8]))?;
            k.expect_vectors(&[6, 6, 6, 6]);
            Ok(())
        }),
        faulting("general-protection", |k| {
            k.attempt(|a| {
                a.mov(rcx, 0x1_2345_6789_abcd_u64 << 8)?;
                a.mov(rcx, qword_ptr(rcx))
            })?;
            k.attempt(|a| {
                a.mov(ecx, 0xdead)?;
                a.rdmsr()
            })?;
            k.attempt(|a| {
                a.mov(rcx, 0x1_0000_0000_u64)?;
                a.mov(cr0, rcx)
            })?;
            k.attempt(|a| {
                a.mov(rcx, 1_u64 << 40)?;
                a.mov(cr4, rcx)
            })?;
            k.attempt(|a| {
                a.mov(ecx, 0x10)?;
                a.mov(cr8, rcx)
            })?;
            k.attempt(|a| a.cmpxchg16b(xmmword_ptr(at::SCRATCH + 8)))?;
            k.expect_vectors(&[13; 6]);
            Ok(())
        }),
        faulting("instruction-too-long", |k| {
            k.attempt(|a| {
                a.db(&[0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66])
                    .and_then(|()| a.db(&[0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90]))
            })?;
            k.expect_vectors(&[13]);
            Ok(())
        }),
        faulting("selectors", |k| {
            for bad in [selector::BEYOND, selector::ABSENT, selector::EXECUTE_ONLY, 0x44, 3] {
                k.attempt(|a| {
                    a.mov(ecx, u32::from(bad))?;
                    a.mov(ds, ecx)
                })?;
            }
            for bad in [selector::ABSENT | 3, selector::READ_ONLY, 0, 0x60, selector::USER_DATA] {
                k.attempt(|a| {
                    a.mov(ecx, u32::from(bad))?;
                    a.mov(ss, ecx)
                })?;
            }
            k.a.mov(ebx, ds)?;
            k.result(0, rbx)?;
            k.expect(Expected::Error(0, u64::from(selector::BEYOND)));
            Ok(())
        }),
    ]
}

fn addresses() -> Vec<Image> {
    vec![
        faulting("page-faults", |k| {
            k.a.mov(rbx, at::UNMAPPED)?;
            k.attempt(|a| a.mov(rcx, qword_ptr(rbx + 0x123)))?;
            k.attempt(|a| a.mov(qword_ptr(rbx + 0x456), rcx))?;
            k.attempt(|a| a.add(qword_ptr(rbx + 0x789), rcx))?;
            k.attempt(|a| a.jmp(rbx))?;
            k.attempt(|a| a.lock().inc(dword_ptr(rbx)))?;
            k.attempt(|a| a.mov(rcx, cr2))?;
            k.result(0, rcx)?;
            k.expect_vectors(&[14; 5]);
            k.expect(Expected::Error(1, 2));
            k.expect(Expected::Error(3, 16));
            k.expect_result(0, at::UNMAPPED);
            Ok(())
        }),
        faulting("stack-faults", |k| {
            k.a.mov(rbp, 1_u64 << 63)?;
            k.attempt(|a| a.mov(rcx, qword_ptr(rbp)))?;
            k.attempt(|a| a.mov(rcx, qword_ptr(rbp).ds()))?;
            k.attempt(CodeAssembler::leave)?;
            k.expect_vectors(&[12, 12, 12]);
            Ok(())
        }),
        faulting("descriptor-queries", |k| {
            // Not the TSS: a processor marks it busy.
            let all = [0x10, 0x18, 0x2b, 0x33, 0x13, 0x60, 0x68, 0x70, 0x78, 0x80, 0, 4];
            for (n, query) in all.into_iter().enumerate() {
                k.a.mov(ecx, query)?;
                k.a.mov(ebx, 0x5555)?;
                k.a.lar(ebx, ecx)?;
                k.a.pushfq()?;
                k.a.pop(rdx)?;
                k.result(8 * n, rbx)?;
                k.result(8 * n + 1, rdx)?;
                k.a.mov(ebx, 0x5555)?;
                k.a.lsl(ebx, ecx)?;
                k.a.pushfq()?;
                k.a.pop(rdx)?;
                k.result(8 * n + 2, rbx)?;
                k.result(8 * n + 3, rdx)?;
                k.a.verr(cx)?;
                k.a.pushfq()?;
                k.a.pop(rdx)?;
                k.result(8 * n + 4, rdx)?;
                k.a.verw(cx)?;
                k.a.pushfq()?;
                k.a.pop(rdx)?;
                k.result(8 * n + 5, rdx)?;
            }
            k.expect_result(8 * 6 + 2, 0x7ff);
            Ok(())
        }),
        faulting("segment-bases", |k| {
            k.memory(at::SCRATCH + 0x20, &[0x1122_3344_5566_7788]);
            k.a.mov(ecx, u32::from(selector::BASED))?;
            k.a.mov(fs, ecx)?;
            k.a.mov(gs, ecx)?;
            k.a.mov(rbx, qword_ptr(0x20).fs())?;
            k.result(0, rbx)?;
            k.a.mov(ebx, 0x20)?;
            k.a.mov(rbx, qword_ptr(rbx).gs())?;
            k.result(1, rbx)?;
            k.a.mov(ecx, 0xc000_0101_u32)?;
            k.a.rdmsr()?;
            k.result(2, rax)?;
            k.a.xor(ecx, ecx)?;
            k.a.mov(fs, ecx)?;
            k.a.mov(ecx, 0xc000_0100_u32)?;
            k.a.rdmsr()?;
            k.result(3, rax)?;
            k.a.mov(ebx, gs)?;
            k.result(4, rbx)?;
            k.expect_result(0, 0x1122_3344_5566_7788);
            k.expect_result(1, 0x1122_3344_5566_7788);
            k.expect_result(2, at::SCRATCH);
            Ok(())
        }),
        faulting("table-registers", |k| {
            k.a.sgdt(ptr(at::SCRATCH))?;
            k.a.sidt(ptr(at::SCRATCH + 16))?;
            for slot in 0..4 {
                k.a.mov(rbx, qword_ptr(at::SCRATCH + 8 * slot))?;
                k.result(slot as usize, rbx)?;
            }
            k.a.mov(rbx, -1_i64)?;
            k.a.str(ebx)?;
            k.result(4, rbx)?;
            k.a.sldt(ebx)?;
            k.result(5, rbx)?;
            k.a.smsw(rbx)?;
            k.result(6, rbx)?;
            k.attempt(|a| {
                a.mov(ecx, u32::from(selector::KERNEL_DATA))?;
                a.ltr(cx)
            })?;
            k.attempt(|a| {
                a.xor(ecx, ecx)?;
                a.ltr(cx)
            })?;
            k.expect_result(4, u64::from(selector::TSS));
            k.expect_vectors(&[13, 13]);
            Ok(())
        }),
    ]
}

fn software() -> Vec<Image> {
    vec![
        image("software-interrupts", |k| {
            k.a.int(0x40)?;
            k.a.int3()?;
            k.a.int(3)?;
            k.expect_vectors(&[0x40, 3, 3]);
            Ok(())
        }),
        faulting("absent-gate", |k| {
            k.gate(0x41, 0, 0, 0xe, false);
            k.gate(0x42, 0, 0, 0x5, true);
            k.attempt(|a| a.int(0x41))?;
            k.attempt(|a| a.int(0x42))?;
            k.expect_vectors(&[11, 13]);
            k.expect(Expected::Error(0, 0x41 * 8 + 2));
            k.expect(Expected::Error(1, 0x42 * 8 + 2));
            Ok(())
        }),
        faulting("short-table", |k| {
            k.memory(at::SCRATCH, &[at::IDT << 16 | 0x1ff, at::IDT >> 48]);
            k.a.lidt(ptr(at::SCRATCH))?;
            k.attempt(|a| a.int(0x20))?;
            k.attempt(|a| a.int(0x1f))?;
            k.on(0x1f, 0, 0);
            k.expect_vectors(&[13, 0x1f]);
            k.expect(Expected::Error(0, 0x20 * 8 + 2));
            Ok(())
        }),
        faulting("double-fault", |k| {
            k.gate(13, 0, 0, 0xe, false);
            k.attempt(|a| {
                a.mov(ecx, 0xdead)?;
                a.rdmsr()
            })?;
            k.gate(6, 0, 0, 0xe, false);
            k.attempt(CodeAssembler::ud2)?;
            k.gate(14, 0, 0, 0xe, false);
            k.attempt(|a| {
                a.mov(rcx, at::UNMAPPED)?;
                a.mov(rcx, qword_ptr(rcx))
            })?;
            k.expect_vectors(&[8, 11, 8]);
            k.expect(Expected::Error(1, 6 * 8 + 3));
            Ok(())
        }),
        image("trap-gate-keeps-if", |k| {
            k.gate(0x44, 0, 0, 0xf, true);
            k.hook(0x44, 0, |k| {
                k.a.pushfq()?;
                k.a.pop(rax)?;
                k.result(0, rax)
            })?;
            k.hook(0x45, 0, |k| {
                k.a.pushfq()?;
                k.a.pop(rax)?;
                k.result(1, rax)
            })?;
            k.a.sti()?;
            k.a.nop()?;
            k.a.int(0x44)?;
            k.a.int(0x45)?;
            k.a.cli()?;
            k.expect_vectors(&[0x44, 0x45]);
            Ok(())
        }),
        image("interrupt-stack", |k| {
            k.gate(0x46, 1, 0, 0xe, true);
            k.hook(0x46, 0, |k| k.result(0, rsp))?;
            k.a.sub(rsp, 8)?;
            k.a.int(0x46)?;
            k.a.int(0x47)?;
            k.a.add(rsp, 8)?;
            k.expect_vectors(&[0x46, 0x47]);
            Ok(())
        }),
        image("single-step", |k| {
            k.a.pushfq()?;
            k.a.or(qword_ptr(rsp), 0x100)?;
            k.a.popfq()?;
            k.a.nop()?;
            k.a.inc(ebx)?;
            k.a.pushfq()?;
            k.a.and(qword_ptr(rsp), !0x100)?;
            k.a.popfq()?;
            k.a.nop()?;
            k.expect_vectors(&[1; 5]);
            Ok(())
        }),
    ]
}

/// One interrupt is pending while IF is clear; the frame shows where it is taken, and so does RBX,
/// which starts at 0 and must have come to `count` by then.
fn pending(name: &'static str, count: u64, write: impl FnOnce(&mut Kit) -> Built) -> Image {
    image(name, |k| {
        k.hook(0x50, action::EOI, |k| {
            // The handler's fourth push, under the return address.
            k.a.mov(rax, qword_ptr(rsp + 8))?;
            k.result(0, rax)
        })?;
        k.send_self(0x50)?;
        k.delay()?;
        k.a.xor(ebx, ebx)?;
        write(k)?;
        k.a.cli()?;
        k.expect_vectors(&[0x50]);
        k.expect_result(0, count);
        Ok(())
    })
}

fn windows() -> Vec<Image> {
    vec![
        pending("sti-shadow", 1, |k| {
            k.a.sti()?;
            k.a.inc(ebx)?;
            k.a.inc(ebx)
        }),
        pending("sti-without-shadow", 0, |k| {
            k.a.sti()?;
            k.a.sti()?;
            k.a.inc(ebx)
        }),
        pending("sti-mov-ss", 1, |k| {
            k.a.mov(ecx, u32::from(selector::KERNEL_DATA))?;
            k.a.sti()?;
            k.a.mov(ss, ecx)?;
            k.a.inc(ebx)?;
            k.a.inc(ebx)
        }),
        pending("popf-has-no-shadow", 0, |k| {
            k.a.pushfq()?;
            k.a.or(qword_ptr(rsp), 0x200)?;
            k.a.popfq()?;
            k.a.inc(ebx)?;
            k.a.inc(ebx)
        }),
        pending("iretq-has-no-shadow", 0, |k| {
            let mut to = k.a.create_label();
            k.a.mov(rcx, rsp)?;
            k.a.push(i32::from(selector::KERNEL_DATA))?;
            k.a.push(rcx)?;
            k.a.push(0x202)?;
            k.a.push(i32::from(selector::KERNEL_CODE))?;
            k.a.lea(rax, qword_ptr(to))?;
            k.a.push(rax)?;
            k.a.iretq()?;
            k.a.ud2()?;
            k.a.set_label(&mut to)?;
            k.a.inc(ebx)?;
            k.a.inc(ebx)
        }),
        pending("sti-hlt", 0, |k| {
            k.a.sti()?;
            k.a.hlt()?;
            k.a.inc(ebx)
        }),
        image("sti-cli", |k| {
            k.on(0x50, action::EOI, 0);
            k.send_self(0x50)?;
            k.delay()?;
            k.a.sti()?;
            k.a.cli()?;
            k.delay()?;
            k.apic_result(0, 0x220)?;
            k.expect_vectors(&[]);
            k.expect_result(0, 1 << 16);
            Ok(())
        }),
    ]
}

/// Pushes an IRET frame whose target is `to`.
fn frame(a: &mut CodeAssembler, code: u16, stack: u16, flags: i32, to: CodeLabel) -> Built {
    a.mov(rcx, rsp)?;
    a.push(i32::from(stack))?;
    a.push(rcx)?;
    a.push(flags)?;
    a.push(i32::from(code))?;
    a.lea(rdx, qword_ptr(to))?;
    a.push(rdx)?;
    a.iretq()
}

fn returns() -> Vec<Image> {
    use selector::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};
    vec![
        faulting("iretq-flags", |k| {
            for (slot, flags) in [0x2, 0xcd7, 0x24_7ad7, 0x1_0002, 0x3002].into_iter().enumerate() {
                let mut to = k.a.create_label();
                frame(&mut k.a, KERNEL_CODE, KERNEL_DATA, flags, to)?;
                k.a.ud2()?;
                k.a.set_label(&mut to)?;
                k.a.pushfq()?;
                k.a.pop(rbx)?;
                k.a.cli()?;
                k.result(slot, rbx)?;
                k.a.push(2)?;
                k.a.popfq()?;
            }
            k.expect_result(1, 0xcd7);
            // Ring 0 may load IOPL (SDM vol. 2A, IRET).
            k.expect_result(2, 0x24_7ad7);
            k.expect_result(4, 0x3002);
            k.expect_vectors(&[]);
            Ok(())
        }),
        faulting("iretq-faults", |k| {
            let bad = [
                (0, KERNEL_DATA),
                (3, KERNEL_DATA),
                (USER_CODE, 0),
                (USER_CODE, KERNEL_DATA),
                (USER_CODE, 3),
                (KERNEL_CODE, USER_DATA),
            ];
            for (code, stack) in bad {
                k.a.mov(rbx, rsp)?;
                k.attempt(|a| label_of(a).and_then(|to| frame(a, code, stack, 2, to)))?;
                k.a.mov(rsp, rbx)?;
            }
            k.expect_vectors(&[13; 6]);
            Ok(())
        }),
        faulting("iretq-nt", |k| {
            k.a.pushfq()?;
            k.a.or(qword_ptr(rsp), 0x4000)?;
            k.a.popfq()?;
            k.a.mov(rbx, rsp)?;
            k.attempt(|a| label_of(a).and_then(|to| frame(a, KERNEL_CODE, KERNEL_DATA, 2, to)))?;
            k.a.mov(rsp, rbx)?;
            k.a.pushfq()?;
            k.a.pop(rbx)?;
            k.result(0, rbx)?;
            k.expect_vectors(&[13]);
            Ok(())
        }),
    ]
}

/// A label at the place where the code is now, for frames that are not to be taken.
fn label_of(a: &mut CodeAssembler) -> Result<CodeLabel, IcedError> {
    let mut label = a.create_label();
    a.set_label(&mut label)?;
    a.nop()?;
    Ok(label)
}
