//! The files that a finished sweep is about. They follow from the outcomes alone: not from the
//! tiles, the number of jobs or shards, or from kills. What was spent is in a file of its own.

use super::plan::{self, PLAN, Parameter, Plan};
use super::proofs::Proofs;
use super::tiles::{TILES, complete_lines};
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::parquet::{self, Column, Values};
use scenarios::windows::flip::Flip;
use scenarios::windows::{
    Area, Block, Cover, Map, Region, Side, Table, Tile, Verdict, Window, point,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use viz::{Format, Options, Swept, draw_map, draw_windows};

/// What was spent.
const WORK: &str = "work.json";

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// One parameter.
    Windows(Table),
    /// Two parameters or more.
    Map(Map),
}

impl Found {
    /// Writes the table as Parquet.
    pub(crate) fn write_parquet(&self, dir: &OutDir) -> Result<(), Failure> {
        match self {
            Found::Windows(table) => {
                let of = |value: fn(&Window) -> u64| table.windows.iter().map(value).collect();
                let mut columns = vec![
                    ("lo", Values::U64(of(|window| window.lo))),
                    ("hi", Values::U64(of(|window| window.hi))),
                ];
                let verdicts = table.windows.iter().map(|window| window.verdict.as_ref());
                columns.extend(verdict_columns(verdicts));
                columns.push(("witness", Values::U64(of(Window::witness))));
                dir.write("windows.parquet", parquet::file(&columns))
            }
            Found::Map(map) => {
                let of = |value: &dyn Fn(&Block) -> u64| {
                    Values::U64(map.blocks.iter().map(value).collect())
                };
                let mut columns = Vec::new();
                let axes = map.area.ranges().len();
                for (axis, [lo, hi]) in Block::COLUMNS.into_iter().take(axes).enumerate() {
                    columns.push((lo, of(&|block| block.ranges[axis].0)));
                    columns.push((hi, of(&|block| block.ranges[axis].1)));
                }
                let verdict = |block: &Block| map.regions[block.region].verdict.as_ref();
                columns.extend(verdict_columns(map.blocks.iter().map(verdict)));
                columns.push(("region", of(&|block| block.region as u64)));
                dir.write("regions.parquet", parquet::file(&columns))
            }
        }
    }
}

/// The columns that every table has.
fn verdict_columns<'a>(verdicts: impl Iterator<Item = Option<&'a Verdict>> + Clone) -> [Column; 4] {
    let text = |value: fn(&Outcome<'a>) -> Option<&'a str>| {
        let values = verdicts.clone().map(|verdict| value(&Outcome::new(verdict)));
        Values::Text(values.map(|text| text.map(str::to_owned)).collect())
    };
    let number = |value: fn(&Outcome<'a>) -> Option<u32>| {
        Values::U32(verdicts.clone().map(|verdict| value(&Outcome::new(verdict))).collect())
    };
    [
        ("finding", text(|outcome| Some(outcome.finding))),
        ("cpu", number(|outcome| outcome.cpu)),
        ("lock_word", number(|outcome| outcome.lock_word)),
        ("cause", text(|outcome| outcome.cause)),
    ]
}

/// What was spent: the contents of `work.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Tiles.
    pub(crate) runs: u64,
    /// Cycles that were simulated for them.
    pub(crate) cycles: u128,
    /// Points that they decide: runs of brute force.
    pub(crate) points: u128,
    /// Cycles of one run from boot to outcome, at the first point.
    pub(crate) run_cycles: u64,
}

impl Work {
    /// Cycles that brute force would simulate, if all runs were as long as the first.
    pub(crate) fn brute_force(&self) -> u128 {
        self.points.saturating_mul(u128::from(self.run_cycles))
    }
}

/// `windows.json` and `map.json`: what both say first.
#[derive(Serialize)]
struct Document<'a, T> {
    format: u32,
    title: &'a str,
    digest: &'a str,
    parameters: &'a [Parameter],
    set: &'a [String],
    until: Option<&'a str>,
    full: bool,
    /// Points without an answer.
    undecided: u128,
    #[serde(flatten)]
    rest: T,
}

