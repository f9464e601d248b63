//! HOT: the most frequent instructions again, with operand form and size known at compile time.
//!
//! Each row calls the handler of its kind with an [`Op`] whose form and size are constants: the
//! compiler folds every question about them. Nothing is decided here that the general path would
//! decide differently: a row is the general handler, specialised.
//! `benches/` has the integer loop that they were chosen by.

use super::{Bus, Flow, Size, Stall, alu, branch, mov, operand, shift, stack};
use crate::core::regs::Registers;
use crate::op::{Form, Kind, Op};

macro_rules! fast_path {
    ($($name:ident: $kind:ident $form:ident $size:ident |$regs:ident, $bus:ident, $op:ident|
        $body:expr;)*) => {
        /// Which specialised handler an instruction has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Fast {
            /// None: [`super::execute`] does it.
            General,
            $($name,)*
        }

        impl Fast {
            /// The handler for these.
            pub(crate) fn of(kind: Kind, form: Form, size: Size) -> Fast {
                match (kind, form, size) {
                    $((Kind::$kind, Form::$form, Size::$size) => Fast::$name,)*
                    _ => Fast::General,
                }
            }
        }

        /// Executes one instruction. What came of it is in `rest` if the answer is
        /// [`Brief::Rest`].
        #[inline(always)]
        pub(crate) fn execute<B: Bus>(
            regs: &mut Registers,
            bus: &mut B,
            op: &Op,
            rest: &mut Result<Flow, Stall>,
        ) -> Brief {
            match op.fast {
                Fast::General => {
                    *rest = super::execute_general(regs, bus, op);
                    Brief::Rest
                }
                $(Fast::$name => {
                    let ($regs, $bus) = (&mut *regs, &mut *bus);
                    let $op = &Op { form: Form::$form, size: Size::$size, ..*op };
                    #[allow(
                        unreachable_code,
                        clippy::no_effect,
                        reason = "branches return what came of them; NOP does nothing"
                    )]
                    let mut row = || -> Result<Flow, Stall> {
                        $body;
                        $regs.rip = $op.next_rip($regs);
                        Ok(Flow::Next)
                    };
                    Brief::of(row(), rest)
                })*
            }
        }
    };
}

/// How an instruction ended, in a form that stays in a register of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Brief {
    /// [`Flow::Next`].
    Next,
    /// [`Flow::Taken`].
    Taken,
    /// What stands elsewhere.
    Rest,
}

impl Brief {
    #[inline(always)]
    fn of(result: Result<Flow, Stall>, rest: &mut Result<Flow, Stall>) -> Brief {
        match result {
            Ok(Flow::Next) => Brief::Next,
            Ok(Flow::Taken) => Brief::Taken,
            other => {
                *rest = other;
                Brief::Rest
            }
        }
    }
}

/// A binary operation of [`alu`].
macro_rules! alu {
    ($regs:ident $bus:ident $op:ident $f:ident $size:ident) => {
        alu::binary($regs, $bus, $op, |a, b| alu::$f(a, b, Size::$size))?
    };
    ($regs:ident $bus:ident $op:ident a $o:tt b $size:ident) => {
        alu::binary($regs, $bus, $op, |a, b| alu::logic(a $o b, Size::$size))?
    };
}

/// CMP and TEST.
macro_rules! compare {
    ($regs:ident $bus:ident $op:ident sub $size:ident) => {
        alu::compare($regs, $bus, $op, |a, b| alu::sub(a, b, Size::$size))?
    };
    ($regs:ident $bus:ident $op:ident and $size:ident) => {
        alu::compare($regs, $bus, $op, |a, b| alu::logic(a & b, Size::$size))?
    };
}

