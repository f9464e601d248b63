//! The local APIC: IRR, ISR, priorities, EOI, self-IPIs, x2APIC mode.

use super::kit::{Built, Image, Kit, action, image};
use iced_x86::code_asm::*;

const TPR: i32 = 0x80;
const PPR: i32 = 0xa0;
const ISR: i32 = 0x100;
const IRR: i32 = 0x200;
const APIC_BASE: u32 = 0x1b;
const X2APIC: u32 = 0x800;
const SELF_IPI: u32 = 0x83f;

/// End of an interrupt that came at any place of a delay.
const END: u64 = action::EOI | action::ANY_PLACE;

/// Offset of the word of IRR or ISR that has `vector`.
fn word(first: i32, vector: i32) -> i32 {
    first + (vector >> 5) * 0x10
}

/// Opens a window for interrupts.
fn window(k: &mut Kit) -> Built {
    k.a.sti()?;
    k.delay()?;
    k.a.cli()
}

/// Sends to itself while IF is clear.
fn post(k: &mut Kit, vectors: &[u32]) -> Built {
    for &vector in vectors {
        k.send_self(vector)?;
        k.delay()?;
    }
    Ok(())
}

pub(super) fn images() -> Vec<Image> {
    let mut images = registers();
    images.extend(priorities());
    images.extend(x2apic());
    images
}

fn registers() -> Vec<Image> {
    vec![
        image("irr-isr-eoi", |k| {
            k.hook(0x61, END, |k| {
                k.apic_result(3, word(IRR, 0x61))?;
                k.apic_result(4, word(ISR, 0x61))?;
                k.apic_result(5, PPR)
            })?;
            k.apic_result(0, word(IRR, 0x61))?;
            post(k, &[0x61])?;
            k.apic_result(1, word(IRR, 0x61))?;
            k.apic_result(2, PPR)?;
            window(k)?;
            k.apic_result(6, word(IRR, 0x61))?;
            k.apic_result(7, word(ISR, 0x61))?;
            k.apic_result(8, PPR)?;
            k.expect_vectors(&[0x61]);
            k.expect_result(1, 2);
            k.expect_result(4, 2);
            k.expect_result(5, 0x60);
            k.expect_result(7, 0);
            Ok(())
        }),
        image("registers-after-reset", |k| {
            for (slot, offset) in [0x20, TPR, PPR, 0xd0, 0xe0, 0xf0, 0x320, 0x370, 0x380, 0x390]
                .into_iter()
                .enumerate()
            {
                k.apic_result(slot, offset)?;
            }
            k.expect_result(6, 0x1_0000);
            Ok(())
        }),
        image("registers-keep-what-is-written", |k| {
            k.apic(TPR, 0x7b)?;
            k.apic(0x320, 0x2_0033)?;
            k.apic(0x370, 0x1_00fe)?;
            k.apic(0xd0, 0x1234_5678)?;
            k.apic(0x3e0, 0xb)?;
            k.apic(0x310, 0x5566_7788)?;
            for (slot, offset) in
                [TPR, PPR, 0x320, 0x370, 0xd0, 0x3e0, 0x310].into_iter().enumerate()
            {
                k.apic_result(slot, offset)?;
            }
            k.a.mov(rax, cr8)?;
            k.result(7, rax)?;
            k.expect_result(0, 0x7b);
            k.expect_result(4, 0x1200_0000);
            k.expect_result(7, 7);
            Ok(())
        }),
        image("two-of-one-vector-are-one", |k| {
            k.on(0x52, END, 0);
            post(k, &[0x52, 0x52, 0x52])?;
            window(k)?;
            window(k)?;
            k.expect_vectors(&[0x52]);
            Ok(())
        }),
        image("without-eoi-the-class-waits", |k| {
            k.on(0x53, action::ANY_PLACE, 0);
            k.on(0x5f, END, 0);
            k.on(0x63, END, 0);
            post(k, &[0x53])?;
            window(k)?;
            post(k, &[0x5f, 0x63])?;
            window(k)?;
            k.apic_result(0, word(IRR, 0x5f))?;
            k.apic_result(1, word(ISR, 0x53))?;
            k.apic(0xb0, 0)?;
            window(k)?;
            k.apic_result(2, word(ISR, 0x53))?;
            k.expect_vectors(&[0x53, 0x63, 0x5f]);
            k.expect_result(0, 1 << 31);
            k.expect_result(1, 1 << 19);
            Ok(())
        }),
    ]
}

