//! Covers every value of an area with tiles, exactly once as far as it matters: what a tile says
//! about values that are known already must agree.
//!
//! Points are decided in rounds. Which points a round has follows from what the rounds before it
//! found and from nothing else, so the number of threads shows nowhere.

use super::pieces::{Clash, Piece, Row, UNDECIDED, width};
use super::tile::{Decide, Side, Tile, Verdict};
use crate::sweep::{SweepError, in_order};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
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
    /// Too many values of the second parameter.
    #[error("the second parameter has more than {} values", Area::MOST_ROWS)]
    TooManyRows,
    /// A tile is not about the point that was asked for, or does not hold it.
    #[error("the tile of {at:?} is not about it: latchup itself is wrong")]
    Astray {
        /// The point.
        at: [u64; 2],
    },
    /// Two tiles disagree.
    #[error(
        "two runs disagree about {at:?}: {first}, but {second} by the run at {by:?}: latchup \
         itself is wrong"
    )]
    Clash {
        /// The point.
        at: [u64; 2],
        /// What was known.
        first: String,
        /// What the later tile says.
        second: String,
        /// Where the later tile was run.
        by: [u64; 2],
    },
}

/// A rectangle of values; with one parameter, the second is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// First and last value of the first parameter.
    pub first: (u64, u64),
    /// First and last value of the second parameter.
    pub second: (u64, u64),
}

impl Area {
    /// Values of the second parameter at most.
    pub const MOST_ROWS: u64 = 4_000_000;

    /// Values of one parameter.
    #[must_use]
    pub fn line(lo: u64, hi: u64) -> Self {
        Area { first: (lo, hi), second: (0, 0) }
    }

    /// Number of points.
    #[must_use]
    pub fn points(&self) -> u128 {
        width(self.first.0, self.first.1).saturating_mul(width(self.second.0, self.second.1))
    }

    /// Part `index` (from 0) of `count` nearly equal ones; `None` if there is no such part. Parts
    /// cut the first parameter.
    #[must_use]
    pub fn part(&self, index: u64, count: u64) -> Option<Area> {
        let (lo, values) = (self.first.0, width(self.first.0, self.first.1));
        if index >= count || u128::from(count) > values {
            return None;
        }
        let start = |index: u64| {
            // A part of 2^64 is below 2^64, so only the end of the last one might not fit.
            let offset = values / u128::from(count) * u128::from(index)
                + values % u128::from(count) * u128::from(index) / u128::from(count);
            u64::try_from(u128::from(lo) + offset).ok()
        };
        let hi = if index + 1 == count { self.first.1 } else { start(index + 1)? - 1 };
        Some(Area { first: (start(index)?, hi), ..*self })
    }
}

/// What is known about an area.
#[derive(Clone, Debug)]
pub struct Cover {
    area: Area,
    /// One for each value of the second parameter.
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
    /// If the second parameter has too many values.
    pub fn new(area: Area) -> Result<Self, CoverError> {
        let rows = width(area.second.0, area.second.1);
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
    pub fn verdict(&self, at: [u64; 2]) -> Option<Option<&Verdict>> {
        let row = usize::try_from(at[1].checked_sub(self.area.second.0)?).ok()?;
        let class = self.rows.get(row)?.class(at[0])?;
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
        let (bottom, top) = self.area.second;
        // A tile is convex, so its rows are neighbours.
        let start = tile.at[1].clamp(bottom, top);
        for seconds in
            [&mut (start..=top) as &mut dyn Iterator<Item = u64>, &mut (bottom..start).rev()]
        {
            for second in seconds {
                let Some(interval) = tile.row(second) else { break };
                self.put(tile, second, interval, class)?;
            }
        }
        if bottom == top {
            let pair = tile.limit(false).and_then(|bound| bound.pair.clone());
            self.lows.insert(tile.at[0], pair);
        }
        self.runs += 1;
        self.cycles += u128::from(tile.cycles);
        Ok(())
    }

    fn put(
        &mut self,
        tile: &Tile,
        second: u64,
        (lo, hi): (u64, u64),
        class: usize,
    ) -> Result<(), CoverError> {
        let (lo, hi) = (lo.max(self.area.first.0), hi.min(self.area.first.1));
        if lo > hi {
            return Ok(());
        }
        let row = (second - self.area.second.0) as usize;
        match self.rows[row].put(Piece { lo, hi, class }) {
            Ok(fresh) => {
                self.remaining -= fresh;
                Ok(())
            }
            Err(Clash { value, known }) => Err(CoverError::Clash {
                at: [value, second],
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
        let starts: Vec<[u64; 2]> =
            self.unknown_starts().map(|value| [value, self.area.second.0]).collect();
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
    fn next(&self, most: usize) -> Vec<[u64; 2]> {
        let mut gaps = Vec::new();
        for (row, second) in self.rows.iter().zip(self.area.second.0..) {
            gaps.extend(row.gaps(self.area.first).into_iter().map(|(lo, hi)| (lo, hi, second)));
        }
        if gaps.len() > most {
            let chosen = (0..most).map(|i| gaps[i * gaps.len() / most]);
            return chosen.map(|(lo, _, second)| [lo, second]).collect();
        }
        while gaps.len() < most {
            // The first of the widest, so that the choice is clear.
            let widest = (0..gaps.len()).rev().max_by_key(|&i| gaps[i].1 - gaps[i].0);
            let Some((i, (lo, hi, second))) = widest.map(|i| (i, gaps[i])) else { break };
            if lo == hi {
                break;
            }
            let middle = lo + (hi - lo) / 2;
            gaps[i].1 = middle;
            gaps.insert(i + 1, (middle + 1, hi, second));
        }
        gaps.into_iter().map(|(lo, _, second)| [lo, second]).collect()
    }

    fn decide<E: From<CoverError> + Send>(
        &mut self,
        points: &[[u64; 2]],
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

/// A verdict in a word.
fn name(verdict: Option<&Verdict>) -> String {
    verdict.map_or_else(|| "undecided".to_owned(), Verdict::name)
}

#[cfg(test)]
mod tests;
