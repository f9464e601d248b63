//! A machine with a test's code in it, brought into an arrangement by executing real code.

mod routines;

use crate::assemble::assemble;
use crate::condition::{State, Variable};
use crate::program::{RDX, RSP, Test};
use crate::timing::{Arrangement, Packages, Spread, Warmth, cpus};
use iced_x86::IcedError;
use routines::Routines;
use sim_x86::ids::{CoreId, LINE_BYTES, PhysAddr};
use sim_x86::spec::{MachineSpec, Topology, Translation};
use sim_x86::{Machine, Perturbation, Speed, Start, Stop, presets};
use thiserror::Error;

/// Threads' code, one after the other.
const CODE: u64 = 0x10_0000;
/// Interrupt descriptor table.
const IDT: u64 = 0x12_0000;
/// Stacks for interrupt frames.
const STACKS: u64 = 0x13_0000;
/// Bytes of one stack.
const STACK_BYTES: u64 = 256;
/// Variables.
const DATA: u64 = 0x20_0000;
/// A try that takes longer hangs.
const LIMIT: u64 = 20_000_000;

/// Why a test cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// iced-x86 refuses to encode an instruction.
    #[error("an instruction cannot be encoded: {0}")]
    Encode(#[from] IcedError),
    /// The machine is impossible.
    #[error("the machine cannot be built: {0}")]
    Machine(#[from] sim_x86::spec::SpecErrors),
    /// The threads did not end.
    #[error("try {number}: the threads did not end within {LIMIT} cycles ({stop:?})")]
    Endless {
        /// Which try.
        number: u64,
        /// How the run ended.
        stop: Stop,
    },
    /// The machine's invariants do not hold any more.
    #[error("try {number}: the machine is incoherent: {problem}")]
    Incoherent {
        /// Which try.
        number: u64,
        /// What is wrong.
        problem: String,
    },
}

/// A machine ready to run a test in one arrangement.
#[derive(Debug)]
pub struct Rig<'a> {
    test: &'a Test,
    arrangement: &'a Arrangement,
    machine: Machine,
    /// First instruction of each thread.
    entries: Vec<u64>,
    addresses: Vec<u64>,
}

/// A small machine: the default preset's latencies, caches that are quickly copied.
fn spec(test: &Test, packages: Packages) -> MachineSpec {
    let mut spec = match packages {
        Packages::One | Packages::Two => presets::westmere_ep(),
        Packages::Many => presets::magny_cours(),
    };
    let cores = u32::from(cpus(test));
    spec.cores = cores;
    spec.translation = Translation::Identity;
    spec.topology = match packages {
        Packages::One => {
            Topology { cores_per_die: cores, dies_per_package: 1, hops: vec![vec![0]] }
        }
        Packages::Two => Topology {
            cores_per_die: cores.div_ceil(2),
            dies_per_package: 1,
            hops: vec![vec![0, 1], vec![1, 0]],
        },
        Packages::Many => {
            let packages = cores.div_ceil(2);
            let hops = |a: u32, b: u32| a.abs_diff(b).min(2) as u8;
            let row = |a| (0..packages).map(|b| hops(a, b)).collect();
            Topology {
                cores_per_die: 1,
                dies_per_package: 2,
                hops: (0..packages).map(row).collect(),
            }
        }
    };
    spec.memory.l1d_sets = 16;
    spec.memory.l1i_sets = 16;
    spec.memory.l2_sets = 64;
    spec.memory.l3_sets = 128;
    spec
}

