//! Random x86-64 instructions with their initial states: a pure function of a seed and a number,
//! the same on every host.
//!
//! The native oracle executes these cases on a processor; latchup's machine executes them
//! everywhere. Instructions are made from random bytes, not by an assembler: an opcode of the set,
//! prefixes, ModRM, SIB, displacement and immediate as they come, decoded to see what has become of
//! them. Then registers are chosen so that most memory operands are where memory is.

mod bind;
mod encode;
mod flags;
mod random;
mod vectors;

pub use encode::is_supported;
pub use vectors::{Delta, FORMAT, Vectors, VectorsError};

use encode::{Opcodes, Piece};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use random::Random;

/// Linear address of the page of data, the only memory that a case may touch.
pub const DATA: u64 = 0x1000_0000;
/// Bytes of data.
pub const DATA_BYTES: usize = 0x1000;
/// Linear address of the page that holds the code; what is not the case's code is filled with INT3.
pub const CODE: u64 = 0x1001_0000;
/// Bytes of the code page.
pub const CODE_BYTES: usize = 0x1000;
/// Base of GS.
pub const GS_BASE: u64 = 0x1230;
/// Selectors that a 64-bit Linux process has in CS and SS; the others are null.
pub const USER_CS: u16 = 0x33;
/// Selector in SS.
pub const USER_SS: u16 = 0x2b;
/// RFLAGS bits that every case has set: bit 1 and IF.
pub const BASE_FLAGS: u64 = 0x202;
/// Most instructions in a sequence.
pub const LONGEST: usize = 6;

/// Decoder options under which encodings keep the meaning that they had on Westmere.
pub const DECODER: u32 =
    DecoderOptions::NO_MPFX_0FBC | DecoderOptions::NO_MPFX_0FBD | DecoderOptions::NO_WBNOINVD;

/// Status flags: OF SF ZF AF PF CF.
pub const STATUS: u64 = 0x8d5;

/// Where an instruction of a case begins, and which status flags are not defined there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Address of the instruction.
    pub rip: u64,
    /// Status flags that the instructions before it have left undefined.
    pub undefined: u64,
}

/// Code and the state to run it from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its number under the seed.
    pub index: u64,
    /// The instructions' bytes.
    pub code: Vec<u8>,
    /// Address of the first.
    pub start: u64,
    /// The beginnings of all instructions.
    pub boundaries: Vec<Boundary>,
    /// Status flags that are undefined after the last instruction.
    pub undefined: u64,
    /// General-purpose registers by encoding.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// The page at [`DATA`].
    pub memory: Vec<u8>,
}

impl Case {
    fn empty() -> Self {
        Case {
            index: 0,
            code: Vec::new(),
            start: CODE,
            boundaries: Vec::new(),
            undefined: 0,
            gpr: [0; 16],
            rflags: BASE_FLAGS,
            memory: vec![0; DATA_BYTES],
        }
    }

    /// Address after the last instruction.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.code.len() as u64
    }

    /// Status flags that are undefined when the case has ended at `rip`: at an instruction that
    /// faulted those up to it, else those after all.
    #[must_use]
    pub fn undefined_at(&self, rip: u64, faulted: bool) -> u64 {
        let here = self.boundaries.iter().find(|boundary| boundary.rip == rip && faulted);
        here.map_or(self.undefined, |boundary| boundary.undefined)
    }

    /// The instructions.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction> {
        Decoder::with_ip(64, &self.code, self.start, DECODER).into_iter()
    }

    /// The instructions, as iced shows them.
    #[must_use]
    pub fn disassembly(&self) -> Vec<String> {
        self.instructions()
            .map(|instruction| format!("{:x}: {instruction}", instruction.ip()))
            .collect()
    }

    /// A short hash of code and state: differs if this case is not the one that was recorded.
    #[must_use]
    pub fn fingerprint(&self) -> u16 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |word: u64| hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.code.iter().for_each(|&byte| add(byte.into()));
        self.gpr.iter().for_each(|&word| add(word));
        add(self.start);
        add(self.rflags);
        for word in self.memory.chunks_exact(8) {
            add(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        (hash >> 48 ^ hash >> 17) as u16
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It ran to its end, or left its code by a branch.
    Ran,
    /// An exception.
    Fault {
        /// Its vector.
        vector: u8,
        /// Its error code; 0 if it has none.
        error: u16,
        /// The address that a page fault names; else 0.
        address: u64,
    },
}

/// The state after a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// RIP: of the instruction that faulted, or where control went.
    pub rip: u64,
    /// General-purpose registers by encoding.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// The page at [`DATA`].
    pub memory: Vec<u8>,
}

