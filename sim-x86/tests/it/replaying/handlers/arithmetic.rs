//! Random arithmetic.

use super::operands::*;
use super::pieces::Writer;
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction, Register as R};

impl Writer<'_> {
    pub(super) fn alu(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn immediate(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn unary(&mut self, p: Piece) -> Result<(), IcedError> {
        let (size, rm) = p.operand(self.plan.wild);
        let (bytes, words) = [
            (Code::Inc_rm8, Code::Inc_rm16),
            (Code::Dec_rm8, Code::Dec_rm16),
            (Code::Neg_rm8, Code::Neg_rm16),
            (Code::Not_rm8, Code::Not_rm16),
        ][usize::from(p.src & 3)];
        self.add(rm_only(sized(bytes, words, size), rm))
    }

    pub(super) fn shift(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn double_shift(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn multiply(&mut self, p: Piece) -> Result<(), IcedError> {
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
    pub(super) fn divide(&mut self, p: Piece) -> Result<(), IcedError> {
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

    pub(super) fn extend(&mut self, p: Piece) -> Result<(), IcedError> {
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
}
