//! A CPU that keeps taking the interrupts of a timer, with replays and without.

use super::handlers::{handle, start_timer};
use crate::guest::{self, DATA};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::trace::{Observer, Record, TraceMask};
use sim_x86::{Machine, Speed, Stop};

/// Cycles between two interrupts of the machines below.
pub(super) const PERIOD: u64 = 1_980;
/// Runs this long before anything is looked at: enough for recordings.
pub(super) const WARM: u64 = 300 * PERIOD;

pub(super) type Written = Result<(), IcedError>;

/// A machine whose CPU 0 spins, all others run `other`, and CPU 0 handles a timer's interrupts: with
/// `body`, between saving and restoring RAX, RCX and RDX, and the EOI.
pub(super) fn ticking(
    cores: u32,
    store_commit: u32,
    body: impl FnOnce(&mut CodeAssembler) -> Written,
    other: impl FnOnce(&mut CodeAssembler) -> Written,
) -> Machine {
    ticking_in(cores, store_commit, CodeAssembler::pause, body, other)
}

/// The same, but CPU 0 does `turn` over and over.
pub(super) fn ticking_in(
    cores: u32,
    store_commit: u32,
    turn: impl FnOnce(&mut CodeAssembler) -> Written,
    body: impl FnOnce(&mut CodeAssembler) -> Written,
    other: impl FnOnce(&mut CodeAssembler) -> Written,
) -> Machine {
    let mut spec = guest::spec(cores);
    spec.memory.store_commit = store_commit;
    let count = (PERIOD / u64::from(spec.interrupts.apic_timer_tick)) as u32;
    let write = |a: &mut CodeAssembler| -> Written {
        let (mut elsewhere, mut spin) = (a.create_label(), a.create_label());
        a.test(rdi, rdi)?;
        a.jnz(elsewhere)?;
        start_timer(a, count, true)?;
        a.set_label(&mut spin)?;
        turn(a)?;
        a.jmp(spin)?;
        a.set_label(&mut elsewhere)?;
        a.nop()?;
        a.mov(rbp, DATA)?;
        other(a)?;
        a.hlt()
    };
    let mut machine = guest::machine_of(spec, |a| write(a).expect("the program assembles"));
    handle(&mut machine, |a| {
        for register in [rax, rcx, rdx] {
            a.push(register)?;
        }
        body(a)?;
        a.mov(dword_ptr(r14 + 0xb0), 0)?;
        for register in [rdx, rcx, rax] {
            a.pop(register)?;
        }
        a.iretq()
    });
    machine
}

/// A body that counts, and does enough for a recording.
pub(super) fn counts(a: &mut CodeAssembler) -> Written {
    a.mov(rax, qword_ptr(rbp))?;
    a.inc(rax)?;
    a.mov(qword_ptr(rbp), rax)?;
    for at in [0x10, 0x18, 0x20] {
        a.mov(rcx, qword_ptr(rbp + at))?;
        a.lea(rdx, qword_ptr(rcx + rax * 2))?;
        a.mov(qword_ptr(rbp + 0x100 + at), rdx)?;
    }
    a.rdtsc()?;
    a.mov(qword_ptr(rbp + 0x140), rax)
}

/// Other CPUs sleep.
pub(super) fn sleeps(_: &mut CodeAssembler) -> Written {
    Ok(())
}

/// Two machines that are the same, with replays and without, run side by side.
pub(super) struct Pair(pub(super) [Machine; 2]);

/// What an observer saw, all of it.
pub(super) struct Seen(TraceMask, Vec<Record>);

impl Observer for Seen {
    fn wants(&self) -> TraceMask {
        self.0
    }
    fn on(&mut self, record: &Record) {
        self.1.push(*record);
    }
}

impl Pair {
    pub(super) fn new(machine: &Machine) -> Self {
        Pair([machine.clone(), machine.clone()])
    }

    fn speeds() -> [Speed; 2] {
        [Speed::default(), Speed { replay: false, ..Speed::default() }]
    }

    /// Runs both for some time: how it ended, and what was seen.
    pub(super) fn run(&mut self, cycles: u64, wants: TraceMask) -> (Stop, Vec<Record>) {
        let until = self.0[0].now() + cycles;
        let mut ends = self.0.iter_mut().zip(Pair::speeds()).map(|(machine, speed)| {
            let mut seen = Seen(wants, Vec::new());
            let stop = machine.run(until, speed, &mut seen);
            (stop, seen.1, machine.trace_hash())
        });
        let (replayed, plain) = (ends.next().expect("two"), ends.next().expect("two"));
        drop(ends);
        assert!(replayed == plain, "at {}: {:?}, {:?}", self.0[1].now(), replayed.0, plain.0);
        assert!(self.0[0] == self.0[1], "another state at {}", self.0[1].now());
        (plain.0, plain.1)
    }

    pub(super) fn pass(&mut self, cycles: u64) {
        assert_eq!(self.run(cycles, TraceMask::default()).0, Stop::Deadline);
    }

    /// Changes both.
    pub(super) fn change(&mut self, change: impl Fn(&mut Machine)) {
        self.0.iter_mut().for_each(change);
    }

    /// True if most of what passes now is replayed.
    pub(super) fn replays(&mut self) -> bool {
        let executed = |pair: &Pair| [pair.0[0].executed(), pair.0[1].executed()];
        let before = executed(self);
        self.pass(20 * PERIOD);
        let after = executed(self);
        let (executed, all) = (after[0] - before[0], after[1] - before[1]);
        executed < all * 3 / 4
    }

    pub(super) fn word(&self, at: u64) -> u64 {
        guest::word(&self.0[0], at)
    }
}

/// A machine that has run until it replays its handler.
pub(super) fn warm(machine: &Machine) -> Pair {
    let mut pair = Pair::new(machine);
    pair.pass(WARM);
    assert!(pair.replays());
    pair
}
