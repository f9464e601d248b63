//! `--odds`, `--rate`, `--monte-carlo`: how likely each outcome is, and when it first happens.

use super::plan::Parameter;
use super::progress;
use crate::args::{DecideBy, JudgeBy, SweepArgs};
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::screen::Screen;
use rayon::ThreadPool;
use scenarios::sweep::in_order;
use scenarios::windows::monte_carlo::{Estimate, Outcome, estimates, sample};
use scenarios::windows::odds::{First, Law, Odds, measured};
use scenarios::windows::{CoverError, Decide, Table, Verdict, point};
use serde::Serialize;
use sim_core::Hertz;
use std::collections::BTreeMap;
use std::path::Path;

/// What `odds.json` holds.
#[derive(Serialize)]
struct Document<'a> {
    /// The distribution as it was given.
    distribution: &'a str,
    /// Operations per second, if they were given.
    rate: Option<f64>,
    #[serde(flatten)]
    odds: &'a Odds,
    /// Probability that an operation goes wrong.
    failure: f64,
    /// Probability of values that nothing is known about.
    unknown: f64,
    /// Number of operations to the first that goes wrong; `null` if none ever does.
    first_failure: Option<First>,
    monte_carlo: Option<MonteCarlo>,
}

#[derive(Serialize)]
struct MonteCarlo {
    samples: u64,
    seed: u64,
    /// How each sampled value was decided: `judge` (its own run) or `windows`.
    by: DecideBy,
    /// What such a run was.
    judge: JudgeBy,
    /// Different values among the samples.
    values: usize,
    estimates: Vec<Estimate>,
}

/// Reads `--odds`.
pub(super) fn law(args: &SweepArgs, parameters: &[Parameter]) -> Result<Option<Law>, Failure> {
    let Some(text) = &args.odds else { return Ok(None) };
    let [Parameter { clock_hz: Some(clock), .. }] = parameters else {
        return Err(Failure::usage(
            "--odds needs one parameter that is a time",
            "give the range units: PATH=0us..100us",
        ));
    };
    if args.shard.is_some() {
        return Err(Failure::usage(
            "a shard is not the whole range, so it has no odds",
            "merge the shards, then give the same sweep with --odds and without --shard",
        ));
    }
    let clock = Hertz(*clock);
    let Some(file) = text.strip_prefix("csv:") else {
        return Ok(Some(Law::parse(text, clock)?));
    };
    let (file, column) = match file.split_once('#') {
        Some((file, column)) => (file, Some(column)),
        None => (file, None),
    };
    let path = Path::new(file);
    let contents = std::fs::read_to_string(path).map_err(Failure::read(path))?;
    let law = measured(&contents, column, clock).map_err(|error| {
        Failure::usage(
            format!("--odds {text}: {error}"),
            "one latency to a line, with units (41.2us) or under a name that ends with one \
             (latency_us); csv:FILE#COLUMN chooses a column",
        )
    })?;
    Ok(Some(law))
}

/// What odds are computed from.
pub(super) struct Question<'a> {
    pub(super) law: &'a Law,
    pub(super) table: &'a Table,
    pub(super) decider: &'a dyn Decide,
    pub(super) pool: &'a ThreadPool,
    pub(super) dir: &'a OutDir,
}

impl Question<'_> {
    /// Computes, writes and prints.
    pub(super) fn answer(&self, args: &SweepArgs, screen: &mut Screen) -> Result<(), Failure> {
        let odds = Odds::new(self.table, self.law);
        let monte_carlo = args.monte_carlo.map(|count| self.monte_carlo(args, &odds, count));
        let document = Document {
            distribution: args.odds.as_deref().unwrap_or_default(),
            rate: args.rate,
            odds: &odds,
            failure: odds.failure(),
            unknown: odds.unknown(),
            first_failure: First::of(odds.failure()),
            monte_carlo: monte_carlo.transpose()?,
        };
        self.dir.write("odds.json", serde_json::to_string_pretty(&document)? + "\n")?;
        screen.print(&text(&document))?;
        Ok(())
    }

    fn monte_carlo(
        &self,
        args: &SweepArgs,
        odds: &Odds,
        count: u64,
    ) -> Result<MonteCarlo, Failure> {
        let sampled: Vec<(u64, u64)> =
            sample(self.law, count, args.sample_seed).into_iter().collect();
        let bar =
            progress(sampled.len() as u64, "{wide_bar} {pos}/{len} values sampled, {eta} left");
        let mut counts = BTreeMap::new();
        let work = |index: usize| {
            let (value, count) = sampled[index];
            let outcome = match (self.table.verdict(value), args.monte_carlo_by) {
                (None, _) => Outcome::Outside,
                (Some(known), DecideBy::Windows) => Outcome::Within(known.cloned()),
                (Some(_), DecideBy::Judge) => {
                    Outcome::Within(self.decider.judge(point(&[value])).map_err(CoverError::from)?)
                }
            };
            Ok::<_, Failure>((outcome, count))
        };
        let result = in_order(self.pool, sampled.len(), work, |(outcome, count)| {
            *counts.entry(outcome).or_insert(0) += count;
            bar.inc(1);
            Ok(())
        });
        bar.finish_and_clear();
        result?;
        let estimates = estimates(odds, &counts);
        let (seed, by) = (args.sample_seed, args.monte_carlo_by);
        let judge = args.judge_by;
        Ok(MonteCarlo { samples: count, seed, by, judge, values: sampled.len(), estimates })
    }
}

