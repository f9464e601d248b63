//! Perturbed timing: delays and interrupts that a real machine would have for reasons of its own.
//!
//! Off by default. Every delay is a pure function of the seed, the CPU and what is delayed, so a
//! perturbed run repeats itself exactly and is the same at every [`Speed`](crate::Speed). Nothing
//! here changes what is allowed to happen, only when it happens.

use crate::ids::CoreId;
use serde::{Deserialize, Serialize};

/// How the timing of a machine is perturbed. Every delay is drawn uniformly from 0 to the number
/// given, in core cycles; 0 turns it off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Perturbation {
    /// Seed of all draws below.
    pub seed: u64,
    /// Delay of a CPU's start.
    pub start_skew: u32,
    /// Delay of an instruction, before it executes.
    pub instruction: u32,
    /// Delay of a store's commit: it stays in the store buffer for so much longer.
    pub store_drain: u32,
    /// Delay of a request that leaves the core for a line.
    pub miss: u32,
    /// Delays of instructions and stores strike one in so many; 0 and 1: all.
    pub one_in: u32,
    /// Delays of instructions and stores are shorter on some CPUs: by a power of two, drawn for
    /// each CPU, of at most 2 to the power of this (at most 31).
    pub uneven: u32,
    /// One in so many instructions is preceded by the maskable interrupt [`Self::vector`].
    pub interrupt_every: u32,
    /// Vector of that interrupt. The guest must have a handler that sends the EOI.
    pub vector: u8,
    /// One in so many instructions is preceded by a non-maskable interrupt.
    pub nmi_every: u32,
}

/// What a draw is for: draws for different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Start = 1,
    Instruction = 2,
    Store = 3,
    Miss = 4,
    Interrupt = 5,
    Nmi = 6,
    InstructionTempo = 7,
    StoreTempo = 8,
    InstructionOdds = 9,
    StoreOdds = 10,
}

impl Perturbation {
    /// True if something has to be decided between any two instructions.
    #[inline]
    #[must_use]
    pub fn at_boundaries(&self) -> bool {
        self.instruction | self.interrupt_every | self.nmi_every != 0
    }

    /// True if a loop's iterations may differ from each other: none is skipped then.
    #[must_use]
    pub fn disturbs_loops(&self) -> bool {
        self.at_boundaries() || self.store_drain != 0
    }

    /// A delay of 0 to `most` cycles for the event `which` on `core`.
    #[inline]
    pub(crate) fn delay(&self, most: u32, site: Site, core: CoreId, which: u64) -> u64 {
        if most == 0 { 0 } else { scale(self.word(site, core, which), u64::from(most) + 1) }
    }

    /// Delay before instruction number `which` of `core`.
    pub(crate) fn before_instruction(&self, core: CoreId, which: u64) -> u64 {
        if self.instruction == 0 {
            return 0;
        }
        let sites = [Site::InstructionOdds, Site::InstructionTempo, Site::Instruction];
        self.uneven_delay(self.instruction, sites, core, which)
    }

    /// Delay of the commit of a store that `which` identifies on `core`.
    pub(crate) fn of_store(&self, core: CoreId, which: u64) -> u64 {
        let sites = [Site::StoreOdds, Site::StoreTempo, Site::Store];
        self.uneven_delay(self.store_drain, sites, core, which)
    }

    fn uneven_delay(&self, most: u32, sites: [Site; 3], core: CoreId, which: u64) -> u64 {
        let [odds, tempo, site] = sites;
        if self.one_in > 1 && !self.strikes(self.one_in, odds, core, which) {
            return 0;
        }
        let slower = self.delay(self.uneven.min(31), tempo, core, 0);
        self.delay(most >> slower, site, core, which)
    }

    /// True for one in `every` events; never if that is 0.
    pub(crate) fn strikes(&self, every: u32, site: Site, core: CoreId, which: u64) -> bool {
        every != 0 && scale(self.word(site, core, which), u64::from(every)) == 0
    }

    fn word(&self, site: Site, core: CoreId, which: u64) -> u64 {
        let place = (site as u64) << 32 | u64::from(core.0);
        mix(mix(mix(self.seed) ^ place) ^ which)
    }
}

/// `word` scaled from the whole range of 64 bits to `0..size`, for `size` ≤ 2³².
fn scale(word: u64, size: u64) -> u64 {
    ((word >> 32) * size) >> 32
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, OOPSLA 2014): every input bit changes half of the output bits.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_fill_their_range_and_differ_by_purpose() {
        let perturbation = Perturbation { seed: 3, ..Perturbation::default() };
        let draws = |site| -> Vec<u64> {
            (0..4_000).map(|which| perturbation.delay(7, site, CoreId(1), which)).collect()
        };
        let (stores, misses) = (draws(Site::Store), draws(Site::Miss));
        for delay in 0..=7 {
            let count = stores.iter().filter(|&&draw| draw == delay).count();
            assert!((400..600).contains(&count), "{delay}: {count}");
        }
        assert!(stores.iter().all(|&draw| draw <= 7));
        assert_ne!(stores, misses);
        assert_eq!(stores, draws(Site::Store));
    }

    #[test]
    fn one_in_ten_is_struck() {
        let perturbation = Perturbation::default();
        let count = (0..10_000)
            .filter(|&which| perturbation.strikes(10, Site::Nmi, CoreId(0), which))
            .count();
        assert!((900..1_100).contains(&count), "{count}");
        assert!(!perturbation.strikes(0, Site::Nmi, CoreId(0), 0));
    }
}
