//! Registers, memory and immediates that make an instruction do something: addresses where memory
//! is, counts that end, quotients that fit, return addresses that lead somewhere.

use crate::encode::Piece;
use crate::random::Random;
use crate::{CODE, Case, DATA, DATA_BYTES, GS_BASE, STATUS, USER_CS, USER_SS};
use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;

/// RFLAGS bits that an image on the stack may have: not TF and AC, which change how everything
/// after them executes.
const IMAGE: u64 = STATUS | 1 << 10 | 1 << 14 | 1 << 21 | 0x202;

/// Which registers have been given a value on purpose.
#[derive(Debug)]
pub(crate) struct Binding {
    fixed: u16,
    sequence: bool,
}

fn number(register: Register) -> usize {
    register.full_register().number()
}

/// The bytes of memory at `addr`, if all of them are data.
fn data(case: &mut Case, addr: u64, bytes: usize) -> Option<&mut [u8]> {
    let at = usize::try_from(addr.checked_sub(DATA)?).ok()?;
    case.memory.get_mut(at..at.checked_add(bytes)?)
}

fn poke(case: &mut Case, addr: u64, bytes: usize, value: u64) {
    if let Some(slot) = data(case, addr, bytes) {
        slot.copy_from_slice(&value.to_le_bytes()[..bytes]);
    }
}

fn peek(case: &mut Case, addr: u64, bytes: usize) -> u64 {
    let mut value = [0; 8];
    if let Some(slot) = data(case, addr, bytes) {
        value[..bytes].copy_from_slice(slot);
    }
    u64::from_le_bytes(value)
}

impl Binding {
    pub(crate) fn new(sequence: bool) -> Self {
        Binding { fixed: 0, sequence }
    }

    fn is_fixed(&self, register: usize) -> bool {
        self.fixed >> register & 1 != 0
    }

    /// Gives a register a value, unless it has one on purpose.
    fn set(&mut self, case: &mut Case, register: usize, value: u64) {
        if !self.is_fixed(register) {
            case.gpr[register] = value;
            self.fixed |= 1 << register;
        }
    }

    /// Binds the state to `piece`, or the piece to the state. False if the case cannot have it.
    pub(crate) fn bind(&mut self, case: &mut Case, piece: &mut Piece, random: &mut Random) -> bool {
        let instruction = piece.instruction;
        if instruction.is_invalid() {
            return true;
        }
        if !self.is_determined(case, &instruction) {
            return false;
        }
        self.strings(case, &instruction, random);
        let mut addr = 0;
        if (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory) {
            let Some(found) = self.memory(case, piece, random) else { return false };
            addr = found;
        }
        self.special(case, piece, addr, random);
        true
    }

    /// False for results that the manual leaves undefined: BSWAP of 16 bits, and double shifts of
    /// 16 bits by more than 16 (SDM vol. 2).
    fn is_determined(&mut self, case: &mut Case, instruction: &Instruction) -> bool {
        use Code as C;
        match instruction.code() {
            C::Bswap_r16 => return false,
            C::Shld_rm16_r16_imm8 | C::Shrd_rm16_r16_imm8 => {
                return instruction.immediate(2) & 31 <= 16;
            }
            C::Shld_rm16_r16_CL | C::Shrd_rm16_r16_CL => {
                case.gpr[RCX] &= !0x10;
            }
            C::Mov_Sreg_rm16 | C::Mov_Sreg_r32m16 | C::Mov_Sreg_r64m16 => {
                return !matches!(instruction.op0_register(), Register::FS | Register::GS);
            }
            _ => {}
        }
        // A count in CL decides which flags are defined: it stays.
        if instruction.op_count() > 0
            && instruction.op_register(instruction.op_count() - 1) == Register::CL
        {
            self.fixed |= 1 << RCX;
        }
        true
    }

