//! A litmus test as data: what the parser makes of a file, for the assembler and the model.

use crate::condition::{Condition, Variable};
use serde::Serialize;

/// Registers of one thread: all sixteen, by their numbers in machine code.
pub const REGISTERS: usize = 16;

/// The way a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Dialect {
    /// Intel-like: destination first, `[x]`.
    X86,
    /// AT&T: source first, `(x)`.
    #[serde(rename = "X86_64")]
    X86_64,
}

impl Dialect {
    /// The first word of such a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::X86 => "X86",
            Dialect::X86_64 => "X86_64",
        }
    }
}

/// Bytes of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 1 byte.
    B1 = 1,
    /// 2 bytes.
    B2 = 2,
    /// 4 bytes.
    B4 = 4,
    /// 8 bytes.
    B8 = 8,
    /// 16 bytes: CMPXCHG16B alone.
    B16 = 16,
}

impl Size {
    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self as u64
    }

    /// The low bits of `value` that it holds.
    #[must_use]
    pub fn truncate(self, value: u64) -> u64 {
        match self {
            Size::B8 | Size::B16 => value,
            small => value & ((1 << (small.bytes() * 8)) - 1),
        }
    }

    /// `value` as a signed number of this size.
    #[must_use]
    pub fn signed(self, value: u64) -> i64 {
        match self {
            Size::B1 => i64::from(value as i8),
            Size::B2 => i64::from(value as i16),
            Size::B4 => i64::from(value as i32),
            Size::B8 | Size::B16 => value as i64,
        }
    }
}

/// A general register: its number in machine code, 0 (RAX) to 15 (R15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reg(pub u8);

/// RAX.
pub const RAX: Reg = Reg(0);
/// RCX.
pub const RCX: Reg = Reg(1);
/// RDX.
pub const RDX: Reg = Reg(2);
/// RBX.
pub const RBX: Reg = Reg(3);
/// RSP.
pub const RSP: Reg = Reg(4);

impl Reg {
    /// Its 64-bit name.
    #[must_use]
    pub fn name(self) -> &'static str {
        const NAMES: [&str; REGISTERS] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15",
        ];
        NAMES[usize::from(self.0)]
    }

    /// Its name as an operand of 4 or 8 bytes, in small letters.
    #[must_use]
    pub fn name_of(self, size: Size) -> String {
        match (size, self.0) {
            (Size::B4, 8..) => format!("{}d", self.name()),
            (Size::B4, _) => format!("e{}", &self.name()[1..]),
            _ => self.name().to_owned(),
        }
    }
}

/// A place in memory: bytes of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the location.
    pub location: usize,
    /// First byte.
    pub offset: u64,
}

/// What an instruction works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A register, of the instruction's size.
    Reg(Reg),
    /// A constant.
    Imm(i64),
    /// Memory, of the instruction's size.
    Mem(Place),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// MOV.
    Mov,
    /// XCHG: locked if it has a memory operand.
    Xchg,
    /// XADD.
    Xadd,
    /// CMPXCHG with RAX.
    Cmpxchg,
    /// CMPXCHG8B or CMPXCHG16B, by the size.
    CmpxchgPair,
    /// ADD.
    Add,
    /// SUB.
    Sub,
    /// AND.
    And,
    /// OR.
    Or,
    /// XOR.
    Xor,
    /// CMP.
    Cmp,
    /// TEST.
    Test,
    /// INC.
    Inc,
    /// DEC.
    Dec,
    /// NEG.
    Neg,
    /// NOT.
    Not,
    /// BTS with a constant.
    Bts,
    /// BTR with a constant.
    Btr,
    /// BTC with a constant.
    Btc,
    /// MFENCE.
    Mfence,
    /// LFENCE.
    Lfence,
    /// SFENCE.
    Sfence,
    /// NOP.
    Nop,
    /// PAUSE.
    Pause,
    /// JMP.
    Jmp,
    /// JE.
    Je,
    /// JNE.
    Jne,
    /// JC.
    Jc,
    /// JNC.
    Jnc,
    /// RET: ends the thread.
    Ret,
}

impl Op {
    /// True if it changes its destination.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Op::Cmp | Op::Test)
    }

    /// True if it reads its destination.
    #[must_use]
    pub fn reads_destination(self) -> bool {
        self != Op::Mov
    }

    /// True if the LOCK prefix may stand before it (SDM vol. 2, LOCK).
    #[must_use]
    pub fn lockable(self) -> bool {
        matches!(
            self,
            Op::Xchg
                | Op::Xadd
                | Op::Cmpxchg
                | Op::CmpxchgPair
                | Op::Add
                | Op::Sub
                | Op::And
                | Op::Or
                | Op::Xor
                | Op::Inc
                | Op::Dec
                | Op::Neg
                | Op::Not
                | Op::Bts
                | Op::Btr
                | Op::Btc
        )
    }
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// The size of its operands.
    pub size: Size,
    /// Is it one indivisible read-modify-write of memory?
    pub locked: bool,
    /// First operand in Intel's order.
    pub dst: Option<Operand>,
    /// Second operand in Intel's order.
    pub src: Option<Operand>,
    /// Index of the instruction that it jumps to; the thread's length is its end.
    pub target: Option<usize>,
}

impl Instruction {
    /// Its memory operand.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        [self.dst, self.src].into_iter().flatten().find_map(|operand| match operand {
            Operand::Mem(place) => Some(place),
            Operand::Reg(_) | Operand::Imm(_) => None,
        })
    }
}

/// A variable in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Initial value of its first (up to 8) bytes.
    pub init: u64,
    /// Where in its cache line it begins, if the test says so.
    pub at: Option<u64>,
}

impl Location {
    /// The size as which its value is told: of its first 8 bytes if it is longer.
    #[must_use]
    pub fn value_size(&self) -> Size {
        match self.bytes {
            1 => Size::B1,
            2 | 3 => Size::B2,
            4..=7 => Size::B4,
            _ => Size::B8,
        }
    }
}

/// One thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its instructions.
    pub code: Vec<Instruction>,
    /// Initial values of its registers.
    pub init: [u64; REGISTERS],
}

/// A litmus test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The way it is written.
    pub dialect: Dialect,
    /// The name it gives itself.
    pub name: String,
    /// Its variables.
    pub locations: Vec<Location>,
    /// Its threads.
    pub threads: Vec<Thread>,
    /// What it asks.
    pub condition: Condition,
    /// What is observed: the variables of the condition and of `locations`, in order of name as
    /// in `expected.json`, registers first.
    pub observed: Vec<Variable>,
}

impl Test {
    /// Name of an observed variable: `0:rax` or `[x]`.
    #[must_use]
    pub fn variable_name(&self, variable: Variable) -> String {
        match variable {
            Variable::Register { thread, register, .. } => {
                format!("{thread}:{}", register.name())
            }
            Variable::Memory(place) => {
                let name = &self.locations[place.location].name;
                match place.offset {
                    0 => format!("[{name}]"),
                    offset => format!("[{name}+{offset}]"),
                }
            }
        }
    }

    /// Names of all observed variables.
    #[must_use]
    pub fn observed_names(&self) -> Vec<String> {
        self.observed.iter().map(|&variable| self.variable_name(variable)).collect()
    }

    /// Size of the value of the memory variable at `place`.
    #[must_use]
    pub fn value_size(&self, place: Place) -> Size {
        let location = &self.locations[place.location];
        let rest =
            Location { bytes: location.bytes.saturating_sub(place.offset), ..location.clone() };
        rest.value_size()
    }
}