fn priorities() -> Vec<Image> {
    vec![
        image("highest-first", |k| {
            for vector in [0x41, 0x82, 0x63, 0xef, 0x30] {
                k.on(vector, END, 0);
            }
            post(k, &[0x41, 0x82, 0x30, 0xef, 0x63])?;
            window(k)?;
            k.expect_vectors(&[0xef, 0x82, 0x63, 0x41, 0x30]);
            Ok(())
        }),
        image("nested-by-priority", |k| {
            k.on(0x31, END, 0);
            k.hook(0x82, END, |k| {
                k.apic_result(0, PPR)?;
                k.apic_result(1, word(ISR, 0x41))
            })?;
            k.hook(0x41, END, |k| {
                post(k, &[0x31, 0x82])?;
                window(k)?;
                k.apic_result(2, PPR)
            })?;
            post(k, &[0x41])?;
            window(k)?;
            window(k)?;
            k.expect_vectors(&[0x41, 0x82, 0x31]);
            k.expect_result(0, 0x80);
            k.expect_result(2, 0x40);
            Ok(())
        }),
        image("task-priority", |k| {
            k.on(0x61, END, 0);
            k.on(0x82, END, 0);
            k.apic(TPR, 0x70)?;
            post(k, &[0x61, 0x82])?;
            window(k)?;
            window(k)?;
            k.apic_result(0, word(IRR, 0x61))?;
            k.apic_result(1, PPR)?;
            k.a.sti()?;
            k.apic(TPR, 0x5f)?;
            k.delay()?;
            k.a.cli()?;
            k.apic_result(2, PPR)?;
            k.expect(super::Expected::Vectors(0, vec![0x82, 0x61]));
            k.expect_result(0, 2);
            k.expect_result(1, 0x70);
            Ok(())
        }),
        image("task-priority-by-cr8", |k| {
            k.on(0x92, END, 0);
            k.a.mov(eax, 9)?;
            k.a.mov(cr8, rax)?;
            post(k, &[0x92])?;
            window(k)?;
            k.apic_result(0, TPR)?;
            k.apic_result(1, word(IRR, 0x92))?;
            k.a.sti()?;
            k.a.nop()?;
            k.a.mov(eax, 8)?;
            k.a.mov(cr8, rax)?;
            k.delay()?;
            k.a.cli()?;
            k.a.mov(rax, cr8)?;
            k.result(2, rax)?;
            k.expect_vectors(&[0x92]);
            k.expect_result(0, 0x90);
            k.expect_result(2, 8);
            Ok(())
        }),
        image("logical-destination", |k| {
            k.on(0x55, END, 0);
            k.apic(0xe0, 0xffff_ffff)?;
            k.apic(0xd0, 1 << 24)?;
            k.send_to(1, 1 << 11 | 0x55)?;
            k.delay()?;
            k.send_to(2, 1 << 11 | 0x56)?;
            k.delay()?;
            k.apic_result(0, word(IRR, 0x55))?;
            window(k)?;
            k.expect_vectors(&[0x55]);
            Ok(())
        }),
        image("physical-destination", |k| {
            k.on(0x57, END, 0);
            k.on(0x58, END, 0);
            k.send_to(0, 0x57)?;
            k.delay()?;
            k.send_to(0xff, 0x58)?;
            k.delay()?;
            k.send_to(5, 0x59)?;
            k.delay()?;
            k.apic_result(0, word(IRR, 0x57))?;
            window(k)?;
            k.expect_vectors(&[0x58, 0x57]);
            Ok(())
        }),
    ]
}

/// EDX:EAX to an MSR.
fn write(a: &mut CodeAssembler, msr: u32, high: u32, low: u32) -> Built {
    a.mov(ecx, msr)?;
    a.mov(edx, high)?;
    a.mov(eax, low)?;
    a.wrmsr()
}

fn read(k: &mut Kit, slot: usize, msr: u32) -> Built {
    k.a.mov(ecx, msr)?;
    k.a.rdmsr()?;
    k.a.shl(rdx, 32)?;
    k.a.or(rax, rdx)?;
    k.result(slot, rax)
}

fn x2apic() -> Vec<Image> {
    /// Turns x2APIC mode on first.
    fn on(name: &'static str, more: fn(&mut Kit) -> Built) -> Image {
        image(name, move |k| {
            k.on(13, action::RESUME, 0);
            write(&mut k.a, APIC_BASE, 0, 0xfee0_0d00)?;
            more(k)
        })
    }
    vec![
        on("x2apic-self-ipi", |k| {
            k.hook(0x71, action::ANY_PLACE, |k| write(&mut k.a, X2APIC + 0xb, 0, 0))?;
            write(&mut k.a, SELF_IPI, 0, 0x71)?;
            k.delay()?;
            read(k, 0, X2APIC + 0x23)?;
            window(k)?;
            read(k, 1, X2APIC + 0x23)?;
            read(k, 2, X2APIC + 0x13)?;
            k.expect_vectors(&[0x71]);
            k.expect_result(0, 1 << 17);
            Ok(())
        }),
        on("x2apic-icr", |k| {
            k.hook(0x72, action::ANY_PLACE, |k| write(&mut k.a, X2APIC + 0xb, 0, 0))?;
            write(&mut k.a, X2APIC + 0x30, 0, 0x72)?;
            k.delay()?;
            window(k)?;
            write(&mut k.a, X2APIC + 0x30, 0xffff_ffff, 0x72)?;
            k.delay()?;
            window(k)?;
            write(&mut k.a, X2APIC + 0x30, 1, 1 << 11 | 0x72)?;
            k.delay()?;
            window(k)?;
            read(k, 0, X2APIC + 2)?;
            read(k, 1, X2APIC + 0xd)?;
            read(k, 2, X2APIC + 8)?;
            k.expect_vectors(&[0x72, 0x72, 0x72]);
            k.expect_result(1, 1);
            Ok(())
        }),
        on("x2apic-faults", |k| {
            k.attempt(|a| write(a, X2APIC + 0xb, 0, 1))?;
            k.attempt(|a| write(a, X2APIC + 2, 0, 1))?;
            k.attempt(|a| write(a, X2APIC + 8, 1, 0))?;
            k.attempt(|a| write(a, X2APIC + 8, 0, 0x100))?;
            k.attempt(|a| write(a, X2APIC + 0xd, 0, 1))?;
            k.attempt(|a| {
                a.mov(ecx, X2APIC + 0xe)?;
                a.rdmsr()
            })?;
            k.attempt(|a| {
                a.mov(ecx, X2APIC + 0x31)?;
                a.rdmsr()
            })?;
            k.attempt(|a| write(a, APIC_BASE, 0, 0xfee0_0900))?;
            k.attempt(|a| {
                a.mov(ecx, X2APIC + 0x3f)?;
                a.rdmsr()
            })?;
            k.expect_vectors(&[13, 13, 13, 13, 13, 13, 13, 13, 13]);
            Ok(())
        }),
    ]
}
