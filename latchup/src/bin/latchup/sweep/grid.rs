//! Brute force: a run for each value of a grid.

use super::{Written, digest, folder, progress, wrong_range};
use crate::args::SweepArgs;
use crate::fail::Failure;
use crate::input::{Input, options, pool};
use crate::out_dir::OutDir;
use crate::pictures::draw_outcomes;
use crate::screen::Screen;
use crate::sweep_files::{CSV, Description, FORMAT, Rows};
use crate::{AS_EXPECTED, Outcome};
use scenarios::load::Loaded;
use scenarios::simulation::RunOptions;
use scenarios::sweep::{Grid, Param, ParamError, Sweep, bands, in_order};
use scenarios::timeline::SweepTable;
use sim_core::Hertz;

pub(crate) fn sweep(args: &SweepArgs, written: Written, screen: &mut Screen) -> Outcome {
    let Written { text, param } = written;
    let wrong = |error: ParamError| wrong_range(&text, &error);
    let input = Input::read(&args.subject)?;
    // Both ends are tried before anything is written or run. The clock may be what is swept, but
    // then the values are plain numbers, and it does not matter which clock this is.
    let clock = input.load()?.spec.clock;
    let grid = param.grid(clock).map_err(wrong)?;
    let options = RunOptions { until_decided: !args.full, ..options(&args.subject, clock)? };
    let sweep = Sweep { document: &input.document, files: &input.files, param: &param, options };
    let first = sweep.load(grid.value(0))?;
    screen.diagnostics(&first.warnings);
    sweep.load(grid.value(grid.len() - 1))?;
    let description = describe(args, &input, &param, &grid, &first);
    drop(first);

    let dir = OutDir::prepare(&folder(args))?;
    let mut rows = Rows::open(&dir, &description)?;
    if !rows.done.is_empty() {
        screen.note(&format!("{} of {} runs are done already", rows.done.len(), grid.len()));
    }
    run_all(&sweep, &grid, args.jobs, &mut rows)?;
    let clock_hz = description.clock_hz;
    let table = SweepTable { param: description.param, clock_hz, rows: rows.done };
    draw_outcomes(&table, &dir, viz::Format::Svg, &viz::Options::default())?;
    screen.print(&summary(&table, &grid))?;
    screen.print(&format!("\n{}\n", dir.path(CSV).display()))?;
    screen.flush()?;
    Ok(AS_EXPECTED)
}

fn describe(
    args: &SweepArgs,
    input: &Input,
    param: &Param,
    grid: &Grid,
    first: &Loaded,
) -> Description {
    Description {
        format: FORMAT,
        title: first.title.clone(),
        digest: digest(input, first),
        param: param.path.clone(),
        clock_hz: param.is_time().then_some(first.spec.clock.0),
        grid: *grid,
        set: args.subject.changes(),
        until: args.subject.until.clone(),
        full: args.full,
    }
}

/// Runs what is not done yet.
fn run_all(
    sweep: &Sweep<'_>,
    grid: &Grid,
    jobs: Option<usize>,
    rows: &mut Rows,
) -> Result<(), Failure> {
    let done = rows.done.len();
    let bar = progress(grid.len() as u64, "{wide_bar} {pos}/{len} runs, {eta} left {msg}");
    bar.set_position(done as u64);
    bar.reset_eta();
    let work = |index: usize| Ok(sweep.run(grid.value(done + index))?);
    let result = in_order(&pool(jobs)?, grid.len() - done, work, |run| {
        bar.set_message(run.row.finding.clone());
        rows.push(run)?;
        bar.inc(1);
        Ok(())
    });
    bar.finish_and_clear();
    result
}

/// The bands, a line each.
fn summary(table: &SweepTable, grid: &Grid) -> String {
    let unit = if table.clock_hz.is_some() { "cy" } else { "" };
    let mut text = format!(
        "{} = {}{unit}..{}{unit}:{}{unit}, {} runs\n",
        table.param,
        grid.lo,
        grid.hi,
        grid.step,
        table.rows.len()
    );
    let clock = table.clock_hz.map(Hertz);
    let width = grid.hi.to_string().len();
    for band in bands(&table.rows) {
        let word = band.lock_word.map(|word| format!("{word:#010x}")).unwrap_or_default();
        let (from, to) = (band.from, band.to);
        let time = clock.map(|clock| {
            let nanos = |cycles| clock.seconds(cycles) * 1e9;
            format!("  {:.1} to {:.1} ns", nanos(from), nanos(to))
        });
        let line = format!(
            "  {from:>width$}..{to:<width$}{unit}  {:<26} {word:<10} {:>7} runs{}",
            band.finding,
            band.runs,
            time.unwrap_or_default()
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::timeline::SweepRow;

    #[test]
    fn the_summary_has_a_line_for_each_band() {
        let row = |value, finding: &str, lock_word| SweepRow {
            value,
            finding: finding.to_owned(),
            cpu: None,
            lock_word,
        };
        let table = SweepTable {
            param: "a.b".to_owned(),
            clock_hz: Some(1_000_000_000),
            rows: vec![row(0, "lost-completion", None), row(5, "ok", Some(0x2_0002))],
        };
        let text = summary(&table, &Grid { lo: 0, hi: 9, step: 5 });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a.b = 0cy..9cy:5cy, 2 runs");
        assert!(lines[1].starts_with("  0..0cy  lost-completion"), "{text}");
        assert!(lines[2].contains("ok") && lines[2].contains("0x00020002"), "{text}");
        assert!(lines[2].ends_with("1 runs  5.0 to 5.0 ns"), "{text}");
    }
}
