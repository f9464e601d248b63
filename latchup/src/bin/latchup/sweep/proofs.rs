//! `proofs.jsonl`: what makes each edge. Proofs come from runs of their own, so a shard keeps
//! those of its edges, with the one at its upper end, and merging needs no run.

use super::plan::Plan;
use super::tiles::lines_of;
use crate::fail::Failure;
use crate::out_dir::OutDir;
use rayon::ThreadPool;
use scenarios::sweep::in_order;
use scenarios::windows::flip::{Proof, prove};
use scenarios::windows::{CoverError, Decide, Table};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// The file.
const PROOFS: &str = "proofs.jsonl";

/// What is known of edges, by the last value below each.
pub(crate) type Proofs = BTreeMap<u64, Proof>;

/// The proofs of a folder: none if it has no such file.
pub(crate) fn read(dir: &Path) -> Result<Proofs, Failure> {
    let path = dir.join(PROOFS);
    if !path.exists() {
        return Ok(Proofs::new());
    }
    let (proofs, _) = lines_of::<Proof>(&path, "a proof")?;
    Ok(proofs.into_iter().map(|proof| (proof.below, proof)).collect())
}

/// Writes all proofs of a folder.
pub(crate) fn write(dir: &OutDir, proofs: &Proofs) -> Result<(), Failure> {
    let lines: Vec<String> = proofs.values().map(line).collect::<Result<_, _>>()?;
    dir.write(PROOFS, lines.concat())
}

fn line(proof: &Proof) -> Result<String, Failure> {
    Ok(serde_json::to_string(proof)? + "\n")
}

/// Proves the lowest edges of `table`, as many as the plan wants, and the one at a shard's upper
/// end, if there is one; those of an interrupted sweep are in the folder already.
pub(super) fn complete(
    dir: &OutDir,
    plan: &Plan,
    table: &Table,
    decider: &dyn Decide,
    pool: &ThreadPool,
) -> Result<Proofs, Failure> {
    let Some(stage) = decider.stage() else { return Ok(Proofs::new()) };
    let mut known = read(dir.path("").as_path())?;
    // Again as a whole: a kill may have torn the last line.
    write(dir, &known)?;
    let path = dir.path(PROOFS);
    let mut file = OpenOptions::new().append(true).open(&path).map_err(Failure::write(&path))?;
    let edges = table.provable(plan.proofs).into_iter();
    let mut due: Vec<u64> = edges.map(|index| table.edges[index].below).collect();
    let last = plan.area().map(|area| area.first().1).filter(|&hi| hi < plan.whole().first().1);
    due.extend(last.filter(|_| plan.proofs > 0));
    due.retain(|below| !known.contains_key(below));
    let work = |index: usize| prove(stage, due[index]).map_err(CoverError::from);
    in_order(
        pool,
        due.len(),
        |index| work(index).map_err(Failure::from),
        |proof| {
            let Some(proof) = proof else { return Ok(()) };
            file.write_all(line(&proof)?.as_bytes()).map_err(Failure::write(&path))?;
            known.insert(proof.below, proof);
            Ok(())
        },
    )?;
    Ok(known)
}
