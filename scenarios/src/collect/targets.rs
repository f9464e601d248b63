//! Which watched words a write covers. HOT: every watched write passes here.

use super::CollectorSpec;
use serde::{Deserialize, Serialize};
use sim_x86::ids::PhysAddr;

/// What a watched word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Target {
    /// A lock, by index.
    Lock(u32),
    /// Counter of a completion, by index.
    Done(u32),
    /// A 64-bit word of a mask.
    Mask {
        /// Index of the mask.
        mask: u32,
        /// Index of the word in it.
        word: u32,
    },
}

impl Target {
    fn bytes(self) -> u8 {
        match self {
            Target::Lock(_) | Target::Done(_) => 4,
            Target::Mask { .. } => 8,
        }
    }
}

/// Watched words by address, not overlapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Targets {
    /// Address of each word; apart from `kinds`, so that a search touches few cache lines.
    addrs: Vec<u64>,
    kinds: Vec<Target>,
}

/// The part of a watched word that a write covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) target: Target,
    /// Bytes covered.
    pub(super) bytes: u8,
    /// Bit of the word at which they begin.
    word_shift: u32,
    /// Bit of the written value at which they begin.
    value_shift: u32,
}

impl Part {
    /// The word with the covered bytes replaced by those of the written value.
    pub(super) fn merge(&self, word: u64, value: u64) -> u64 {
        let ones = if self.bytes == 8 { u64::MAX } else { (1 << (u32::from(self.bytes) * 8)) - 1 };
        let mask = ones << self.word_shift;
        (word & !mask) | ((value >> self.value_shift << self.word_shift) & mask)
    }
}

impl Targets {
    pub(super) fn new(spec: &CollectorSpec) -> Self {
        let mut all: Vec<(u64, Target)> = Vec::new();
        let locks = spec.locks.iter().zip(0..).map(|(l, i)| (l.addr.0, Target::Lock(i)));
        let done = spec.completions.iter().zip(0..).map(|(c, i)| (c.done.0, Target::Done(i)));
        all.extend(locks.chain(done));
        for (mask, index) in spec.masks.iter().zip(0..) {
            let word =
                |word| (mask.addr.0 + u64::from(word) * 8, Target::Mask { mask: index, word });
            all.extend((0..mask.words).map(word));
        }
        all.sort_unstable();
        all.dedup_by(|later, first| later.0 < first.0 + u64::from(first.1.bytes()));
        Targets {
            addrs: all.iter().map(|(addr, _)| *addr).collect(),
            kinds: all.iter().map(|(_, target)| *target).collect(),
        }
    }

    /// Indices of the words that overlap `start..end`.
    pub(super) fn overlapping(&self, start: u64, end: u64) -> std::ops::Range<usize> {
        let mut first = self.addrs.partition_point(|addr| *addr < start);
        if first > 0 && self.addrs[first - 1] + u64::from(self.kinds[first - 1].bytes()) > start {
            first -= 1;
        }
        let count = self.addrs[first..].iter().take_while(|addr| **addr < end).count();
        first..first + count
    }

    /// What a write of `size` bytes at `addr` covers of the word at `index`, which it overlaps.
    pub(super) fn part(&self, index: usize, addr: u64, size: u8) -> Part {
        let (word, target) = (self.addrs[index], self.kinds[index]);
        let start = word.max(addr);
        let end = (word + u64::from(target.bytes())).min(addr + u64::from(size));
        let bits = |bytes: u64| (bytes * 8) as u32;
        Part {
            target,
            bytes: (end - start) as u8,
            word_shift: bits(start - word),
            value_shift: bits(start - addr),
        }
    }

    pub(super) fn ranges(&self) -> Vec<(PhysAddr, u64)> {
        let range = |(addr, kind): (&u64, &Target)| (PhysAddr(*addr), u64::from(kind.bytes()));
        self.addrs.iter().zip(&self.kinds).map(range).collect()
    }
}
