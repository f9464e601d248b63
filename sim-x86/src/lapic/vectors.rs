//! A set of interrupt vectors that knows its highest member, because the CPU asks for that at
//! every instruction boundary.

use bitvec::array::BitArray;
use bitvec::order::Lsb0;
use serde::{Deserialize, Serialize};

/// 256 bits: IRR, ISR or TMR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VectorSet {
    bits: BitArray<[u64; 4], Lsb0>,
    /// Highest member, 0 if there is none: vectors below 16 are never members.
    highest: u8,
}

impl VectorSet {
    #[inline]
    pub(super) fn highest(&self) -> Option<u8> {
        (self.highest != 0).then_some(self.highest)
    }

    pub(super) fn contains(&self, vector: u8) -> bool {
        self.bits[usize::from(vector)]
    }

    pub(super) fn insert(&mut self, vector: u8) {
        self.bits.set(usize::from(vector), true);
        self.highest = self.highest.max(vector);
    }

    pub(super) fn remove(&mut self, vector: u8) {
        self.bits.set(usize::from(vector), false);
        if vector == self.highest {
            self.highest = self.last();
        }
    }

    /// The highest member, looked for; 0 if there is none.
    fn last(&self) -> u8 {
        let words = self.bits.data;
        let found = words.iter().rposition(|&word| word != 0);
        // A position among 256 bits fits in a byte.
        found.map_or(0, |n| (64 * n as u32 + words[n].ilog2()) as u8)
    }

    pub(super) fn set(&mut self, vector: u8, member: bool) {
        if member {
            self.insert(vector);
        } else {
            self.remove(vector);
        }
    }

    /// Vectors `32 * index ..`, as one of the eight registers shows them.
    pub(super) fn word(&self, index: usize) -> u32 {
        let pair = self.bits.data[index / 2];
        (pair >> (32 * (index % 2))) as u32
    }
}
