//! The same odds by sampling: values are drawn as devices draw them, and each is decided.

use super::odds::{Law, Odds};
use super::tile::Verdict;
use serde::{Deserialize, Serialize};
use sim_core::Stream;
use std::collections::BTreeMap;

/// The two-sided 95 % point of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Draws `count` values: how often each came.
#[must_use]
pub fn sample(law: &Law, count: u64, seed: u64) -> BTreeMap<u64, u64> {
    let mut stream = Stream::new(seed, "monte-carlo");
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        *counts.entry(law.draw(&mut stream)).or_insert(0) += 1;
    }
    counts
}

/// What a sampled value came to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// A verdict; `None`: undecided.
    Within(Option<Verdict>),
    /// It is not in the range that was swept.
    Outside,
}

/// How often an outcome came, and what that says about its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The outcome.
    pub outcome: Outcome,
    /// Samples with it.
    pub samples: u64,
    /// Share of all samples.
    pub share: f64,
    /// Bounds of the probability with 95 % confidence (Wilson's).
    pub bounds: (f64, f64),
    /// What integration says.
    pub exact: f64,
    /// How far the number of samples is from what that lets expect, in standard deviations.
    pub deviations: f64,
}

/// Compares `counts`, how often each outcome came, with what integration says.
#[must_use]
pub fn estimates(odds: &Odds, counts: &BTreeMap<Outcome, u64>) -> Vec<Estimate> {
    let all: u64 = counts.values().sum();
    let exact = |outcome: &Outcome| match outcome {
        Outcome::Outside => odds.outside,
        Outcome::Within(verdict) => {
            let chance = odds.chances.iter().find(|chance| chance.verdict == *verdict);
            chance.map_or(0.0, |chance| chance.probability)
        }
    };
    let expected = odds.chances.iter().map(|chance| Outcome::Within(chance.verdict.clone()));
    let mut outcomes: Vec<Outcome> = expected.collect();
    outcomes.extend((odds.outside > 0.0).then_some(Outcome::Outside));
    let surprises: Vec<Outcome> =
        counts.keys().filter(|outcome| !outcomes.contains(outcome)).cloned().collect();
    outcomes.extend(surprises);
    let estimate = |outcome: Outcome| {
        let (samples, exact) = (counts.get(&outcome).copied().unwrap_or(0), exact(&outcome));
        Estimate {
            samples,
            share: samples as f64 / all.max(1) as f64,
            bounds: wilson(samples, all),
            exact,
            deviations: deviations(samples, all, exact),
            outcome,
        }
    };
    outcomes.into_iter().map(estimate).collect()
}

/// Standard deviations between `samples` of `all` and a probability; infinite if what cannot
/// happen has happened.
fn deviations(samples: u64, all: u64, probability: f64) -> f64 {
    let expected = probability * all as f64;
    let sd = (expected * (1.0 - probability).max(0.0)).sqrt();
    let off = samples as f64 - expected;
    if off.abs() < 1e-6 { 0.0 } else { off / sd }
}

/// Wilson's score interval with 95 % confidence.
#[must_use]
pub fn wilson(samples: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, p, z2) = (all as f64, samples as f64 / all as f64, Z95 * Z95);
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    // At the ends the exact value is the end itself, which rounding may miss.
    let low = if samples == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if samples == all { 1.0 } else { (middle + half).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::cover::{Area, Cover, CoverError};
    use crate::windows::table::Table;
    use crate::windows::tile::{Decide, Tile, point};
    use crate::windows::toy::{Toy, pool};
    use sim_core::Hertz;

    fn tally(toy: &Toy, law: &Law, (lo, hi): (u64, u64), n: u64) -> BTreeMap<Outcome, u64> {
        let mut counts = BTreeMap::new();
        for (value, count) in sample(law, n, 3) {
            let outcome = if (lo..=hi).contains(&value) {
                Outcome::Within(toy.judge(point(&[value])).expect("it can be run"))
            } else {
                Outcome::Outside
            };
            *counts.entry(outcome).or_insert(0) += count;
        }
        counts
    }

    fn table(toy: &Toy, (lo, hi): (u64, u64)) -> Table {
        let mut cover = Cover::new(Area::line(lo, hi)).expect("few rows");
        let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
        cover.complete(toy, &pool(1), &mut take).expect("no errors");
        Table::new(&cover)
    }

    const LAWS: [&str; 4] = [
        "LogNormal(median: \"40us\", sigma: 0.5)",
        "Normal(\"30us\", \"20us\")",
        "Uniform(\"0us\", \"100us\")",
        "40us",
    ];

    #[test]
    fn sampling_and_windows_agree() {
        let (toy, range) = (Toy::line(&[9_000, 9_007, 60_000, 80_000]), (100, 200_000));
        for text in LAWS {
            let law = Law::parse(text, Hertz(2_000_000_000)).expect("a law");
            let odds = Odds::new(&table(&toy, range), &law);
            let found = estimates(&odds, &tally(&toy, &law, range, 100_000));
            let sum: u64 = found.iter().map(|estimate| estimate.samples).sum();
            assert_eq!(sum, 100_000);
            assert!(found.iter().all(|estimate| estimate.deviations.abs() < 4.5), "{found:#?}");
        }
    }

    #[test]
    fn a_window_that_is_missing_shows() {
        let (truth, range) = (Toy::line(&[70_000, 75_000]), (0, 200_000));
        let law = Law::parse(LAWS[0], Hertz(2_000_000_000)).expect("a law");
        let believed = table(&Toy::line(&[70_000, 76_000]), range);
        let found = estimates(&Odds::new(&believed, &law), &tally(&truth, &law, range, 100_000));
        assert!(found.iter().any(|estimate| estimate.deviations.abs() > 6.0), "{found:#?}");
        let none = table(&Toy::line(&[]), range);
        let found = estimates(&Odds::new(&none, &law), &tally(&truth, &law, range, 1_000));
        assert!(found.iter().any(|estimate| estimate.deviations == f64::INFINITY), "{found:#?}");
    }

    #[test]
    fn wilson_has_published_values() {
        // 10 of 20, and 0 of 10: Newcombe, Statistics in Medicine 17 (1998), and its formula.
        let (low, high) = wilson(10, 20);
        assert!((low - 0.2993).abs() < 1e-4 && (high - 0.7007).abs() < 1e-4, "{low} {high}");
        let (low, high) = wilson(81, 263);
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4, "{low} {high}");
        let (low, high) = wilson(0, 20);
        assert!(low == 0.0 && (high - 0.1611).abs() < 1e-4, "{low} {high}");
        assert_eq!((wilson(0, 0), wilson(5, 5).1), ((0.0, 1.0), 1.0));
    }

    #[test]
    fn the_seed_decides_the_sample() {
        let law = Law::parse(LAWS[0], Hertz(2_000_000_000)).expect("a law");
        assert_eq!(sample(&law, 500, 1), sample(&law, 500, 1));
        assert_ne!(sample(&law, 500, 1), sample(&law, 500, 2));
    }
}
