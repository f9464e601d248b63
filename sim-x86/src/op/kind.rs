//! Which instructions there are, and which iced encoding is which.

use iced_x86::{Code, EncodingKind, Mnemonic};

/// Handler of an instruction: one line each in `exec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Kind {
    // Moves.
    Mov, Movzx8, Movzx16, Movsx8, Movsx16, Movsx32, Lea, Cmov, Setcc, Bswap, Cbw, Cwd, Xchg, Xlat,
    // Arithmetic and logic.
    Add, Or, Adc, Sbb, And, Sub, Xor, Cmp, Test, Inc, Dec, Neg, Not,
    Rol, Ror, Rcl, Rcr, Shl, Shr, Sar, Shld, Shrd,
    Mul, ImulWide, Imul, Imul3, Div, Idiv,
    Bt, Bts, Btr, Btc, Bsf, Bsr, Popcnt,
    // Stack and branches.
    Push, PushImm, Pop, Pushf, Popf, Enter, Leave, PushSeg, PopSeg,
    Jmp, Jcc, Call, JmpIndirect, CallIndirect, Ret, Retf, Loop, Loope, Loopne, Jrcxz,
    // Strings.
    Movs, Cmps, Scas, Lods, Stos, Ins, Outs,
    // Atomics and fences.
    Cmpxchg, Xadd, Cmpxchg8b, Cmpxchg16b, Nop, Pause, Mfence, Lfence, Sfence,
    // Flags.
    Clc, Stc, Cmc, Cld, Std, Cli, Sti, Lahf, Sahf,
    // System.
    Hlt, Int, Int1, Int3, Syscall, Sysret, Iret, Swapgs, In, Out,
    Lgdt, Lidt, Sgdt, Sidt, Ltr, Str, Lldt, Sldt, Lmsw, Smsw, Clts,
    MovFromCr, MovToCr, MovFromDr, MovToDr, MovFromSeg, MovToSeg,
    Lar, Lsl, Verr, Verw,
    Rdmsr, Wrmsr, Rdtsc, Rdtscp, Rdpmc, Cpuid, Monitor, Mwait, Invlpg, Clflush, Wbinvd,
    // Not instructions of this machine.
    Undefined, TooLong, Unimplemented,
}

impl Kind {
    pub(crate) fn is_branch(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Jmp | Jcc
                | Call
                | JmpIndirect
                | CallIndirect
                | Ret
                | Retf
                | Loop
                | Loope
                | Loopne
                | Jrcxz
                | Hlt
                | Int
                | Int1
                | Int3
                | Syscall
                | Sysret
                | Iret
                | Mwait
                | Sti
                | MovToSeg
                | PopSeg
                | Undefined
                | TooLong
                | Unimplemented
        )
    }
}

/// True if the machine executes instructions of this encoding.
#[must_use]
pub fn implemented(code: Code) -> bool {
    kind_of(code).is_some()
}

/// The handler of an encoding; `None` if it is not implemented.
pub(crate) fn kind_of(code: Code) -> Option<Kind> {
    if code.encoding() != EncodingKind::Legacy {
        return None;
    }
    by_encoding(code)
        .or_else(|| integer(code.mnemonic()))
        .or_else(|| flow(code.mnemonic()))
        .or_else(|| system(code.mnemonic()))
}

