//! Time: cycles of the core clock, and the one place where seconds become cycles.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An instant: core-clock cycles since the machine started.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cycle(pub u64);

impl Cycle {
    /// The instant that never comes.
    pub const NEVER: Cycle = Cycle(u64::MAX);

    /// Cycles from `earlier` to `self`; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Cycle) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Cycle {
    type Output = Cycle;
    #[inline]
    fn add(self, cycles: u64) -> Cycle {
        Cycle(self.0.saturating_add(cycles))
    }
}

impl AddAssign<u64> for Cycle {
    #[inline]
    fn add_assign(&mut self, cycles: u64) {
        *self = *self + cycles;
    }
}

impl Sub for Cycle {
    type Output = u64;
    fn sub(self, earlier: Cycle) -> u64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A clock rate in cycles per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hertz(pub u64);

impl Hertz {
    /// Cycles in `ns` nanoseconds, rounded to the nearest cycle.
    #[must_use]
    pub fn cycles_in_ns(self, ns: u64) -> u64 {
        let exact = u128::from(ns) * u128::from(self.0);
        u64::try_from((exact + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// Seconds that `cycles` take.
    #[must_use]
    pub fn seconds(self, cycles: u64) -> f64 {
        cycles as f64 / self.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_become_the_nearest_cycle() {
        let clock = Hertz(2_930_000_000);
        assert_eq!(clock.cycles_in_ns(1), 3);
        assert_eq!(clock.cycles_in_ns(1_000), 2_930);
        assert_eq!(clock.cycles_in_ns(60_000_000_000), 175_800_000_000);
        assert!((clock.seconds(2_930_000) - 0.001).abs() < 1e-12);
    }

    #[test]
    fn never_stays_never() {
        assert_eq!(Cycle::NEVER + 5, Cycle::NEVER);
    }
}
