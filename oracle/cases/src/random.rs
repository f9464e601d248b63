//! Chance: a small generator (SplitMix64) whose numbers are the same everywhere, and values that
//! are likely to find mistakes.

use crate::{DATA, DATA_BYTES};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of case `index` under `seed`.
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        let mut random = Random(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95));
        random.0 = random.next() ^ index;
        random
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// 0 to `bound` − 1.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `percent` of 100 draws.
    #[inline]
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    #[inline]
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An operand: often at the edge of a width.
    pub(crate) fn value(&mut self) -> u64 {
        let bit = 1_u64 << self.below(64);
        match self.below(16) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63,
            4 => (1 << 63) - 1,
            5 => bit,
            6 => !bit,
            7 => bit - 1,
            8 => self.below(0x100),
            9 => self.pick(&EDGES),
            10 => self.next() >> 32,
            11 => self.next() as i32 as u64,
            _ => self.next(),
        }
    }

    /// A place for a memory operand: mostly in the data, else at its edges or far away.
    pub(crate) fn address(&mut self) -> u64 {
        let bytes = DATA_BYTES as u64;
        match self.below(100) {
            0..=83 => DATA + self.below(bytes - 15),
            84..=87 => DATA + (self.below(bytes - 15) & !15),
            88..=91 => DATA + bytes - 15 + self.below(30),
            92..=93 => DATA - 8 + self.below(8),
            94 => self.pick(&FAR).wrapping_add(self.below(24)),
            // Not canonical.
            95..=96 => 1 << 47 | self.next() >> 17,
            97 => self.next() | 1 << 63,
            _ => self.next() >> 20,
        }
    }
}

/// Values at the edges of 8, 16 and 32 bits.
const EDGES: [u64; 16] = [
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0xffff_ffff_ffff_ff80,
    0xffff_ffff_ffff_8000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
];

/// Ends of the canonical halves, and of all.
const FAR: [u64; 4] =
    [0x0000_7fff_ffff_fff0, 0xffff_7fff_ffff_fff0, 0xffff_ffff_ffff_fff0, 0xffff_ffff_ffff_e000];
