//! What an exact sweep prints.

use super::plan::Plan;
use super::results::{Found, Work};
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::screen::Screen;
use crate::{AS_EXPECTED, Outcome};
use scenarios::windows::flip::Flip;
use scenarios::windows::{Edge, Map, Side, Table, Verdict, Window, point};
use sim_core::Hertz;

/// Windows or regions that are printed; the files have all.
const MOST: usize = 100;

/// Prints windows or regions, commands that show them, and what was spent.
pub(crate) fn tell(
    plan: &Plan,
    found: &Found,
    work: &Work,
    dir: &OutDir,
    screen: &mut Screen,
) -> Result<(), Failure> {
    screen.print(&heading(plan))?;
    let (text, file) = match found {
        Found::Windows(table) => (windows(plan, table), "windows.csv"),
        Found::Map(map) => (regions(plan, map), "regions.csv"),
    };
    screen.print(&text)?;
    screen.print(&spent(work))?;
    screen.print(&format!("\n{}\n", dir.path(file).display()))?;
    Ok(())
}

/// Prints the commands that sweep the range in parts.
pub(super) fn commands(plan: &Plan, count: u64, screen: &mut Screen) -> Outcome {
    let whole = plan.whole();
    for index in 0..count {
        let Some(part) = whole.part(index, count) else {
            return Err(Failure::usage(
                "there are more shards than values of the first parameter",
                "take fewer shards",
            ));
        };
        let (lo, hi) = part.first();
        screen.print(&format!("--shard {index}/{count}  # {lo}..{hi}\n"))?;
    }
    screen.flush()?;
    Ok(AS_EXPECTED)
}

fn heading(plan: &Plan) -> String {
    let range = |parameter: &super::plan::Parameter| {
        let unit = parameter.unit();
        format!("{} = {}{unit}..{}{unit}", parameter.path, parameter.lo, parameter.hi)
    };
    let ranges: Vec<String> = plan.parameters.iter().map(range).collect();
    let shard = plan.shard.map(|shard| format!(", shard {} of {}", shard.index, shard.count));
    format!("{}{}\n", ranges.join(" x "), shard.unwrap_or_default())
}

/// Columns of a verdict: finding, lock word, CPU, cause.
fn columns(verdict: Option<&Verdict>) -> [String; 4] {
    let Some(verdict) = verdict else {
        return ["undecided", "", "", ""].map(str::to_owned);
    };
    [
        verdict.finding.clone(),
        verdict.lock_word.map(|word| format!("{word:#010x}")).unwrap_or_default(),
        verdict.cpu.map(|cpu| cpu.to_string()).unwrap_or_default(),
        verdict.cause.clone().unwrap_or_default(),
    ]
}

/// Lines with columns as wide as their widest field; the first `right` ones end together.
fn align(rows: &[Vec<String>], right: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|f| f.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (i, (field, width)) in row.iter().zip(&widths).enumerate() {
            let field =
                if i < right { format!(" {field:>width$} ") } else { format!(" {field:<width$} ") };
            line += &field;
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn windows(plan: &Plan, table: &Table) -> String {
    let clock = plan.parameters.first().and_then(|parameter| parameter.clock_hz).map(Hertz);
    let unit = if clock.is_some() { "cycles" } else { "values" };
    let mut rows = vec![
        ["from", "to", unit, "finding", "lock word", "CPU", "cause"].map(str::to_owned).to_vec(),
    ];
    for window in table.windows.iter().take(MOST) {
        let Window { lo, hi, verdict } = window;
        let mut row = vec![lo.to_string(), hi.to_string(), window.width().to_string()];
        row.extend(columns(verdict.as_ref()));
        if let Some(clock) = clock {
            let nanos = |cycles| clock.seconds(cycles) * 1e9;
            row.push(format!("{:.1} to {:.1} ns", nanos(*lo), nanos(*hi)));
        }
        rows.push(row);
    }
    let mut text = align(&rows, 3);
    text += &left_out(table.windows.len(), "windows");
    let undecided = table.undecided();
    if undecided > 0 {
        text += &format!("undecided: {undecided} {unit} of all\n");
    }
    text += "\nwitnesses\n";
    for window in table.windows.iter().take(MOST) {
        text += &format!("  {}: {}\n", window.finding(), plan.command(point(&[window.witness()])));
    }
    if !table.edges.is_empty() {
        text += "\nedges\n";
    }
    for edge in table.edges.iter().take(MOST) {
        text += &edge_text(plan, edge);
    }
    text
}

fn edge_text(plan: &Plan, edge: &Edge) -> String {
    let Edge { below, above, pair, proved } = edge;
    let side = |side: &Side| format!("{}: {}", side.who, side.what);
    let why = match (pair, &proved[..]) {
        (None, _) => String::new(),
        (Some([first, second]), []) => {
            format!(": not proved: from {above} on {} comes before {}", side(first), side(second))
        }
        (Some([first, second]), flips) => {
            let flips: Vec<String> = flips.iter().map(flip_text).collect();
            format!(
                ": from {above} on {} before {}; below, after it\n    proved: {}",
                side(first),
                side(second),
                flips.join("; ")
            )
        }
    };
    let command = |value: u64| plan.command(point(&[value]));
    format!("  {below} | {above}{why}\n    {}\n    {}\n", command(*below), command(*above))
}

/// What was held up, and what that turned.
fn flip_text(flip: &Flip) -> String {
    let Flip { at, delayed, cycles } = flip;
    let less = cycles - 1;
    format!(
        "at {at}, {delayed} held up there for {cycles} cycles turns order and outcome, for {less} \
         neither"
    )
}

fn regions(plan: &Plan, map: &Map) -> String {
    let mut rows =
        vec![["points", "finding", "lock word", "CPU", "cause"].map(str::to_owned).to_vec()];
    for (verdict, area) in map.areas() {
        let mut row = vec![area.to_string()];
        row.extend(columns(verdict));
        rows.push(row);
    }
    let mut text = align(&rows, 1);
    text += "\nregions\n";
    for (number, region) in map.regions.iter().enumerate().take(MOST) {
        let verdict = region.verdict.as_ref();
        let name = verdict.map_or_else(|| "undecided".to_owned(), Verdict::name);
        let swept = region.ranges.iter().take(plan.parameters.len());
        let ranges: Vec<String> = swept.map(|(lo, hi)| format!("{lo}..{hi}")).collect();
        let (area, within) = (region.area, ranges.join(" x "));
        text += &format!("  {number}: {name}, {area} points within {within}\n");
        text += &format!("    {}\n", plan.command(region.witness));
    }
    text += &left_out(map.regions.len(), "regions");
    text
}

fn left_out(count: usize, what: &str) -> String {
    match count.checked_sub(MOST) {
        None | Some(0) => String::new(),
        Some(more) => format!("  ... and {more} more {what}: see the files\n"),
    }
}

fn spent(work: &Work) -> String {
    let Work { runs, cycles, points, .. } = work;
    let brute = work.brute_force();
    let share = *cycles as f64 / brute.max(1) as f64 * 100.0;
    // Where every point was run, the first one's length says nothing about the others.
    let share =
        if *points > u128::from(*runs) { format!(" ({share:.2e} %)") } else { String::new() };
    format!(
        "\nspent: {runs} runs, {cycles} cycles simulated; brute force: {points} runs, about \
         {brute} cycles{share}\n"
    )
}