fast_path! {
    MovRegReg8: Mov RegReg B8 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovRegReg4: Mov RegReg B4 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovRegImm8: Mov RegImm B8 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovRegImm4: Mov RegImm B4 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovRegMem8: Mov RegMem B8 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovRegMem4: Mov RegMem B4 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemReg8: Mov MemReg B8 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemReg4: Mov MemReg B4 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemReg1: Mov MemReg B1 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemImm8: Mov MemImm B8 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemImm4: Mov MemImm B4 |regs, bus, op| mov::mov(regs, bus, op)?;
    MovMemImm1: Mov MemImm B1 |regs, bus, op| mov::mov(regs, bus, op)?;
    CmovRegReg8: Cmov RegReg B8 |regs, bus, op| mov::cmov(regs, bus, op)?;
    CmovRegReg4: Cmov RegReg B4 |regs, bus, op| mov::cmov(regs, bus, op)?;
    CmovRegMem8: Cmov RegMem B8 |regs, bus, op| mov::cmov(regs, bus, op)?;
    SetccReg1: Setcc Reg B1 |regs, bus, op| mov::setcc(regs, bus, op)?;
    Lea8: Lea RegMem B8 |regs, _bus, op| operand::write_reg(regs, op.dst, op.size, op.offset(regs));
    Lea4: Lea RegMem B4 |regs, _bus, op| operand::write_reg(regs, op.dst, op.size, op.offset(regs));
    Movzx8Reg4: Movzx8 RegReg B4 |regs, bus, op| mov::movzx(regs, bus, op, Size::B1)?;
    Movzx8Mem4: Movzx8 RegMem B4 |regs, bus, op| mov::movzx(regs, bus, op, Size::B1)?;
    Movzx16Reg4: Movzx16 RegReg B4 |regs, bus, op| mov::movzx(regs, bus, op, Size::B2)?;
    Movzx16Mem4: Movzx16 RegMem B4 |regs, bus, op| mov::movzx(regs, bus, op, Size::B2)?;
    Movsx32Reg8: Movsx32 RegReg B8 |regs, bus, op| mov::movsx(regs, bus, op, Size::B4)?;
    AddRegReg8: Add RegReg B8 |regs, bus, op| alu!(regs bus op add B8);
    AddRegReg4: Add RegReg B4 |regs, bus, op| alu!(regs bus op add B4);
    AddRegImm8: Add RegImm B8 |regs, bus, op| alu!(regs bus op add B8);
    AddRegImm4: Add RegImm B4 |regs, bus, op| alu!(regs bus op add B4);
    AddRegMem8: Add RegMem B8 |regs, bus, op| alu!(regs bus op add B8);
    AddMemImm4: Add MemImm B4 |regs, bus, op| alu!(regs bus op add B4);
    SubMemImm4: Sub MemImm B4 |regs, bus, op| alu!(regs bus op sub B4);
    SubRegMem8: Sub RegMem B8 |regs, bus, op| alu!(regs bus op sub B8);
    OrRegMem4: Or RegMem B4 |regs, bus, op| alu!(regs bus op a | b B4);
    SubRegReg8: Sub RegReg B8 |regs, bus, op| alu!(regs bus op sub B8);
    SubRegReg4: Sub RegReg B4 |regs, bus, op| alu!(regs bus op sub B4);
    SubRegImm8: Sub RegImm B8 |regs, bus, op| alu!(regs bus op sub B8);
    SubRegImm4: Sub RegImm B4 |regs, bus, op| alu!(regs bus op sub B4);
    AndRegReg8: And RegReg B8 |regs, bus, op| alu!(regs bus op a & b B8);
    AndRegReg4: And RegReg B4 |regs, bus, op| alu!(regs bus op a & b B4);
    AndRegImm8: And RegImm B8 |regs, bus, op| alu!(regs bus op a & b B8);
    AndRegImm4: And RegImm B4 |regs, bus, op| alu!(regs bus op a & b B4);
    OrRegReg8: Or RegReg B8 |regs, bus, op| alu!(regs bus op a | b B8);
    OrRegReg4: Or RegReg B4 |regs, bus, op| alu!(regs bus op a | b B4);
    XorRegReg8: Xor RegReg B8 |regs, bus, op| alu!(regs bus op a ^ b B8);
    XorRegReg4: Xor RegReg B4 |regs, bus, op| alu!(regs bus op a ^ b B4);
    CmpRegReg8: Cmp RegReg B8 |regs, bus, op| compare!(regs bus op sub B8);
    CmpRegReg4: Cmp RegReg B4 |regs, bus, op| compare!(regs bus op sub B4);
    CmpRegImm8: Cmp RegImm B8 |regs, bus, op| compare!(regs bus op sub B8);
    CmpRegImm4: Cmp RegImm B4 |regs, bus, op| compare!(regs bus op sub B4);
    TestRegReg8: Test RegReg B8 |regs, bus, op| compare!(regs bus op and B8);
    TestRegReg4: Test RegReg B4 |regs, bus, op| compare!(regs bus op and B4);
    TestRegReg1: Test RegReg B1 |regs, bus, op| compare!(regs bus op and B1);
    CmpRegMem4: Cmp RegMem B4 |regs, bus, op| compare!(regs bus op sub B4);
    CmpMemReg4: Cmp MemReg B4 |regs, bus, op| compare!(regs bus op sub B4);
    CmpMemReg8: Cmp MemReg B8 |regs, bus, op| compare!(regs bus op sub B8);
    CmpRegMem8: Cmp RegMem B8 |regs, bus, op| compare!(regs bus op sub B8);
    CmpMemImm4: Cmp MemImm B4 |regs, bus, op| compare!(regs bus op sub B4);
    CmpMemImm1: Cmp MemImm B1 |regs, bus, op| compare!(regs bus op sub B1);
    TestMemImm1: Test MemImm B1 |regs, bus, op| compare!(regs bus op and B1);
    TestRegImm1: Test RegImm B1 |regs, bus, op| compare!(regs bus op and B1);
    IncReg8: Inc Reg B8 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::inc(a, old, Size::B8))?;
    };
    IncReg4: Inc Reg B4 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::inc(a, old, Size::B4))?;
    };
    IncMem4: Inc Mem B4 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::inc(a, old, Size::B4))?;
    };
    DecMem4: Dec Mem B4 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::dec(a, old, Size::B4))?;
    };
    DecReg8: Dec Reg B8 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::dec(a, old, Size::B8))?;
    };
    DecReg4: Dec Reg B4 |regs, bus, op| {
        let old = regs.rflags;
        op.modify(regs, bus, |a| alu::dec(a, old, Size::B4))?;
    };
    ShlRegImm8: Shl RegImm B8 |regs, bus, op| {
        let old = regs.rflags;
        alu::binary(regs, bus, op, |a, n| shift::shl(a, n, old, Size::B8))?;
    };
    ShrRegImm8: Shr RegImm B8 |regs, bus, op| {
        let old = regs.rflags;
        alu::binary(regs, bus, op, |a, n| shift::shr(a, n, old, Size::B8))?;
    };
    ShrRegImm4: Shr RegImm B4 |regs, bus, op| {
        let old = regs.rflags;
        alu::binary(regs, bus, op, |a, n| shift::shr(a, n, old, Size::B4))?;
    };
    PushReg8: Push Reg B8 |regs, bus, op| stack::push(regs, bus, op)?;
    PushImm8: PushImm Imm B8 |regs, bus, op| stack::push_value(regs, bus, op.size, op.imm)?;
    Leave: Leave None B8 |regs, bus, op| stack::leave(regs, bus)?;
    PopReg8: Pop Reg B8 |regs, bus, op| stack::pop(regs, bus, op)?;
    Nop: Nop None B8 |regs, _bus, op| ();
    Pause: Pause None B8 |regs, _bus, op| ();
    Jcc: Jcc Imm B8 |regs, bus, op| return branch::jcc(regs, bus, op);
    Jmp: Jmp Imm B8 |regs, _bus, op| return branch::jmp(regs, op);
    Call: Call Imm B8 |regs, bus, op| return branch::call(regs, bus, op);
    CallMem: CallIndirect Mem B8 |regs, bus, op| return branch::call_indirect(regs, bus, op);
    CallReg: CallIndirect Reg B8 |regs, bus, op| return branch::call_indirect(regs, bus, op);
    JmpReg: JmpIndirect Reg B8 |regs, bus, op| return branch::jmp_indirect(regs, bus, op);
    Ret: Ret None B8 |regs, bus, op| return branch::ret(regs, bus, op);
}
