//! Deciders whose windows are known: half-planes instead of a machine.

use super::tile::{Bound, Decide, Point, Side, Tile, Verdict, point};
use crate::sweep::SweepError;
use sim_x86::tile::pace::{Slope, VALUES};
use std::sync::atomic::{AtomicU64, Ordering};

/// The outcome depends on which of these lines a point is beyond.
#[derive(Debug, Default)]
pub(super) struct Toy {
    /// `direction · point ≤ limit` or beyond it.
    lines: Vec<(Slope, i128)>,
    /// Tiles reach no farther than this from their point, if not 0.
    reach: u64,
    /// Points that get no answer.
    undecided: Vec<Point>,
    /// Added to the slack of every bound: wrong.
    too_far: u64,
    /// Points that were decided.
    runs: AtomicU64,
}

impl Toy {
    /// As many parameters as the directions have numbers.
    pub(super) fn space<const N: usize>(lines: &[([i16; N], i128)]) -> Self {
        let lines = lines.iter().map(|&(direction, limit)| (slope(direction), limit)).collect();
        Toy { lines, ..Toy::default() }
    }

    /// One parameter, with the last values of all windows but the highest.
    pub(super) fn line(ends: &[u64]) -> Self {
        let lines: Vec<([i16; 1], i128)> = ends.iter().map(|&end| ([1], end.into())).collect();
        Toy::space(&lines)
    }

    /// The same outcomes, but from smaller tiles.
    pub(super) fn reaching(self, reach: u64) -> Self {
        Toy { reach, ..self }
    }

    /// No answer at these points.
    pub(super) fn undecided_at(self, values: &[u64]) -> Self {
        Toy { undecided: values.iter().map(|&value| point(&[value])).collect(), ..self }
    }

    /// Tiles that say too much.
    pub(super) fn too_sure(self) -> Self {
        Toy { too_far: 1, ..self }
    }

    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn beyond(&self, at: Point) -> usize {
        self.lines.iter().filter(|line| excess(line, at) > 0).count()
    }
}

/// How far `at` is beyond a line.
fn excess((direction, limit): &(Slope, i128), at: Point) -> i128 {
    let term = |i: usize| i128::from(direction[i]) * i128::from(at[i]);
    (0..VALUES).map(term).sum::<i128>() - limit
}

/// A direction with these numbers for the first parameters.
pub(super) fn slope<const N: usize>(direction: [i16; N]) -> Slope {
    std::array::from_fn(|i| direction.get(i).copied().unwrap_or(0))
}

/// The outcome of a point beyond `n` lines: every third is good.
pub(super) fn verdict(n: usize) -> Verdict {
    if n % 3 == 2 {
        return Verdict { finding: "ok".to_owned(), cpu: None, lock_word: None, cause: None };
    }
    let cause = (n == 1).then(|| "lock-corrupted".to_owned());
    Verdict { finding: "hard-lockup".to_owned(), cpu: Some(18), lock_word: Some(n as u32), cause }
}

impl Decide for Toy {
    fn decide(&self, at: Point) -> Result<Tile, SweepError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let bound = |line: &(Slope, i128)| {
            let excess = excess(line, at);
            let side = |who: &str| Side { who: who.to_owned(), what: format!("{}", line.1) };
            let (direction, slack, pair) = if excess > 0 {
                (line.0.map(|part| -part), excess - 1, [side("device"), side("CPU")])
            } else {
                (line.0, -excess, [side("CPU"), side("device")])
            };
            let slack = u64::try_from(slack).unwrap_or(u64::MAX).saturating_add(self.too_far);
            Bound { direction, slack, pair: Some(pair) }
        };
        let mut bounds: Vec<Bound> = self.lines.iter().map(bound).collect();
        if self.undecided.contains(&at) {
            bounds = Tile::point(VALUES);
        } else if self.reach > 0 {
            let slack = self.reach + at[0] % 3;
            // Slanted, so that a tile's rows are not where its point is.
            let near = |(which, sign): (usize, i16)| {
                let part = |i: usize| if i == which || i + 1 == which { sign } else { 0 };
                Bound { direction: std::array::from_fn(part), slack, pair: None }
            };
            bounds.extend((0..VALUES).flat_map(|which| [(which, 1), (which, -1)]).map(near));
        }
        Ok(Tile { at, bounds, verdict: self.judge(at)?, cycles: 10 })
    }

    fn alone(&self, _at: Point) -> Result<u64, SweepError> {
        Ok(10)
    }

    fn judge(&self, at: Point) -> Result<Option<Verdict>, SweepError> {
        Ok((!self.undecided.contains(&at)).then(|| verdict(self.beyond(at))))
    }
}

/// As many threads.
pub(super) fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}
