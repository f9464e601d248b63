//! Turns a thread into machine code.

use crate::program::{Instruction, Op, Operand, Reg, Size, Thread};
use iced_x86::code_asm::CodeAssembler;
use iced_x86::{Code, IcedError, Instruction as Encoded, MemoryOperand, Register};

/// Machine code of `thread` at `origin`, ending in HLT. `addresses` are those of the locations,
/// all below 2 GiB.
///
/// # Errors
/// If iced-x86 refuses an instruction: then the parser let something through.
pub fn assemble(thread: &Thread, origin: u64, addresses: &[u64]) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    let mut labels: Vec<_> = (0..=thread.code.len()).map(|_| a.create_label()).collect();
    let targets: Vec<usize> = thread.code.iter().filter_map(|one| one.target).collect();
    for (i, instruction) in thread.code.iter().enumerate() {
        if targets.contains(&i) {
            a.set_label(&mut labels[i])?;
        }
        match (instruction.op, instruction.target) {
            (Op::Jmp | Op::Ret, Some(target)) => a.jmp(labels[target])?,
            (Op::Je, Some(target)) => a.je(labels[target])?,
            (Op::Jne, Some(target)) => a.jne(labels[target])?,
            (Op::Jc, Some(target)) => a.jc(labels[target])?,
            (Op::Jnc, Some(target)) => a.jnc(labels[target])?,
            _ => a.add_instruction(encode(instruction, addresses)?)?,
        }
    }
    let end = labels.last_mut().expect("one more label than instructions");
    a.set_label(end)?;
    let end = *end;
    a.hlt()?;
    // An interrupt wakes the CPU: back to sleep.
    a.jmp(end)?;
    a.assemble(origin)
}

fn encode(instruction: &Instruction, addresses: &[u64]) -> Result<Encoded, IcedError> {
    let Instruction { op, size, locked, dst, src, .. } = *instruction;
    let operand = |operand: Operand| match operand {
        Operand::Reg(reg) => Native::Reg(register(reg, size)),
        Operand::Imm(value) => Native::Imm(value),
        Operand::Mem(place) => {
            let address = addresses[place.location] + place.offset;
            Native::Mem(MemoryOperand::with_displ(address, 8))
        }
    };
    let code = code(instruction);
    let mut encoded = match (dst.map(operand), src.map(operand)) {
        (None, _) => Encoded::with(code),
        (Some(Native::Reg(dst)), None) => Encoded::with1(code, dst)?,
        (Some(Native::Mem(dst)), None) => Encoded::with1(code, dst)?,
        (Some(Native::Reg(dst)), Some(Native::Reg(src))) => Encoded::with2(code, dst, src)?,
        (Some(Native::Reg(dst)), Some(Native::Mem(src))) => Encoded::with2(code, dst, src)?,
        (Some(Native::Mem(dst)), Some(Native::Reg(src))) => Encoded::with2(code, dst, src)?,
        (Some(Native::Reg(dst)), Some(Native::Imm(src))) => {
            Encoded::with2(code, dst, constant(src, size, op, false))?
        }
        (Some(Native::Mem(dst)), Some(Native::Imm(src))) => {
            // All these constants have at most 32 bits.
            Encoded::with2(code, dst, constant(src, size, op, true) as i32)?
        }
        // The parser lets no such operands through; iced-x86 would refuse this too.
        (Some(_), _) => Encoded::with(Code::INVALID),
    };
    // XCHG with memory is locked without the prefix (SDM vol. 2, XCHG).
    encoded.set_has_lock_prefix(locked && op != Op::Xchg);
    Ok(encoded)
}

/// An operand as iced-x86 takes it.
enum Native {
    Reg(Register),
    Imm(i64),
    Mem(MemoryOperand),
}

/// The constant in the form that the encoding holds: as long as the operand, but of 64 bits only
/// the low 32, sign-extended, in all but a MOV to a register.
fn constant(value: i64, size: Size, op: Op, memory: bool) -> i64 {
    match size {
        _ if matches!(op, Op::Bts | Op::Btr | Op::Btc) => value,
        Size::B1 => i64::from(value as i8),
        Size::B2 => i64::from(value as i16),
        Size::B4 => i64::from(value as i32),
        Size::B8 if op == Op::Mov && !memory => value,
        Size::B8 | Size::B16 => i64::from(value as i32),
    }
}