/// Encodings whose mnemonic says too little.
#[rustfmt::skip]
fn by_encoding(code: Code) -> Option<Kind> {
    use Code as C;
    Some(match code {
        C::Mov_rm16_Sreg | C::Mov_r32m16_Sreg | C::Mov_r64m16_Sreg => Kind::MovFromSeg,
        C::Mov_Sreg_rm16 | C::Mov_Sreg_r32m16 | C::Mov_Sreg_r64m16 => Kind::MovToSeg,
        C::Mov_r64_cr => Kind::MovFromCr,
        C::Mov_cr_r64 => Kind::MovToCr,
        C::Mov_r64_dr => Kind::MovFromDr,
        C::Mov_dr_r64 => Kind::MovToDr,
        C::Movzx_r16_rm8 | C::Movzx_r32_rm8 | C::Movzx_r64_rm8 => Kind::Movzx8,
        C::Movzx_r16_rm16 | C::Movzx_r32_rm16 | C::Movzx_r64_rm16 => Kind::Movzx16,
        C::Movsx_r16_rm8 | C::Movsx_r32_rm8 | C::Movsx_r64_rm8 => Kind::Movsx8,
        C::Movsx_r16_rm16 | C::Movsx_r32_rm16 | C::Movsx_r64_rm16 | C::Movsxd_r16_rm16 => Kind::Movsx16,
        C::Movsxd_r32_rm32 | C::Movsxd_r64_rm32 => Kind::Movsx32,
        C::Imul_rm8 | C::Imul_rm16 | C::Imul_rm32 | C::Imul_rm64 => Kind::ImulWide,
        C::Imul_r16_rm16 | C::Imul_r32_rm32 | C::Imul_r64_rm64 => Kind::Imul,
        C::Push_imm16 | C::Pushw_imm8 | C::Pushq_imm8 | C::Pushq_imm32 => Kind::PushImm,
        C::Pushq_FS | C::Pushq_GS | C::Pushw_FS | C::Pushw_GS => Kind::PushSeg,
        C::Popq_FS | C::Popq_GS | C::Popw_FS | C::Popw_GS => Kind::PopSeg,
        C::Jmp_rel8_64 | C::Jmp_rel32_64 => Kind::Jmp,
        C::Call_rel32_64 => Kind::Call,
        C::Jmp_rm64 => Kind::JmpIndirect,
        C::Call_rm64 => Kind::CallIndirect,
        C::Retnq | C::Retnq_imm16 => Kind::Ret,
        C::Enterq_imm16_imm8 => Kind::Enter,
        C::Leaveq => Kind::Leave,
        C::Movsb_m8_m8 | C::Movsw_m16_m16 | C::Movsd_m32_m32 | C::Movsq_m64_m64 => Kind::Movs,
        C::Cmpsb_m8_m8 | C::Cmpsw_m16_m16 | C::Cmpsd_m32_m32 | C::Cmpsq_m64_m64 => Kind::Cmps,
        C::Sysretq => Kind::Sysret,
        C::Monitorq | C::Monitord => Kind::Monitor,
        C::Lgdt_m1664 => Kind::Lgdt,
        C::Lidt_m1664 => Kind::Lidt,
        C::Sgdt_m1664 => Kind::Sgdt,
        C::Sidt_m1664 => Kind::Sidt,
        _ => return None,
    })
}

/// Moves, arithmetic, logic, strings and atomics.
#[rustfmt::skip]
fn integer(mnemonic: Mnemonic) -> Option<Kind> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Mov | M::Movnti => Kind::Mov,
        M::Lea => Kind::Lea,
        M::Cmovo | M::Cmovno | M::Cmovb | M::Cmovae | M::Cmove | M::Cmovne | M::Cmovbe | M::Cmova
        | M::Cmovs | M::Cmovns | M::Cmovp | M::Cmovnp | M::Cmovl | M::Cmovge | M::Cmovle
        | M::Cmovg => Kind::Cmov,
        M::Seto | M::Setno | M::Setb | M::Setae | M::Sete | M::Setne | M::Setbe | M::Seta
        | M::Sets | M::Setns | M::Setp | M::Setnp | M::Setl | M::Setge | M::Setle
        | M::Setg => Kind::Setcc,
        M::Bswap => Kind::Bswap,
        M::Cbw | M::Cwde | M::Cdqe => Kind::Cbw,
        M::Cwd | M::Cdq | M::Cqo => Kind::Cwd,
        M::Xchg => Kind::Xchg, M::Xlatb => Kind::Xlat,
        M::Add => Kind::Add, M::Or => Kind::Or, M::Adc => Kind::Adc, M::Sbb => Kind::Sbb,
        M::And => Kind::And, M::Sub => Kind::Sub, M::Xor => Kind::Xor, M::Cmp => Kind::Cmp,
        M::Test => Kind::Test, M::Inc => Kind::Inc, M::Dec => Kind::Dec, M::Neg => Kind::Neg,
        M::Not => Kind::Not,
        M::Rol => Kind::Rol, M::Ror => Kind::Ror, M::Rcl => Kind::Rcl, M::Rcr => Kind::Rcr,
        M::Shl | M::Sal => Kind::Shl, M::Shr => Kind::Shr, M::Sar => Kind::Sar,
        M::Shld => Kind::Shld, M::Shrd => Kind::Shrd,
        M::Mul => Kind::Mul, M::Imul => Kind::Imul3, M::Div => Kind::Div, M::Idiv => Kind::Idiv,
        M::Bt => Kind::Bt, M::Bts => Kind::Bts, M::Btr => Kind::Btr, M::Btc => Kind::Btc,
        M::Bsf => Kind::Bsf, M::Bsr => Kind::Bsr, M::Popcnt => Kind::Popcnt,
        M::Scasb | M::Scasw | M::Scasd | M::Scasq => Kind::Scas,
        M::Lodsb | M::Lodsw | M::Lodsd | M::Lodsq => Kind::Lods,
        M::Stosb | M::Stosw | M::Stosd | M::Stosq => Kind::Stos,
        M::Insb | M::Insw | M::Insd => Kind::Ins,
        M::Outsb | M::Outsw | M::Outsd => Kind::Outs,
        M::Cmpxchg => Kind::Cmpxchg, M::Xadd => Kind::Xadd,
        M::Cmpxchg8b => Kind::Cmpxchg8b, M::Cmpxchg16b => Kind::Cmpxchg16b,
        M::Mfence => Kind::Mfence, M::Lfence => Kind::Lfence, M::Sfence => Kind::Sfence,
        M::Pause => Kind::Pause,
        // Hints that older cores execute as NOP, by their encodings 0F 0D and 0F 18–1F.
        M::Nop | M::Reservednop | M::Prefetchnta | M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2
        | M::Prefetch | M::Prefetchw | M::Prefetchwt1 | M::Prefetchit0 | M::Prefetchit1
        | M::Endbr64 | M::Endbr32 | M::Rdsspd
        | M::Rdsspq | M::Cldemote => Kind::Nop,
        _ => return None,
    })
}

