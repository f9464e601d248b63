//! `--judge`, `--judge-random`, `--judge-edges`: single runs against windows.

use super::plan::Plan;
use super::progress;
use super::results::Found;
use crate::args::SweepArgs;
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::screen::Screen;
use rayon::ThreadPool;
use scenarios::windows::judge::{Judgement, Points, compare};
use scenarios::windows::{Cover, Decide, Verdict};

/// Differences that are printed; the file has all.
const MOST: usize = 20;

/// Everything that judging needs.
pub(super) struct Court<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cover: &'a Cover,
    pub(super) found: &'a Found,
    pub(super) decider: &'a dyn Decide,
    pub(super) pool: &'a ThreadPool,
    pub(super) dir: &'a OutDir,
}

impl Court<'_> {
    /// Judges as the command line asks; false if anything was wrong.
    pub(super) fn judge(&self, args: &SweepArgs, screen: &mut Screen) -> Result<bool, Failure> {
        let area = self.cover.area();
        let mut right = true;
        if args.judge {
            right &= self.compare(args, "every point", &Points::All(area), screen)?;
        }
        if let Some(count) = args.judge_random {
            let points = Points::random(area, count, args.sample_seed);
            right &= self.compare(args, "random points", &points, screen)?;
        }
        if let Some(width) = args.judge_edges {
            let Found::Windows(table) = self.found else {
                return Err(Failure::usage(
                    "--judge-edges needs one parameter",
                    "judge maps with --judge or --judge-random",
                ));
            };
            let points = Points::near_edges(table, area.first(), width);
            right &= self.compare(args, "points near edges", &points, screen)?;
        }
        Ok(right)
    }

    fn compare(
        &self,
        args: &SweepArgs,
        what: &str,
        points: &Points,
        screen: &mut Screen,
    ) -> Result<bool, Failure> {
        let len = u64::try_from(points.len()).unwrap_or(u64::MAX);
        let bar = progress(len, "{wide_bar} {pos}/{len} judged, {eta} left {msg}");
        let result = compare(self.cover, self.decider, points, self.pool, &mut |judgement| {
            bar.set_position(judgement.points);
            if !judgement.mismatches.is_empty() {
                bar.set_message(format!("{} differ", judgement.mismatches.len()));
            }
        });
        bar.finish_and_clear();
        let judgement = result?;
        self.dir.write("judge.json", serde_json::to_string_pretty(&judgement)? + "\n")?;
        self.tell(&format!("{what} {}", args.judge_by.words()), &judgement, screen)?;
        Ok(judgement.mismatches.is_empty())
    }

    fn tell(&self, what: &str, judged: &Judgement, screen: &mut Screen) -> Result<(), Failure> {
        let Judgement { points, undecided, mismatches } = judged;
        let right = mismatches.is_empty();
        let open = if *undecided > 0 { format!(", {undecided} undecided") } else { String::new() };
        let text = format!(": {points} {what}, {} differ{open}", mismatches.len());
        screen.verdict(right, "judged", &text)?;
        let name = |verdict: Option<&Verdict>| {
            verdict.map_or_else(|| "undecided".to_owned(), Verdict::name)
        };
        for wrong in mismatches.iter().take(MOST) {
            let (windows, alone) = (name(wrong.windows.as_ref()), name(wrong.alone.as_ref()));
            let command = self.plan.command(wrong.at);
            screen.print(&format!("  {windows}, but alone {alone}: {command}\n"))?;
        }
        Ok(())
    }
}