/// Addresses of the locations.
fn addresses(test: &Test, spread: Spread) -> Vec<u64> {
    // CMPXCHG16B needs 16 aligned bytes; shorter variables share lines more closely.
    let longest = test.locations.iter().map(|location| location.bytes).max().unwrap_or(1);
    let slot = if longest > 8 { 16 } else { 8 };
    let in_line = match spread {
        Spread::OwnLines | Spread::OwnPages => 1,
        Spread::OneLine => LINE_BYTES / slot,
        Spread::Pairs => 2,
    };
    // Two lines each, as some variables lie across the border of the two.
    let stride = if spread == Spread::OwnPages { 0x1000 } else { 2 * LINE_BYTES };
    let mut free = 0;
    let placed = DATA + 0x1_0000;
    let address = |(i, location): (usize, &crate::program::Location)| match location.at {
        Some(at) => placed + i as u64 * 2 * LINE_BYTES + at,
        None => {
            let address = DATA + free / in_line * stride + free % in_line * slot;
            free += 1;
            address
        }
    };
    test.locations.iter().enumerate().map(address).collect()
}

impl<'a> Rig<'a> {
    /// Builds the machine and executes what leads to the arrangement.
    ///
    /// # Errors
    /// If the test cannot be encoded or does not end.
    pub fn new(test: &'a Test, arrangement: &'a Arrangement) -> Result<Self, RunError> {
        let mut machine = Machine::new(spec(test, arrangement.packages))?;
        let addresses = addresses(test, arrangement.spread);
        let mut entries = Vec::new();
        let mut next = CODE;
        for thread in &test.threads {
            let code = assemble(thread, next, &addresses)?;
            machine.write_physical(PhysAddr(next), &code);
            entries.push(next);
            next = (next + code.len() as u64).next_multiple_of(LINE_BYTES);
        }
        for (location, &address) in test.locations.iter().zip(&addresses) {
            let bytes = &location.init.to_le_bytes()[..location.bytes.min(8) as usize];
            machine.write_physical(PhysAddr(address), bytes);
        }
        let routines = routines::write(&mut machine)?;
        let mut rig = Rig { test, arrangement, machine, entries, addresses };
        for cpu in 0..cpus(test) {
            rig.call(cpu, routines.apic, 0, 0)?;
        }
        if !arrangement.warmth.is_empty() {
            rig.warm(routines)?;
        }
        // Every try is a clone.
        rig.machine.freeze();
        Ok(rig)
    }

