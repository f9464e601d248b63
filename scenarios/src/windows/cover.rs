//! Covers every value of an area with tiles, exactly once as far as it matters: what a tile says
//! about values that are known already must agree.
//!
//! Points are decided in rounds. Which points a round has follows from what the rounds before it
//! found and from nothing else, so the number of threads shows nowhere.

use super::pieces::{Clash, Piece, Row, UNDECIDED, width};
use super::shadow::Shadow;
use super::tile::{Decide, Point, Side, Tile, Verdict};
use crate::sweep::{SweepError, in_order};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use sim_x86::tile::pace::VALUES;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Points of the first round; each round may have twice as many as the one before, so that what
/// neighbours find twice stays a small part of the work.
const FIRST_ROUND: usize = 4;
/// Points of a round at most.
const MOST_IN_ROUND: usize = 256;

/// Why an area cannot be covered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CoverError {
    /// A value could not be run.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Too many values of the parameters after the first.
    #[error("the parameters after the first have more than {} values", Area::MOST_ROWS)]
    TooManyRows,
    /// A tile is not about the point that was asked for, or does not hold it.
    #[error("the tile of {at:?} is not about it: latchup itself is wrong")]
    Astray {
        /// The point.
        at: Point,
    },
    /// Two tiles disagree.
    #[error(
        "two runs disagree about {at:?}: {first}, but {second} by the run at {by:?}: latchup \
         itself is wrong"
    )]
    Clash {
        /// The point.
        at: Point,
        /// What was known.
        first: String,
        /// What the later tile says.
        second: String,
        /// Where the later tile was run.
        by: Point,
    },
}

/// First and last value of each parameter. It is made of rows, each with all values of the first
/// parameter; the second is that which changes from one row to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// That of a parameter that is not swept is (0, 0).
    ranges: [(u64, u64); VALUES],
    /// How many are swept.
    parameters: usize,
}

impl Area {
    /// Rows at most: values of the parameters after the first.
    pub const MOST_ROWS: u64 = 4_000_000;

    /// These ranges, of [`VALUES`] parameters at most: more are left out.
    #[must_use]
    pub fn new(ranges: &[(u64, u64)]) -> Self {
        let range = |axis: usize| ranges.get(axis).copied().unwrap_or((0, 0));
        Area { ranges: std::array::from_fn(range), parameters: ranges.len().min(VALUES) }
    }

    /// Values of one parameter.
    #[must_use]
    pub fn line(lo: u64, hi: u64) -> Self {
        Area::new(&[(lo, hi)])
    }

    /// First and last value of each parameter that is swept.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges[..self.parameters]
    }

    /// First and last value of a parameter.
    #[must_use]
    pub fn range(&self, axis: usize) -> (u64, u64) {
        self.ranges[axis]
    }

    /// First and last value of the first parameter.
    #[must_use]
    pub fn first(&self) -> (u64, u64) {
        self.ranges[0]
    }

    /// The point with the first value of every parameter.
    #[must_use]
    pub fn lowest(&self) -> Point {
        self.ranges.map(|(lo, _)| lo)
    }

    /// Number of points.
    #[must_use]
    pub fn points(&self) -> u128 {
        self.width(0).saturating_mul(self.rows())
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> u128 {
        (1..VALUES).fold(1, |rows, axis| rows.saturating_mul(self.width(axis)))
    }

    /// Number of values of a parameter.
    pub(super) fn width(&self, axis: usize) -> u128 {
        width(self.ranges[axis].0, self.ranges[axis].1)
    }

    /// Rows from one value of a parameter after the first to the next.
    pub(super) fn step(&self, axis: usize) -> usize {
        (1..axis).map(|axis| self.width(axis) as usize).product()
    }

    /// The lowest point of row `index`.
    pub(super) fn row(&self, index: usize) -> Point {
        let (mut at, mut rest) = (self.lowest(), index as u128);
        for (value, (lo, hi)) in at.iter_mut().zip(self.ranges).skip(1) {
            *value += (rest % width(lo, hi)) as u64;
            rest /= width(lo, hi);
        }
        at
    }

    /// The row that a point is in; `None` if it is in none.
    pub(super) fn row_of(&self, at: Point) -> Option<usize> {
        let (mut index, mut rows) = (0, 1);
        for (value, (lo, hi)) in at.into_iter().zip(self.ranges).skip(1) {
            let above = value.checked_sub(lo).filter(|_| value <= hi)?;
            index += u128::from(above) * rows;
            rows *= width(lo, hi);
        }
        usize::try_from(index).ok()
    }

    /// Part `index` (from 0) of `count` nearly equal ones; `None` if there is no such part. Parts
    /// cut the first parameter.
    #[must_use]
    pub fn part(&self, index: u64, count: u64) -> Option<Area> {
        let ((lo, last), values) = (self.first(), self.width(0));
        if index >= count || u128::from(count) > values {
            return None;
        }
        let start = |index: u64| {
            // A part of 2^64 is below 2^64, so only the end of the last one might not fit.
            let offset = values / u128::from(count) * u128::from(index)
                + values % u128::from(count) * u128::from(index) / u128::from(count);
            u64::try_from(u128::from(lo) + offset).ok()
        };
        let hi = if index + 1 == count { last } else { start(index + 1)? - 1 };
        let mut part = *self;
        part.ranges[0] = (start(index)?, hi);
        Some(part)
    }
}

