//! Random interrupt handlers, and machines whose CPUs keep running them.

use crate::guest::{self, CODE, DATA};
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register as R};
use proptest::prelude::*;
use sim_core::{Cycle, Stream};
use sim_x86::Machine;
use sim_x86::ids::PhysAddr;

/// The handler, and the functions that it calls, one in 64 bytes.
pub(super) const HANDLER: u64 = CODE + 0x4000;
pub(super) const FUNCTIONS: u64 = CODE + 0x8000;
/// Words that all CPUs use, absolute addresses.
const SHARED: u64 = DATA + 0x2_0000;
/// Local APIC; R14 holds it throughout.
pub(super) const APIC: u64 = 0xfee0_0000;
pub(super) const VECTOR: u8 = 0x50;
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

/// General registers that bodies use, by size: RSP, RBP, R14 and R15 have other tasks.
const REGISTERS: [[R; 12]; 4] = [
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
const OLD_BYTES: [R; 8] = [R::AL, R::CL, R::DL, R::BL, R::AH, R::CH, R::DH, R::BH];

/// Kinds of pieces.
const KINDS: u8 = 44;

type Jump = fn(&mut CodeAssembler, CodeLabel) -> Result<(), IcedError>;

const JUMPS: [Jump; 16] = [
    CodeAssembler::jo,
    CodeAssembler::jno,
    CodeAssembler::jb,
    CodeAssembler::jae,
    CodeAssembler::je,
    CodeAssembler::jne,
    CodeAssembler::jbe,
    CodeAssembler::ja,
    CodeAssembler::js,
    CodeAssembler::jns,
    CodeAssembler::jp,
    CodeAssembler::jnp,
    CodeAssembler::jl,
    CodeAssembler::jge,
    CodeAssembler::jle,
    CodeAssembler::jg,
];

/// What one piece of a handler is made from: small values are simple, so that it shrinks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    kind: u8,
    dst: u8,
    src: u8,
    place: u8,
    imm: u8,
    how: u8,
}

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
    /// What the CPUs do meanwhile, two bits each.
    waits: u8,
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

fn piece() -> impl Strategy<Value = Piece> {
    any::<[u8; 6]>().prop_map(|[kind, dst, src, place, imm, how]| Piece {
        kind,
        dst,
        src,
        place,
        imm,
        how,
    })
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let branches = (prop_oneof![2 => Just(0u8), 2 => Just(1u8), 1 => Just(2u8)], any::<bool>());
    let bodies = (prop::collection::vec(piece(), 15..80), prop::collection::vec(piece(), 15..80));
    let wild = prop_oneof![2 => Just(0u8), 1 => 1u8..5];
    let cores = prop_oneof![3 => Just(1u32), 2 => 2u32..=3];
    let waits = (cores, any::<u8>(), 50u16..160, 0u8..4);
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

/// The n-th encoding from this one on.
fn from(first: Code, n: usize) -> Code {
    Code::try_from(first as usize + n).expect("encodings of all sizes")
}

/// The encoding for operands of a size: those of bytes stand apart.
fn sized(bytes: Code, words: Code, size: usize) -> Code {
    if size == 0 { bytes } else { from(words, size - 1) }
}

/// A register or a memory operand.
#[derive(Clone, Copy)]
enum Rm {
    Reg(R),
    Mem(MemoryOperand),
}

/// `code` with that as its first operand.
fn rm_first(code: Code, rm: Rm, register: R) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, rm, register),
        Rm::Mem(rm) => Instruction::with2(code, rm, register),
    }
}

fn rm_last(code: Code, register: R, rm: Rm) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, register, rm),
        Rm::Mem(rm) => Instruction::with2(code, register, rm),
    }
}

fn rm_only(code: Code, rm: Rm) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with1(code, rm),
        Rm::Mem(rm) => Instruction::with1(code, rm),
    }
}

fn rm_imm(code: Code, rm: Rm, imm: i32) -> Result<Instruction, IcedError> {
    match rm {
        Rm::Reg(rm) => Instruction::with2(code, rm, imm),
        Rm::Mem(rm) => Instruction::with2(code, rm, imm),
    }
}

/// Writes handlers.
struct Writer<'a> {
    a: &'a mut CodeAssembler,
    plan: &'a Plan,
    /// Branches that lead forward: pieces until their targets.
    forward: Vec<(u8, CodeLabel)>,
}

