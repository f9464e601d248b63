//! From an iced instruction to an [`Op`].

use super::kind::{Kind, kind_of};
use super::{Address, Decoded, Form, MAX_INSTRUCTION_BYTES, Op, cost, flag, reg};
use crate::exec::Size;
use crate::exec::fast::Fast;
use crate::exec::operand::mask;
use crate::spec::InstructionCosts;
use iced_x86::{
    Code, ConditionCode, Decoder, DecoderError, DecoderOptions, Instruction, Mnemonic, OpKind,
    Register,
};

/// Encodings keep the meaning they had before TZCNT, LZCNT and WBNOINVD.
const OPTIONS: u32 =
    DecoderOptions::NO_MPFX_0FBC | DecoderOptions::NO_MPFX_0FBD | DecoderOptions::NO_WBNOINVD;

pub(super) fn decoder(bytes: &[u8], rip: u64) -> Decoder<'_> {
    Decoder::with_ip(64, &bytes[..bytes.len().min(MAX_INSTRUCTION_BYTES)], rip, OPTIONS)
}

pub(super) fn decode(bytes: &[u8], rip: u64, costs: &InstructionCosts) -> Decoded {
    let mut decoder = decoder(bytes, rip);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::NoMoreBytes => return Decoded::NeedMore,
        DecoderError::None => {}
        _ if decoder.position() >= MAX_INSTRUCTION_BYTES => {
            return Decoded::Op(plain(Kind::TooLong, &instruction));
        }
        _ => return Decoded::Op(plain(Kind::Undefined, &instruction)),
    }
    let Some(kind) = kind_of(instruction.code()) else {
        return Decoded::Op(plain(Kind::Unimplemented, &instruction));
    };
    let mut op = plain(kind, &instruction);
    op.size = operand_size(kind, &instruction);
    op.form = form(&instruction);
    registers(&mut op, &instruction);
    memory(&mut op, &instruction);
    immediate(&mut op, &instruction);
    prefixes(&mut op, &instruction);
    let condition = instruction.condition_code();
    if condition != ConditionCode::None {
        op.cond = condition as u8 - ConditionCode::o as u8;
    }
    (op.cost, op.extra) = cost::cost(&op, costs);
    op.fast = Fast::of(op.kind, op.form, op.size);
    op.address = address(&op);
    Decoded::Op(op)
}

/// An operation without operands.
fn plain(kind: Kind, instruction: &Instruction) -> Op {
    Op {
        kind,
        form: Form::None,
        size: Size::B8,
        len: instruction.len() as u8,
        dst: reg::NONE,
        src: reg::NONE,
        base: reg::NONE,
        index: reg::NONE,
        scale: 0,
        cond: 0,
        flags: 0,
        fast: Fast::General,
        cost: 0,
        extra: 0,
        disp: 0,
        address: Address::General,
        place: 0,
        imm: 0,
    }
}

fn size_of_bytes(bytes: usize) -> Size {
    match bytes {
        1 => Size::B1,
        2 => Size::B2,
        4 => Size::B4,
        _ => Size::B8,
    }
}

fn is_memory(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Memory
            | OpKind::MemorySegSI
            | OpKind::MemorySegESI
            | OpKind::MemorySegRSI
            | OpKind::MemoryESEDI
            | OpKind::MemoryESRDI
    )
}

/// Operand size: that of the first operand, except where the instruction says otherwise.
fn operand_size(kind: Kind, instruction: &Instruction) -> Size {
    match kind {
        Kind::Push
        | Kind::PushImm
        | Kind::Pop
        | Kind::Pushf
        | Kind::Popf
        | Kind::PushSeg
        | Kind::PopSeg => {
            let bytes = instruction.stack_pointer_increment().unsigned_abs();
            return size_of_bytes(bytes as usize);
        }
        // The source decides: 16 bits of a selector, or the accumulator.
        Kind::MovToSeg | Kind::Lldt | Kind::Ltr | Kind::Lmsw | Kind::Verr | Kind::Verw => {
            return Size::B2;
        }
        Kind::MovFromSeg if is_memory(instruction.op0_kind()) => return Size::B2,
        Kind::Out => return size_of_bytes(instruction.op1_register().size()),
        Kind::Outs => return size_of_bytes(instruction.memory_size().size()),
        _ => {}
    }
    match instruction.mnemonic() {
        Mnemonic::Cbw | Mnemonic::Cwd | Mnemonic::Iret => Size::B2,
        Mnemonic::Cwde | Mnemonic::Cdq | Mnemonic::Iretd => Size::B4,
        Mnemonic::Retf => match instruction.code() {
            Code::Retfw | Code::Retfw_imm16 => Size::B2,
            Code::Retfd | Code::Retfd_imm16 => Size::B4,
            _ => Size::B8,
        },
        _ if instruction.op_count() == 0 => Size::B8,
        _ if instruction.op0_kind() == OpKind::Register => {
            size_of_bytes(instruction.op0_register().size())
        }
        _ if (0..instruction.op_count()).any(|n| is_memory(instruction.op_kind(n))) => {
            size_of_bytes(instruction.memory_size().size())
        }
        _ => Size::B8,
    }
}

