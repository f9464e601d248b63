//! The APIC timer: what comes of it, not when.

use super::at;
use super::kit::{Built, Image, Kit, action, image};
use iced_x86::code_asm::*;

const LVT: i32 = 0x320;
const INITIAL: i32 = 0x380;
const CURRENT: i32 = 0x390;
const DIVIDE: i32 = 0x3e0;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 2 << 17;
const TSC_DEADLINE: u32 = 0x6e0;
const VECTOR: u32 = 0x70;
const FLAGS: u64 = action::EOI | action::ANY_PLACE;

/// Lets a masked timer count down, and gives what may follow from it time. RAX and RCX are lost.
fn masked(k: &mut Kit) -> Built {
    k.apic(DIVIDE, 0xb)?;
    k.apic(LVT, MASKED | VECTOR)?;
    k.apic(INITIAL, 100)?;
    let mut again = k.a.create_label();
    k.a.set_label(&mut again)?;
    k.a.pause()?;
    k.a.cmp(dword_ptr(r15 + CURRENT), 0)?;
    k.a.jne(again)?;
    for _ in 0..10 {
        k.delay()?;
    }
    Ok(())
}

pub(super) fn images() -> Vec<Image> {
    vec![
        image("timer-one-shot", |k| {
            k.on(VECTOR.into(), FLAGS, 0);
            k.apic(DIVIDE, 0xb)?;
            k.apic(LVT, VECTOR)?;
            k.apic(INITIAL, 20_000)?;
            k.a.sti()?;
            k.wait_log(0, 1)?;
            k.delay()?;
            k.delay()?;
            k.a.cli()?;
            k.apic_result(0, CURRENT)?;
            k.apic_result(1, INITIAL)?;
            k.apic_result(2, 0x230)?;
            k.expect_vectors(&[VECTOR.into()]);
            k.expect_result(0, 0);
            k.expect_result(1, 20_000);
            Ok(())
        }),
        image("timer-periodic", |k| {
            k.on(VECTOR.into(), FLAGS, 0);
            k.apic(DIVIDE, 0xb)?;
            k.apic(LVT, PERIODIC | VECTOR)?;
            k.apic(INITIAL, 2_000_000)?;
            k.a.sti()?;
            k.wait_log(0, 3)?;
            k.a.cli()?;
            k.apic(LVT, MASKED)?;
            k.apic(INITIAL, 0)?;
            k.apic_result(0, CURRENT)?;
            k.expect_vectors(&[u64::from(VECTOR); 3]);
            Ok(())
        }),
        image("timer-wakes-hlt", |k| {
            k.on(VECTOR.into(), FLAGS, 0);
            k.apic(DIVIDE, 0xb)?;
            k.apic(LVT, VECTOR)?;
            k.apic(INITIAL, 400_000)?;
            k.a.sti()?;
            k.a.hlt()?;
            k.a.cli()?;
            k.a.mov(rax, qword_ptr(at::LOG))?;
            k.result(0, rax)?;
            k.expect_vectors(&[VECTOR.into()]);
            k.expect_result(0, 1);
            Ok(())
        }),
        image("timer-masked", |k| {
            masked(k)?;
            k.apic_result(0, CURRENT)?;
            k.apic_result(1, 0x230)?;
            k.expect_vectors(&[]);
            k.expect_result(0, 0);
            k.expect_result(1, 0);
            Ok(())
        }),
        // KVM keeps what a masked timer has counted and delivers it when the mask goes.
        image("timer-masked-is-forgotten", |k| {
            masked(k)?;
            k.apic(LVT, VECTOR)?;
            k.delay()?;
            k.apic_result(0, 0x230)?;
            k.a.mov(eax, 1)?;
            k.result(1, rax)?;
            k.expect_result(0, 0);
            k.expect_result(1, 1);
            Ok(())
        }),
        image("timer-pending-while-closed", |k| {
            k.on(VECTOR.into(), FLAGS, 0);
            k.apic(DIVIDE, 0xb)?;
            k.apic(LVT, VECTOR)?;
            k.apic(INITIAL, 100)?;
            k.delay()?;
            k.delay()?;
            k.apic_result(0, 0x230)?;
            k.a.sti()?;
            k.delay()?;
            k.a.cli()?;
            k.expect_vectors(&[VECTOR.into()]);
            k.expect_result(0, 1 << 16);
            Ok(())
        }),
        image("timer-tsc-deadline", |k| {
            k.on(VECTOR.into(), FLAGS, 0);
            k.apic(LVT, DEADLINE | VECTOR)?;
            k.a.mfence()?;
            k.a.rdtsc()?;
            k.a.shl(rdx, 32)?;
            k.a.or(rax, rdx)?;
            k.a.add(rax, 300_000)?;
            k.a.mov(rdx, rax)?;
            k.a.shr(rdx, 32)?;
            k.a.mov(ecx, TSC_DEADLINE)?;
            k.a.wrmsr()?;
            k.a.sti()?;
            k.a.hlt()?;
            k.a.cli()?;
            k.a.mov(ecx, TSC_DEADLINE)?;
            k.a.rdmsr()?;
            k.result(0, rax)?;
            k.apic(INITIAL, 5)?;
            k.apic_result(1, CURRENT)?;
            k.expect_vectors(&[VECTOR.into()]);
            k.expect_result(0, 0);
            Ok(())
        }),
        image("timer-tsc-deadline-disarmed", |k| {
            k.apic(LVT, DEADLINE | VECTOR)?;
            k.a.mfence()?;
            k.a.rdtsc()?;
            k.a.add(edx, 1)?;
            k.a.mov(ecx, TSC_DEADLINE)?;
            k.a.wrmsr()?;
            k.a.xor(eax, eax)?;
            k.a.xor(edx, edx)?;
            k.a.wrmsr()?;
            k.delay()?;
            k.a.mov(ecx, TSC_DEADLINE)?;
            k.a.rdmsr()?;
            k.result(0, rax)?;
            k.apic_result(1, 0x230)?;
            k.expect_result(1, 0);
            Ok(())
        }),
    ]
}