impl Piece {
    /// A register of this size.
    fn register(self, number: u8, size: usize) -> R {
        match size {
            0 if self.is_old() => OLD_BYTES[usize::from(number % 8)],
            _ => REGISTERS[size][usize::from(number % 12)],
        }
    }

    fn is_old(self) -> bool {
        self.how & 0x40 != 0
    }

    fn quad(number: u8) -> AsmRegister64 {
        let quads = [rax, rcx, rdx, rbx, rsi, rdi, r8, r9, r10, r11, r12, r13];
        quads[usize::from(number % 12)]
    }

    /// One of 16 words, on one of four pages, with a size: mostly that of its own.
    fn memory(self, wild: u8) -> (usize, MemoryOperand) {
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
    fn shared(self) -> (usize, MemoryOperand) {
        let slot = u64::from(self.place & 7);
        let size = usize::from(self.place & 3);
        (size, MemoryOperand::with_displ(SHARED + slot / 2 * 64 + slot % 2 * 8, 8))
    }

    /// A register, or more often memory, and its size.
    fn operand(self, wild: u8) -> (usize, Rm) {
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

impl Writer<'_> {
    fn add(&mut self, instruction: Result<Instruction, IcedError>) -> Result<(), IcedError> {
        self.a.add_instruction(instruction?)
    }

    fn body(&mut self, pieces: &[Piece], ending: Option<usize>) -> Result<(), IcedError> {
        for (n, &piece) in pieces.iter().enumerate() {
            if ending == Some(n) {
                self.ending(self.plan.ending)?;
            }
            self.piece(piece)?;
            for left in 0..self.forward.len() {
                self.forward[left].0 -= 1;
            }
            self.land(|left| left == 0)?;
        }
        self.land(|_| true)
    }

    /// Branches lead here.
    fn land(&mut self, here: impl Fn(u8) -> bool) -> Result<(), IcedError> {
        let (landing, rest) = self.forward.drain(..).partition(|&(left, _)| here(left));
        self.forward = rest;
        let landing: Vec<(u8, CodeLabel)> = landing;
        for (_, mut label) in landing {
            self.a.set_label(&mut label)?;
            // A label needs an instruction of its own.
            self.a.nop()?;
        }
        Ok(())
    }

    /// A branch over the next pieces.
    fn skip(&mut self, condition: u8, piece: Piece) -> Result<(), IcedError> {
        let label = self.a.create_label();
        self.forward.push((1 + piece.imm % 6, label));
        JUMPS[usize::from(condition % 16)](self.a, label)
    }

    fn piece(&mut self, p: Piece) -> Result<(), IcedError> {
        let branches = match p.kind % KINDS {
            29 | 30 | 34 => 1,
            35..=37 => 2,
            _ => 0,
        };
        let p = Piece { how: p.how | u8::from(p.how % 16 == 8 && !self.plan.shares), ..p };
        if branches > self.plan.branches || (p.kind % KINDS == 43 && !self.plan.shares) {
            return self.alu(p);
        }
        match p.kind % KINDS {
            0..=3 => self.alu(p),
            4..=6 => self.load(p),
            7..=9 => self.store(p),
            10 => self.immediate(p),
            11 | 12 => self.unary(p),
            13 | 14 => self.shift(p),
            15 => self.double_shift(p),
            16 | 17 => self.multiply(p),
            18 => self.divide(p),
            19 | 20 => self.extend(p),
            21 => self.lea(p),
            22 => {
                let all = [Code::Cbw, Code::Cwde, Code::Cdqe, Code::Cwd, Code::Cdq, Code::Cqo];
                self.a.add_instruction(Instruction::with(all[usize::from(p.how % 6)]))
            }
            23 => {
                let (size, rm) = p.operand(self.plan.wild);
                let code =
                    from(Code::Cmovo_r16_rm16, usize::from(p.src % 16) * 3 + size.max(1) - 1);
                match (size, rm) {
                    (0, Rm::Reg(_)) => self.add(rm_last(code, R::AX, Rm::Reg(R::R9W))),
                    (0, Rm::Mem(_)) => self.set_condition(p),
                    _ => self.add(rm_last(code, REGISTERS[size][usize::from(p.imm % 12)], rm)),
                }
            }
            24 => self.set_condition(p),
            25 | 26 => self.push_pop(p),
            27 | 28 => self.a.call(FUNCTIONS + 64 * u64::from(p.imm & 3)),
            29 => self.a.call(qword_ptr(rbp + POINTERS + 8 * i32::from(p.imm & 1))),
            30 => {
                let quad = Piece::quad(p.dst);
                self.a.mov(quad, qword_ptr(rbp + COUNT))?;
                self.a.and(quad, i32::from(p.imm & 3))?;
                self.a.call(qword_ptr(rbp + quad * 8 + TABLE))
            }
            31 => self.frame(p),
            32 | 33 => self.clock(p),
            34 => {
                let quad = Piece::quad(p.dst);
                self.a.mov(quad, qword_ptr(rbp + COUNT))?;
                self.a.test(quad, [1, 3, 7, 15][usize::from(p.src & 3)])?;
                self.skip(4 + (p.how & 1), p)
            }
            35 => {
                self.a.mov(rax, qword_ptr(rbp + COUNT))?;
                self.a.xor(edx, edx)?;
                self.a.mov(ecx, 7)?;
                self.a.div(rcx)?;
                self.a.cmp(edx, i32::from(p.src % 7))?;
                self.skip(4 + (p.how & 1), p)
            }
            36 => {
                self.a.cmp(Piece::quad(p.dst), i32::from(p.src))?;
                self.skip(p.how, p)
            }
            37 => self.skip(p.how, p),
            38 => self.a.inc(qword_ptr(rbp + 8 * i32::from(p.place & 15 | 3))),
            39 | 40 => self.below_stack(p),
            41 => match p.how % 4 {
                0 => self.a.cld(),
                1 => self.a.cli(),
                2 => self.a.pause(),
                _ => self.a.nop(),
            },
            42 => {
                let (one, other) = (Piece::quad(p.dst), Piece::quad(p.dst + 1));
                self.a.mov(one, qword_ptr(rbp + POINTERS))?;
                self.a.mov(other, qword_ptr(rbp + POINTERS + 8))?;
                self.a.mov(qword_ptr(rbp + POINTERS), other)?;
                self.a.mov(qword_ptr(rbp + POINTERS + 8), one)
            }
            _ => {
                let (size, at) = p.shared();
                let register = p.register(p.src, size);
                match p.how % 8 {
                    0..6 => self.add(rm_last(from(Code::Mov_r8_rm8, size), register, Rm::Mem(at))),
                    6 => self.add(rm_first(from(Code::Mov_rm8_r8, size), Rm::Mem(at), register)),
                    _ => self.add(rm_only(sized(Code::Inc_rm8, Code::Inc_rm16, size), Rm::Mem(at))),
                }
            }
        }
    }

    fn alu(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let all = [
            Code::Add_rm8_r8,
            Code::Sub_rm8_r8,
            Code::Xor_rm8_r8,
            Code::And_rm8_r8,
            Code::Or_rm8_r8,
            Code::Cmp_rm8_r8,
            Code::Mov_rm8_r8,
            Code::Test_rm8_r8,
        ];
        let code = all[usize::from(p.place >> 1 & 7)];
        let register = p.register(p.src, size);
        if p.imm & 1 == 0 || code == Code::Test_rm8_r8 {
            self.add(rm_first(from(code, size), rm, register))
        } else {
            self.add(rm_last(from(code, size + 4), register, rm))
        }
    }

    fn load(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, at) = p.memory(self.plan.wild);
        let register = p.register(p.dst, size);
        self.add(Instruction::with2(from(Code::Mov_r8_rm8, size), register, at))
    }

    fn store(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, at) = p.memory(self.plan.wild);
        let register = p.register(p.src, size);
        self.add(Instruction::with2(from(Code::Mov_rm8_r8, size), at, register))
    }

