//! Machines of more CPUs than a byte can count.

use crate::guest::{self, CODE, DATA, LONG, word};
use crate::locks::contention_on;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::ids::PhysAddr;
use sim_x86::spec::{MachineSpec, Translation};
use sim_x86::{Machine, Speed, Stop, presets};

/// Where the interrupt handler lies.
const HANDLER: u64 = CODE + 0x1000;
const VECTOR: u8 = 0x50;
/// The x2APIC's registers as MSRs.
const APIC_BASE: u32 = 0x1b;
const EOI: u32 = 0x80b;
const SPURIOUS: u32 = 0x80f;
const COMMAND: u32 = 0x830;

/// `sockets` Xeon E5-2680 with 16 CPUs each.
fn spec(sockets: u32) -> MachineSpec {
    let mut spec = presets::sandybridge_ep().with_sockets(sockets);
    spec.translation = Translation::Identity;
    spec.x2apic = true;
    spec
}

#[test]
fn no_increment_is_lost_among_256_cpus() {
    let mut machine = contention_on(spec(16), 3);
    while machine.run(machine.now() + 50_000, Speed::default(), &mut ()) == Stop::Deadline {
        machine.check().expect("coherent");
        assert!(machine.now() < LONG);
    }
    assert_eq!(machine.spec().cores, 256);
    assert_eq!(word(&machine, DATA + 64), 256 * 3);
}

fn write_msr(a: &mut CodeAssembler, msr: u32, low: u32) -> Result<(), IcedError> {
    a.mov(ecx, msr)?;
    a.mov(eax, low)?;
    a.wrmsr()
}

/// Turns x2APIC mode on, says so, and sleeps. CPU 0 waits for all the others and then interrupts
/// CPU 1.
fn program(a: &mut CodeAssembler, cores: u32) -> Result<(), IcedError> {
    let (mut gather, mut sleep) = (a.create_label(), a.create_label());
    a.mov(rbx, DATA)?;
    a.mov(ecx, APIC_BASE)?;
    a.rdmsr()?;
    a.or(eax, 0x400)?;
    a.wrmsr()?;
    a.xor(edx, edx)?;
    write_msr(a, SPURIOUS, 0x1ff)?;
    a.lock().inc(qword_ptr(rbx))?;
    a.test(rdi, rdi)?;
    a.jnz(sleep)?;
    a.set_label(&mut gather)?;
    a.pause()?;
    a.cmp(qword_ptr(rbx), cores as i32)?;
    a.jne(gather)?;
    a.mov(edx, 1)?;
    write_msr(a, COMMAND, u32::from(VECTOR))?;
    a.set_label(&mut sleep)?;
    a.sti()?;
    a.hlt()?;
    a.jmp(sleep)
}

/// Counts, and interrupts the next CPU; back at CPU 0 the machine exits.
fn handler(a: &mut CodeAssembler, cores: u32) -> Result<(), IcedError> {
    let (mut pass_on, mut not_last) = (a.create_label(), a.create_label());
    a.inc(qword_ptr(rbx + 64))?;
    a.test(rdi, rdi)?;
    a.jnz(pass_on)?;
    a.mov(eax, 5)?;
    a.out(0xf4, al)?;
    a.set_label(&mut pass_on)?;
    a.lea(edx, dword_ptr(rdi + 1))?;
    a.cmp(edx, cores as i32)?;
    a.jne(not_last)?;
    a.xor(edx, edx)?;
    a.set_label(&mut not_last)?;
    // The ICR's write does not serialise.
    a.mfence()?;
    write_msr(a, COMMAND, u32::from(VECTOR))?;
    a.xor(edx, edx)?;
    write_msr(a, EOI, 0)?;
    a.iretq()
}

/// Every CPU interrupts the one after it.
fn ring(sockets: u32) -> Machine {
    let spec = spec(sockets);
    let cores = spec.cores;
    let mut machine =
        guest::machine_of(spec, |a| program(a, cores).expect("the program assembles"));
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    handler(&mut a, cores).expect("the handler assembles");
    let code = a.assemble(HANDLER).expect("the handler assembles");
    machine.write_physical(PhysAddr(HANDLER), &code);
    guest::set_handlers(&mut machine, &[(VECTOR, HANDLER)]);
    machine
}

#[test]
fn x2apic_messages_reach_every_cpu() {
    for sockets in [16, 20] {
        let mut machine = ring(sockets);
        let stop = machine.run(LONG, Speed::default(), &mut ());
        assert!(matches!(stop, Stop::Exit { code: 5, .. }), "{stop:?} at {}", machine.now());
        assert_eq!(word(&machine, DATA + 64), u64::from(16 * sockets));
    }
}

#[test]
fn a_large_machine_is_the_same_at_every_speed_and_after_a_snapshot() {
    let finish = |mut machine: Machine, speed| {
        machine.run(LONG, speed, &mut ());
        machine.trace_hash()
    };
    let machine = ring(17);
    let expected = finish(machine.clone(), Speed::default());
    assert_eq!(finish(machine.clone(), Speed::exact_steps()), expected);
    let mut half = machine;
    half.run(Cycle(100_000), Speed::default(), &mut ());
    let bytes = half.snapshot().expect("a snapshot");
    assert_eq!(
        finish(Machine::restore(&bytes).expect("the same build"), Speed::default()),
        expected
    );
}
