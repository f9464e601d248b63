//! Tiles: all values for which a run takes the same course.

use super::flip::Stage;
use super::shadow::{Limit, reach};
use crate::diagnosis::{Finding, FindingKind};
use crate::sweep::SweepError;
use serde::{Deserialize, Serialize};
use sim_x86::tile::pace::{Slope, VALUES};

/// A value for each parameter; those that are not swept are 0.
pub type Point = [u64; VALUES];

/// The point with these values for the first parameters.
#[must_use]
pub fn point(values: &[u64]) -> Point {
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(0))
}

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
    #[serde(with = "short")]
    pub direction: Slope,
    /// How far they may.
    pub slack: u64,
    /// The accesses whose order would change beyond it: first and second in the order of this run.
    pub pair: Option<[Side; 2]>,
}

impl Bound {
    /// True if the run stays the same at `value`, as far as this bound goes.
    #[must_use]
    pub fn holds(&self, at: Point, value: Point) -> bool {
        let term = |i: usize| i128::from(self.direction[i]) * difference(value[i], at[i]);
        (0..VALUES).map(term).sum::<i128>() <= i128::from(self.slack)
    }
}

/// All values for which a run takes the same course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// The values that were run.
    #[serde(with = "short")]
    pub at: Point,
    /// Where it ends.
    pub bounds: Vec<Bound>,
    /// What the values lead to; `None`: undecided.
    pub verdict: Option<Verdict>,
    /// Cycles that were simulated to find out.
    pub cycles: u64,
}

impl Tile {
    /// Bounds that leave just the point itself of so many parameters.
    #[must_use]
    pub fn point(parameters: usize) -> Vec<Bound> {
        let bound = |which: usize, sign: i16| {
            let direction = std::array::from_fn(|i| if i == which { sign } else { 0 });
            Bound { direction, slack: 0, pair: None }
        };
        let both = |which: usize| [bound(which, 1), bound(which, -1)];
        (0..parameters.min(VALUES)).flat_map(both).collect()
    }

    /// First and last value of the first parameter, with the others as they were run.
    #[must_use]
    pub fn interval(&self) -> (u64, u64) {
        // The value that was run is always within.
        self.row(self.at).unwrap_or((self.at[0], self.at[0]))
    }

    /// First and last value of the first parameter if the others are those of `at`; `None` if
    /// there is none.
    #[must_use]
    pub fn row(&self, at: Point) -> Option<(u64, u64)> {
        let offset = std::array::from_fn(|i| difference(at[i], self.at[i]));
        let all = (-i128::from(self.at[0]), difference(u64::MAX, self.at[0]));
        let (least, most) = reach(self.limits(), 0, &offset, all)?;
        let value = |offset: i128| u64::try_from(i128::from(self.at[0]) + offset).ok();
        value(least).zip(value(most))
    }

    /// The bounds in numbers.
    pub(super) fn limits(&self) -> impl Iterator<Item = Limit> {
        self.bounds.iter().map(|bound| (bound.direction.map(i128::from), bound.slack.into()))
    }

    /// True if `at` belongs to the tile.
    #[must_use]
    pub fn contains(&self, at: Point) -> bool {
        self.bounds.iter().all(|bound| bound.holds(self.at, at))
    }

    /// The bound that keeps the first parameter from going on upwards (or downwards), with the
    /// others as they were run: of several, the first that is listed.
    #[must_use]
    pub fn limit(&self, upwards: bool) -> Option<&Bound> {
        let sign = if upwards { 1 } else { -1 };
        let reach = |bound: &&Bound| bound.slack / u64::from(bound.direction[0].unsigned_abs());
        self.bounds.iter().filter(|bound| bound.direction[0].signum() == sign).min_by_key(reach)
    }
}

pub(super) fn difference(a: u64, b: u64) -> i128 {
    i128::from(a) - i128::from(b)
}

/// Points and directions in files: zeros at the end are left out, but for the first two numbers.
pub(super) mod short {
    use super::VALUES;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    /// Numbers that are there in any case.
    const LEAST: usize = 2;

    pub(in super::super) fn serialize<T: Serialize + PartialEq + Default, S: Serializer>(
        all: &[T; VALUES],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let last = all.iter().rposition(|value| *value != T::default());
        all[..last.map_or(0, |last| last + 1).max(LEAST)].serialize(serializer)
    }