    fn immediate(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let (bytes, words) = [
            (Code::Add_rm8_imm8, Code::Add_rm16_imm8),
            (Code::Or_rm8_imm8, Code::Or_rm16_imm8),
            (Code::And_rm8_imm8, Code::And_rm16_imm8),
            (Code::Sub_rm8_imm8, Code::Sub_rm16_imm8),
            (Code::Xor_rm8_imm8, Code::Xor_rm16_imm8),
            (Code::Cmp_rm8_imm8, Code::Cmp_rm16_imm8),
            (Code::Mov_rm8_imm8, Code::Mov_rm16_imm16),
        ][usize::from(p.src % 7)];
        let imm = i32::from(p.imm as i8);
        self.add(rm_imm(sized(bytes, words, size), rm, imm))
    }

    fn unary(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let (bytes, words) = [
            (Code::Inc_rm8, Code::Inc_rm16),
            (Code::Dec_rm8, Code::Dec_rm16),
            (Code::Neg_rm8, Code::Neg_rm16),
            (Code::Not_rm8, Code::Not_rm16),
        ][usize::from(p.src & 3)];
        self.add(rm_only(sized(bytes, words, size), rm))
    }

    fn shift(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let by_imm = [
            (Code::Shl_rm8_imm8, Code::Shl_rm16_imm8),
            (Code::Shr_rm8_imm8, Code::Shr_rm16_imm8),
            (Code::Sar_rm8_imm8, Code::Sar_rm16_imm8),
        ];
        let by_cl = [
            (Code::Shl_rm8_CL, Code::Shl_rm16_CL),
            (Code::Shr_rm8_CL, Code::Shr_rm16_CL),
            (Code::Sar_rm8_CL, Code::Sar_rm16_CL),
        ];
        let which = usize::from(p.src % 3);
        if p.place & 0x80 == 0 {
            let (bytes, words) = by_imm[which];
            self.add(rm_imm(sized(bytes, words, size), rm, i32::from(p.imm & 31)))
        } else {
            let (bytes, words) = by_cl[which];
            self.add(rm_first(sized(bytes, words, size), rm, R::CL))
        }
    }

