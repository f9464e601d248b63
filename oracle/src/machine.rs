//! A case on a core of a whole machine: caches, store buffer, IDT and all.

use crate::flat;
use oracle_cases::{CODE, CODE_BYTES, Case, DATA, DATA_BYTES, End, Outcome};
use sim_core::Cycle;
use sim_x86::core::regs::{TableRegister, gpr};
use sim_x86::core::translate::USER_BASE;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::spec::{MachineSpec, Translation};
use sim_x86::{Machine, Speed, Start};

/// Where the kernel map has physical address 0.
const KERNEL: u64 = 0xffff_ffff_8000_0000;
const IDT: u64 = 0x10_0000;
const TSS: u64 = 0x10_2000;
const STACK: u64 = 0x11_0000;
/// Handler of vector 0; the others follow, 16 bytes each.
const HANDLERS: u64 = 0x12_0000;
const VECTORS: u64 = 32;
/// `jmp` to itself.
const STAY: [u8; 2] = [0xeb, 0xfe];
/// Enough for a REP instruction over the page.
const CYCLES: u64 = 2_000_000;

/// A machine that waits for cases.
#[derive(Debug)]
pub struct Whole {
    ready: Machine,
}

impl Whole {
    /// One CPU of `spec`, with an IDT whose handlers stay where they are.
    ///
    /// # Errors
    /// What is wrong with `spec`.
    pub fn new(mut spec: MachineSpec) -> Result<Self, sim_x86::spec::SpecErrors> {
        spec.cores = 1;
        spec.translation = Translation::Kernel;
        let mut ready = Machine::new(spec)?;
        for vector in 0..VECTORS {
            let handler = KERNEL + HANDLERS + 16 * vector;
            let dpl = if vector == 3 { 3 } else { 0 };
            let kind = 0x8e | dpl << 5;
            let low = handler & 0xffff | 0x10 << 16 | kind << 40 | (handler >> 16 & 0xffff) << 48;
            let gate = [low.to_le_bytes(), (handler >> 32).to_le_bytes()].concat();
            ready.write_physical(PhysAddr(IDT + 16 * vector), &gate);
            ready.write_physical(PhysAddr(HANDLERS + 16 * vector), &STAY);
        }
        ready.write_physical(PhysAddr(TSS + 4), &(KERNEL + STACK).to_le_bytes());
        Ok(Whole { ready })
    }

    /// True if the kernel map lets a case end as `outcome`: what is not mapped is not where the
    /// page of the case ends, and nowhere can control go but to the code page.
    #[must_use]
    pub fn can_show(outcome: &Outcome) -> bool {
        match outcome.end {
            End::Ran => (CODE..CODE + CODE_BYTES as u64 - 2).contains(&outcome.rip),
            End::Fault { vector, .. } => vector != 14,
        }
    }

    /// What becomes of `case`, if it ends as `expected` says; else something that differs.
    #[must_use]
    pub fn run(&self, case: &Case, expected: &Outcome) -> Outcome {
        let mut machine = self.ready.clone();
        let user = |addr| PhysAddr(USER_BASE + addr);
        machine.write_physical(user(DATA), &case.memory);
        machine.write_physical(user(case.start), &case.code);
        if expected.end == End::Ran {
            machine.write_physical(user(expected.rip), &STAY);
        }
        machine.start_core(CoreId(0), Start::default());
        let regs = machine.registers_mut(CoreId(0));
        *regs = flat::registers(case);
        regs.sys.idtr = TableRegister { base: KERNEL + IDT, limit: 0xfff };
        regs.sys.tss_base = KERNEL + TSS;
        machine.run(Cycle(CYCLES), Speed::default(), &mut ());
        let mut outcome = outcome(&machine);
        outcome.mask(case);
        outcome
    }
}

/// The state at the end, from the handler's frame if there is one.
fn outcome(machine: &Machine) -> Outcome {
    let regs = *machine.registers(CoreId(0));
    let mut outcome = Outcome {
        end: End::Ran,
        rip: regs.rip,
        gpr: regs.gpr,
        rflags: regs.rflags,
        memory: vec![0; DATA_BYTES],
    };
    machine.read_physical(PhysAddr(USER_BASE + DATA), &mut outcome.memory);
    let handler = regs.rip.wrapping_sub(KERNEL + HANDLERS);
    if handler >= 16 * VECTORS {
        return outcome;
    }
    let vector = (handler / 16) as u8;
    let mut at = regs.gpr[gpr::RSP].wrapping_sub(KERNEL);
    let mut pop = || {
        let mut word = [0; 8];
        machine.read_physical(PhysAddr(at), &mut word);
        at += 8;
        u64::from_le_bytes(word)
    };
    let error = if matches!(vector, 8 | 10..=14 | 17) { pop() as u16 } else { 0 };
    let address = if vector == 14 { regs.sys.cr2 } else { 0 };
    outcome.end = End::Fault { vector, error, address };
    outcome.rip = pop();
    pop();
    outcome.rflags = pop();
    outcome.gpr[gpr::RSP] = pop();
    outcome
}
