//! The operands of random instructions.

use super::SHARED;
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register as R};
use proptest::prelude::*;

/// General registers that bodies use, by size: RSP, RBP, R14 and R15 have other tasks.
pub(super) const REGISTERS: [[R; 12]; 4] = [
    [
        R::AL,
        R::CL,
        R::DL,
        R::BL,
        R::SIL,
        R::DIL,
        R::R8L,
        R::R9L,
        R::R10L,
        R::R11L,
        R::R12L,
        R::R13L,
    ],
    [R::AX, R::CX, R::DX, R::BX, R::SI, R::DI, R::R8W, R::R9W, R::R10W, R::R11W, R::R12W, R::R13W],
    [
        R::EAX,
        R::ECX,
        R::EDX,
        R::EBX,
        R::ESI,
        R::EDI,
        R::R8D,
        R::R9D,
        R::R10D,
        R::R11D,
        R::R12D,
        R::R13D,
    ],
    [R::RAX, R::RCX, R::RDX, R::RBX, R::RSI, R::RDI, R::R8, R::R9, R::R10, R::R11, R::R12, R::R13],
];

/// Byte registers that go with AH and its like.
pub(super) const OLD_BYTES: [R; 8] = [R::AL, R::CL, R::DL, R::BL, R::AH, R::CH, R::DH, R::BH];

/// What one piece of a handler is made from: small values are simple, so that it shrinks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) kind: u8,
    pub(super) dst: u8,
    pub(super) src: u8,
    pub(super) place: u8,
    pub(super) imm: u8,
    pub(super) how: u8,
}

pub(super) fn piece() -> impl Strategy<Value = Piece> {
    any::<[u8; 6]>().prop_map(|[kind, dst, src, place, imm, how]| Piece {
        kind,
        dst,
        src,
        place,
        imm,
        how,
    })
}

/// The n-th encoding from this one on.
pub(super) fn from(first: Code, n: usize) -> Code {
    Code::try_from(first as usize + n).expect("encodings of all sizes")
}

/// The encoding for operands of a size: those of bytes stand apart.
pub(super) fn sized(bytes: Code, words: Code, size: usize) -> Code {
    if size == 0 { bytes } else { from(words, size - 1) }
}

/// A register or a memory operand.
#[derive(Clone, Copy)]
pub(super) enum Rm {
    Reg(R),
    Mem(MemoryOperand),
}

/// `code` with that as its first operand.
pub(super) fn rm_first(code: Code, rm: Rm, register: R) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, rm, register),
        Rm::Mem(rm) => Instruction::with2(code, rm, register),
    }
}

pub(super) fn rm_last(code: Code, register: R, rm: Rm) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, register, rm),
        Rm::Mem(rm) => Instruction::with2(code, register, rm),
    }
}

pub(super) fn rm_only(code: Code, rm: Rm) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with1(code, rm),
        Rm::Mem(rm) => Instruction::with1(code, rm),
    }
}

pub(super) fn rm_imm(code: Code, rm: Rm, imm: i32) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, rm, imm),
        Rm::Mem(rm) => Instruction::with2(code, rm, imm),
    }
}

impl Piece {
    /// A register of this size.
    pub(super) fn register(self, number: u8, size: usize) -> R {
        match size {
            0 if self.is_old() => OLD_BYTES[usize::from(number % 8)],
            _ => REGISTERS[size][usize::from(number % 12)],
        }
    }

    pub(super) fn is_old(self) -> bool {
        self.how & 0x40 != 0
    }

    pub(super) fn quad(number: u8) -> AsmRegister64 {
        let quads = [rax, rcx, rdx, rbx, rsi, rdi, r8, r9, r10, r11, r12, r13];
        quads[usize::from(number % 12)]
    }

    /// One of 16 words, on one of four pages, with a size: mostly that of its own.
    pub(super) fn memory(self, wild: u8) -> (usize, MemoryOperand) {
        let (slot, page) = (self.place & 15, self.place >> 4 & 3);
        let unusual = self.how >> 4 < wild;
        let size = if unusual { self.imm } else { slot } & 3;
        let offset = match (unusual, self.imm & 0xc0 == 0) {
            (false, _) => 0,
            (true, false) => self.imm >> 2 & 7 & !((1 << size) - 1),
            (true, true) => self.imm >> 2 & 7,
        };
        let at = i64::from(page) * 0x1000 + i64::from(slot * 8 + offset);
        (usize::from(size), MemoryOperand::with_base_displ(R::RBP, at))
    }

    /// The same among the words that are shared, two to a line.
    pub(super) fn shared(self) -> (usize, MemoryOperand) {
        let slot = u64::from(self.place & 7);
        let size = usize::from(self.place & 3);
        (size, MemoryOperand::with_displ(SHARED + slot / 2 * 64 + slot % 2 * 8, 8))
    }

    /// A register, or more often memory, and its size.
    pub(super) fn operand(self, wild: u8) -> (usize, Rm) {
        match self.how % 16 {
            0..8 => {
                let size = usize::from(self.imm >> 5 & 3);
                (size, Rm::Reg(self.register(self.dst, size)))
            }
            8 => {
                let (size, at) = self.shared();
                (size, Rm::Mem(at))
            }
            _ => {
                let (size, at) = self.memory(wild);
                (size, Rm::Mem(at))
            }
        }
    }
}
