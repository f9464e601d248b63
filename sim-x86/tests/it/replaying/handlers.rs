//! Random interrupt handlers, and machines whose CPUs keep running them.
//!
//! - `operands`: what instructions work on
//! - `arithmetic`, `pieces`: the instructions

mod arithmetic;
mod operands;
mod pieces;

use crate::guest::{self, CODE, DATA};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use operands::{Piece, piece};
use pieces::Writer;
use proptest::prelude::*;
use sim_core::{Cycle, Stream};
use sim_x86::Machine;
use sim_x86::ids::PhysAddr;

/// The handler, and the functions that it calls, one in 64 bytes.
pub(super) const HANDLER: u64 = CODE + 0x4000;
const FUNCTIONS: u64 = CODE + 0x8000;
/// Words that all CPUs use, absolute addresses.
const SHARED: u64 = DATA + 0x2_0000;
/// Local APIC; R14 holds it throughout.
pub(crate) const APIC: u64 = 0xfee0_0000;
pub(crate) const VECTOR: u8 = 0x50;
/// In the private area of a CPU, at RBP: interrupts so far, the clock at one of them, two pointers
/// that change places, and a table of pointers.
const COUNT: i32 = 0x80;
const STAMP: i32 = 0x88;
const POINTERS: i32 = 0xc0;
const TABLE: i32 = 0xd0;
/// Bytes of a private area: four pages, so that their lines share sets of L1.
const AREA: u64 = 0x4000;
/// Interrupts that each CPU takes at least, about.
const INTERRUPTS: u64 = 500;

/// A machine, all of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    cores: u32,
    /// The piece before the EOI, and after it.
    before: Vec<Piece>,
    after: Vec<Piece>,
    /// How often bodies branch: never, every so many interrupts, or by whatever they compute.
    branches: u8,
    /// Whether they touch what other CPUs write.
    shares: bool,
    /// How many of 16 accesses to memory have an unusual size.
    wild: u8,
    /// What the CPUs do meanwhile, three bits each.
    waits: u16,
    /// Counts of the timer; and whether it is set by each handler anew.
    period: u16,
    one_shot: u8,
    /// Registers that the handler restores.
    restored: u16,
    /// Something without effects that are known to the replays, and where it stands.
    ending: u8,
    ends_at: u8,
    /// Cycles that stores need at least, and whether messages between CPUs are slow.
    store_commit: u8,
    slow: bool,
    seed: u64,
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let branches = (prop_oneof![2 => Just(0u8), 2 => Just(1u8), 1 => Just(2u8)], any::<bool>());
    let bodies = (prop::collection::vec(piece(), 15..80), prop::collection::vec(piece(), 15..80));
    let wild = prop_oneof![2 => Just(0u8), 1 => 1u8..5];
    let cores = prop_oneof![3 => Just(1u32), 2 => 2u32..=3];
    let waits = (cores, any::<u16>(), 50u16..160, 0u8..4);
    let ends = (any::<u16>(), any::<u8>(), any::<u8>());
    let timing = (prop_oneof![Just(1u8), 2u8..30], any::<bool>(), any::<u64>());
    (bodies, (branches, wild), waits, ends, timing).prop_map(
        |(bodies, kinds, waits, ends, timing)| Plan {
            cores: waits.0,
            branches: kinds.0.0,
            shares: kinds.0.1,
            before: bodies.0,
            after: bodies.1,
            wild: kinds.1,
            waits: waits.1,
            period: waits.2,
            one_shot: waits.3,
            restored: ends.0,
            ending: ends.1,
            ends_at: ends.2,
            store_commit: timing.0,
            slow: timing.1,
            seed: timing.2,
        },
    )
}

/// What the CPUs do when they handle no interrupt.
fn waits(a: &mut CodeAssembler, plan: &Plan) -> Result<(), IcedError> {
    start_timer(a, plan.period.into(), plan.one_shot == 0 || plan.one_shot == 3)?;
    let mut loops = [(); 5].map(|()| a.create_label());
    let of = |id: u16| loops[usize::from(plan.waits >> (3 * id) & 7) % 5];
    for id in 1..3 {
        let mut other = a.create_label();
        a.cmp(edi, i32::from(id))?;
        a.jne(other)?;
        a.jmp(of(id))?;
        a.set_label(&mut other)?;
        a.nop()?;
    }
    a.jmp(of(0))?;
    for (kind, label) in loops.iter_mut().enumerate() {
        let again = *label;
        a.set_label(label)?;
        wait(a, plan, kind)?;
        a.jmp(again)?;
    }
    Ok(())
}

/// One turn of a loop.
fn wait(a: &mut CodeAssembler, plan: &Plan, kind: usize) -> Result<(), IcedError> {
    match kind {
        0 => a.pause(),
        1 => a.hlt(),
        // Registers, memory and DF change.
        2 => {
            a.inc(r8)?;
            a.add(qword_ptr(rbp + 0x18), r8)?;
            a.std()?;
            a.xor(r9, qword_ptr(rbp + 0x1008))?;
            a.mov(eax, dword_ptr(rbp + 0x2010))?;
            a.pause()?;
            a.cld()?;
            a.pause()
        }
        // Shared words change, often or seldom.
        3 => {
            let mut delay = a.create_label();
            a.mov(ecx, if plan.seed & 1 == 0 { 150 } else { 9_000 })?;
            a.set_label(&mut delay)?;
            a.dec(rcx)?;
            a.jnz(delay)?;
            a.inc(qword_ptr(SHARED + 24))?;
            a.mov(rdx, qword_ptr(SHARED + 64))?;
            a.mov(qword_ptr(SHARED + 128), rdx)
        }
        // Stretches begin here too, after an access to the local APIC, and after interrupts.
        _ => {
            a.mov(dword_ptr(r14 + 0x80), 0)?;
            if plan.shares {
                a.add(r11, qword_ptr(SHARED + 24))?;
            }
            for at in 0..8 {
                a.mov(rax, qword_ptr(rbp + 0x1000 * (at & 3) + 8 * at))?;
                a.lea(rcx, qword_ptr(rax + rax * 2 + at))?;
            }
            a.add(r10, rcx)
        }
    }
}

