//! `tiles.jsonl`: every tile as a line of JSON, written as soon as it is there. A sweep that was
//! killed goes on with what its lines know.

use super::plan::Plan;
use crate::fail::Failure;
use crate::out_dir::OutDir;
use scenarios::windows::Tile;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file.
pub(crate) const TILES: &str = "tiles.jsonl";

/// The file, open at its end.
#[derive(Debug)]
pub(crate) struct Tiles {
    file: File,
    path: PathBuf,
    /// What it had when it was opened.
    pub(crate) known: Vec<Tile>,
}

impl Tiles {
    /// Begins the sweep `plan` in `dir`, or goes on with it.
    pub(crate) fn open(dir: &OutDir, plan: &Plan) -> Result<Self, Failure> {
        let path = dir.path(TILES);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(Failure::write(&path))?;
        if file.try_lock().is_err() {
            return Err(Failure::usage(
                format!("another sweep is writing to {}", path.display()),
                "wait for it, or choose another folder with --out",
            ));
        }
        plan.settle(dir)?;
        let (known, kept) = complete_lines(&path)?;
        let cut = |file: &mut File| -> io::Result<u64> {
            file.set_len(kept)?;
            file.seek(SeekFrom::Start(kept))
        };
        cut(&mut file).map_err(Failure::write(&path))?;
        Ok(Tiles { file, path, known })
    }

    /// Adds a tile. It is in the file when this returns: `kill` cannot take it away.
    pub(crate) fn push(&mut self, tile: &Tile) -> Result<(), Failure> {
        let line = serde_json::to_string(tile)? + "\n";
        self.file.write_all(line.as_bytes()).map_err(Failure::write(&self.path))
    }
}

/// The tiles of a file, and the bytes that they take: a line that a kill tore does not count.
pub(crate) fn complete_lines(path: &Path) -> Result<(Vec<Tile>, u64), Failure> {
    lines_of(path, "a tile")
}

/// What the lines of a file hold, each `what`, and the bytes that they take.
pub(super) fn lines_of<T: DeserializeOwned>(
    path: &Path,
    what: &str,
) -> Result<(Vec<T>, u64), Failure> {
    let bytes = fs::read(path).map_err(Failure::read(path))?;
    let kept = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let lines = bytes[..kept].split_inclusive(|&byte| byte == b'\n');
    let value = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            Failure::usage(
                format!("line {} of {} is not {what}: {error}", index + 1, path.display()),
                "remove the folder to begin anew, or choose another one with --out",
            )
        })
    };
    let values = lines.enumerate().map(value).collect::<Result<_, _>>()?;
    Ok((values, kept as u64))
}
