//! `latchup merge`: the shards of a sweep become the whole.

use crate::args::MergeArgs;
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::screen::Screen;
use crate::sweep::{self, Plan, Tiles, Work};
use crate::{AS_EXPECTED, Outcome};
use scenarios::windows::{Area, Cover, Tile};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A shard's folder.
struct Part {
    folder: PathBuf,
    plan: Plan,
    area: Area,
}

pub(crate) fn merge(args: &MergeArgs, screen: &mut Screen) -> Outcome {
    let mut parts = parts(&args.folders)?;
    parts.sort_by_key(|part| part.area.first());
    let plan = whole(&parts)?;
    let (mut found, mut run_cycles) = (Vec::new(), None);
    let mut proofs = sweep::Proofs::new();
    for part in &parts {
        let (tiles, work) = sweep::finished(&part.folder, part.area)?;
        found.extend(tiles);
        proofs.extend(sweep::read_proofs(&part.folder)?);
        run_cycles.get_or_insert(work.run_cycles);
    }
    let out = args.out.as_deref().or_else(|| args.folders.first().map(PathBuf::as_path));
    let dir = OutDir::prepare(out.unwrap_or(Path::new(".")))?;
    let cover = collect(&dir, &plan, &found)?;
    let (runs, cycles) = cover.work();
    let run_cycles = run_cycles.unwrap_or(0);
    let work = Work { runs, cycles, points: plan.whole().points(), run_cycles };
    sweep::write_proofs(&dir, &proofs)?;
    let found = sweep::write(&dir, &plan, &cover, &proofs, &work)?;
    if args.parquet {
        found.write_parquet(&dir)?;
    }
    sweep::tell(&plan, &found, &work, &dir, screen)?;
    screen.flush()?;
    Ok(AS_EXPECTED)
}

/// Writes the tiles to `dir`, but for those that an earlier merge has written, and adds them up.
fn collect(dir: &OutDir, plan: &Plan, found: &[Tile]) -> Result<Cover, Failure> {
    let mut cover = Cover::new(plan.whole())?;
    let mut tiles = Tiles::open(dir, plan)?;
    let mut known = BTreeSet::new();
    for tile in std::mem::take(&mut tiles.known) {
        cover.add(&tile)?;
        known.insert(tile.at);
    }
    for tile in found {
        if known.insert(tile.at) {
            cover.add(tile)?;
            tiles.push(tile)?;
        }
    }
    Ok(cover)
}

/// The shards in these folders, or in folders right in them.
fn parts(folders: &[PathBuf]) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for folder in folders {
        let mut inner = Vec::new();
        for entry in fs::read_dir(folder).map_err(Failure::read(folder))? {
            inner.push(entry.map_err(Failure::read(folder))?.path());
        }
        inner.retain(|path| path.is_dir());
        inner.sort();
        inner.insert(0, folder.clone());
        let count = parts.len();
        for folder in inner {
            parts.extend(part(&folder)?);
        }
        if parts.len() == count {
            return Err(Failure::usage(
                format!("there are no shards in {}", folder.display()),
                "name the folder that `latchup sweep --shard` wrote its shards to",
            ));
        }
    }
    Ok(parts)
}

/// The shard of a folder; `None` if it has none.
fn part(folder: &Path) -> Result<Option<Part>, Failure> {
    let Some(plan) = sweep::read_plan(folder)?.filter(|plan| plan.shard.is_some()) else {
        return Ok(None);
    };
    let area = plan.area().ok_or_else(|| {
        Failure::usage(
            format!("{} is a shard that does not exist", folder.display()),
            "remove it and sweep it anew",
        )
    })?;
    Ok(Some(Part { folder: folder.to_owned(), plan, area }))
}

/// The plan of the whole, of which `parts`, in ascending order, must be all parts, each once.
fn whole(parts: &[Part]) -> Result<Plan, Failure> {
    let Some(first) = parts.first() else {
        return Err(Failure::usage("there is nothing to merge", "name the folders of all shards"));
    };
    let plan = first.plan.unsharded();
    let mut due = Some(plan.whole().first().0);
    for part in parts {
        let folder = part.folder.display();
        let differences = plan.differences(&part.plan.unsharded());
        if !differences.is_empty() {
            return Err(Failure::usage(
                format!(
                    "{folder} belongs to a different sweep than {}: {}",
                    first.folder.display(),
                    differences.join(", ")
                ),
                "merge the shards of one sweep",
            ));
        }
        let (lo, hi) = part.area.first();
        match due {
            Some(due) if lo == due => {}
            Some(due) if lo > due => return Err(missing(due, lo - 1)),
            _ => {
                return Err(Failure::usage(
                    format!("{folder} has values from {lo} on, which another shard has too"),
                    "merge each shard once, all of the same division",
                ));
            }
        }
        due = hi.checked_add(1);
    }
    let last = plan.whole().first().1;
    match due.filter(|due| *due <= last) {
        Some(due) => Err(missing(due, last)),
        None => Ok(plan),
    }
}

fn missing(lo: u64, hi: u64) -> Failure {
    Failure::usage(
        format!("the values {lo}..{hi} are in none of the shards"),
        "run the missing shards, or name their folders too",
    )
}
