//! Non-maskable interrupts.

use super::at;
use super::kit::{Built, Image, Kit, action, image};
use iced_x86::code_asm::*;

/// ICR command: NMI to the APIC id in ICR2.
const NMI: u32 = 4 << 8;

pub(super) fn images() -> Vec<Image> {
    vec![
        image("nmi", |k| {
            k.on(2, action::ANY_PLACE, 0);
            k.send_to(0, NMI)?;
            k.delay()?;
            k.a.mov(rax, qword_ptr(at::LOG))?;
            k.result(0, rax)?;
            k.expect_vectors(&[2]);
            k.expect_result(0, 1);
            Ok(())
        }),
        image("nmi-blocks-nmi", |k| {
            k.hook(2, action::ANY_PLACE, |k| {
                // The first time only: two more, of which one is kept.
                again_unless(k, 1, |k| {
                    k.send_to(0, NMI)?;
                    k.delay()?;
                    k.send_to(0, NMI)?;
                    k.delay()?;
                    k.a.mov(rax, qword_ptr(at::LOG))?;
                    k.result(0, rax)
                })
            })?;
            k.send_to(0, NMI)?;
            k.delay()?;
            k.delay()?;
            k.expect_vectors(&[2, 2]);
            k.expect_result(0, 1);
            Ok(())
        }),
        image("iretq-unblocks-nmi", |k| {
            k.hook(2, action::ANY_PLACE, |k| {
                again_unless(k, 1, |k| {
                    k.send_to(0, NMI)?;
                    k.delay()?;
                    // IRET to the next instruction, still in the handler.
                    let mut next = k.a.create_label();
                    k.a.mov(rcx, rsp)?;
                    k.a.push(0x18)?;
                    k.a.push(rcx)?;
                    k.a.push(2)?;
                    k.a.push(0x10)?;
                    k.a.lea(rax, qword_ptr(next))?;
                    k.a.push(rax)?;
                    k.a.iretq()?;
                    k.a.set_label(&mut next)?;
                    k.a.nop()?;
                    k.delay()?;
                    k.a.mov(rax, qword_ptr(at::LOG))?;
                    k.result(0, rax)
                })
            })?;
            k.send_to(0, NMI)?;
            k.delay()?;
            k.expect_vectors(&[2, 2]);
            k.expect_result(0, 2);
            Ok(())
        }),
        image("a-fault-in-the-nmi-handler-unblocks-nmi", |k| {
            k.on(3, 0, 0);
            k.hook(2, action::ANY_PLACE, |k| {
                again_unless(k, 1, |k| {
                    k.send_to(0, NMI)?;
                    k.delay()?;
                    k.a.int3()?;
                    k.a.nop()?;
                    k.delay()?;
                    k.a.mov(rax, qword_ptr(at::LOG))?;
                    k.result(0, rax)
                })
            })?;
            k.send_to(0, NMI)?;
            k.delay()?;
            k.expect_vectors(&[2, 3, 2]);
            k.expect_result(0, 3);
            Ok(())
        }),
        image("nmi-comes-before-interrupts", |k| {
            k.on(0x50, action::EOI | action::ANY_PLACE, 0);
            k.hook(2, action::ANY_PLACE, |k| {
                k.send_self(0x50)?;
                k.delay()?;
                k.apic_result(0, 0x220)
            })?;
            k.a.sti()?;
            k.a.nop()?;
            k.send_to(0, NMI)?;
            k.delay()?;
            k.a.cli()?;
            k.expect_vectors(&[2, 0x50]);
            k.expect_result(0, 1 << 16);
            Ok(())
        }),
        image("nmi-interrupt-stack", |k| {
            k.gate(2, 1, 0, 0xe, true);
            k.hook(2, action::ANY_PLACE, |k| k.result(0, rsp))?;
            k.send_to(0, NMI)?;
            k.delay()?;
            k.expect_vectors(&[2]);
            Ok(())
        }),
        image("nmi-in-the-delay-of-a-fault", |k| {
            k.on(6, action::RESUME, 0);
            k.on(2, action::ANY_PLACE, 0);
            k.send_to(0, NMI)?;
            k.delay()?;
            k.attempt(CodeAssembler::ud2)?;
            k.expect_vectors(&[2, 6]);
            Ok(())
        }),
    ]
}

/// Runs `write` unless the log already has more than `count` entries.
fn again_unless(k: &mut Kit, count: i32, write: impl FnOnce(&mut Kit) -> Built) -> Built {
    let mut over = k.a.create_label();
    k.a.cmp(dword_ptr(at::LOG), count)?;
    k.a.ja(over)?;
    write(k)?;
    k.a.set_label(&mut over)?;
    k.a.nop()
}