/// A verdict, or the word `undecided`.
#[derive(Serialize)]
struct Outcome<'a> {
    finding: &'a str,
    cpu: Option<u32>,
    lock_word: Option<u32>,
    cause: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    fn new(verdict: Option<&'a Verdict>) -> Self {
        Outcome {
            finding: verdict.map_or("undecided", |verdict| &verdict.finding),
            cpu: verdict.and_then(|verdict| verdict.cpu),
            lock_word: verdict.and_then(|verdict| verdict.lock_word),
            cause: verdict.and_then(|verdict| verdict.cause.as_deref()),
        }
    }
}

#[derive(Serialize)]
struct Windows<'a> {
    windows: Vec<WindowRecord<'a>>,
    edges: Vec<EdgeRecord<'a>>,
}

#[derive(Serialize)]
struct WindowRecord<'a> {
    lo: u64,
    hi: u64,
    width: u128,
    #[serde(flatten)]
    outcome: Outcome<'a>,
    witness: u64,
    command: String,
}

#[derive(Serialize)]
struct EdgeRecord<'a> {
    below: u64,
    above: u64,
    pair: Option<&'a [Side; 2]>,
    proved: &'a [Flip],
    command_below: String,
    command_above: String,
}

#[derive(Serialize)]
struct Regions<'a> {
    areas: Vec<AreaRecord<'a>>,
    regions: Vec<RegionRecord<'a>>,
}

#[derive(Serialize)]
struct AreaRecord<'a> {
    #[serde(flatten)]
    outcome: Outcome<'a>,
    area: u128,
}

#[derive(Serialize)]
struct RegionRecord<'a> {
    region: usize,
    #[serde(flatten)]
    outcome: Outcome<'a>,
    area: u128,
    first: (u64, u64),
    second: (u64, u64),
    #[serde(skip_serializing_if = "Option::is_none")]
    third: Option<(u64, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fourth: Option<(u64, u64)>,
    witness: &'a [u64],
    command: String,
}

/// Writes tables, pictures and what was spent.
pub(crate) fn write(
    dir: &OutDir,
    plan: &Plan,
    cover: &Cover,
    proofs: &Proofs,
    work: &Work,
) -> Result<Found, Failure> {
    let mut found = found(plan, cover);
    if let Found::Windows(table) = &mut found {
        table.prove(proofs, plan.proofs);
    }
    let json = match &found {
        Found::Windows(table) => {
            dir.write("windows.csv", table.csv())?;
            let text = json(plan, table.undecided(), windows(plan, table))?;
            ("windows.json", text)
        }
        Found::Map(map) => {
            dir.write("regions.csv", map.csv())?;
            let open = map.regions.iter().filter(|region| region.verdict.is_none());
            let undecided = open.map(|region| region.area).sum();
            ("map.json", json(plan, undecided, regions(plan, map))?)
        }
    };
    dir.write(json.0, json.1)?;
    draw(plan, &found, dir, Format::Svg, &Options::default())?;
    dir.write(WORK, serde_json::to_string_pretty(work)? + "\n")?;
    Ok(found)
}

pub(super) fn found(plan: &Plan, cover: &Cover) -> Found {
    match plan.parameters.len() {
        0 | 1 => Found::Windows(Table::new(cover)),
        _ => Found::Map(Map::new(cover)),
    }
}

fn json(plan: &Plan, undecided: u128, rest: impl Serialize) -> Result<String, Failure> {
    let document = Document {
        format: 1,
        title: &plan.title,
        digest: &plan.digest,
        parameters: &plan.parameters,
        set: &plan.set,
        until: plan.until.as_deref(),
        full: plan.full,
        undecided,
        rest,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn windows<'a>(plan: &Plan, table: &'a Table) -> Windows<'a> {
    let window = |window: &'a Window| WindowRecord {
        lo: window.lo,
        hi: window.hi,
        width: window.width(),
        outcome: Outcome::new(window.verdict.as_ref()),
        witness: window.witness(),
        command: plan.command(point(&[window.witness()])),
    };
    let edges = table.edges.iter().map(|edge| EdgeRecord {
        below: edge.below,
        above: edge.above,
        pair: edge.pair.as_ref(),
        proved: &edge.proved,
        command_below: plan.command(point(&[edge.below])),
        command_above: plan.command(point(&[edge.above])),
    });
    Windows { windows: table.windows.iter().map(window).collect(), edges: edges.collect() }
}

