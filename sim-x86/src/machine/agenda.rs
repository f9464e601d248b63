//! HOT: which core is next. A winner tree over the cores' next cycles: looking is one load,
//! changing one core's cycle costs one comparison per level (7 levels for 96 cores).

use sim_core::Cycle;

/// When each core next does something by itself ([`Cycle::NEVER`]: not before an event reaches
/// it). Derived: rebuilt whenever a run begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    /// `at[n]` for core n, padded to a power of two.
    at: Vec<Cycle>,
    /// Heap-shaped: `winner[1]` is the core with the earliest cycle, its children are
    /// `winner[2]` and `winner[3]`; the core's own leaves are left out.
    winner: Vec<u16>,
}

impl Agenda {
    /// An agenda with every core's cycle.
    #[must_use]
    pub(super) fn new(cycles: impl Iterator<Item = Cycle>) -> Self {
        let mut at: Vec<Cycle> = cycles.collect();
        let leaves = at.len().next_power_of_two().max(2);
        at.resize(leaves, Cycle::NEVER);
        let mut agenda = Agenda { at, winner: vec![0; leaves] };
        for node in (1..leaves).rev() {
            agenda.winner[node] = agenda.play(node);
        }
        agenda
    }

    /// Winner of the leaf or inner node `node`.
    #[inline]
    fn of(&self, node: usize) -> u16 {
        let leaves = self.at.len();
        if node >= leaves { (node - leaves) as u16 } else { self.winner[node] }
    }

    /// Winner among the children of `node`.
    #[inline]
    fn play(&self, node: usize) -> u16 {
        let (left, right) = (self.of(2 * node), self.of(2 * node + 1));
        if self.at[usize::from(right)] < self.at[usize::from(left)] { right } else { left }
    }

    /// Sets the cycle of one core.
    #[inline]
    pub(super) fn set(&mut self, core: usize, at: Cycle) {
        if std::mem::replace(&mut self.at[core], at) == at {
            return;
        }
        let mut node = (self.at.len() + core) / 2;
        while node > 0 {
            self.winner[node] = self.play(node);
            node /= 2;
        }
    }

    /// The core that is first, and its cycle.
    #[inline]
    #[must_use]
    pub(super) fn first(&self) -> (usize, Cycle) {
        let core = usize::from(self.winner[1]);
        (core, self.at[core])
    }

    /// The earliest cycle of all cores but the first: it lost to the first somewhere on its way.
    #[inline]
    #[must_use]
    pub(super) fn second(&self) -> Cycle {
        let mut node = self.at.len() + usize::from(self.winner[1]);
        let mut second = Cycle::NEVER;
        while node > 1 {
            second = second.min(self.at[usize::from(self.of(node ^ 1))]);
            node /= 2;
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn first_and_second_are_the_two_least(
            start in prop::collection::vec(0u64..20, 1..40),
            changes in prop::collection::vec((0usize..40, 0u64..20), 0..60),
        ) {
            let mut at: Vec<Cycle> = start.into_iter().map(Cycle).collect();
            let mut agenda = Agenda::new(at.iter().copied());
            for (core, cycle) in changes {
                let core = core % at.len();
                at[core] = Cycle(cycle);
                agenda.set(core, Cycle(cycle));
                let (first, earliest) = agenda.first();
                let others = at.iter().enumerate().filter(|&(other, _)| other != first);
                prop_assert_eq!(Some(earliest), at.iter().copied().min());
                prop_assert_eq!(at[first], earliest);
                let second = others.map(|(_, &at)| at).min().unwrap_or(Cycle::NEVER);
                prop_assert_eq!(agenda.second(), second);
            }
        }
    }
}