    fn double_shift(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = match p.operand(self.plan.wild) {
            (0, _) => (3, Rm::Reg(R::R8)),
            operand => operand,
        };
        let register = REGISTERS[size][usize::from(p.src % 12)];
        let codes = [Code::Shld_rm16_r16_imm8, Code::Shrd_rm16_r16_imm8];
        let code = from(codes[usize::from(p.imm & 1)], size - 1);
        let by_cl = p.place & 0x80 != 0;
        let count = i32::from(p.imm >> 3);
        self.add(match (by_cl, rm) {
            (true, Rm::Reg(rm)) => Instruction::with3(from(code, 3), rm, register, R::CL),
            (true, Rm::Mem(rm)) => Instruction::with3(from(code, 3), rm, register, R::CL),
            (false, Rm::Reg(rm)) => Instruction::with3(code, rm, register, count),
            (false, Rm::Mem(rm)) => Instruction::with3(code, rm, register, count),
        })
    }

    fn multiply(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let code = match p.src % 4 {
            0 => return self.add(rm_only(sized(Code::Mul_rm8, Code::Mul_rm16, size), rm)),
            1 => return self.add(rm_only(sized(Code::Imul_rm8, Code::Imul_rm16, size), rm)),
            _ if size == 0 => return self.add(rm_only(Code::Mul_rm8, rm)),
            2 => {
                return self.add(rm_last(
                    from(Code::Imul_r16_rm16, size - 1),
                    p.register(p.dst, size),
                    rm,
                ));
            }
            _ => from(Code::Imul_r16_rm16_imm8, size - 1),
        };
        let (register, imm) = (p.register(p.src >> 2, size), i32::from(p.imm as i8));
        self.add(match rm {
            Rm::Reg(rm) => Instruction::with3(code, register, rm, imm),
            Rm::Mem(rm) => Instruction::with3(code, register, rm, imm),
        })
    }

    /// A division by something that is not 0, of something that is not too large.
    fn divide(&mut self, p: Piece) -> Result<(), IcedError> {
        let a = &mut *self.a;
        match p.how % 6 {
            0 => {
                a.movzx(eax, al)?;
                a.or(cl, 1)?;
                a.div(cl)
            }
            1 => {
                a.xor(edx, edx)?;
                a.or(cx, 3)?;
                a.div(cx)
            }
            2 => {
                a.xor(edx, edx)?;
                a.or(esi, 5)?;
                a.div(esi)
            }
            3 => {
                a.mov(r10d, 3 + i32::from(p.imm))?;
                a.cqo()?;
                a.idiv(r10)
            }
            4 => {
                a.mov(ebx, 3 + i32::from(p.imm))?;
                a.cdq()?;
                a.idiv(ebx)
            }
            _ => {
                a.xor(edx, edx)?;
                a.or(qword_ptr(rbp + 0x18), 9)?;
                a.div(qword_ptr(rbp + 0x18))
            }
        }
    }