fn regions<'a>(plan: &Plan, map: &'a Map) -> Regions<'a> {
    let area = |(verdict, area)| AreaRecord { outcome: Outcome::new(verdict), area };
    let axes = plan.parameters.len();
    let region = |(number, region): (usize, &'a Region)| RegionRecord {
        region: number,
        outcome: Outcome::new(region.verdict.as_ref()),
        area: region.area,
        first: region.ranges[0],
        second: region.ranges[1],
        third: (axes > 2).then_some(region.ranges[2]),
        fourth: (axes > 3).then_some(region.ranges[3]),
        witness: &region.witness[..axes],
        command: plan.command(region.witness),
    };
    Regions {
        areas: map.areas().into_iter().map(area).collect(),
        regions: map.regions.iter().enumerate().map(region).collect(),
    }
}

/// Draws what was found; returns the file's name, or `None` if no picture shows so many parameters.
pub(crate) fn draw(
    plan: &Plan,
    found: &Found,
    dir: &OutDir,
    format: Format,
    options: &Options,
) -> Result<Option<String>, Failure> {
    let swept = |parameter: &Parameter| Swept {
        param: parameter.path.clone(),
        clock_hz: parameter.clock_hz,
    };
    let swept: Vec<Swept> = plan.parameters.iter().map(swept).collect();
    let (stem, picture) = match (found, &swept[..]) {
        (Found::Map(map), [first, second]) => ("map", draw_map(map, [first, second], options)),
        (Found::Map(_), _) => return Ok(None),
        (Found::Windows(table), _) => {
            let first = swept.first().cloned().unwrap_or_default();
            ("windows", draw_windows(&table.windows, &first, options))
        }
    };
    let name = format!("{stem}.{}", format.extension());
    dir.write(&name, picture.bytes(format)?)?;
    Ok(Some(name))
}

const HELP: &str = "remove the folder and sweep anew";

/// The plan of a folder; `None` if it has none.
pub(crate) fn read_plan(dir: &Path) -> Result<Option<Plan>, Failure> {
    plan::read(&dir.join(PLAN))
}

/// The tiles of a folder whose part of the range is `area`, and what was spent.
pub(crate) fn finished(dir: &Path, area: Area) -> Result<(Vec<Tile>, Work), Failure> {
    let unfinished = |remaining: u128| {
        Failure::usage(
            format!("{} is not finished: {remaining} points are missing", dir.display()),
            "give its command again; it goes on where it was",
        )
    };
    let path = dir.join(TILES);
    if !path.exists() {
        return Err(unfinished(area.points()));
    }
    let (tiles, _) = complete_lines(&path)?;
    let mut cover = Cover::new(area)?;
    for tile in &tiles {
        cover.add(tile)?;
    }
    if cover.remaining() > 0 {
        return Err(unfinished(cover.remaining()));
    }
    // Written last: without it, the first value of some window may not have been run.
    let work = dir.join(WORK);
    let text = std::fs::read_to_string(&work).map_err(|_| unfinished(0))?;
    Ok((tiles, serde_json::from_str(&text)?))
}

/// What the tiles of a folder say, finished or not; `None` if there is no exact sweep.
pub(crate) fn rebuild(dir: &Path) -> Result<Option<(Plan, Found)>, Failure> {
    let Some(plan) = read_plan(dir)? else { return Ok(None) };
    let area = plan.area().ok_or_else(|| Failure::usage("the plan has no such shard", HELP))?;
    let mut cover = Cover::new(area)?;
    for tile in complete_lines(&dir.join(TILES))?.0 {
        cover.add(&tile)?;
    }
    let found = found(&plan, &cover);
    Ok(Some((plan, found)))
}
