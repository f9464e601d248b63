//! Random pieces of handlers: what moves values, branches, and ends stretches.

use super::operands::*;
use super::{COUNT, FUNCTIONS, POINTERS, Plan, SHARED, STAMP, TABLE};
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register as R};

/// Kinds of pieces.
pub(super) const KINDS: u8 = 44;

type Jump = fn(&mut CodeAssembler, CodeLabel) -> Result<(), IcedError>;

pub(super) const JUMPS: [Jump; 16] = [
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

/// Writes handlers.
pub(super) struct Writer<'a> {
    pub(super) a: &'a mut CodeAssembler,
    pub(super) plan: &'a Plan,
    /// Branches that lead forward: pieces until their targets.
    pub(super) forward: Vec<(u8, CodeLabel)>,
}

impl Writer<'_> {
    pub(super) fn add(
        &mut self,
        instruction: Result<Instruction, IcedError>,
    ) -> Result<(), IcedError> {
        self.a.add_instruction(instruction?)
    }

    pub(super) fn body(
        &mut self,
        pieces: &[Piece],
        ending: Option<usize>,
    ) -> Result<(), IcedError> {
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
    pub(super) fn land(&mut self, here: impl Fn(u8) -> bool) -> Result<(), IcedError> {
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
    pub(super) fn skip(&mut self, condition: u8, piece: Piece) -> Result<(), IcedError> {
        let label = self.a.create_label();
        self.forward.push((1 + piece.imm % 6, label));
        JUMPS[usize::from(condition % 16)](self.a, label)
    }

    pub(super) fn piece(&mut self, p: Piece) -> Result<(), IcedError> {
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
                let (one, other) = (Piece::quad(p.dst), Piece::quad(p.dst.wrapping_add(1)));
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

    pub(super) fn load(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, at) = p.memory(self.plan.wild);
        let register = p.register(p.dst, size);
        self.add(Instruction::with2(from(Code::Mov_r8_rm8, size), register, at))
    }

    pub(super) fn store(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, at) = p.memory(self.plan.wild);
        let register = p.register(p.src, size);
        self.add(Instruction::with2(from(Code::Mov_rm8_r8, size), at, register))
    }

    pub(super) fn lea(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn set_condition(&mut self, p: Piece) -> Result<(), IcedError> {
        let code = from(Code::Seto_rm8, usize::from(p.src % 16));
        // What keeps some of the flags, or all.
        match p.imm & 7 {
            0 => self.a.inc(Piece::quad(p.dst))?,
            1 => self.a.dec(Piece::quad(p.dst))?,
            2 => self.a.shl(Piece::quad(p.dst), cl)?,
            3 => {
                self.a.mov(Piece::quad(p.dst), u64::from(p.place))?;
                self.a.inc(Piece::quad(p.dst))?;
            }
            _ => {}
        }
        if p.how & 1 == 0 {
            return self.add(Instruction::with1(code, p.register(p.dst, 0)));
        }
        // A word whose own size is a byte.
        let (_, at) = Piece { place: p.place & !3, how: 0xff, ..p }.memory(0);
        self.add(Instruction::with1(code, at))
    }

    pub(super) fn push_pop(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn frame(&mut self, p: Piece) -> Result<(), IcedError> {
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
    pub(super) fn clock(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn below_stack(&mut self, p: Piece) -> Result<(), IcedError> {
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
    pub(super) fn ending(&mut self, kind: u8) -> Result<(), IcedError> {
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

    pub(super) fn handler(&mut self) -> Result<(), IcedError> {
        let plan = self.plan;
        let quads = (0..12).map(Piece::quad);
        for register in quads.clone() {
            self.a.push(register)?;
        }
        self.a.inc(qword_ptr(rbp + COUNT))?;
        if plan.shares && plan.seed & 2 != 0 {
            // A load that has come before the store in front of it has left.
            self.a.mov(qword_ptr(SHARED + 136), rbx)?;
            self.a.add(rcx, qword_ptr(SHARED + 24))?;
        }
        self.body(&plan.before, None)?;
        self.a.mov(dword_ptr(r14 + 0xb0), 0)?;
        if plan.shares {
            self.a.add(rcx, qword_ptr(SHARED + 24))?;
        }
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