    fn extend(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let signed = p.imm & 1 != 0;
        let code = match (size, signed) {
            (0, false) => Code::Movzx_r16_rm8,
            (0, true) => Code::Movsx_r16_rm8,
            (1, false) => Code::Movzx_r16_rm16,
            (1, true) => Code::Movsx_r16_rm16,
            (2, _) => Code::Movsxd_r16_rm16,
            _ => return self.add(rm_last(Code::Mov_r64_rm64, p.register(p.src, 3), rm)),
        };
        let wide = match size {
            0 if p.is_old() => usize::from(p.src >> 5 & 1),
            0 | 1 => usize::from(p.src >> 5) % 3,
            _ => 2,
        };
        let old = size == 0 && p.is_old();
        let number = if old { p.src & 3 } else { p.src % 12 };
        self.add(rm_last(from(code, wide), REGISTERS[wide + 1][usize::from(number)], rm))
    }

    fn lea(&mut self, p: Piece) -> Result<(), IcedError> {
        let size = 1 + usize::from(p.how % 3);
        let of = |number: u8| REGISTERS[3][usize::from(number % 12)];
        let (scale, displacement) = (1 << (p.imm & 3), i64::from(p.imm));
        let address = MemoryOperand::with_base_index_scale_displ_size(
            of(p.src),
            of(p.place),
            scale,
            displacement,
            1,
        );
        let code = from(Code::Lea_r16_m, size - 1);
        self.add(Instruction::with2(code, p.register(p.dst, size), address))
    }

    fn set_condition(&mut self, p: Piece) -> Result<(), IcedError> {
        let code = from(Code::Seto_rm8, usize::from(p.src % 16));
        if p.how & 1 == 0 {
            return self.add(Instruction::with1(code, p.register(p.dst, 0)));
        }
        // A word whose own size is a byte.
        let (_, at) = Piece { place: p.place & !3, how: 0xff, ..p }.memory(0);
        self.add(Instruction::with1(code, at))
    }

    fn push_pop(&mut self, p: Piece) -> Result<(), IcedError> {
        let (from, to) = (Piece::quad(p.src), Piece::quad(p.dst));
        match p.how % 8 {
            0 => self.a.push(qword_ptr(rbp + 8 * i32::from(p.place & 15 | 3)))?,
            1 => self.a.push(i32::from(p.imm as i8))?,
            2 => {
                self.a.push(bx)?;
                return self.a.pop(si);
            }
            3 => {
                self.a.push(from)?;
                self.a.push(to)?;
                self.a.pop(from)?;
            }
            _ => self.a.push(from)?,
        }
        self.a.pop(to)
    }

    fn frame(&mut self, p: Piece) -> Result<(), IcedError> {
        let (from, to) = (Piece::quad(p.src), Piece::quad(p.dst));
        self.a.push(rbp)?;
        self.a.mov(rbp, rsp)?;
        self.a.sub(rsp, 0x20)?;
        self.a.mov(qword_ptr(rbp - 8), from)?;
        self.a.add(to, qword_ptr(rbp - 8))?;
        self.a.mov(dword_ptr(rsp + 8), ecx)?;
        self.a.leave()
    }

    /// The time since last time, and something that depends on it.
    fn clock(&mut self, p: Piece) -> Result<(), IcedError> {
        let a = &mut *self.a;
        a.rdtsc()?;
        if p.how & 1 == 0 {
            a.shl(rdx, 32)?;
            a.or(rax, rdx)?;
        }
        if p.how & 2 == 0 {
            a.mov(rdx, rax)?;
            a.sub(rax, qword_ptr(rbp + STAMP))?;
            a.mov(qword_ptr(rbp + STAMP), rdx)?;
        }
        if p.how & 4 == 0 {
            a.mov(Piece::quad(p.dst), rax)?;
        }
        Ok(())
    }

    fn below_stack(&mut self, p: Piece) -> Result<(), IcedError> {
        let size = if self.plan.wild == 0 { 3 } else { usize::from(p.imm & 3) };
        let at = MemoryOperand::with_base_displ(R::RSP, -8 * i64::from(1 + p.place % 6));
        // RSP as a base needs no REX.
        let (store, load) = (from(Code::Mov_rm8_r8, size), from(Code::Mov_r8_rm8, size));
        if p.kind & 1 == 0 {
            self.add(Instruction::with2(store, at, p.register(p.src, size)))
        } else {
            self.add(Instruction::with2(load, p.register(p.dst, size), at))
        }
    }