    /// Executes the threads once, so that their code is in the caches, and then what brings values
    /// and lines to where they shall be.
    fn warm(&mut self, routines: Routines) -> Result<(), RunError> {
        let mut machine = self.machine.clone();
        self.start_threads(&mut machine);
        finish(&mut machine, 0)?;
        self.machine = machine;
        let arrangement = self.arrangement;
        for (location, &warmth) in arrangement.warmth.iter().enumerate() {
            let owner = match warmth {
                Warmth::Nobody | Warmth::Shared(_) => 0,
                Warmth::Exclusive(cpu) | Warmth::Modified(cpu) => cpu,
            };
            self.restore(location, owner, routines)?;
        }
        // Values first: variables may share a line.
        for (location, &warmth) in arrangement.warmth.iter().enumerate() {
            let address = self.addresses[location];
            match warmth {
                Warmth::Modified(_) => {}
                Warmth::Nobody => self.flush(address, routines)?,
                Warmth::Exclusive(cpu) => {
                    self.flush(address, routines)?;
                    self.call(cpu, routines.load, address, 0)?;
                }
                Warmth::Shared(mask) => {
                    for cpu in (0..cpus(self.test)).filter(|cpu| mask & 1 << cpu != 0) {
                        self.call(cpu, routines.load, address, 0)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// CLFLUSH works on the caches of the CPU that executes it.
    fn flush(&mut self, address: u64, routines: Routines) -> Result<(), RunError> {
        for cpu in 0..cpus(self.test) {
            self.call(cpu, routines.flush, address, 0)?;
        }
        Ok(())
    }

    /// Stores a location's initial value from `cpu`, byte by byte.
    fn restore(&mut self, location: usize, cpu: u16, routines: Routines) -> Result<(), RunError> {
        let init = u128::from(self.test.locations[location].init).to_le_bytes();
        let bytes = self.test.locations[location].bytes as usize;
        for (i, &byte) in init.iter().take(bytes).enumerate() {
            let address = self.addresses[location] + i as u64;
            self.call(cpu, routines.store, address, u64::from(byte))?;
        }
        Ok(())
    }

    /// Executes a routine on one CPU.
    fn call(&mut self, cpu: u16, rip: u64, rdi: u64, rdx: u64) -> Result<(), RunError> {
        let core = CoreId(cpu);
        let rsp = STACKS + STACK_BYTES * (u64::from(cpu) + 1);
        self.machine.start_core(core, Start { rip, rdi, rsp });
        self.machine.registers_mut(core).gpr[usize::from(RDX.0)] = rdx;
        finish(&mut self.machine, 0)
    }

    fn start_threads(&self, machine: &mut Machine) {
        for (i, thread) in self.test.threads.iter().enumerate() {
            let core = CoreId(self.arrangement.cpus[i]);
            let rsp = STACKS + STACK_BYTES * (u64::from(core.0) + 1);
            machine.start_core(core, Start { rip: self.entries[i], rdi: 0, rsp });
            let regs = machine.registers_mut(core);
            regs.gpr = thread.init;
            regs.gpr[usize::from(RSP.0)] = rsp;
            regs.rflags |= INTERRUPT_FLAG;
            regs.sys.idtr.base = IDT;
            regs.sys.idtr.limit = 0xfff;
        }
    }

    /// Runs the test once under `perturbation`; `number` is for messages.
    ///
    /// # Errors
    /// If the threads do not end.
    pub fn run(&self, number: u64, perturbation: Perturbation) -> Result<State, RunError> {
        Ok(self.observe(&self.run_machine(number, perturbation)?))
    }

    /// Runs the test once and looks whether the machine is still coherent.
    ///
    /// # Errors
    /// If the threads do not end, or leave an incoherent machine.
    pub fn run_checked(&self, number: u64, perturbation: Perturbation) -> Result<State, RunError> {
        let machine = self.run_machine(number, perturbation)?;
        let incoherent = |problem: sim_x86::machine::invariants::Broken| RunError::Incoherent {
            number,
            problem: problem.to_string(),
        };
        machine.check().map_err(incoherent)?;
        Ok(self.observe(&machine))
    }

    fn run_machine(&self, number: u64, perturbation: Perturbation) -> Result<Machine, RunError> {
        self.run_at(Speed::default(), number, perturbation)
    }

    /// Runs the test once with these speed-ups: the machine as it ends.
    ///
    /// # Errors
    /// If the threads do not end.
    pub fn run_at(
        &self,
        speed: Speed,
        number: u64,
        perturbation: Perturbation,
    ) -> Result<Machine, RunError> {
        let mut machine = self.machine.clone();
        machine.perturb(perturbation);
        self.start_threads(&mut machine);
        finish_at(&mut machine, number, speed)?;
        Ok(machine)
    }

    fn observe(&self, machine: &Machine) -> State {
        let value = |&variable: &Variable| match variable {
            Variable::Register { thread, register, size } => {
                let core = CoreId(self.arrangement.cpus[thread]);
                size.signed(machine.registers(core).gpr[usize::from(register.0)])
            }
            Variable::Memory(place) => {
                let size = self.test.value_size(place);
                let mut bytes = [0; 8];
                let length = size.bytes() as usize;
                let address = self.addresses[place.location] + place.offset;
                machine.read_physical(PhysAddr(address), &mut bytes[..length]);
                size.signed(u64::from_le_bytes(bytes))
            }
        };
        self.test.observed.iter().map(value).collect()
    }
}

/// Runs until nothing happens any more.
fn finish(machine: &mut Machine, number: u64) -> Result<(), RunError> {
    finish_at(machine, number, Speed::default())
}

fn finish_at(machine: &mut Machine, number: u64, speed: Speed) -> Result<(), RunError> {
    let until = machine.now() + LIMIT;
    match machine.run(until, speed, &mut ()) {
        Stop::Idle => Ok(()),
        stop => Err(RunError::Endless { number, stop }),
    }
}

/// IF of RFLAGS.
const INTERRUPT_FLAG: u64 = 1 << 9;
