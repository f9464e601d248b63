//! Deciders whose windows are known: half-planes instead of a machine.

use super::tile::{Bound, Decide, Side, Tile, Verdict};
use crate::sweep::SweepError;
use std::sync::atomic::{AtomicU64, Ordering};

/// The outcome depends on which of these lines a point is beyond.
#[derive(Debug, Default)]
pub(super) struct Toy {
    /// `direction · point ≤ limit` or beyond it.
    lines: Vec<([i16; 2], i128)>,
    /// Tiles reach no farther than this from their point, if not 0.
    reach: u64,
    /// Points that get no answer.
    undecided: Vec<[u64; 2]>,
    /// Added to the slack of every bound: wrong.
    too_far: u64,
    /// Points that were decided.
    runs: AtomicU64,
}

impl Toy {
    pub(super) fn plane(lines: &[([i16; 2], i128)]) -> Self {
        Toy { lines: lines.to_vec(), ..Toy::default() }
    }

    /// One parameter, with the last values of all windows but the highest.
    pub(super) fn line(ends: &[u64]) -> Self {
        Toy { lines: ends.iter().map(|&end| ([1, 0], end.into())).collect(), ..Toy::default() }
    }

    /// The same outcomes, but from smaller tiles.
    pub(super) fn reaching(self, reach: u64) -> Self {
        Toy { reach, ..self }
    }

    /// No answer at these points.
    pub(super) fn undecided_at(self, values: &[u64]) -> Self {
        Toy { undecided: values.iter().map(|&value| [value, 0]).collect(), ..self }
    }

    /// Tiles that say too much.
    pub(super) fn too_sure(self) -> Self {
        Toy { too_far: 1, ..self }
    }

    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn beyond(&self, at: [u64; 2]) -> usize {
        self.lines.iter().filter(|line| excess(line, at) > 0).count()
    }
}

/// How far `at` is beyond a line.
fn excess((direction, limit): &([i16; 2], i128), at: [u64; 2]) -> i128 {
    let term = |i: usize| i128::from(direction[i]) * i128::from(at[i]);
    term(0) + term(1) - limit
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
    fn decide(&self, at: [u64; 2]) -> Result<Tile, SweepError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let bound = |line: &([i16; 2], i128)| {
            let (excess, [a, b]) = (excess(line, at), line.0);
            let side = |who: &str| Side { who: who.to_owned(), what: format!("{}", line.1) };
            let (direction, slack, pair) = if excess > 0 {
                ([-a, -b], excess - 1, [side("device"), side("CPU")])
            } else {
                ([a, b], -excess, [side("CPU"), side("device")])
            };
            let slack = u64::try_from(slack).unwrap_or(u64::MAX).saturating_add(self.too_far);
            Bound { direction, slack, pair: Some(pair) }
        };
        let mut bounds: Vec<Bound> = self.lines.iter().map(bound).collect();
        if self.undecided.contains(&at) {
            bounds = Tile::point();
        } else if self.reach > 0 {
            let near = |direction| Bound { direction, slack: self.reach + at[0] % 3, pair: None };
            bounds.extend([[1, 0], [-1, 0], [1, 1], [-1, -1]].map(near));
        }
        Ok(Tile { at, bounds, verdict: self.judge(at)?, cycles: 10 })
    }

    fn judge(&self, at: [u64; 2]) -> Result<Option<Verdict>, SweepError> {
        Ok((!self.undecided.contains(&at)).then(|| verdict(self.beyond(at))))
    }
}

/// As many threads.
pub(super) fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}
