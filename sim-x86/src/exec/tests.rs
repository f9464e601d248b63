//! Instruction semantics, one behaviour per row, on a world of flat memory.

mod arithmetic;
mod hardware;
mod memory;
mod privilege;

use super::flat::FlatBus;
use super::{Exception, Flow, Size, Stall, execute};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Decoded, Op};
use crate::spec::InstructionCosts;
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

/// Where test code and data lie.
const CODE: u64 = 0x1000;
const DATA: u64 = 0x10_0000;

/// Costs that are all different, so that a mix-up shows.
pub(crate) fn costs() -> InstructionCosts {
    InstructionCosts {
        alu: 1,
        cmov_adc: 2,
        imul: 3,
        mul_wide: 4,
        div32: 22,
        div64: 60,
        bit_scan: 5,
        double_shift: 6,
        branch_taken: 9,
        branch_not_taken: 7,
        pushf: 10,
        popf: 14,
        cli: 8,
        sti: 11,
        cld: 12,
        pause: 13,
        mfence: 23,
        lfence: 15,
        sfence: 16,
        rdtsc: 24,
        rdpmc: 50,
        cpuid: 200,
        rdmsr: 80,
        wrmsr: 120,
        wrmsr_x2apic: 61,
        syscall: 45,
        sysret: 40,
        iret: 90,
        iret_ring: 121,
        swapgs: 30,
        invlpg: 150,
        mov_cr3: 201,
        system: 70,
        mov_seg: 17,
        port_io: 3000,
        cache_flush: 100,
        rep_start: 18,
        string_step: 19,
    }
}

/// A machine of one instruction: registers, flat memory and the code to run.
pub(super) struct Bench {
    pub(super) regs: Registers,
    pub(super) bus: FlatBus,
    code: Vec<u8>,
}

/// Assembles one or more instructions at [`CODE`].
pub(super) fn asm(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Bench {
    let mut assembler = CodeAssembler::new(64).expect("64-bit code");
    write(&mut assembler).expect("instructions exist");
    bytes(&assembler.assemble(CODE).expect("instructions encode"))
}

/// Takes machine code as it is.
pub(super) fn bytes(code: &[u8]) -> Bench {
    let mut regs = Registers { rip: CODE, rflags: flags::FIXED, ..Registers::default() };
    regs.gpr[gpr::RSP] = DATA + 0x800;
    regs.sel.cs = 0x10;
    regs.sel.ss = 0x18;
    regs.sys.cr0 = 0x8005_0033;
    regs.sys.cr4 = 0x6f8;
    regs.sys.efer = 0xd01;
    Bench { regs, bus: FlatBus::new(DATA, 0x1000), code: code.to_vec() }
}

impl Bench {
    /// Sets registers by number.
    pub(super) fn with(mut self, values: &[(usize, u64)]) -> Self {
        for &(number, value) in values {
            self.regs.gpr[number] = value;
        }
        self
    }

    /// Sets RFLAGS bits.
    pub(super) fn flags(mut self, bits: u64) -> Self {
        self.regs.rflags |= bits;
        self
    }

    /// Runs in ring 3.
    pub(super) fn user(mut self) -> Self {
        self.regs.sel.cs = 0x33;
        self.regs.sel.ss = 0x2b;
        self
    }

    /// Puts a word into data memory.
    pub(super) fn poke(mut self, offset: usize, value: u64) -> Self {
        self.bus.memory[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// The instruction at RIP.
    pub(super) fn op(&self) -> Op {
        let at = (self.regs.rip - CODE) as usize;
        match Op::decode(&self.code[at..], self.regs.rip, &costs()) {
            Decoded::Op(op) => op,
            Decoded::NeedMore => panic!("the code is complete"),
        }
    }

    /// Executes one instruction.
    pub(super) fn step(&mut self) -> Result<Flow, Stall> {
        let op = self.op();
        execute(&mut self.regs, &mut self.bus, &op)
    }

    /// Executes one instruction, which must succeed.
    pub(super) fn run(mut self) -> Self {
        let done = self.step();
        assert!(done.is_ok(), "{done:?}");
        self
    }

    /// Executes one instruction, which must fail and change nothing.
    pub(super) fn fails(mut self, expected: Stall) {
        let before = (self.regs, self.bus.memory.clone());
        assert_eq!(self.step(), Err(expected));
        assert_eq!((self.regs, self.bus.memory), before);
    }

    pub(super) fn word(&self, offset: usize) -> u64 {
        let bytes = self.bus.memory[offset..offset + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    }

    pub(super) fn reg(&self, number: usize) -> u64 {
        self.regs.gpr[number]
    }
}

/// Status flags by name, in the order of the manuals.
pub(super) fn names(rflags: u64) -> String {
    let all = [
        (flags::OF, "OF"),
        (flags::SF, "SF"),
        (flags::ZF, "ZF"),
        (flags::AF, "AF"),
        (flags::PF, "PF"),
        (flags::CF, "CF"),
    ];
    let set: Vec<_> = all.iter().filter(|(bit, _)| rflags & bit != 0).map(|(_, n)| *n).collect();
    set.join(" ")
}
