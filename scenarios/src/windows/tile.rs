//! Tiles: all values for which a run takes the same course.

use super::flip::Stage;
use crate::diagnosis::{Finding, FindingKind};
use crate::sweep::SweepError;
use serde::{Deserialize, Serialize};

/// What a value leads to: equal verdicts merge into one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Verdict {
    /// Kind of the finding, as [`SweepRow`](crate::timeline::SweepRow) names it.
    pub finding: String,
    /// The CPU that it is about.
    pub cpu: Option<u32>,
    /// The lock word.
    pub lock_word: Option<u32>,
    /// Kind of what lies under the finding, if that is something else.
    pub cause: Option<String>,
}

impl From<&Finding> for Verdict {
    fn from(finding: &Finding) -> Self {
        // A fault is put down to what was broken by the time of its message; but what other CPUs
        // had done by then is an order that no tile bounds.
        let cause = finding.cause.filter(|_| finding.kind != FindingKind::Fault);
        Verdict {
            finding: finding.kind.name().to_owned(),
            cpu: finding.cpu,
            lock_word: finding.lock_word,
            cause: cause.map(|cause| cause.name().to_owned()),
        }
    }
}

impl Verdict {
    /// The finding with its lock word and its CPU: `hard-lockup 0x00010001 on CPU 18`.
    #[must_use]
    pub fn name(&self) -> String {
        let word = self.lock_word.map(|word| format!(" {word:#010x}")).unwrap_or_default();
        let cpu = self.cpu.map(|cpu| format!(" on CPU {cpu}")).unwrap_or_default();
        format!("{}{word}{cpu}", self.finding)
    }

    /// True if nothing went wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.finding == FindingKind::Ok.name()
    }
}

/// One side of an ordered pair of accesses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Side {
    /// Who accesses: `CPU 18`, `ioc0`.
    pub who: String,
    /// What it does: `init_completion+0x5 writes done.lock`.
    pub what: String,
}

/// A limit of a tile: `direction · (value − at) ≤ slack` must hold for the run to stay the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// How fast the two accesses approach each other with each parameter.
    pub direction: [i16; 2],
    /// How far they may.
    pub slack: u64,
    /// The accesses whose order would change beyond it: first and second in the order of this run.
    pub pair: Option<[Side; 2]>,
}

impl Bound {
    /// True if the run stays the same at `value`, as far as this bound goes.
    #[must_use]
    pub fn holds(&self, at: [u64; 2], value: [u64; 2]) -> bool {
        let term = |i: usize| i128::from(self.direction[i]) * difference(value[i], at[i]);
        term(0) + term(1) <= i128::from(self.slack)
    }
}

/// All values for which a run takes the same course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// The values that were run; the second is 0 if there is one parameter.
    pub at: [u64; 2],
    /// Where it ends.
    pub bounds: Vec<Bound>,
    /// What the values lead to; `None`: undecided.
    pub verdict: Option<Verdict>,
    /// Cycles that were simulated to find out.
    pub cycles: u64,
}

impl Tile {
    /// Bounds that leave just the point itself.
    #[must_use]
    pub fn point() -> Vec<Bound> {
        let bound = |direction| Bound { direction, slack: 0, pair: None };
        [[1, 0], [-1, 0], [0, 1], [0, -1]].map(bound).into()
    }

    /// First and last value of the first parameter, with the second as it was run.
    #[must_use]
    pub fn interval(&self) -> (u64, u64) {
        // The value that was run is always within.
        self.row(self.at[1]).unwrap_or((self.at[0], self.at[0]))
    }

