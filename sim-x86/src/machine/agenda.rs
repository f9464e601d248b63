//! HOT: which core is next. Most cores of a machine do nothing by themselves at any moment: they
//! wait, sleep or are parked. Those that act stand in a short list, which is looked through once for
//! each window.

use sim_core::Cycle;

/// A core that does something by itself, and when.
#[derive(Clone, Copy, Debug)]
struct Turn {
    at: Cycle,
    core: u32,
}

/// No core is to act.
const NOBODY: Turn = Turn { at: Cycle::NEVER, core: 0 };
/// Place of a core that is not on the list.
const NOWHERE: u32 = u32::MAX;

/// When each core next does something by itself ([`Cycle::NEVER`]: not before an event reaches
/// it). Derived: rebuilt whenever a run begins.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    /// Cores that act, in no order.
    turns: Vec<Turn>,
    /// `places[n]`: where core n stands among them.
    places: Vec<u32>,
    /// The earliest turn, and when the one after it is.
    first: Turn,
    second: Cycle,
    /// Turns have changed since these were looked up.
    stale: bool,
}

impl Default for Agenda {
    fn default() -> Self {
        let (turns, places) = Default::default();
        Agenda { turns, places, first: NOBODY, second: Cycle::NEVER, stale: false }
    }
}

impl Agenda {
    /// An agenda with every core's cycle.
    #[must_use]
    pub(super) fn new(cycles: impl Iterator<Item = Cycle>) -> Self {
        let mut agenda = Agenda::default();
        for (core, at) in cycles.enumerate() {
            agenda.places.push(NOWHERE);
            agenda.set(core, at);
        }
        agenda
    }

    /// Sets the cycle of one core.
    #[inline]
    pub(super) fn set(&mut self, core: usize, at: Cycle) {
        match self.turns.get_mut(self.places[core] as usize) {
            Some(turn) if at < Cycle::NEVER => turn.at = at,
            Some(_) => self.drop_out(self.places[core] as usize),
            None if at < Cycle::NEVER => {
                self.places[core] = self.turns.len() as u32;
                self.turns.push(Turn { at, core: core as u32 });
            }
            None => return,
        }
        self.stale = true;
    }

    /// The core at this place of the list does nothing any more.
    fn drop_out(&mut self, place: usize) {
        let gone = self.turns.swap_remove(place);
        self.places[gone.core as usize] = NOWHERE;
        if let Some(moved) = self.turns.get(place) {
            self.places[moved.core as usize] = place as u32;
        }
    }

    /// Sets the cycles of all cores that act before `limit`, each to what `of` makes of the core.
    #[inline]
    pub(super) fn take_turns(&mut self, limit: Cycle, mut of: impl FnMut(usize) -> Cycle) {
        let mut place = 0;
        while let Some(turn) = self.turns.get_mut(place) {
            if turn.at < limit {
                turn.at = of(turn.core as usize);
                if turn.at == Cycle::NEVER {
                    // The last one has come to this place.
                    self.drop_out(place);
                    continue;
                }
            }
            place += 1;
        }
        self.stale = true;
    }

    /// The core that is first, and its cycle.
    #[inline]
    #[must_use]
    pub(super) fn first(&mut self) -> (usize, Cycle) {
        if self.stale {
            self.look();
        }
        (self.first.core as usize, self.first.at)
    }

    /// The earliest cycle of all cores but the first, which has been asked for.
    #[inline]
    #[must_use]
    pub(super) fn second(&self) -> Cycle {
        self.second
    }

    fn look(&mut self) {
        let (mut first, mut second) = (NOBODY, Cycle::NEVER);
        for &turn in &self.turns {
            if turn.at < first.at {
                (first, second) = (turn, first.at);
            } else {
                second = second.min(turn.at);
            }
        }
        (self.first, self.second, self.stale) = (first, second, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small numbers, the last of which mean never.
    fn cycle(at: u64) -> Cycle {
        if at < 15 { Cycle(at) } else { Cycle::NEVER }
    }

    /// That `agenda` has these cycles.
    fn check(agenda: &mut Agenda, at: &[Cycle]) -> Result<(), TestCaseError> {
        let (first, earliest) = agenda.first();
        prop_assert_eq!(Some(earliest), at.iter().copied().min());
        if earliest < Cycle::NEVER {
            prop_assert_eq!(at[first], earliest);
            let others = at.iter().enumerate().filter(|&(other, _)| other != first);
            let second = others.map(|(_, &at)| at).min().unwrap_or(Cycle::NEVER);
            prop_assert_eq!(agenda.second(), second);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn first_and_second_are_the_two_least(
            start in prop::collection::vec(0u64..20, 1..40),
            changes in prop::collection::vec((0usize..40, 0u64..20), 0..60),
        ) {
            let mut at: Vec<Cycle> = start.into_iter().map(cycle).collect();
            let mut agenda = Agenda::new(at.iter().copied());
            check(&mut agenda, &at)?;
            for (core, next) in changes {
                let core = core % at.len();
                at[core] = cycle(next);
                agenda.set(core, at[core]);
                check(&mut agenda, &at)?;
            }
        }

        #[test]
        fn a_round_sets_whoever_acts_before_its_limit(
            start in prop::collection::vec(0u64..20, 1..40),
            limit in 0u64..20,
            next in prop::collection::vec(0u64..20, 40),
        ) {
            let mut at: Vec<Cycle> = start.into_iter().map(cycle).collect();
            let mut agenda = Agenda::new(at.iter().copied());
            let mut turns = Vec::new();
            agenda.take_turns(cycle(limit), |core| {
                turns.push(core);
                cycle(next[core])
            });
            turns.sort_unstable();
            let act = (0..at.len()).filter(|&core| at[core] < cycle(limit));
            prop_assert_eq!(&turns, &act.collect::<Vec<_>>());
            for core in turns {
                at[core] = cycle(next[core]);
            }
            check(&mut agenda, &at)?;
            // Everybody still stands where he is looked for.
            for (core, at) in at.iter_mut().enumerate() {
                *at = Cycle(core as u64);
                agenda.set(core, *at);
            }
            check(&mut agenda, &at)?;
        }
    }
}