fn register(reg: Reg, size: Size) -> Register {
    use Register as R;
    const NAMES: [[Register; 4]; 16] = [
        [R::AL, R::AX, R::EAX, R::RAX],
        [R::CL, R::CX, R::ECX, R::RCX],
        [R::DL, R::DX, R::EDX, R::RDX],
        [R::BL, R::BX, R::EBX, R::RBX],
        [R::SPL, R::SP, R::ESP, R::RSP],
        [R::BPL, R::BP, R::EBP, R::RBP],
        [R::SIL, R::SI, R::ESI, R::RSI],
        [R::DIL, R::DI, R::EDI, R::RDI],
        [R::R8L, R::R8W, R::R8D, R::R8],
        [R::R9L, R::R9W, R::R9D, R::R9],
        [R::R10L, R::R10W, R::R10D, R::R10],
        [R::R11L, R::R11W, R::R11D, R::R11],
        [R::R12L, R::R12W, R::R12D, R::R12],
        [R::R13L, R::R13W, R::R13D, R::R13],
        [R::R14L, R::R14W, R::R14D, R::R14],
        [R::R15L, R::R15W, R::R15D, R::R15],
    ];
    NAMES[usize::from(reg.0)][index(size)]
}

fn index(size: Size) -> usize {
    match size {
        Size::B1 => 0,
        Size::B2 => 1,
        Size::B4 => 2,
        Size::B8 | Size::B16 => 3,
    }
}

/// The forms of an instruction: by source (register, constant), and register from memory.
fn code(instruction: &Instruction) -> Code {
    let Instruction { op, size, dst, src, .. } = *instruction;
    let i = index(size);
    let from_memory = matches!((dst, src), (Some(Operand::Reg(_)), Some(Operand::Mem(_))));
    let constant = matches!(src, Some(Operand::Imm(_)));
    let pick = |reg: [Code; 4], imm: [Code; 4], memory: [Code; 4]| {
        (if from_memory {
            memory
        } else if constant {
            imm
        } else {
            reg
        })[i]
    };
    /// The three forms of the arithmetic instructions.
    macro_rules! forms {
        ($rm8_r8:ident $rm16_r16:ident $rm32_r32:ident $rm64_r64:ident,
         $rm8_imm8:ident $rm16_imm16:ident $rm32_imm32:ident $rm64_imm32:ident,
         $r8_rm8:ident $r16_rm16:ident $r32_rm32:ident $r64_rm64:ident) => {
            pick(
                [Code::$rm8_r8, Code::$rm16_r16, Code::$rm32_r32, Code::$rm64_r64],
                [Code::$rm8_imm8, Code::$rm16_imm16, Code::$rm32_imm32, Code::$rm64_imm32],
                [Code::$r8_rm8, Code::$r16_rm16, Code::$r32_rm32, Code::$r64_rm64],
            )
        };
    }
    let move_to_register = constant && matches!(dst, Some(Operand::Reg(_)));
    match op {
        Op::Mov if move_to_register => {
            [Code::Mov_r8_imm8, Code::Mov_r16_imm16, Code::Mov_r32_imm32, Code::Mov_r64_imm64][i]
        }
        Op::Mov => forms!(Mov_rm8_r8 Mov_rm16_r16 Mov_rm32_r32 Mov_rm64_r64,
            Mov_rm8_imm8 Mov_rm16_imm16 Mov_rm32_imm32 Mov_rm64_imm32,
            Mov_r8_rm8 Mov_r16_rm16 Mov_r32_rm32 Mov_r64_rm64),
        Op::Add => forms!(Add_rm8_r8 Add_rm16_r16 Add_rm32_r32 Add_rm64_r64,
            Add_rm8_imm8 Add_rm16_imm16 Add_rm32_imm32 Add_rm64_imm32,
            Add_r8_rm8 Add_r16_rm16 Add_r32_rm32 Add_r64_rm64),
        Op::Sub => forms!(Sub_rm8_r8 Sub_rm16_r16 Sub_rm32_r32 Sub_rm64_r64,
            Sub_rm8_imm8 Sub_rm16_imm16 Sub_rm32_imm32 Sub_rm64_imm32,
            Sub_r8_rm8 Sub_r16_rm16 Sub_r32_rm32 Sub_r64_rm64),
        Op::And => forms!(And_rm8_r8 And_rm16_r16 And_rm32_r32 And_rm64_r64,
            And_rm8_imm8 And_rm16_imm16 And_rm32_imm32 And_rm64_imm32,
            And_r8_rm8 And_r16_rm16 And_r32_rm32 And_r64_rm64),
        Op::Or => forms!(Or_rm8_r8 Or_rm16_r16 Or_rm32_r32 Or_rm64_r64,
            Or_rm8_imm8 Or_rm16_imm16 Or_rm32_imm32 Or_rm64_imm32,
            Or_r8_rm8 Or_r16_rm16 Or_r32_rm32 Or_r64_rm64),
        Op::Xor => forms!(Xor_rm8_r8 Xor_rm16_r16 Xor_rm32_r32 Xor_rm64_r64,
            Xor_rm8_imm8 Xor_rm16_imm16 Xor_rm32_imm32 Xor_rm64_imm32,
            Xor_r8_rm8 Xor_r16_rm16 Xor_r32_rm32 Xor_r64_rm64),
        Op::Cmp => forms!(Cmp_rm8_r8 Cmp_rm16_r16 Cmp_rm32_r32 Cmp_rm64_r64,
            Cmp_rm8_imm8 Cmp_rm16_imm16 Cmp_rm32_imm32 Cmp_rm64_imm32,
            Cmp_r8_rm8 Cmp_r16_rm16 Cmp_r32_rm32 Cmp_r64_rm64),
        // TEST has no form that reads its second operand from memory: the parser swaps them.
        Op::Test => forms!(Test_rm8_r8 Test_rm16_r16 Test_rm32_r32 Test_rm64_r64,
            Test_rm8_imm8 Test_rm16_imm16 Test_rm32_imm32 Test_rm64_imm32,
            Test_rm8_r8 Test_rm16_r16 Test_rm32_r32 Test_rm64_r64),
        other => code_of_one_form(other, i, size),
    }
}

