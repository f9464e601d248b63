//! How likely each outcome is, by integrating a distribution over exact windows.
//!
//! The law is the one that devices draw from ([`Latency::draw`]): a value is rounded to the nearest
//! cycle, and one below 0 counts as 0. So the probability of the cycles `lo..=hi` is that of the
//! continuous value lying between `lo − ½` and `hi + ½`, and cycle 0 has all that is below ½.

mod measured;

pub use measured::{MeasuredError, measured};

use super::table::Table;
use super::tile::Verdict;
use crate::diagnostics::Diagnostics;
use crate::plan::latency_alone;
use serde::{Deserialize, Serialize};
use sim_core::{Hertz, Stream};
use sim_x86::dev::Latency;
use std::f64::consts::SQRT_2;

/// How a swept time is distributed, in cycles.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// As a device draws it.
    Drawn(Latency),
    /// One of these values, which are in ascending order, each as likely as any other.
    Measured(Vec<u64>),
}

impl Law {
    /// Reads a distribution as scenarios write it: `LogNormal(median: "40us", sigma: 0.5)`,
    /// `Normal("10us", "1us")`, `Uniform("1us", "2us")`, or a duration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, clock: Hertz) -> Result<Self, Diagnostics> {
        latency_alone("--odds", text, clock).map(Law::Drawn)
    }

    /// A value.
    #[must_use]
    pub fn draw(&self, stream: &mut Stream) -> u64 {
        match self {
            Law::Drawn(latency) => latency.draw(stream, 0),
            Law::Measured(values) => {
                let last = (values.len() as u64).saturating_sub(1);
                values.get(stream.between(0, last) as usize).copied().unwrap_or(0)
            }
        }
    }

    /// The probability of `lo..=hi`.
    #[must_use]
    pub fn probability(&self, lo: u64, hi: u64) -> f64 {
        let constant = |value: u64| f64::from(u8::from((lo..=hi).contains(&value)));
        match self {
            Law::Drawn(Latency::Constant(value)) => constant(*value),
            Law::Drawn(Latency::Uniform { lo: least, hi: most }) => {
                let (from, to) = (lo.max(*least), hi.min(*most));
                let all = (most - least) as f64 + 1.0;
                if from > to { 0.0 } else { ((to - from) as f64 + 1.0) / all }
            }
            Law::Drawn(Latency::Normal { mean, sd }) if *sd == 0.0 => {
                constant(libm::round(*mean) as u64)
            }
            Law::Drawn(Latency::Normal { mean, sd }) => between(lo, hi, |x| (x - mean) / sd),
            Law::Drawn(Latency::LogNormal { median, sigma }) if *sigma == 0.0 => {
                constant(libm::round(*median) as u64)
            }
            Law::Drawn(Latency::LogNormal { median, sigma }) => {
                between(lo, hi, |x| libm::log(x / median) / sigma)
            }
            Law::Drawn(Latency::Listed(values)) => constant(values.first().copied().unwrap_or(0)),
            Law::Measured(values) => {
                let below = values.partition_point(|&value| value < lo);
                let upto = values.partition_point(|&value| value <= hi);
                (upto - below) as f64 / values.len().max(1) as f64
            }
        }
    }
}

/// The probability of `lo..=hi` if `standard` makes a standard normal value of a time.
fn between(lo: u64, hi: u64, standard: impl Fn(f64) -> f64) -> f64 {
    let a = if lo == 0 { f64::NEG_INFINITY } else { standard(lo as f64 - 0.5) };
    let b = if hi == u64::MAX { f64::INFINITY } else { standard(hi as f64 + 0.5) };
    // The probability of values above z; differences of small numbers, never of numbers near 1.
    let above = |z: f64| libm::erfc(z / SQRT_2) / 2.0;
    if a > 0.0 {
        above(a) - above(b)
    } else if b < 0.0 {
        above(-b) - above(-a)
    } else {
        1.0 - above(-a) - above(b)
    }
}

/// How likely a verdict is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// The verdict; `None`: undecided.
    pub verdict: Option<Verdict>,
    /// Its probability.
    pub probability: f64,
}

/// The probabilities of everything that can come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// Each verdict, in the order of their first windows.
    pub chances: Vec<Chance>,
    /// Probability of a value outside of the range that was swept.
    pub outside: f64,
}

impl Odds {
    /// Integrates `law` over the windows.
    #[must_use]
    pub fn new(table: &Table, law: &Law) -> Self {
        let mut chances: Vec<Chance> = Vec::new();
        for window in &table.windows {
            let share = law.probability(window.lo, window.hi);
            match chances.iter_mut().find(|chance| chance.verdict == window.verdict) {
                Some(chance) => chance.probability += share,
                None => {
                    let verdict = window.verdict.clone();
                    chances.push(Chance { verdict, probability: share });
                }
            }
        }
        let (lo, hi) = (table.windows.first(), table.windows.last());
        let below = lo.map_or(0, |window| window.lo).checked_sub(1);
        let above = hi.map_or(0, |window| window.hi).checked_add(1);
        let outside = below.map_or(0.0, |last| law.probability(0, last))
            + above.map_or(0.0, |first| law.probability(first, u64::MAX));
        Odds { chances, outside }
    }

    /// The probability that an operation goes wrong, as far as it is known.
    #[must_use]
    pub fn failure(&self) -> f64 {
        let failed = |chance: &&Chance| chance.verdict.as_ref().is_some_and(|v| !v.is_ok());
        self.chances.iter().filter(failed).map(|chance| chance.probability).sum()
    }

    /// The probability of values that nothing is known about: undecided or not swept.
    #[must_use]
    pub fn unknown(&self) -> f64 {
        let open = self.chances.iter().filter(|chance| chance.verdict.is_none());
        self.outside + open.map(|chance| chance.probability).sum::<f64>()
    }
}

/// When something first happens that happens with a fixed probability each time, independently.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct First {
    /// Mean number of operations.
    pub mean: f64,
    /// The number at which it has happened with a probability of 2.5 %.
    pub early: f64,
    /// The same for 50 %.
    pub median: f64,
    /// The same for 97.5 %.
    pub late: f64,
}

impl First {
    /// `None` if it never happens.
    #[must_use]
    pub fn of(probability: f64) -> Option<Self> {
        if probability.is_nan() || probability <= 0.0 {
            return None;
        }
        let p = probability.min(1.0);
        // Not in `n` operations: (1 − p)ⁿ.
        let quantile = |q: f64| (libm::log1p(-q) / libm::log1p(-p)).ceil().max(1.0);
        let [early, median, late] = [0.025, 0.5, 0.975].map(quantile);
        Some(First { mean: 1.0 / p, early, median, late })
    }
}

#[cfg(test)]
mod tests;