/// Sets RBP and R14 up, and lets a timer interrupt every `count` ticks.
pub(crate) fn start_timer(
    a: &mut CodeAssembler,
    count: u32,
    periodic: bool,
) -> Result<(), IcedError> {
    a.mov(r14, APIC)?;
    a.mov(dword_ptr(r14 + 0xf0), 0x1ff)?;
    a.mov(dword_ptr(r14 + 0x3e0), 0xb)?;
    a.mov(dword_ptr(r14 + 0x320), i32::from(VECTOR) | i32::from(periodic) << 17)?;
    a.mov(rbp, rdi)?;
    a.imul_3(rbp, rbp, AREA as i32)?;
    a.add(rbp, DATA as i32)?;
    // The CPUs are not in step.
    a.imul_3(ecx, edi, 13)?;
    a.add(ecx, count)?;
    a.mov(dword_ptr(r14 + 0x380), ecx)?;
    a.sti()
}

fn functions() -> [Vec<u8>; 4] {
    let write = |n: u64, code: &dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        let mut a = CodeAssembler::new(64).expect("64-bit code");
        code(&mut a).expect("the function assembles");
        a.assemble(FUNCTIONS + 64 * n).expect("the function assembles")
    };
    [
        write(0, &|a| {
            a.lea(rax, qword_ptr(rax + rcx * 4 + 1))?;
            a.ret()
        }),
        write(1, &|a| {
            a.push(rbx)?;
            a.mov(rbx, qword_ptr(rbp + 0x18))?;
            a.xor(rbx, rdi)?;
            a.mov(qword_ptr(rbp + 0x18), rbx)?;
            a.pop(rbx)?;
            a.ret()
        }),
        write(2, &|a| {
            a.mov(eax, 0x1234)?;
            a.add(rdi, rax)?;
            a.ret()
        }),
        write(3, &|a| {
            a.push(rbp)?;
            a.mov(rbp, rsp)?;
            a.mov(qword_ptr(rbp - 8), rsi)?;
            a.lea(rsi, qword_ptr(rsi + rsi))?;
            a.add(rsi, qword_ptr(rbp - 8))?;
            a.leave()?;
            a.ret()
        }),
    ]
}

/// Puts a handler of the timer's interrupts into a machine.
pub(crate) fn handle(
    machine: &mut Machine,
    write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) {
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    write(&mut a).expect("the handler assembles");
    let code = a.assemble(HANDLER).expect("the handler assembles");
    assert!(code.len() < 0x4000, "{}", code.len());
    machine.write_physical(PhysAddr(HANDLER), &code);
    guest::set_handlers(machine, &[(VECTOR, HANDLER)]);
}

impl Plan {
    pub(super) fn machine(&self) -> Machine {
        let mut spec = guest::spec(self.cores);
        spec.memory.store_commit = self.store_commit.into();
        if self.slow {
            // CPUs that run may run far ahead of each other.
            for class in [&mut spec.memory.load, &mut spec.memory.store] {
                for latency in [&mut class.modified, &mut class.exclusive, &mut class.shared] {
                    latency.iter_mut().for_each(|cycles| *cycles += 400);
                }
                class.memory.iter_mut().for_each(|cycles| *cycles += 400);
            }
        }
        let program = |a: &mut CodeAssembler| waits(a, self).expect("the program assembles");
        let mut machine = guest::machine_of(spec, program);
        handle(&mut machine, |a| Writer { a, plan: self, forward: Vec::new() }.handler());
        for (n, code) in functions().iter().enumerate() {
            machine.write_physical(PhysAddr(FUNCTIONS + 64 * n as u64), code);
        }
        let mut words = Stream::new(self.seed, "words");
        for area in 0..u64::from(self.cores) {
            let at = |offset: u64| PhysAddr(DATA + AREA * area + offset);
            for slot in (0..4).flat_map(|page| (0..16).map(move |n| page * 0x1000 + n * 8)) {
                // Small ones, too.
                let word = words.word() >> words.between(0, 63);
                machine.write_physical(at(slot), &word.to_le_bytes());
            }
            for n in 0..6 {
                let function = FUNCTIONS + 64 * (n % 4);
                machine.write_physical(at(POINTERS as u64 + 8 * n), &function.to_le_bytes());
            }
        }
        machine
    }

    /// Moments at which to compare: a few anywhere, then in each period, a
    /// little later each time.
    pub(super) fn cuts(&self, tick: u32) -> Vec<Cycle> {
        let period = u64::from(self.period) * u64::from(tick);
        let end = INTERRUPTS * period;
        let mut draw = Stream::new(self.seed, "cuts");
        let mut cuts: Vec<u64> = (0..3).map(|_| draw.between(end / 8, end)).collect();
        let mut at = end;
        for _ in 0..100 {
            at += period + draw.between(1, 60);
            cuts.push(at);
        }
        cuts.sort_unstable();
        cuts.into_iter().map(Cycle).collect()
    }
}