/// The instructions with one form for each size.
fn code_of_one_form(op: Op, i: usize, size: Size) -> Code {
    let by_size = match op {
        Op::Xchg => {
            [Code::Xchg_rm8_r8, Code::Xchg_rm16_r16, Code::Xchg_rm32_r32, Code::Xchg_rm64_r64]
        }
        Op::Xadd => {
            [Code::Xadd_rm8_r8, Code::Xadd_rm16_r16, Code::Xadd_rm32_r32, Code::Xadd_rm64_r64]
        }
        Op::Cmpxchg => [
            Code::Cmpxchg_rm8_r8,
            Code::Cmpxchg_rm16_r16,
            Code::Cmpxchg_rm32_r32,
            Code::Cmpxchg_rm64_r64,
        ],
        Op::CmpxchgPair => {
            let code = if size == Size::B16 { Code::Cmpxchg16b_m128 } else { Code::Cmpxchg8b_m64 };
            [code; 4]
        }
        Op::Inc => [Code::Inc_rm8, Code::Inc_rm16, Code::Inc_rm32, Code::Inc_rm64],
        Op::Dec => [Code::Dec_rm8, Code::Dec_rm16, Code::Dec_rm32, Code::Dec_rm64],
        Op::Neg => [Code::Neg_rm8, Code::Neg_rm16, Code::Neg_rm32, Code::Neg_rm64],
        Op::Not => [Code::Not_rm8, Code::Not_rm16, Code::Not_rm32, Code::Not_rm64],
        // Bit tests have no byte form: the parser refuses it.
        Op::Bts => bits(Code::Bts_rm16_imm8, Code::Bts_rm32_imm8, Code::Bts_rm64_imm8),
        Op::Btr => bits(Code::Btr_rm16_imm8, Code::Btr_rm32_imm8, Code::Btr_rm64_imm8),
        Op::Btc => bits(Code::Btc_rm16_imm8, Code::Btc_rm32_imm8, Code::Btc_rm64_imm8),
        Op::Mfence => [Code::Mfence; 4],
        Op::Lfence => [Code::Lfence; 4],
        Op::Sfence => [Code::Sfence; 4],
        Op::Pause => [Code::Pause; 4],
        _ => [Code::Nopd; 4],
    };
    by_size[i]
}

fn bits(word: Code, double: Code, quad: Code) -> [Code; 4] {
    [Code::INVALID, word, double, quad]
}