    pub(in super::super) fn deserialize<
        'de,
        T: Deserialize<'de> + Default,
        D: Deserializer<'de>,
    >(
        deserializer: D,
    ) -> Result<[T; VALUES], D::Error> {
        let mut values = Vec::<T>::deserialize(deserializer)?;
        if values.len() > VALUES {
            return Err(Error::invalid_length(values.len(), &"a value for each parameter"));
        }
        values.resize_with(VALUES, T::default);
        values.try_into().map_err(|_| Error::custom("a value for each parameter"))
    }
}

/// Decides one point and says how far that holds.
pub trait Decide: Sync {
    /// Runs `at` and gives the tile around it.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn decide(&self, at: Point) -> Result<Tile, SweepError>;

    /// What this one point leads to, found by running it alone: the judge of all tiles.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn judge(&self, at: Point) -> Result<Option<Verdict>, SweepError>;

    /// Cycles from boot to outcome of a run of this point alone: what brute force would spend.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    fn alone(&self, at: Point) -> Result<u64, SweepError>;

    /// What its runs can be looked into with; `None` if there are none.
    fn stage(&self) -> Option<&dyn Stage> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::toy::slope;

    fn tile<const N: usize>(at: [u64; N], bounds: &[([i16; N], u64)]) -> Tile {
        let bound = |&(moves, slack)| Bound { direction: slope(moves), slack, pair: None };
        let bounds = bounds.iter().map(bound).collect();
        Tile { at: point(&at), bounds, verdict: None, cycles: 0 }
    }

    #[test]
    fn an_interval_ends_where_the_tightest_bound_does() {
        let free = tile([5], &[]);
        assert_eq!(free.interval(), (0, u64::MAX));
        let tight = tile([100], &[([1], 7), ([2], 9), ([-1], 40), ([-3], 100)]);
        assert_eq!(tight.interval(), (67, 104));
        assert_eq!(tight.limit(true).map(|bound| bound.slack), Some(9));
        assert_eq!(tight.limit(false).map(|bound| bound.slack), Some(100));
        assert_eq!(tile([3], &[([-1], 40)]).interval(), (0, u64::MAX));
    }

    #[test]
    fn rows_and_points_agree() {
        let tile = tile([10, 20], &[([1, 1], 3), ([-1, 2], 4), ([-2, -1], 5), ([0, -1], 6)]);
        for second in 0..60 {
            let row = tile.row(point(&[0, second]));
            for first in 0..60 {
                let within = row.is_some_and(|(lo, hi)| (lo..=hi).contains(&first));
                assert_eq!(within, tile.contains(point(&[first, second])), "{first}, {second}");
            }
        }
        assert_eq!(tile.row(point(&[0, 20])), Some((8, 13)));
        assert_eq!(tile.row(point(&[0, 13])), None);
    }

    #[test]
    fn a_point_is_alone() {
        let mut alone = tile([7, 9], &[]);
        alone.bounds = Tile::point(2);
        assert_eq!(alone.interval(), (7, 7));
        let row = |second| alone.row(point(&[0, second]));
        assert_eq!((row(8), row(10)), (None, None));
        assert!(alone.contains(point(&[7, 9])) && !alone.contains(point(&[7, 10])));
    }

    #[test]
    fn zeros_at_the_end_are_not_written() {
        let text = |tile: &Tile| serde_json::to_string(tile).expect("it can be written");
        let line = tile([7], &[([-1], 3)]);
        let bound = r#"{"direction":[-1,0],"slack":3,"pair":null}"#;
        let rest = r#""verdict":null,"cycles":0}"#;
        assert_eq!(text(&line), format!(r#"{{"at":[7,0],"bounds":[{bound}],{rest}"#));
        let space = tile([7, 0, 5], &[([0, 0, 1], 3)]);
        assert!(text(&space).starts_with(r#"{"at":[7,0,5],"bounds":[{"direction":[0,0,1],"#));
        for tile in [line, space] {
            assert_eq!(serde_json::from_str::<Tile>(&text(&tile)).expect("a tile"), tile);
        }
        let five = format!(r#"{{"at":[1,2,3,4,5],"bounds":[],{rest}"#);
        assert!(serde_json::from_str::<Tile>(&five).is_err());
    }
}