impl Outcome {
    /// Removes what may differ between two right processors: undefined status flags, and RF, which
    /// a processor sets in the image that it saves when an instruction faults. Some instructions
    /// leave traces of a half-done execution when they fault: ENTER and CALL below the stack, CMPS
    /// and SCAS with a REP prefix in the status flags.
    pub fn mask(&mut self, case: &Case) {
        const RF: u64 = 1 << 16;
        let faulted = self.end != End::Ran;
        self.rflags &= !(case.undefined_at(self.rip, faulted) | RF);
        if !faulted {
            return;
        }
        let at = usize::try_from(self.rip.wrapping_sub(case.start)).unwrap_or(usize::MAX);
        let Some(rest) = case.code.get(at..).filter(|rest| !rest.is_empty()) else { return };
        let instruction = decode(rest, self.rip).0;
        let compares = instruction.is_string_instruction()
            && instruction.rflags_written() != iced_x86::RflagsBits::NONE;
        if matches!(instruction.mnemonic(), Mnemonic::Enter | Mnemonic::Call) {
            self.memory.clone_from(&case.memory);
        } else if compares && (instruction.has_rep_prefix() || instruction.has_repne_prefix()) {
            self.rflags &= !STATUS;
        }
    }
}

/// Makes the cases of one seed.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    opcodes: Opcodes,
    pages: Vec<Vec<u8>>,
    case: Case,
    pieces: Vec<Piece>,
}

impl Generator {
    /// A generator of instructions that `implemented` accepts and ring 3 can run.
    #[must_use]
    pub fn new(seed: u64, implemented: fn(iced_x86::Code) -> bool) -> Self {
        const PAGES: u64 = 16;
        let page = |number| {
            let mut random = Random::new(seed, u64::MAX - number);
            (0..DATA_BYTES / 8).flat_map(|_| random.value().to_le_bytes()).collect()
        };
        Generator {
            seed,
            opcodes: Opcodes::new(implemented),
            pages: (0..PAGES).map(page).collect(),
            case: Case::empty(),
            pieces: Vec::new(),
        }
    }

    /// Number of first and second bytes of opcodes from which cases are made.
    #[must_use]
    pub fn opcodes(&self) -> usize {
        self.opcodes.len()
    }

    /// Case number `index`.
    pub fn case(&mut self, index: u64) -> &Case {
        let mut random = Random::new(self.seed, index);
        let page = random.below(self.pages.len() as u64) as usize;
        let case = &mut self.case;
        case.index = index;
        case.memory.copy_from_slice(&self.pages[page]);
        case.start = CODE + 0x400 + random.below(0x80);
        case.gpr = std::array::from_fn(|_| random.value());
        case.rflags = BASE_FLAGS | random.next() & STATUS;
        if random.chance(12) {
            case.rflags |= 1 << 10;
        }
        case.gpr[4] = DATA + 0x400 + 8 * random.below(0x100);
        if random.chance(6) {
            case.gpr[4] = random.address();
        }
        let length = if random.chance(70) { 1 } else { 2 + random.below(5) as usize };
        self.fill(&mut random, length);
        &self.case
    }

    /// Adds instructions until there are `length`, each bound to the state before the first.
    fn fill(&mut self, random: &mut Random, length: usize) {
        let case = &mut self.case;
        case.code.clear();
        case.boundaries.clear();
        case.undefined = 0;
        self.pieces.clear();
        let mut state = bind::Binding::new(length > 1);
        let mut tracker = flags::Tracker::default();
        while case.boundaries.len() < length {
            let rip = case.end();
            let Some(piece) = self.opcodes.draw(random, rip, length > 1) else { continue };
            if !tracker.may_follow(&piece.instruction, case.undefined) {
                continue;
            }
            let mut piece = piece;
            if !state.bind(case, &mut piece, random) {
                continue;
            }
            let boundary = Boundary { rip, undefined: case.undefined };
            case.undefined = tracker.undefined_after(case, &piece.instruction, boundary);
            case.boundaries.push(boundary);
            case.code.extend_from_slice(piece.bytes());
            self.pieces.push(piece);
        }
        bind::branches(case, &self.pieces, random);
    }
}

/// Decodes the instruction that starts `bytes` at `rip`.
fn decode(bytes: &[u8], rip: u64) -> (Instruction, iced_x86::DecoderError) {
    let mut decoder = Decoder::with_ip(64, bytes, rip, DECODER);
    let instruction = decoder.decode();
    (instruction, decoder.last_error())
}