/// Operand form by the first two operands; a branch target counts as an immediate.
fn form(instruction: &Instruction) -> Form {
    #[derive(PartialEq)]
    enum Place {
        Reg,
        Mem,
        Imm,
    }
    let place = |n| match instruction.op_kind(n) {
        OpKind::Register => Place::Reg,
        kind if is_memory(kind) => Place::Mem,
        _ => Place::Imm,
    };
    match instruction.op_count() {
        0 => Form::None,
        1 => match place(0) {
            Place::Reg => Form::Reg,
            Place::Mem => Form::Mem,
            Place::Imm => Form::Imm,
        },
        _ => match (place(0), place(1)) {
            (Place::Reg, Place::Reg) => Form::RegReg,
            (Place::Reg, Place::Imm) => Form::RegImm,
            (Place::Reg, Place::Mem) => Form::RegMem,
            (Place::Mem, Place::Reg) => Form::MemReg,
            (Place::Mem, _) => Form::MemImm,
            (Place::Imm, _) => Form::Imm,
        },
    }
}

/// Number of a register within its file.
fn register_id(register: Register) -> u8 {
    match register {
        Register::AH | Register::CH | Register::DH | Register::BH => {
            reg::HIGH_BYTE | (register as u8 - Register::AH as u8)
        }
        Register::RIP | Register::EIP => reg::RIP,
        Register::None => reg::NONE,
        _ if register.is_gpr() => register.full_register().number() as u8,
        _ => register.number() as u8,
    }
}

fn registers(op: &mut Op, instruction: &Instruction) {
    let id = |n: u32| {
        let present = n < instruction.op_count() && instruction.op_kind(n) == OpKind::Register;
        if present { register_id(instruction.op_register(n)) } else { reg::NONE }
    };
    op.dst = id(0);
    op.src = id(1);
}

fn memory(op: &mut Op, instruction: &Instruction) {
    for n in 0..instruction.op_count() {
        match instruction.op_kind(n) {
            OpKind::MemorySegESI | OpKind::MemoryESEDI => op.flags |= flag::ADDR32,
            OpKind::Memory => {
                let (base, index) = (instruction.memory_base(), instruction.memory_index());
                // Without registers the displacement's size tells: 4 bytes of a 32-bit address.
                let bare = base == Register::None && index == Register::None;
                if base.is_gpr32()
                    || index.is_gpr32()
                    || base == Register::EIP
                    || bare && instruction.memory_displ_size() == 4
                {
                    op.flags |= flag::ADDR32;
                }
                op.base = register_id(base);
                op.index = register_id(index);
                op.scale = instruction.memory_index_scale().trailing_zeros() as u8;
                displacement(op, instruction);
            }
            kind if !is_memory(kind) => continue,
            _ => {}
        }
        // 64-bit mode ignores the other prefixes (SDM vol. 1 §3.3.7.1): the base decides.
        op.flags |= match (instruction.segment_prefix(), instruction.memory_base()) {
            (Register::FS, _) => flag::FS,
            (Register::GS, _) => flag::GS,
            (_, Register::RSP | Register::ESP | Register::RBP | Register::EBP) => flag::STACK,
            _ => 0,
        };
    }
}

fn address(op: &Op) -> Address {
    match op.base {
        _ if op.index != reg::NONE || op.has(flag::ADDR32 | flag::FS | flag::GS) => {
            Address::General
        }
        reg::RIP => Address::Relative,
        base if base < 16 => Address::Based,
        _ => Address::General,
    }
}

/// Displacements have 32 bits, but for those of the moves between the accumulator and a 64-bit
/// address. Of a 32-bit address only the low 32 bits count.
fn displacement(op: &mut Op, instruction: &Instruction) {
    let mut disp = instruction.memory_displacement64();
    if op.base == reg::RIP {
        // iced gives the target; the op keeps the distance, to be true at any address.
        disp = disp.wrapping_sub(instruction.next_ip());
    }
    op.disp = disp as i32;
    if instruction.memory_displ_size() == 8 && i64::from(op.disp) as u64 != disp {
        (op.base, op.imm) = (reg::ABSOLUTE, disp);
    }
}

fn immediate(op: &mut Op, instruction: &Instruction) {
    let last = instruction.op_count().wrapping_sub(1);
    for n in 0..instruction.op_count() {
        match instruction.op_kind(n) {
            OpKind::NearBranch64 => {
                op.imm = instruction.near_branch64().wrapping_sub(instruction.next_ip());
            }
            OpKind::Register if n == 2 && instruction.op_register(2) == Register::CL => {
                op.flags |= flag::COUNT_CL;
            }
            OpKind::Register => {}
            kind if is_memory(kind) => {}
            // ENTER has two: the frame size in `imm`, the nesting level in `disp`.
            OpKind::Immediate8_2nd => op.disp = instruction.immediate(n) as i32,
            _ if op.kind == Kind::Enter || n == last || op.kind == Kind::Out => {
                op.imm = instruction.immediate(n) & mask(op.size);
            }
            _ => {}
        }
    }
}

fn prefixes(op: &mut Op, instruction: &Instruction) {
    if instruction.has_lock_prefix() {
        op.flags |= flag::LOCK;
    }
    let string = matches!(
        op.kind,
        Kind::Movs | Kind::Cmps | Kind::Scas | Kind::Lods | Kind::Stos | Kind::Ins | Kind::Outs
    );
    if string && instruction.has_rep_prefix() {
        op.flags |= flag::REP;
    }
    if string && instruction.has_repne_prefix() {
        op.flags |= flag::REPNE;
    }
    if matches!(
        instruction.code(),
        Code::Loop_rel8_64_ECX
            | Code::Loope_rel8_64_ECX
            | Code::Loopne_rel8_64_ECX
            | Code::Jecxz_rel8_64
            | Code::Monitord
    ) {
        op.flags |= flag::ADDR32;
    }
}
