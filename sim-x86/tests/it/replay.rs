//! Replaying what was executed before changes nothing, and it does replace execution.

use crate::guest::{self, CODE, DATA};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use proptest::prelude::*;
use sim_core::Cycle;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::{Machine, Speed};

/// Where the handler lies.
const HANDLER: u64 = CODE + 0x1000;
/// The interrupt descriptor table.
const IDT: u64 = CODE + 0x3000;
/// What the CPUs' handlers share.
const SHARED: u64 = DATA + 0x8000;
const VECTOR: u8 = 0x50;

/// Scratch registers of the handler's body. RBX holds the address of the CPU's own memory.
const WORK: [AsmRegister64; 6] = [rax, rcx, rdx, rsi, r8, r9];
const WORK32: [AsmRegister32; 6] = [eax, ecx, edx, esi, r8d, r9d];
const WORK8: [AsmRegister8; 6] = [al, cl, dl, sil, r8b, r9b];

/// One instruction of a handler: what, two registers, a place in memory.
type Choice = (u8, u8, u8, u8);

#[allow(clippy::too_many_lines, reason = "a table")]
fn emit(a: &mut CodeAssembler, (what, x, y, at): Choice) -> Result<(), IcedError> {
    let (x, y) = (usize::from(x) % WORK.len(), usize::from(y) % WORK.len());
    let (p, q, at) = (WORK[x], WORK[y], i32::from(at) * 4);
    let (p4, q4, p1) = (WORK32[x], WORK32[y], WORK8[x]);
    match what % 40 {
        0 => a.mov(p, q),
        1 => a.mov(p4, q4),
        2 | 3 => a.mov(p, qword_ptr(rbx + at)),
        4 => a.mov(p4, dword_ptr(rbx + at)),
        5 | 6 => a.mov(qword_ptr(rbx + at), q),
        7 => a.mov(byte_ptr(rbx + at), p1),
        8 => a.add(p, q),
        9 => a.sub(p, q),
        10 => a.xor(p4, q4),
        11 => a.adc(p, q),
        12 => a.inc(qword_ptr(rbx + at)),
        13 => a.add(dword_ptr(rbx + at), q4),
        14 => a.sub(qword_ptr(rbx + at), 3),
        15 => a.imul_2(p, q),
        16 => a.shl(p, 3),
        17 => a.shr(p4, 1),
        18 => a.mul(q),
        19 => a.cmp(p, q).and_then(|()| a.cmovg(p, q)),
        20 => a.test(p4, q4).and_then(|()| a.setne(p1)),
        21 => a.movzx(p4, byte_ptr(rbx + at)),
        22 => a.lea(p, qword_ptr(rbx + q * 2 + 5)),
        23 => a.push(p).and_then(|()| a.pop(q)),
        24 => a.rdtsc(),
        25 => a.lock().inc(qword_ptr(rbx + at / 8 * 8)),
        26 => a.mov(p, qword_ptr(SHARED as i32)),
        27 => a.mov(qword_ptr(SHARED as i32 + 64), p),
        28 => a.pushfq().and_then(|()| a.popfq()),
        29 => a.dec(p),
        30 => a.bt(p4, 3).and_then(|()| a.sbb(q, q)),
        31 => a.movsx(p, byte_ptr(rbx + at)),
        32 => a.bsf(p, q),
        33 => a.xor(p4, p4),
        34 => a.mov(p4, 0x1234),
        35 => a.cli(),
        36 => a.and(p, 15).and_then(|()| a.mov(q, qword_ptr(rbx + p * 8))),
        37 => a.cwde().and_then(|()| a.cdq()),
        38 => skipped(a, p, q, at),
        _ => a.shld(p, q, 7),
    }
}

/// A branch over a store, taken now and then.
fn skipped(
    a: &mut CodeAssembler,
    p: AsmRegister64,
    q: AsmRegister64,
    at: i32,
) -> Result<(), IcedError> {
    let mut over = a.create_label();
    a.test(p, 8)?;
    a.jz(over)?;
    a.mov(qword_ptr(rbx + at), q)?;
    a.set_label(&mut over)
}

/// Counts, does `body`, rearms the timer, and returns.
fn handler(a: &mut CodeAssembler, body: &[Choice]) -> Result<(), IcedError> {
    let saved = [rax, rbx, rcx, rdx, rsi, r8, r9];
    for register in saved {
        a.push(register)?;
    }
    a.mov(rbx, rdi)?;
    a.shl(rbx, 12)?;
    a.add(rbx, DATA as i32)?;
    a.inc(qword_ptr(rbx + 0x800))?;
    for &choice in body {
        emit(a, choice)?;
    }
    a.mov(rax, 0xfee0_00b0_u64)?;
    a.mov(dword_ptr(rax), 0)?;
    a.inc(qword_ptr(rbx + 0x900))?;
    a.mov(rax, 0xfee0_0380_u64)?;
    a.mov(dword_ptr(rax), 60)?;
    for register in saved.into_iter().rev() {
        a.pop(register)?;
    }
    a.iretq()
}