    /// What ends a stretch; some of it shows all flags.
    fn ending(&mut self, kind: u8) -> Result<(), IcedError> {
        let a = &mut *self.a;
        match kind % 14 {
            0..=3 => {
                a.pushfq()?;
                a.pop(qword_ptr(rbp + 0x90))
            }
            4 => {
                a.lahf()?;
                a.mov(byte_ptr(rbp + 0x98), ah)
            }
            5 => a.adc(qword_ptr(rbp + 0x18), rbx),
            6 => a.lock().add(qword_ptr(rbp + 0x18), rsi),
            7 => a.lock().inc(qword_ptr(SHARED)),
            8 => {
                a.std()?;
                a.mov(qword_ptr(rbp + 0x38), rdi)?;
                a.cld()
            }
            9 => {
                a.sti()?;
                a.nop()?;
                a.nop()?;
                a.cli()
            }
            10 => a.sti(),
            // The immediate operand of an instruction.
            11 => a.mov(byte_ptr(FUNCTIONS + 2 * 64 + 1), al),
            12 => a.xchg(qword_ptr(rbp + 0x78), r8),
            _ => a.mfence(),
        }
    }

    fn handler(&mut self) -> Result<(), IcedError> {
        let plan = self.plan;
        let quads = (0..12).map(Piece::quad);
        for register in quads.clone() {
            self.a.push(register)?;
        }
        self.a.inc(qword_ptr(rbp + COUNT))?;
        self.body(&plan.before, None)?;
        self.a.mov(dword_ptr(r14 + 0xb0), 0)?;
        if plan.one_shot == 1 {
            self.a.mov(eax, u32::from(plan.period))?;
            self.a.mov(dword_ptr(r14 + 0x380), eax)?;
        }
        if plan.one_shot == 2 {
            self.a.rdtsc()?;
            self.a.and(eax, 31)?;
            self.a.add(eax, i32::from(plan.period))?;
            self.a.mov(dword_ptr(r14 + 0x380), eax)?;
        }
        let at = usize::from(plan.ends_at) % (2 * plan.after.len());
        self.body(&plan.after, Some(at))?;
        for (n, register) in quads.enumerate().collect::<Vec<_>>().into_iter().rev() {
            if plan.restored >> n & 1 != 0 {
                self.a.pop(register)?;
            } else {
                self.a.add(rsp, 8)?;
            }
        }
        self.a.iretq()
    }
}

/// What the CPUs do when they handle no interrupt.
fn waits(a: &mut CodeAssembler, plan: &Plan) -> Result<(), IcedError> {
    start_timer(a, plan.period.into(), plan.one_shot == 0 || plan.one_shot == 3)?;
    let mut loops = [(); 4].map(|()| a.create_label());
    for (id, shift) in [(1, 2), (2, 4)] {
        let mut other = a.create_label();
        a.cmp(edi, id)?;
        a.jne(other)?;
        a.jmp(loops[usize::from(plan.waits >> shift & 3)])?;
        a.set_label(&mut other)?;
        a.nop()?;
    }
    a.jmp(loops[usize::from(plan.waits & 3)])?;
    for (kind, label) in loops.iter_mut().enumerate() {
        let again = *label;
        a.set_label(label)?;
        match kind {
            0 => a.pause()?,
            1 => a.hlt()?,
            2 => {
                a.inc(r8)?;
                a.add(qword_ptr(rbp + 0x18), r8)?;
                a.xor(r9, qword_ptr(rbp + 0x1008))?;
                a.mov(eax, dword_ptr(rbp + 0x2010))?;
                a.pause()?;
            }
            _ => {
                let mut delay = a.create_label();
                a.mov(ecx, 150)?;
                a.set_label(&mut delay)?;
                a.dec(rcx)?;
                a.jnz(delay)?;
                a.inc(qword_ptr(SHARED + 24))?;
                a.mov(rdx, qword_ptr(SHARED + 64))?;
                a.mov(qword_ptr(SHARED + 128), rdx)?;
            }
        }
        a.jmp(again)?;
    }
    Ok(())
}

/// Sets RBP and R14 up, and lets a timer interrupt every `count` ticks.
pub(super) fn start_timer(
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
pub(super) fn handle(
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