    /// RSI, RDI and RCX of string instructions, RBX of XLAT.
    fn strings(&mut self, case: &mut Case, instruction: &Instruction, random: &mut Random) {
        let segment = if instruction.segment_prefix() == Register::GS { GS_BASE } else { 0 };
        for n in 0..instruction.op_count() {
            let (register, base) = match instruction.op_kind(n) {
                OpKind::MemorySegRSI | OpKind::MemorySegESI => (RSI, segment),
                OpKind::MemoryESRDI | OpKind::MemoryESEDI => (RDI, 0),
                _ => continue,
            };
            let mut addr = random.address().wrapping_sub(base);
            let narrow =
                matches!(instruction.op_kind(n), OpKind::MemorySegESI | OpKind::MemoryESEDI);
            if narrow && random.chance(50) {
                addr = addr & 0xffff_ffff | random.next() << 32;
            }
            self.set(case, register, addr);
        }
        let counted = instruction.is_string_instruction()
            && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
        let branch = instruction.is_loop() || instruction.is_loopcc() || instruction.is_jcx_short();
        if (counted && random.chance(85)) || (branch && random.chance(60)) {
            let most = if branch { 3 } else { 24 };
            let garbage = if random.chance(20) { random.next() << 32 } else { 0 };
            self.set(case, RCX, random.below(most) | garbage);
        }
    }

    /// Puts the memory operand somewhere; gives its linear address, `None` if the encoding can
    /// no longer be what it was.
    fn memory(&mut self, case: &mut Case, piece: &mut Piece, random: &mut Random) -> Option<u64> {
        let instruction = piece.instruction;
        let mut target = random.address();
        // Split locks are slow, and some systems punish them: the flat machine has its own tests.
        let size = instruction.memory_size().size().max(1) as u64;
        let locked = instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg;
        let wide = instruction.mnemonic() == Mnemonic::Cmpxchg16b && random.chance(85);
        if (locked || wide) && size.is_power_of_two() {
            target &= !(size - 1);
        }
        let segment = if instruction.segment_prefix() == Register::GS { GS_BASE } else { 0 };
        let wanted = target.wrapping_sub(segment);
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base == Register::RIP || base == Register::EIP {
            self.displace(piece, wanted.wrapping_sub(instruction.next_ip()))?;
        } else {
            self.registers(case, piece, wanted, random)?;
        }
        let narrow = base.size() == 4 || index.size() == 4;
        if narrow {
            for register in [base, index] {
                if register.is_gpr32() && random.chance(40) {
                    case.gpr[number(register)] ^= random.next() << 32;
                }
            }
        }
        Some(Self::address(case, &piece.instruction))
    }

    /// Linear address of the memory operand.
    fn address(case: &Case, instruction: &Instruction) -> u64 {
        let gpr = case.gpr;
        let value = instruction.virtual_address(0, 0, |register, _, _| {
            Some(match register {
                Register::GS => GS_BASE,
                _ if register.is_segment_register() => 0,
                _ if register.is_gpr32() => gpr[number(register)] & 0xffff_ffff,
                _ => gpr[number(register)],
            })
        });
        // Operand 0 need not be the memory operand.
        let other = || {
            instruction.virtual_address(1, 0, |register, _, _| {
                Some(match register {
                    Register::GS => GS_BASE,
                    _ if register.is_segment_register() => 0,
                    _ if register.is_gpr32() => gpr[number(register)] & 0xffff_ffff,
                    _ => gpr[number(register)],
                })
            })
        };
        if instruction.op0_kind() == OpKind::Memory { value } else { other() }.unwrap_or(0)
    }

    /// Sets the displacement of a piece if it has 32 bits and `value` fits.
    fn displace(&self, piece: &mut Piece, value: u64) -> Option<()> {
        let (at, size) = piece.displacement;
        if size == 8 {
            piece.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            return piece.refresh().then_some(());
        }
        if size != 4 || value as i32 as u64 != value {
            return Some(());
        }
        piece.bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        piece.refresh().then_some(())
    }

