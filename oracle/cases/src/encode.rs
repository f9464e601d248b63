//! Instructions from random bytes.

use crate::random::Random;
use crate::{DECODER, decode};
use iced_x86::{Code, CpuidFeature, Decoder, DecoderError, Instruction, Mnemonic, Register};

/// Longest instruction.
const MAX_BYTES: usize = 15;

/// An instruction under construction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: [u8; 16],
    pub(crate) instruction: Instruction,
    /// Where its displacement lies in the bytes, and how long it is (0: there is none).
    pub(crate) displacement: (usize, usize),
    /// The same for the first immediate.
    pub(crate) immediate: (usize, usize),
    /// A branch whose target is still to be chosen.
    pub(crate) branch: bool,
}

impl Piece {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.instruction.len()]
    }

    /// Decodes again after the bytes have been changed. False if it is no longer the same kind of
    /// instruction.
    pub(crate) fn refresh(&mut self) -> bool {
        let code = self.instruction.code();
        let rip = self.instruction.ip();
        self.instruction = decode(&self.bytes[..MAX_BYTES], rip).0;
        self.instruction.code() == code
    }
}

/// First bytes (0), and second bytes after 0F (1), that begin instructions of the set.
#[derive(Debug)]
pub(crate) struct Opcodes {
    list: Vec<(u8, u8)>,
    implemented: fn(Code) -> bool,
}