    /// First and last value of the first parameter if the second is `second`; `None` if there is
    /// none.
    #[must_use]
    pub fn row(&self, second: u64) -> Option<(u64, u64)> {
        let up = difference(second, self.at[1]);
        let (mut least, mut most) = (-i128::from(self.at[0]), difference(u64::MAX, self.at[0]));
        for bound in &self.bounds {
            let [across, along] = bound.direction.map(i128::from);
            let slack = i128::from(bound.slack) - along * up;
            match across.signum() {
                1 => most = most.min(slack.div_euclid(across)),
                -1 => least = least.max(-slack.div_euclid(-across)),
                _ if slack < 0 => return None,
                _ => {}
            }
        }
        let value = |offset: i128| u64::try_from(i128::from(self.at[0]) + offset).ok();
        if least > most { None } else { value(least).zip(value(most)) }
    }

    /// True if `at` belongs to the tile.
    #[must_use]
    pub fn contains(&self, at: [u64; 2]) -> bool {
        self.bounds.iter().all(|bound| bound.holds(self.at, at))
    }

    /// The bound that keeps the first parameter from going on upwards (or downwards), with the
    /// second as it was run: of several, the first that is listed.
    #[must_use]
    pub fn limit(&self, upwards: bool) -> Option<&Bound> {
        let sign = if upwards { 1 } else { -1 };
        let reach = |bound: &&Bound| bound.slack / u64::from(bound.direction[0].unsigned_abs());
        self.bounds.iter().filter(|bound| bound.direction[0].signum() == sign).min_by_key(reach)
    }
}

fn difference(a: u64, b: u64) -> i128 {
    i128::from(a) - i128::from(b)
}

/// Decides one point and says how far that holds.
pub trait Decide: Sync {
    /// Runs `at` and gives the tile around it.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn decide(&self, at: [u64; 2]) -> Result<Tile, SweepError>;

    /// What this one point leads to, found by running it alone: the judge of all tiles.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn judge(&self, at: [u64; 2]) -> Result<Option<Verdict>, SweepError>;

    /// Cycles from boot to outcome of a run of this point alone: what brute force would spend.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn alone(&self, at: [u64; 2]) -> Result<u64, SweepError>;

    /// What its runs can be looked into with; `None` if there are none.
    fn stage(&self) -> Option<&dyn Stage> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(at: [u64; 2], bounds: &[([i16; 2], u64)]) -> Tile {
        let bound = |&(direction, slack)| Bound { direction, slack, pair: None };
        Tile { at, bounds: bounds.iter().map(bound).collect(), verdict: None, cycles: 0 }
    }

    #[test]
    fn an_interval_ends_where_the_tightest_bound_does() {
        let free = tile([5, 0], &[]);
        assert_eq!(free.interval(), (0, u64::MAX));
        let tight = tile([100, 0], &[([1, 0], 7), ([2, 0], 9), ([-1, 0], 40), ([-3, 0], 100)]);
        assert_eq!(tight.interval(), (67, 104));
        assert_eq!(tight.limit(true).map(|bound| bound.slack), Some(9));
        assert_eq!(tight.limit(false).map(|bound| bound.slack), Some(100));
        assert_eq!(tile([3, 0], &[([-1, 0], 40)]).interval(), (0, u64::MAX));
    }

    #[test]
    fn rows_and_points_agree() {
        let tile = tile([10, 20], &[([1, 1], 3), ([-1, 2], 4), ([-2, -1], 5), ([0, -1], 6)]);
        for second in 0..60 {
            let row = tile.row(second);
            for first in 0..60 {
                let within = row.is_some_and(|(lo, hi)| (lo..=hi).contains(&first));
                assert_eq!(within, tile.contains([first, second]), "{first}, {second}");
            }
        }
        assert_eq!(tile.row(20), Some((8, 13)));
        assert_eq!(tile.row(13), None);
    }

    #[test]
    fn a_point_is_alone() {
        let mut alone = tile([7, 9], &[]);
        alone.bounds = Tile::point();
        assert_eq!(alone.interval(), (7, 7));
        assert_eq!((alone.row(8), alone.row(10)), (None, None));
        assert!(alone.contains([7, 9]) && !alone.contains([7, 10]));
    }
}