/// What is known about an area.
#[derive(Clone, Debug)]
pub struct Cover {
    area: Area,
    /// One for each combination of values of the parameters after the first.
    pub(super) rows: Vec<Row>,
    /// By class; the first is "undecided".
    pub(super) verdicts: Vec<Option<Verdict>>,
    /// Of points that were run themselves (with one parameter): the accesses whose order changes
    /// below the tile.
    pub(super) lows: BTreeMap<u64, Option<[Side; 2]>>,
    remaining: u128,
    runs: u64,
    cycles: u128,
}

impl Cover {
    /// An area of which nothing is known.
    ///
    /// # Errors
    /// If there are too many rows.
    pub fn new(area: Area) -> Result<Self, CoverError> {
        let rows = area.rows();
        if rows > u128::from(Area::MOST_ROWS) {
            return Err(CoverError::TooManyRows);
        }
        Ok(Cover {
            area,
            rows: vec![Row::default(); rows as usize],
            verdicts: vec![None],
            lows: BTreeMap::new(),
            remaining: area.points(),
            runs: 0,
            cycles: 0,
        })
    }

    /// The area.
    #[must_use]
    pub fn area(&self) -> Area {
        self.area
    }

    /// Points that nothing is known about.
    #[must_use]
    pub fn remaining(&self) -> u128 {
        self.remaining
    }

    /// Tiles so far, and the cycles that were simulated for them.
    #[must_use]
    pub fn work(&self) -> (u64, u128) {
        (self.runs, self.cycles)
    }

    /// What is known about a point: `None` if nothing, `Some(None)` if it is undecided.
    #[must_use]
    pub fn verdict(&self, at: Point) -> Option<Option<&Verdict>> {
        let class = self.rows.get(self.area.row_of(at)?)?.class(at[0])?;
        Some(self.verdicts[class].as_ref())
    }

    /// Adds what a tile says about the area.
    ///
    /// # Errors
    /// If it contradicts what is known, or itself.
    pub fn add(&mut self, tile: &Tile) -> Result<(), CoverError> {
        if !tile.contains(tile.at) {
            return Err(CoverError::Astray { at: tile.at });
        }
        let class = self.class(tile.verdict.as_ref());
        Shadow::new(tile, &self.area).rows(&mut |row| self.put(tile, row, class))?;
        if self.rows.len() == 1 {
            let pair = tile.limit(false).and_then(|bound| bound.pair.clone());
            self.lows.insert(tile.at[0], pair);
        }
        self.runs += 1;
        self.cycles += u128::from(tile.cycles);
        Ok(())
    }

    /// Adds what a tile says about the row of `at`.
    fn put(&mut self, tile: &Tile, at: Point, class: usize) -> Result<(), CoverError> {
        let Some((lo, hi)) = tile.row(at) else { return Ok(()) };
        let (lo, hi) = (lo.max(self.area.first().0), hi.min(self.area.first().1));
        let row = self.area.row_of(at).and_then(|row| self.rows.get_mut(row));
        let Some(row) = row.filter(|_| lo <= hi) else { return Ok(()) };
        match row.put(Piece { lo, hi, class }) {
            Ok(fresh) => {
                self.remaining -= fresh;
                Ok(())
            }
            Err(Clash { value, known }) => Err(CoverError::Clash {
                at: with_first(at, value),
                first: name(self.verdicts[known].as_ref()),
                second: name(tile.verdict.as_ref()),
                by: tile.at,
            }),
        }
    }

