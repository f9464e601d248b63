//! Brute force as the judge of windows: single runs, compared with what the windows say.

use super::tile::{Decide, Point, Verdict, point};
use crate::sweep::{SweepError, in_order};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use sim_core::Stream;
use std::collections::BTreeSet;

use super::cover::{Area, Cover, CoverError};
use super::table::Table;

/// Which points are run alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Points {
    /// Every one.
    All(Area),
    /// These.
    Listed(Vec<Point>),
}

impl Points {
    /// `count` points of `area`, each as likely as any other.
    #[must_use]
    pub fn random(area: Area, count: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "judge");
        // Of one parameter as of two, of which the second has one value.
        let axes = area.ranges().len().max(2);
        let mut draw = |axis: usize| {
            let (lo, hi) = area.range(axis);
            if axis < axes { stream.between(lo, hi) } else { lo }
        };
        Points::Listed((0..count).map(|_| std::array::from_fn(&mut draw)).collect())
    }

    /// All values of `range` that are at most `width` away from an edge.
    #[must_use]
    pub fn near_edges(table: &Table, (lo, hi): (u64, u64), width: u64) -> Self {
        let mut values = BTreeSet::new();
        for edge in &table.edges {
            let first = edge.above.saturating_sub(width).max(lo);
            let last = edge.below.saturating_add(width).min(hi);
            values.extend(first..=last);
        }
        Points::Listed(values.into_iter().map(|value| point(&[value])).collect())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> u128 {
        match self {
            Points::All(area) => area.points(),
            Points::Listed(points) => points.len() as u128,
        }
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn at(&self, index: usize) -> Point {
        match self {
            Points::Listed(points) => points[index],
            Points::All(area) => {
                let (row, column) = (index as u128 / area.width(0), index as u128 % area.width(0));
                // Indices are below the number of points, so both are within.
                let mut at = area.row(row as usize);
                at[0] += column as u64;
                at
            }
        }
    }
}

/// A point about which the windows are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The point.
    #[serde(with = "super::tile::short")]
    pub at: Point,
    /// What the windows say.
    pub windows: Option<Verdict>,
    /// What came out of it alone.
    pub alone: Option<Verdict>,
}

/// How the windows stood up to single runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Points that were run.
    pub points: u64,
    /// Points that the windows say nothing about.
    pub undecided: u64,
    /// Points about which they are wrong.
    pub mismatches: Vec<Mismatch>,
}

/// Runs points alone and compares; `progress` hears of every point in order.
///
/// # Errors
/// If a point cannot be run.
pub fn compare(
    cover: &Cover,
    decide: &dyn Decide,
    points: &Points,
    pool: &ThreadPool,
    progress: &mut dyn FnMut(&Judgement),
) -> Result<Judgement, CoverError> {
    let mut judgement = Judgement::default();
    let count = usize::try_from(points.len()).unwrap_or(usize::MAX);
    let work = |index: usize| {
        let at = points.at(index);
        Ok::<_, SweepError>((at, decide.judge(at)?))
    };
    in_order(pool, count, work, |(at, alone)| {
        let windows = cover.verdict(at).flatten();
        judgement.points += 1;
        match windows {
            None => judgement.undecided += 1,
            Some(verdict) if alone.as_ref() == Some(verdict) => {}
            Some(verdict) => {
                let windows = Some(verdict.clone());
                judgement.mismatches.push(Mismatch { at, windows, alone });
            }
        }
        progress(&judgement);
        Ok(())
    })?;
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::tile::Tile;
    use crate::windows::toy::{Toy, pool};

    /// What `toy` says of `area`, before the truth about its edges is known.
    fn believed(toy: &Toy, area: Area) -> Cover {
        let mut cover = Cover::new(area).expect("few rows");
        let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
        cover.complete(toy, &pool(1), &mut take).expect("no errors");
        cover
    }

    fn judge(cover: &Cover, toy: &Toy, points: &Points) -> Judgement {
        compare(cover, toy, points, &pool(2), &mut |_| ()).expect("all can be run")
    }

    #[test]
    fn right_windows_stand_up_to_every_value() {
        let (toy, area) = (Toy::line(&[40, 41, 700]), Area::line(5, 999));
        let cover = believed(&toy, area);
        let judged = judge(&cover, &toy, &Points::All(area));
        assert_eq!((judged.points, judged.mismatches.len()), (995, 0));
    }

    #[test]
    fn one_wrong_cycle_is_found() {
        let area = Area::line(0, 999);
        let cover = believed(&Toy::line(&[40, 700]), area);
        let truth = Toy::line(&[40, 699]);
        let all = judge(&cover, &truth, &Points::All(area));
        let wrong: Vec<u64> = all.mismatches.iter().map(|mismatch| mismatch.at[0]).collect();
        assert_eq!(wrong, [700]);
        let edges = Points::near_edges(&Table::new(&cover), (0, 999), 1);
        assert_eq!(edges, Points::Listed([40, 41, 700, 701].map(|v| point(&[v])).to_vec()));
        assert_eq!(judge(&cover, &truth, &edges).mismatches, all.mismatches);
    }

    #[test]
    fn planes_are_judged_point_by_point() {
        let area = Area::new(&[(3, 20), (7, 19)]);
        let cover = believed(&Toy::space(&[([1, 1], 20)]), area);
        let truth = Toy::space(&[([1, 1], 21)]);
        let all = judge(&cover, &truth, &Points::All(area));
        assert_eq!(u128::from(all.points), area.points());
        assert!(all.mismatches.iter().all(|mismatch| mismatch.at[0] + mismatch.at[1] == 21));
        assert_eq!(all.mismatches.len(), 12);
        let random = Points::random(area, 500, 1);
        assert_eq!(random, Points::random(area, 500, 1));
        let judged = judge(&cover, &truth, &random);
        assert!(judged.points == 500 && (5..80).contains(&judged.mismatches.len()), "{judged:?}");
    }

    #[test]
    fn undecided_points_are_not_wrong() {
        let toy = Toy::line(&[9]).undecided_at(&[3]);
        let cover = believed(&toy, Area::line(3, 3));
        let judged = judge(&cover, &Toy::line(&[9]), &Points::All(Area::line(3, 3)));
        assert_eq!((judged.undecided, judged.mismatches.len()), (1, 0));
    }
}