impl Opcodes {
    pub(crate) fn new(implemented: fn(Code) -> bool) -> Self {
        let mut opcodes = Opcodes { list: Vec::new(), implemented };
        let maps = (0..=1_u8).flat_map(|map| (0..=u8::MAX).map(move |opcode| (map, opcode)));
        opcodes.list = maps.filter(|&(map, opcode)| opcodes.begins_any(map, opcode)).collect();
        opcodes
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    fn begins_any(&self, map: u8, opcode: u8) -> bool {
        if map == 0 && (is_prefix(opcode) || opcode == 0x0f) {
            return false;
        }
        const PREFIXES: [&[u8]; 5] = [&[], &[0x48], &[0x66], &[0xf3], &[0xf0]];
        PREFIXES.iter().any(|prefix| {
            (0..=u8::MAX).any(|modrm| {
                let mut bytes = prefix.to_vec();
                bytes.extend_from_slice(if map == 1 { &[0x0f] } else { &[] });
                bytes.extend([opcode, modrm, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                self.accepts(&bytes, &decode(&bytes, 0x1000))
            })
        })
    }

    /// True if the case may contain this instruction.
    fn accepts(&self, bytes: &[u8], decoded: &(Instruction, DecoderError)) -> bool {
        let (instruction, error) = decoded;
        match error {
            DecoderError::NoMoreBytes => return false,
            DecoderError::None => {}
            _ => return is_known_invalid(bytes, instruction),
        }
        let code = instruction.code();
        (self.implemented)(code)
            && is_supported(code)
            && instruction.segment_prefix() != Register::FS
            && !has_other_meaning(bytes, instruction)
    }

    /// A random instruction at `rip`; `None` if the bytes were none of the set. Sequences have none
    /// whose effects could not be told apart.
    pub(crate) fn draw(&self, random: &mut Random, rip: u64, sequence: bool) -> Option<Piece> {
        let bytes = self.bytes(random);
        let mut decoder = Decoder::with_ip(64, &bytes[..MAX_BYTES], rip, DECODER);
        let instruction = decoder.decode();
        let decoded = (instruction, decoder.last_error());
        if !self.accepts(&bytes, &decoded) || (sequence && !fits_sequence(&instruction)) {
            return None;
        }
        let mut piece = Piece {
            bytes,
            instruction,
            displacement: (0, 0),
            immediate: (0, 0),
            branch: instruction.is_jcc_short_or_near()
                || instruction.is_jmp_short_or_near()
                || instruction.is_call_near()
                || instruction.is_jcx_short()
                || instruction.is_loop()
                || instruction.is_loopcc(),
        };
        if decoded.1 == DecoderError::None {
            let offsets = decoder.get_constant_offsets(&instruction);
            if offsets.has_displacement() {
                piece.displacement = (offsets.displacement_offset(), offsets.displacement_size());
            }
            if offsets.has_immediate() {
                piece.immediate = (offsets.immediate_offset(), offsets.immediate_size());
            }
        }
        Some(piece)
    }

    /// Prefixes, opcode and random bytes behind it.
    fn bytes(&self, random: &mut Random) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut at = 0;
        let mut put = |byte| {
            bytes[at] = byte;
            at += 1;
        };
        let (map, opcode) = random.pick(&self.list);
        if !random.chance(45) {
            for (prefix, percent) in
                [(0x66, 22), (0x67, 12), (0xf0, 14), (0xf3, 12), (0xf2, 8), (0x65, 6)]
            {
                if random.chance(percent) {
                    put(prefix);
                }
            }
            if random.chance(4) {
                put(random.pick(&[0x2e, 0x36, 0x3e, 0x26]));
            }
            if random.chance(4) {
                put(random.pick(&[0x66, 0x67, 0xf3, 0x48, 0x66]));
            }
        }
        if random.chance(60) {
            put(0x40 | random.next() as u8 & 0xf);
        }
        if map == 1 {
            put(0x0f);
        }
        put(opcode);
        let rest = random.next().to_le_bytes();
        let more = if random.chance(30) { random.value() } else { random.next() };
        for byte in rest.into_iter().chain(more.to_le_bytes()).take(16 - at) {
            bytes[at] = byte;
            at += 1;
        }
        bytes
    }
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 | 0x40..=0x4f)
}

/// The prefixes before the opcode.
fn prefixes(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| !is_prefix(byte)).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Encodings that newer processors, or some of them, execute as something else than Westmere:
/// TZCNT, LZCNT, and the lock elision of XACQUIRE and XRELEASE.
fn has_other_meaning(bytes: &[u8], instruction: &Instruction) -> bool {
    let repeated = prefixes(bytes).iter().any(|byte| matches!(byte, 0xf2 | 0xf3));
    let scan = matches!(instruction.mnemonic(), Mnemonic::Bsf | Mnemonic::Bsr);
    let elision = instruction.has_lock_prefix()
        || instruction.mnemonic() == Mnemonic::Xchg
        || (instruction.mnemonic() == Mnemonic::Mov && bytes[prefixes(bytes).len()] >= 0xc6);
    repeated && (scan || elision)
}

/// Invalid in 64-bit mode on every processor, and not going to become valid: one-byte opcodes that
/// were taken away, reserved members of groups, and LOCK where it is not allowed.
fn is_known_invalid(bytes: &[u8], instruction: &Instruction) -> bool {
    let prefixes = prefixes(bytes);
    let rest = &bytes[prefixes.len()..];
    let member = rest[1] >> 3 & 7;
    let taken_away = matches!(
        rest[0],
        0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f | 0x60 | 0x61
    );
    let group = matches!((rest[0], member), (0xfe, 2..) | (0xff, 7));
    // The two that have neither VEX nor a newer meaning behind them.
    let simple_lock = prefixes.contains(&0xf0)
        && !prefixes.iter().any(|byte| matches!(byte, 0xf2 | 0xf3 | 0x64))
        && rest[0] < 0x40
        && rest[0] & 7 < 6;
    instruction.is_invalid() && (taken_away || group || simple_lock)
}

/// True for encodings that a case may contain if the machine implements them: ring 3 can run them
/// (if only into a fault), their result follows from the case alone, and they are not newer than
/// Westmere.
#[must_use]
pub fn is_supported(code: Code) -> bool {
    use Mnemonic as M;
    let elsewhere = matches!(
        code.mnemonic(),
        // System calls.
        M::Syscall | M::Int
        // Their results are the host's own: its tables, its time, its model.
        | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw | M::Lar | M::Lsl | M::Verr | M::Verw
        | M::Rdtsc | M::Rdtscp | M::Rdpmc | M::Cpuid
        // Whether they exist at all is configured.
        | M::Monitor | M::Mwait
    );
    let thread_segments =
        matches!(code, Code::Popq_FS | Code::Popq_GS | Code::Popw_FS | Code::Popw_GS);
    !elsewhere && !thread_segments && is_old(code)
}

/// Not newer than Westmere. Hints in the space of reserved NOPs are old, whatever they are called.
fn is_old(code: Code) -> bool {
    use CpuidFeature as F;
    if matches!(code.op_code().op_code(), 0x0d | 0x18..=0x1f) {
        return true;
    }
    code.cpuid_features().iter().all(|feature| {
        matches!(
            feature,
            F::INTEL8086
                | F::INTEL8086_ONLY
                | F::INTEL186
                | F::INTEL286
                | F::INTEL386
                | F::INTEL486
                | F::X64
                | F::CMOV
                | F::CX8
                | F::CMPXCHG16B
                | F::CLFSH
                | F::SSE
                | F::SSE2
                | F::PAUSE
                | F::POPCNT
                | F::MSR
                | F::SYSCALL
                | F::INVEPT
                | F::FPU
                | F::MULTIBYTENOP
        )
    })
}

/// Control transfers through memory words that a sequence may have changed are tested alone, and
/// so are segment loads and double shifts of 16 bits by an unknown count.
fn fits_sequence(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    !matches!(instruction.mnemonic(), M::Retf | M::Iret | M::Iretd | M::Iretq | M::Popf | M::Popfq)
        && !matches!(
            instruction.code(),
            Code::Mov_Sreg_rm16 | Code::Mov_Sreg_r32m16 | Code::Mov_Sreg_r64m16
        )
        && !matches!(instruction.code(), Code::Shld_rm16_r16_CL | Code::Shrd_rm16_r16_CL)
}
