//! How times move with the swept values, and what the order of two times says about the values.

use crate::ids::{CoreId, DeviceId, LineAddr};
use sim_core::Cycle;
use std::collections::BTreeMap;

/// Most values swept at once.
pub const VALUES: usize = 4;

/// Cycles that a time moves per unit of each swept value.
pub type Slope = [i16; VALUES];

/// How a time depends on the swept values: `at(v) = at + slope · (v − here)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Cycles per unit.
    pub slope: Slope,
}

impl Pace {
    /// Does not move.
    pub const FIXED: Pace = Pace { slope: [0; VALUES] };

    /// True if the time is the same for all values.
    #[must_use]
    pub fn is_fixed(self) -> bool {
        self == Self::FIXED
    }

    /// A time later by the value `which` itself.
    #[must_use]
    pub fn after_value(mut self, which: usize) -> Pace {
        self.slope[which] += 1;
        self
    }
}

/// Who acts, and what it does: one side of an ordered pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The instruction at `rip` touches a line.
    Access {
        /// On which CPU.
        core: CoreId,
        /// Which instruction.
        rip: u64,
        /// Which line.
        line: LineAddr,
    },
    /// A CPU's line is taken, downgraded or brought for somebody else's sake, or a request for it
    /// reaches the home agent.
    Line {
        /// Whose request it is; `None` for a device.
        core: Option<CoreId>,
        /// Which line.
        line: LineAddr,
    },
    /// A CPU may take interrupts before the instruction at `rip`.
    Boundary {
        /// Which CPU.
        core: CoreId,
        /// Which instruction.
        rip: u64,
    },
    /// An interrupt reaches a CPU.
    Arrival {
        /// Which CPU.
        core: CoreId,
    },
    /// Something happens in a device.
    Device(DeviceId),
    /// The run's outcome is looked at.
    Look,
}

/// A moment, how it moves, and what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When, in this run.
    pub at: Cycle,
    /// How it moves.
    pub pace: Pace,
    /// An instruction: events of the same cycle come before it.
    pub instruction: bool,
    /// What.
    pub site: Site,
}

/// `direction · (v − here) ≤ slack` must hold for the run to stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Most units.
    pub slack: u64,
    /// What would change places beyond it, in the order of this run; `None` if a value that the
    /// program reads would change instead.
    pub pair: Option<[Site; 2]>,
}

/// The bounds of a tile: the tightest for each direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// How many values are swept.
    values: usize,
    tightest: BTreeMap<Slope, Bound>,
}

impl Bounds {
    /// Nothing bounds so many swept values yet.
    #[must_use]
    pub fn new(values: usize) -> Self {
        Bounds { values, tightest: BTreeMap::new() }
    }

    /// The bounds, by direction.
    pub fn iter(&self) -> impl Iterator<Item = (Slope, Bound)> + '_ {
        self.tightest.iter().map(|(direction, bound)| (*direction, *bound))
    }

    /// Adds a bound.
    pub fn add(&mut self, direction: Slope, slack: u64, pair: Option<[Site; 2]>) {
        let bound = self.tightest.entry(direction).or_insert(Bound { slack, pair });
        if slack < bound.slack {
            *bound = Bound { slack, pair };
        }
    }

    /// The run holds for this very point only.
    pub fn cut(&mut self, pair: Option<[Site; 2]>) {
        for which in 0..self.values {
            for sign in [-1, 1] {
                let mut direction = [0; VALUES];
                direction[which] = sign;
                self.add(direction, 0, pair);
            }
        }
    }

    /// `first` came before `second` and has to stay so.
    pub fn order(&mut self, first: &Stamp, second: &Stamp) {
        if first.pace == second.pace {
            return;
        }
        let mut direction = [0; VALUES];
        for (which, part) in direction.iter_mut().enumerate() {
            *part = first.pace.slope[which] - second.pace.slope[which];
        }
        let pair = Some([first.site, second.site]);
        // At the same cycle the order is that of this run only if nobody's can be another.
        let tie = u64::from(first.instruction || !second.instruction);
        match second.at.0.checked_sub(first.at.0) {
            Some(gap) => self.add(direction, gap.saturating_sub(tie), pair),
            None => self.cut(pair),
        }
    }
}

/// The latest moments of one kind, one for each pace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stamps(Vec<Stamp>);

impl Stamps {
    /// Adds a moment: only the latest of each pace can be the next one's close predecessor.
    pub fn push(&mut self, stamp: Stamp) {
        match self.0.iter_mut().find(|old| old.pace == stamp.pace) {
            Some(old) if old.at <= stamp.at => *old = stamp,
            Some(_) => {}
            None => self.0.push(stamp),
        }
    }

    /// All of these came before `stamp`.
    pub fn before(&self, stamp: &Stamp, bounds: &mut Bounds) {
        for old in &self.0 {
            if old.at <= stamp.at {
                bounds.order(old, stamp);
            } else {
                bounds.order(stamp, old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(moves: [i16; 2]) -> Slope {
        std::array::from_fn(|which| moves.get(which).copied().unwrap_or(0))
    }

    fn stamp(at: u64, moves: [i16; 2], instruction: bool) -> Stamp {
        let pace = Pace { slope: slope(moves) };
        Stamp { at: Cycle(at), pace, instruction, site: Site::Look }
    }

    fn slack(first: Stamp, second: Stamp) -> Vec<(Slope, u64)> {
        let mut bounds = Bounds::new(2);
        bounds.order(&first, &second);
        bounds.iter().map(|(direction, bound)| (direction, bound.slack)).collect()
    }

    #[test]
    fn a_moving_time_may_come_as_close_as_the_order_of_ties_allows() {
        // An event that moves, before an instruction that does not: they may meet.
        assert_eq!(slack(stamp(10, [1, 0], false), stamp(15, [0, 0], true)), [(slope([1, 0]), 5)]);
        // The other way round they may not.
        assert_eq!(slack(stamp(10, [0, 0], true), stamp(15, [1, 0], false)), [(slope([-1, 0]), 4)]);
        let tie = slack(stamp(10, [1, 0], true), stamp(10, [0, 1], true));
        assert_eq!(tie, [(slope([1, -1]), 0)]);
        assert_eq!(slack(stamp(10, [1, 0], true), stamp(12, [1, 0], true)), []);
    }

    #[test]
    fn an_order_that_was_not_so_leaves_nothing() {
        let cut = slack(stamp(11, [1, 0], false), stamp(10, [0, 0], true));
        assert_eq!(cut.len(), 2 * 2, "two values are swept");
        assert!(cut.iter().all(|&(_, slack)| slack == 0));
    }
}