/// Stack, branches and flags.
#[rustfmt::skip]
fn flow(mnemonic: Mnemonic) -> Option<Kind> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Push => Kind::Push, M::Pop => Kind::Pop,
        M::Pushf | M::Pushfq => Kind::Pushf, M::Popf | M::Popfq => Kind::Popf,
        M::Jo | M::Jno | M::Jb | M::Jae | M::Je | M::Jne | M::Jbe | M::Ja | M::Js | M::Jns
        | M::Jp | M::Jnp | M::Jl | M::Jge | M::Jle | M::Jg => Kind::Jcc,
        M::Retf => Kind::Retf,
        M::Loop => Kind::Loop, M::Loope => Kind::Loope, M::Loopne => Kind::Loopne,
        M::Jrcxz | M::Jecxz => Kind::Jrcxz,
        M::Clc => Kind::Clc, M::Stc => Kind::Stc, M::Cmc => Kind::Cmc,
        M::Cld => Kind::Cld, M::Std => Kind::Std, M::Cli => Kind::Cli, M::Sti => Kind::Sti,
        M::Lahf => Kind::Lahf, M::Sahf => Kind::Sahf,
        M::Iret | M::Iretd | M::Iretq => Kind::Iret,
        M::Int => Kind::Int, M::Int1 => Kind::Int1, M::Int3 => Kind::Int3,
        M::Ud0 | M::Ud1 | M::Ud2 => Kind::Undefined,
        _ => return None,
    })
}

/// System instructions.
#[rustfmt::skip]
fn system(mnemonic: Mnemonic) -> Option<Kind> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Hlt => Kind::Hlt, M::Syscall => Kind::Syscall, M::Swapgs => Kind::Swapgs,
        M::In => Kind::In, M::Out => Kind::Out,
        M::Ltr => Kind::Ltr, M::Str => Kind::Str, M::Lldt => Kind::Lldt, M::Sldt => Kind::Sldt,
        M::Lmsw => Kind::Lmsw, M::Smsw => Kind::Smsw, M::Clts => Kind::Clts,
        M::Lar => Kind::Lar, M::Lsl => Kind::Lsl, M::Verr => Kind::Verr, M::Verw => Kind::Verw,
        M::Rdmsr => Kind::Rdmsr, M::Wrmsr => Kind::Wrmsr, M::Rdtsc => Kind::Rdtsc,
        M::Rdtscp => Kind::Rdtscp, M::Rdpmc => Kind::Rdpmc, M::Cpuid => Kind::Cpuid,
        M::Mwait => Kind::Mwait, M::Invlpg => Kind::Invlpg, M::Clflush => Kind::Clflush,
        M::Wbinvd => Kind::Wbinvd,
        _ => return None,
    })
}
