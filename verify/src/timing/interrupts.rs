//! Interrupts, system calls and device registers.

use super::memory::DISTANCE;
use super::rig::{self, HBA, RESULT, by_cpu, delay, exit, interrupts_on, measure, nothing};
use super::{Line, Row, published};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::ids::CoreId;
use sim_x86::spec::MachineSpec;

/// When the handler began; and by CPU, one line each, how often it has.
const BEGAN: u64 = RESULT + 128;
const ACKS: u64 = 0x21_0000;
/// Vector of the IPIs.
const VECTOR: i32 = 0x50;
/// Delivery mode NMI in the ICR.
const NMI: i32 = 0x400;

fn row(preset: &MachineSpec, name: &str, measured: f64, stated: u32) -> Row {
    Row::new("Interrupts, system calls, devices", name, measured, stated)
        .published(published::other(&preset.preset, name))
}

/// Notes the time, acknowledges, and returns.
fn handler(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.rdtsc()?;
    a.mov(qword_ptr(BEGAN), rax)?;
    a.mov(dword_ptr(rsi + 0xb0), 0)?;
    // RDI is the CPU's number still.
    a.mov(r9, rdi)?;
    a.shl(r9, 6)?;
    a.inc(qword_ptr(r9 + ACKS as i32))?;
    a.iretq()
}

/// Spins, ready for interrupts.
fn target(a: &mut CodeAssembler) -> Result<(), IcedError> {
    interrupts_on(a)?;
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.jmp(again)
}

/// Writes the ICR: an IPI to one CPU.
fn send(a: &mut CodeAssembler, to: u16, command: i32) -> Result<(), IcedError> {
    a.mov(dword_ptr(rsi + 0x310), i32::from(to) << 24)?;
    a.mov(dword_ptr(rsi + 0x300), command)
}

/// Waits until the handler of `cpu` has run `times` times.
fn wait_for(a: &mut CodeAssembler, cpu: u16, times: i32) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.pause()?;
    a.cmp(qword_ptr(ACKS + 64 * u64::from(cpu)), times)?;
    a.jne(again)
}

/// Cycles from the ICR write of CPU 0 to the first instruction of the handler of `to`.
fn ipi(preset: &MachineSpec, to: u16, command: i32) -> f64 {
    let sender = |a: &mut CodeAssembler| {
        interrupts_on(a)?;
        delay(a, 20_000)?;
        // The first round brings code and data in.
        for round in 1..=3 {
            a.mov(dword_ptr(rsi + 0x310), i32::from(to) << 24)?;
            a.rdtsc()?;
            a.mov(r8d, eax)?;
            a.mov(dword_ptr(rsi + 0x300), command)?;
            wait_for(a, to, round)?;
            delay(a, 2_000)?;
        }
        a.mov(qword_ptr(RESULT), r8)?;
        exit(a)
    };
    let program = |a: &mut CodeAssembler| by_cpu(a, &[(0, &sender), (to, &target)]);
    let machine = rig::run(rig::machine(rig::spec(preset), &program, &handler));
    let (sent, began) = (rig::word(&machine, RESULT), rig::word(&machine, BEGAN));
    // The clock was read before RDTSC and the move after it had passed.
    began as f64 - sent as f64 - f64::from(preset.costs.rdtsc + preset.costs.alu)
}

/// Cycles until `targets` CPUs have answered IPIs that are sent to them one by one.
fn broadcast(preset: &MachineSpec, targets: u16) -> f64 {
    let sender = |a: &mut CodeAssembler| {
        interrupts_on(a)?;
        delay(a, 20_000)?;
        for round in 1..=3 {
            a.rdtsc()?;
            a.mov(r8d, eax)?;
            for to in 1..=targets {
                send(a, to, VECTOR)?;
            }
            for to in 1..=targets {
                wait_for(a, to, round)?;
            }
            a.rdtsc()?;
            a.sub(eax, r8d)?;
            a.mov(r9d, eax)?;
            delay(a, 2_000)?;
        }
        a.mov(qword_ptr(RESULT), r9)?;
        exit(a)
    };
    let program = |a: &mut CodeAssembler| {
        let mut other = a.create_label();
        a.cmp(edi, 0)?;
        a.jne(other)?;
        sender(a)?;
        a.set_label(&mut other)?;
        target(a)
    };
    let machine = rig::run(rig::machine(rig::spec(preset), &program, &handler));
    rig::word(&machine, RESULT) as f64
}