    /// Base, index and displacement so that their sum is `wanted`.
    fn registers(
        &mut self,
        case: &mut Case,
        piece: &mut Piece,
        wanted: u64,
        random: &mut Random,
    ) -> Option<()> {
        let instruction = piece.instruction;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let scale = u64::from(instruction.memory_index_scale());
        let displacement = instruction.memory_displacement64();
        if base != Register::None && base.full_register() == index.full_register() {
            let both = number(base);
            self.set(case, both, wanted.wrapping_sub(displacement) / (scale + 1));
            return Some(());
        }
        let mut offset = 0;
        if index != Register::None {
            let small = if random.chance(70) { random.below(64) } else { random.value() };
            self.set(case, number(index), small);
            offset = case.gpr[number(index)].wrapping_mul(scale);
        }
        if base == Register::None {
            return self.displace(piece, wanted.wrapping_sub(offset));
        }
        if self.is_fixed(number(base)) {
            let rest = wanted.wrapping_sub(offset).wrapping_sub(case.gpr[number(base)]);
            return self.displace(piece, rest);
        }
        self.set(case, number(base), wanted.wrapping_sub(offset).wrapping_sub(displacement));
        Some(())
    }

    /// What single instructions need beyond an address.
    fn special(&mut self, case: &mut Case, piece: &mut Piece, addr: u64, random: &mut Random) {
        use Mnemonic as M;
        let instruction = piece.instruction;
        let in_memory = instruction.op0_kind() == OpKind::Memory;
        match instruction.mnemonic() {
            M::Bt | M::Bts | M::Btr | M::Btc if in_memory => {
                if instruction.op1_kind() == OpKind::Register && random.chance(75) {
                    let bit = random.below(4096).wrapping_sub(2048);
                    self.set(case, number(instruction.op1_register()), bit);
                }
            }
            M::Cmpxchg if random.chance(50) => {
                let old = if in_memory {
                    peek(case, addr, instruction.memory_size().size())
                } else {
                    case.gpr[number(instruction.op0_register())]
                };
                self.set(case, RAX, old);
            }
            M::Cmpxchg8b | M::Cmpxchg16b if random.chance(50) => {
                let half = instruction.memory_size().size() / 2;
                for (n, register) in [(0, RAX), (1, RDX)] {
                    let old = peek(case, addr.wrapping_add(n * half as u64), half);
                    self.set(case, register, old);
                }
            }
            M::Div | M::Idiv if random.chance(65) => self.dividend(case, &instruction, random),
            M::Xlatb => {
                let addr = random.address().wrapping_sub(case.gpr[RAX] & 0xff);
                self.set(case, RBX, addr);
            }
            M::Leave => self.set(case, RBP, random.address()),
            M::Enter => {
                self.set(case, RBP, DATA + 0x800 + random.below(0x400));
                let (at, size) = piece.immediate;
                if size == 2 && random.chance(80) {
                    piece.bytes[at + 1] &= 1;
                    piece.refresh();
                }
            }
            M::Mov => self.selector(case, &instruction, addr, random),
            _ => self.transfer(case, &instruction, addr, random),
        }
    }

    /// A dividend whose upper half lets the quotient fit more often.
    fn dividend(&mut self, case: &mut Case, instruction: &Instruction, random: &mut Random) {
        let byte = instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().size() == 1
            || instruction.op0_kind() == OpKind::Memory && instruction.memory_size().size() == 1;
        let high = if random.chance(50) { 0 } else { random.below(16) };
        if byte {
            let low = random.next() & 0xff;
            let signed = if random.chance(50) { high << 8 } else { low << 56 >> 48 & 0xff00 };
            let value = case.gpr[RAX] & !0xffff | signed | low;
            self.set(case, RAX, value);
        } else {
            let sign = case.gpr[RAX] as i64 >> 63;
            let value = if random.chance(50) { high } else { sign as u64 };
            self.set(case, RDX, value);
        }
    }

    /// MOV to DS, ES or SS: null selectors, and such that lie beyond any table.
    fn selector(
        &mut self,
        case: &mut Case,
        instruction: &Instruction,
        addr: u64,
        random: &mut Random,
    ) {
        use Code as C;
        if !matches!(instruction.code(), C::Mov_Sreg_rm16 | C::Mov_Sreg_r32m16 | C::Mov_Sreg_r64m16)
        {
            return;
        }
        let beyond = 0xf000 | random.below(0x1000);
        let value = if random.chance(50) { random.below(4) } else { beyond };
        if instruction.op1_kind() == OpKind::Register {
            case.gpr[number(instruction.op1_register())] = value | random.next() << 16;
        } else {
            poke(case, addr, 2, value);
        }
    }