    /// The class of a verdict.
    fn class(&mut self, verdict: Option<&Verdict>) -> usize {
        let Some(verdict) = verdict else { return UNDECIDED };
        let known = self.verdicts.iter().position(|known| known.as_ref() == Some(verdict));
        known.unwrap_or_else(|| {
            self.verdicts.push(Some(verdict.clone()));
            self.verdicts.len() - 1
        })
    }

    /// Decides every point that is not known, and with one parameter the first value of every
    /// window, which shows what changes at its edge. `take` gets every tile in order, and how many
    /// points remain; after an error it still gets what other threads have finished.
    ///
    /// # Errors
    /// The first one, of a run, of `take`, or a contradiction.
    pub fn complete<E: From<CoverError> + Send>(
        &mut self,
        decide: &dyn Decide,
        pool: &ThreadPool,
        take: &mut dyn FnMut(&Tile, u128) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut most = FIRST_ROUND;
        while self.remaining > 0 {
            let points = self.next(most);
            self.decide(&points, decide, pool, take)?;
            most = (most * 2).min(MOST_IN_ROUND);
        }
        let row = self.area.lowest();
        let starts: Vec<Point> =
            self.unknown_starts().map(|value| with_first(row, value)).collect();
        self.decide(&starts, decide, pool, take)
    }

    /// First values of windows that were not run themselves.
    fn unknown_starts(&self) -> impl Iterator<Item = u64> {
        let line = (self.rows.len() == 1).then(|| self.rows[0].pieces());
        let starts = line.unwrap_or_default().iter().map(|piece| piece.lo);
        starts.filter(|value| !self.lows.contains_key(value))
    }

    /// Points to decide next, at most `most`: the lowest of every gap, or of gaps all over the
    /// area if they are more; if they are fewer, the widest ones are halved.
    fn next(&self, most: usize) -> Vec<Point> {
        let mut gaps = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            gaps.extend(row.gaps(self.area.first()).into_iter().map(|(lo, hi)| (lo, hi, index)));
        }
        let lowest = |(lo, _, index)| with_first(self.area.row(index), lo);
        if gaps.len() > most {
            return (0..most).map(|i| lowest(gaps[i * gaps.len() / most])).collect();
        }
        while gaps.len() < most {
            // The first of the widest, so that the choice is clear.
            let widest = (0..gaps.len()).rev().max_by_key(|&i| gaps[i].1 - gaps[i].0);
            let Some((i, (lo, hi, index))) = widest.map(|i| (i, gaps[i])) else { break };
            if lo == hi {
                break;
            }
            let middle = lo + (hi - lo) / 2;
            gaps[i].1 = middle;
            gaps.insert(i + 1, (middle + 1, hi, index));
        }
        gaps.into_iter().map(lowest).collect()
    }

    fn decide<E: From<CoverError> + Send>(
        &mut self,
        points: &[Point],
        decide: &dyn Decide,
        pool: &ThreadPool,
        take: &mut dyn FnMut(&Tile, u128) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = AtomicBool::new(false);
        let mut failure = None;
        // After an error no further run begins, but those that end are not lost.
        let work = |index: usize| {
            let go_on = !failed.load(Ordering::Relaxed);
            Ok(go_on.then(|| (points[index], decide.decide(points[index]))))
        };
        in_order(pool, points.len(), work, |result| {
            let Some((at, result)) = result else { return Ok(()) };
            let added = result.map_err(CoverError::from).and_then(|tile| {
                if tile.at != at {
                    return Err(CoverError::Astray { at });
                }
                self.add(&tile).map(|()| tile)
            });
            match added {
                Ok(tile) => take(&tile, self.remaining),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failure.get_or_insert(error);
                    Ok(())
                }
            }
        })?;
        failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// `at` with another value of the first parameter.
fn with_first(mut at: Point, value: u64) -> Point {
    at[0] = value;
    at
}

/// A verdict in a word.
fn name(verdict: Option<&Verdict>) -> String {
    verdict.map_or_else(|| "undecided".to_owned(), Verdict::name)
}

#[cfg(test)]
mod tests;
