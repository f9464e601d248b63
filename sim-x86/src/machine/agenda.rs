//! HOT: which core is next. A tournament tree over the cores' next cycles: looking is one load,
//! changing one core's cycle costs one comparison per level (7 levels for 96 cores). Where many
//! cores act at about the same time, all have their turns in one round.

use sim_core::Cycle;

/// A core and when it acts, in one number: the earlier is less, and of two at one cycle the core
/// with the lower index.
type Key = u64;

const CORE_BITS: u32 = 16;
/// Cycles after [`Agenda::base`] that keys tell apart: 26 hours. What lies beyond is equally far.
const FAR: u64 = (1 << (64 - CORE_BITS)) - 1;

/// When each core next does something by itself ([`Cycle::NEVER`]: not before an event reaches
/// it). Derived: rebuilt whenever a run begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    /// `at[n]` for core n.
    at: Vec<Cycle>,
    /// Keys count from here.
    base: Cycle,
    /// Heap-shaped: the children of node n are 2n and 2n + 1, and `pairs[n]` are the least keys of
    /// each; the children of the second half are the cores, padded to a power of two.
    pairs: Vec<[Key; 2]>,
    /// The least key of all.
    least: Key,
}

impl Agenda {
    /// An agenda with every core's cycle.
    #[must_use]
    pub(super) fn new(cycles: impl Iterator<Item = Cycle>) -> Self {
        let mut agenda = Agenda { at: cycles.collect(), ..Agenda::default() };
        agenda.rebuild();
        agenda
    }

    /// Makes keys for all cores, with room for earlier and later cycles.
    #[cold]
    fn rebuild(&mut self) {
        let earliest = self.at.iter().copied().min().unwrap_or_default();
        self.base = Cycle(earliest.0.saturating_sub(FAR / 2));
        let leaves = self.at.len().next_power_of_two().max(2);
        self.pairs.clear();
        self.pairs.resize(leaves, [Key::MAX; 2]);
        for core in 0..self.at.len() {
            self.pairs[(leaves + core) / 2][core % 2] = self.key(core);
        }
        self.play_all();
    }

    /// Plays the whole tournament anew.
    fn play_all(&mut self) {
        for node in (2..self.pairs.len()).rev() {
            let [left, right] = self.pairs[node];
            self.pairs[node / 2][node % 2] = left.min(right);
        }
        let [left, right] = self.pairs[1];
        self.least = left.min(right);
    }

    /// Carries the key of `core` up the tree.
    #[inline]
    fn climb(&mut self, core: usize) {
        let mut key = self.key(core);
        let mut node = self.pairs.len() + core;
        while node > 1 {
            let pair = &mut self.pairs[node / 2];
            pair[node % 2] = key;
            key = key.min(pair[(node % 2) ^ 1]);
            node /= 2;
        }
        self.least = key;
    }

    #[inline]
    fn key(&self, core: usize) -> Key {
        self.at[core].since(self.base).min(FAR) << CORE_BITS | core as Key
    }

    /// Sets the cycle of one core.
    #[inline]
    pub(super) fn set(&mut self, core: usize, at: Cycle) {
        if std::mem::replace(&mut self.at[core], at) == at {
            return;
        }
        if at < self.base {
            return self.rebuild();
        }
        self.climb(core);
        self.look_far();
    }

    /// Sets the cycles of all cores that act before `limit`, each to what `of` makes of the core.
    /// Dearer than [`Agenda::set`] for a few, cheaper for many.
    #[inline]
    pub(super) fn take_turns(&mut self, limit: Cycle, mut of: impl FnMut(usize) -> Cycle) {
        let leaves = self.pairs.len();
        for core in 0..self.at.len() {
            if self.at[core] < limit {
                self.at[core] = of(core);
                self.pairs[(leaves + core) / 2][core % 2] = self.key(core);
            }
        }
        self.play_all();
        self.look_far();
    }

    /// Keys have to tell who is first.
    #[inline]
    fn look_far(&mut self) {
        if self.least >> CORE_BITS == FAR && self.at.iter().any(|&at| at < Cycle::NEVER) {
            self.rebuild();
        }
    }

    /// The core that is first, and its cycle.
    #[inline]
    #[must_use]
    pub(super) fn first(&self) -> (usize, Cycle) {
        let core = self.least as usize % (1 << CORE_BITS);
        (core, self.at[core])
    }

    /// The earliest cycle of all cores but the first: it lost to the first somewhere on its way. If
    /// keys do not tell it, a cycle that is no later. There has to be a first.
    #[inline]
    #[must_use]
    pub(super) fn second(&self) -> Cycle {
        let mut node = self.pairs.len() + self.first().0;
        let mut second = Key::MAX;
        while node > 1 {
            second = second.min(self.pairs[node / 2][(node % 2) ^ 1]);
            node /= 2;
        }
        self.base + (second >> CORE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_round_sets_whoever_acts_before_its_limit(
            start in prop::collection::vec(0u64..20, 1..40),
            limit in 0u64..20,
            scale in prop::sample::select(vec![1, 1 << 46, u64::MAX / 18]),
        ) {
            let scaled = |at: u64| Cycle(at.saturating_mul(scale));
            let mut at: Vec<Cycle> = start.into_iter().map(scaled).collect();
            let mut agenda = Agenda::new(at.iter().copied());
            let later = |core: usize| scaled(7 + core as u64 % 5);
            agenda.take_turns(scaled(limit), later);
            for (core, at) in at.iter_mut().enumerate().filter(|(_, at)| **at < scaled(limit)) {
                *at = later(core);
            }
            let (first, earliest) = agenda.first();
            prop_assert_eq!(Some(earliest), at.iter().copied().min());
            prop_assert_eq!(at[first], earliest);
            prop_assert_eq!(agenda.at, at);
        }

        #[test]
        fn first_and_second_are_the_two_least(
            start in prop::collection::vec(0u64..20, 1..40),
            changes in prop::collection::vec((0usize..40, 0u64..20), 0..60),
            // Near each other, or so far apart that keys do not tell; the last ones are never.
            scale in prop::sample::select(vec![1, 1 << 40, 1 << 46, 1 << 48, u64::MAX / 18]),
        ) {
            let scaled = |at: u64| Cycle(at.saturating_mul(scale));
            let mut at: Vec<Cycle> = start.into_iter().map(scaled).collect();
            let mut agenda = Agenda::new(at.iter().copied());
            for (core, cycle) in changes {
                let core = core % at.len();
                at[core] = scaled(cycle);
                agenda.set(core, at[core]);
                let (first, earliest) = agenda.first();
                let others = at.iter().enumerate().filter(|&(other, _)| other != first);
                prop_assert_eq!(Some(earliest), at.iter().copied().min());
                prop_assert_eq!(at[first], earliest);
                let second = others.map(|(_, &at)| at).min().unwrap_or(Cycle::NEVER);
                if earliest == Cycle::NEVER {
                    continue;
                }
                if second.since(earliest) < FAR / 4 {
                    prop_assert_eq!(agenda.second(), second);
                } else {
                    prop_assert!(agenda.second() <= second);
                    prop_assert!(agenda.second().since(earliest) >= FAR / 4);
                }
            }
        }
    }
}