fn name(verdict: Option<&Verdict>) -> String {
    verdict.map_or_else(|| "undecided".to_owned(), Verdict::name)
}

fn text(document: &Document<'_>) -> String {
    let mut text = format!("\nodds per operation under {}\n", document.distribution);
    for chance in &document.odds.chances {
        text += &format!("  {:<12.6e} {}\n", chance.probability, name(chance.verdict.as_ref()));
    }
    if document.odds.outside > 0.0 {
        text += &format!("  {:<12.6e} outside of the range\n", document.odds.outside);
    }
    text += &first(document);
    if let Some(monte_carlo) = &document.monte_carlo {
        text += &sampled(monte_carlo);
    }
    text
}

/// When the first operation goes wrong.
fn first(document: &Document<'_>) -> String {
    let unknown = if document.unknown > 0.0 {
        format!("; {:.6e} of all values are not decided", document.unknown)
    } else {
        String::new()
    };
    let Some(First { mean, early, median, late }) = document.first_failure else {
        return format!("no operation goes wrong{unknown}\n");
    };
    let mut text = format!(
        "an operation goes wrong with probability {:.6e}{unknown}\nfirst failure after {mean:.4e} \
         operations on average, median {median:.4e}, 95 % between {early:.4e} and {late:.4e}\n",
        document.failure
    );
    if let Some(rate) = document.rate {
        let [mean, median, early, late] = [mean, median, early, late].map(|n| span(n / rate));
        text += &format!(
            "at {rate} operations a second: {mean} on average, median {median}, 95 % between \
             {early} and {late}\n"
        );
    }
    text
}

fn sampled(monte_carlo: &MonteCarlo) -> String {
    let how = match monte_carlo.by {
        DecideBy::Judge if monte_carlo.judge == JudgeBy::Fork => "each decided by a fork",
        DecideBy::Judge => "each decided by a run of its own",
        DecideBy::Windows => "looked up in the windows",
    };
    let mut text = format!(
        "\nMonte Carlo: {} samples with seed {}, {} different values, {how}\n",
        monte_carlo.samples, monte_carlo.seed, monte_carlo.values
    );
    for estimate in &monte_carlo.estimates {
        let outcome = match &estimate.outcome {
            Outcome::Within(verdict) => name(verdict.as_ref()),
            Outcome::Outside => "outside of the range".to_owned(),
        };
        let (low, high) = estimate.bounds;
        text += &format!(
            "  {:<12.6e} 95 %: {low:.6e} to {high:.6e}, {:+.2} standard deviations from the \
             windows' {:.6e}: {outcome}\n",
            estimate.share, estimate.deviations, estimate.exact
        );
    }
    text
}

/// A time in the unit that reads best.
fn span(seconds: f64) -> String {
    const UNITS: [(&str, f64); 7] = [
        ("years", 31_557_600.0),
        ("days", 86_400.0),
        ("hours", 3_600.0),
        ("minutes", 60.0),
        ("s", 1.0),
        ("ms", 1e-3),
        ("us", 1e-6),
    ];
    let fits = UNITS.iter().find(|(_, length)| seconds >= *length);
    let (unit, length) = fits.unwrap_or(&("ns", 1e-9));
    format!("{:.3} {unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_reads_best() {
        assert_eq!(span(90.0), "1.500 minutes");
        assert_eq!(span(0.02), "20.000 ms");
        assert_eq!(span(63_115_200.0), "2.000 years");
        assert_eq!(span(2e-9), "2.000 ns");
    }

    #[test]
    fn the_text_says_what_is_not_decided() {
        let odds = Odds { chances: Vec::new(), outside: 0.25 };
        let document = Document {
            distribution: "40us",
            rate: Some(100.0),
            odds: &odds,
            failure: 0.0,
            unknown: 0.25,
            first_failure: None,
            monte_carlo: None,
        };
        let none = text(&document);
        assert!(none.contains("no operation goes wrong; 2.5"), "{none}");
        let document = Document { failure: 1e-3, first_failure: First::of(1e-3), ..document };
        let some = text(&document);
        assert!(some.contains("at 100 operations a second: 10.000 s on average"), "{some}");
    }
}