/// IPIs to a growing number of CPUs.
pub(super) fn by_targets(preset: &MachineSpec) -> Vec<Line> {
    let last = preset.cores as u16 - 1;
    let counts = (1..=last).filter(|n| n % 2 == 1 || *n == last);
    let points = counts.map(|n| (f64::from(n), broadcast(preset, n)));
    let name = "IPIs to n CPUs until all have answered";
    Line::by_package(preset, name, "per target", points.collect(), 1)
}

/// Single latencies.
pub(super) fn single(preset: &MachineSpec) -> Vec<Row> {
    let i = &preset.interrupts;
    let mut rows = Vec::new();
    for (distance, name) in DISTANCE.into_iter().enumerate() {
        let at = |&core: &u16| preset.topology.core_distance(CoreId(0), CoreId(core)) == distance;
        let Some(to) = (1..preset.cores as u16).find(at) else { continue };
        let stated = i.ipi[distance] + i.entry;
        rows.push(row(preset, &format!("IPI, {name}"), ipi(preset, to, VECTOR), stated));
        let nmi = ipi(preset, to, NMI);
        rows.push(row(preset, &format!("NMI by IPI, {name}"), nmi, stated));
    }
    let costs = &preset.costs;
    let on_one = |op: rig::Op<'_>| one(preset, op);
    let int = on_one(&|a, _| a.int(rig::RETURN_VECTOR));
    // IRET's table has what it does besides reading the five words of its frame.
    let round_trip = i.entry + costs.iret + 5 * preset.memory.l1_hit;
    rows.push(row(preset, "INT n and IRETQ", int, round_trip));
    let read = on_one(&|a, _| a.mov(ecx, dword_ptr(rsi)));
    rows.push(row(preset, "MMIO read", read, i.mmio_read));
    // 0x34: the interrupt mask, which has no side effects here.
    let write = on_one(&|a, _| a.mov(dword_ptr(rsi + 0x34), ecx));
    rows.push(row(preset, "MMIO write, until it retires", write, i.mmio_retire));
    rows.push(row(preset, "SYSCALL and SYSRET", syscall(preset), costs.syscall + costs.sysret));
    rows
}

/// Cycles of an operation on one CPU, with the HBA's registers in RSI.
fn one(preset: &MachineSpec, op: rig::Op<'_>) -> f64 {
    let mut spec = rig::spec(preset);
    spec.cores = 1;
    let program = |a: &mut CodeAssembler| {
        interrupts_on(a)?;
        a.mov(rsi, HBA)?;
        measure(a, op, &nothing)
    };
    rig::measured(&rig::run(rig::machine(spec, &program, &rig::no_handler)))
}

/// A system call that does nothing, from ring 3 and back.
fn syscall(preset: &MachineSpec) -> f64 {
    let mut spec = rig::spec(preset);
    spec.cores = 1;
    let program = |a: &mut CodeAssembler| {
        let mut user = a.create_label();
        for (msr, low, high) in [
            // STAR: SYSCALL loads CS 0x10, SYSRET 0x20 + 16. LSTAR: the handler. FMASK.
            (0xc000_0081u32, 0u32, 0x0020_0010u32),
            (0xc000_0082, rig::HANDLER as u32, 0),
            (0xc000_0084, 0x200, 0),
        ] {
            a.mov(ecx, msr)?;
            a.mov(eax, low)?;
            a.mov(edx, high)?;
            a.wrmsr()?;
        }
        a.lea(rcx, qword_ptr(user))?;
        a.mov(r11, 2u64)?;
        a.sysretq()?;
        a.set_label(&mut user)?;
        measure(a, &|a, _| a.syscall(), &nothing)
    };
    // Ring 3 may not write to the exit port; as there is no IDT, that ends the run just as well.
    let machine = rig::machine(spec, &program, &|a| a.sysretq());
    rig::measured(&rig::run(machine))
}