    /// Where returns and indirect branches go, and images of flags.
    fn transfer(
        &mut self,
        case: &mut Case,
        instruction: &Instruction,
        addr: u64,
        random: &mut Random,
    ) {
        use Mnemonic as M;
        let next = instruction.next_ip();
        let stack = case.gpr[RSP];
        match instruction.mnemonic() {
            M::Ret => poke(case, stack, 8, target(next, random)),
            M::Jmp | M::Call if instruction.op0_kind() == OpKind::Memory => {
                poke(case, addr, 8, target(next, random));
            }
            M::Jmp | M::Call if instruction.op0_kind() == OpKind::Register => {
                let register = number(instruction.op0_register());
                if !self.sequence || !self.is_fixed(register) {
                    case.gpr[register] = target(next, random);
                    self.fixed |= 1 << register;
                }
            }
            M::Popf | M::Popfq => {
                let bytes = instruction.stack_pointer_increment().unsigned_abs() as usize;
                poke(case, stack, bytes, random.next() & IMAGE);
            }
            M::Retf | M::Iret | M::Iretd | M::Iretq => {
                far_frame(case, instruction, random);
            }
            _ => {}
        }
    }
}

/// Words on the stack for a far return: target, CS, then for IRET flags, RSP and SS.
fn far_frame(case: &mut Case, instruction: &Instruction, random: &mut Random) {
    let bytes = match instruction.code() {
        Code::Retfw | Code::Retfw_imm16 | Code::Iretw => 2,
        Code::Retfd | Code::Retfd_imm16 | Code::Iretd => 4,
        _ => 8,
    };
    let cs = random.pick(&[USER_CS, USER_CS, USER_CS, USER_CS, 0, 3, USER_CS & !3]);
    let ss = random.pick(&[USER_SS, USER_SS, USER_SS, USER_SS, 0, 3, USER_SS & !3]);
    let rsp = if random.chance(80) { random.address() } else { random.value() };
    let words = [
        target(instruction.next_ip(), random),
        u64::from(cs),
        random.next() & IMAGE,
        rsp,
        u64::from(ss),
    ];
    let stack = case.gpr[RSP];
    // Of a selector's slot only two bytes are read: they may be there where the slot is not.
    for (n, selector) in [(1, cs), (4, ss)] {
        poke(case, stack.wrapping_add(n * bytes as u64), 2, u64::from(selector));
    }
    for (n, word) in (0..).zip(words) {
        poke(case, stack.wrapping_add(n * bytes as u64), bytes, word);
    }
}

/// An address to go to: the next instruction, INT3s in the code page, data (which cannot be
/// executed), nowhere, or one that is not canonical.
fn target(next: u64, random: &mut Random) -> u64 {
    match random.below(100) {
        0..=59 => next,
        60..=79 => breakpoint(random),
        80..=84 => DATA + random.below(DATA_BYTES as u64),
        85..=92 => 0x2000_0000 + random.below(0x1000_0000),
        93..=96 => 1 << 47 | random.next() >> 17,
        _ => random.next() | 0xffff_8000_0000_0000,
    }
}

/// An address in the code page before or behind the case's code.
fn breakpoint(random: &mut Random) -> u64 {
    if random.chance(50) {
        CODE + 0x10 + random.below(0x300)
    } else {
        CODE + 0x600 + random.below(0x900)
    }
}

/// Gives every relative branch its target: a later instruction, the end, or somewhere else.
pub(crate) fn branches(case: &mut Case, pieces: &[Piece], random: &mut Random) {
    for (n, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.branch) {
        let (at, size) = piece.immediate;
        let later = random.below((pieces.len() - n) as u64) as usize + n + 1;
        let inside = case.boundaries.get(later).map_or(case.end(), |boundary| boundary.rip);
        let wanted = match random.below(10) {
            0..=6 => inside,
            7..=8 => breakpoint(random),
            _ => 0x2000_0000 + random.below(0x1000_0000),
        };
        let distance = |to: u64| to.wrapping_sub(piece.instruction.next_ip());
        let short = distance(wanted) as i8 as u64 == distance(wanted);
        let value = if size == 1 && !short { distance(inside) } else { distance(wanted) };
        let offset = (case.boundaries[n].rip - case.start) as usize + at;
        case.code[offset..offset + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
}