/// Starts the timer and waits: in a loop that counts, or (`idle`) in one that can be skipped.
fn program(a: &mut CodeAssembler, idle: bool) -> Result<(), IcedError> {
    let (mut again, mut wait) = (a.create_label(), a.create_label());
    for (register, value) in [(0xf0, 0x1ff), (0x3e0, 0xb), (0x320, u32::from(VECTOR)), (0x380, 50)]
    {
        a.mov(rax, 0xfee0_0000_u64 + register)?;
        a.mov(dword_ptr(rax), value as i32)?;
    }
    // Not all CPUs at once, or windows are short.
    a.mov(ecx, edi)?;
    a.shl(ecx, 5)?;
    a.add(ecx, 50)?;
    a.mov(dword_ptr(rax), ecx)?;
    a.xor(ebp, ebp)?;
    a.sti()?;
    if idle {
        a.set_label(&mut wait)?;
        a.pause()?;
        a.cmp(qword_ptr(SHARED as i32 + 128), 0)?;
        a.je(wait)?;
    }
    a.set_label(&mut again)?;
    a.pause()?;
    a.inc(rbp)?;
    a.test(ebp, 7)?;
    a.jnz(again)?;
    a.mov(r10, qword_ptr(SHARED as i32 + 128))?;
    a.mov(rcx, rbp)?;
    a.jmp(again)
}

fn gate(handler: u64) -> [u8; 16] {
    let low = handler & 0xffff | 0x10 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48;
    (u128::from(low) | u128::from(handler >> 32) << 64).to_le_bytes()
}

fn machine(cores: u32, body: &[Choice], idle: bool) -> Machine {
    let mut machine = guest::machine(cores, |a| program(a, idle).expect("the program assembles"));
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    handler(&mut a, body).expect("the handler assembles");
    let code = a.assemble(HANDLER).expect("the handler assembles");
    machine.write_physical(PhysAddr(HANDLER), &code);
    machine.write_physical(PhysAddr(IDT + u64::from(VECTOR) * 16), &gate(HANDLER));
    for core in 0..cores as u16 {
        let idtr = &mut machine.registers_mut(CoreId(core)).sys.idtr;
        (idtr.base, idtr.limit) = (IDT, 0xfff);
    }
    machine
}

/// Runs with and without replay to each of `stops` and compares.
fn compare(machine: &Machine, stops: impl Iterator<Item = u64>) -> Result<Machine, TestCaseError> {
    let (mut with, mut without) = (machine.clone(), machine.clone());
    let plain = Speed { replay: false, ..Speed::default() };
    for stop in stops {
        with.run(Cycle(stop), Speed::default(), &mut ());
        without.run(Cycle(stop), plain, &mut ());
        prop_assert_eq!(with.trace_hash(), without.trace_hash(), "at {}", stop);
        prop_assert!(with == without, "at {}", stop);
    }
    Ok(with)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn handlers_do_the_same_when_replayed(
        cores in 1u32..3,
        idle in any::<bool>(),
        body in prop::collection::vec(any::<Choice>(), 0..60),
        strides in prop::collection::vec(1u64..4000, 40),
    ) {
        let machine = machine(cores, &body, idle);
        let stops = strides.iter().scan(0, |at, stride| {
            *at += stride;
            Some(*at)
        });
        let end: u64 = strides.iter().sum();
        let machine = compare(&machine, stops.chain([end + 60_000]))?;
        prop_assert!(machine.instructions() > 1000);
    }
}

#[test]
fn a_repeated_handler_is_hardly_executed() {
    // Moves and loads, and every fifth instruction a count that nobody reads.
    let choice = |n: u8| match n % 5 {
        0 => (12, 0, 0, 200 + n / 5 * 2),
        what => (what, n, n / 3, n % 50 * 2),
    };
    let body: Vec<Choice> = (0..100).map(choice).collect();
    let mut machine = machine(1, &body, true);
    let mut other = machine.clone();
    machine.run(Cycle(3_000_000), Speed::default(), &mut ());
    other.run(Cycle(3_000_000), Speed { replay: false, ..Speed::default() }, &mut ());
    assert!(machine == other);
    let (with, without) = (machine.executed(), other.executed());
    assert!(with < without / 2, "{with} of {without} were executed");
}
