//! The folder of a sweep: `sweep.json` says what is swept, `sweep.csv` gets a row for each run as
//! soon as all rows before it are there. A sweep that was killed goes on where its rows end.

use crate::fail::Failure;
use crate::out_dir::OutDir;
use scenarios::sweep::{Grid, SweepRun};
use scenarios::timeline::{SweepRow, SweepTable};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// The rows.
pub(crate) const CSV: &str = "sweep.csv";
/// The description.
pub(crate) const JSON: &str = "sweep.json";
/// The first line of [`CSV`].
const HEADER: &str = "value,finding,cpu,lock_word,cause,trace_hash";
/// Version of both files.
pub(crate) const FORMAT: u32 = 1;

/// What is swept: the contents of `sweep.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The scenario's title.
    pub(crate) title: String,
    /// SHA-256 of the scenario's text and of everything that it is loaded with.
    pub(crate) digest: String,
    /// Path of the parameter.
    pub(crate) param: String,
    /// Core clock in Hz if the values are durations in cycles.
    pub(crate) clock_hz: Option<u64>,
    /// The values.
    #[serde(flatten)]
    pub(crate) grid: Grid,
    /// Other changes of the command line.
    pub(crate) set: Vec<String>,
    /// Time limit of the command line.
    pub(crate) until: Option<String>,
    /// True if runs go on after their outcome is decided.
    pub(crate) full: bool,
}

impl Description {
    /// What differs from `other`, in words.
    fn differences(&self, other: &Description) -> Vec<&'static str> {
        let parts = [
            (self.format != other.format, "the format of latchup's files"),
            (self.param != other.param, "the parameter"),
            (self.grid != other.grid || self.clock_hz != other.clock_hz, "the range"),
            (self.set != other.set, "--set, --seed or --cores"),
            (self.until != other.until, "--until"),
            (self.full != other.full, "--full"),
            (self.digest != other.digest, "the scenario or a file that it names"),
        ];
        parts.into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name).collect()
    }
}

/// `sweep.csv`, open at its end.
#[derive(Debug)]
pub(crate) struct Rows {
    file: File,
    path: std::path::PathBuf,
    /// Rows in the file, in ascending order of their values.
    pub(crate) done: Vec<SweepRow>,
}

impl Rows {
    /// Begins the sweep `description` in `dir`, or goes on with it.
    pub(crate) fn open(dir: &OutDir, description: &Description) -> Result<Self, Failure> {
        let path = dir.path(CSV);
        let mut file = OpenOptions::new();
        let mut file = file
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Failure::write(&path))?;
        if file.try_lock().is_err() {
            return Err(Failure::usage(
                format!("another sweep is writing to {}", path.display()),
                "wait for it, or choose another folder with --out",
            ));
        }
        let bytes = fs::read(&path).map_err(Failure::read(&path))?;
        settle(dir, description, !bytes.is_empty())?;
        let (done, kept) = complete_rows(&path, &bytes, &description.grid)?;
        let prepare = |file: &mut File| -> io::Result<()> {
            file.set_len(kept)?;
            file.seek(SeekFrom::Start(kept))?;
            if kept == 0 { writeln!(file, "{HEADER}") } else { Ok(()) }
        };
        prepare(&mut file).map_err(Failure::write(&path))?;
        Ok(Rows { file, path, done })
    }

    /// Adds a row. It is in the file when this returns: `kill` cannot take it away.
    pub(crate) fn push(&mut self, run: SweepRun) -> Result<(), Failure> {
        self.file.write_all(line(&run).as_bytes()).map_err(Failure::write(&self.path))?;
        self.done.push(run.row);
        Ok(())
    }
}

/// Writes `sweep.json`, or makes sure that the one that is there describes the same sweep.
fn settle(dir: &OutDir, description: &Description, has_rows: bool) -> Result<(), Failure> {
    let path = dir.path(JSON);
    let help = "choose another folder with --out, or remove this one";
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_rows => {
            return dir.write(JSON, serde_json::to_string_pretty(description)? + "\n");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message =
                format!("{} has rows but no {JSON} that describes them", dir.path(CSV).display());
            return Err(Failure::usage(message, help));
        }
        Err(error) => return Err(Failure::read(&path)(error)),
    };
    let differences = match serde_json::from_str::<Description>(&text) {
        Ok(there) if there == *description => return Ok(()),
        Ok(there) => description.differences(&there).join(", "),
        Err(_) => "it is not a description of a sweep".to_owned(),
    };
    let message = format!("{} belongs to a different sweep: {differences}", path.display());
    Err(Failure::usage(message, help))
}

/// A row as it stands in the file.
fn line(run: &SweepRun) -> String {
    let SweepRow { value, finding, cpu, lock_word } = &run.row;
    let cpu = cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
    let word = lock_word.map(|word| format!("{word:#010x}")).unwrap_or_default();
    let cause = run.cause.map(scenarios::diagnosis::FindingKind::name).unwrap_or_default();
    format!("{value},{finding},{cpu},{word},{cause},{}\n", run.trace_hash)
}

/// A row from its line.
fn parse(line: &str) -> Option<SweepRow> {
    let fields: Vec<&str> = line.split(',').collect();
    let [value, finding, cpu, word, _, hash] = fields.as_slice() else { return None };
    let optional = |text: &str, radix| match text {
        "" => Some(None),
        digits => u32::from_str_radix(digits, radix).ok().map(Some),
    };
    let whole = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    Some(SweepRow {
        value: value.parse().ok().filter(|_| whole)?,
        finding: (*finding).to_owned(),
        cpu: optional(cpu, 10)?,
        lock_word: optional(word.strip_prefix("0x").unwrap_or(word), 16)?,
    })
}

/// The complete rows of the file, which must be those of the first values of `grid`, and the
/// bytes that they and the header take.
fn complete_rows(path: &Path, bytes: &[u8], grid: &Grid) -> Result<(Vec<SweepRow>, u64), Failure> {
    let kept = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let damaged = |number: usize| {
        let message = format!("line {number} of {} is not of this sweep", path.display());
        Failure::usage(
            message,
            "remove the file to begin anew, or choose another folder with --out",
        )
    };
    let text = std::str::from_utf8(&bytes[..kept]).map_err(|_| damaged(1))?;
    let mut lines = text.lines();
    if kept > 0 && lines.next() != Some(HEADER) {
        return Err(damaged(1));
    }
    let mut rows = Vec::new();
    for (index, line) in lines.enumerate() {
        let due = (index < grid.len()).then(|| grid.value(index));
        let row = parse(line).filter(|row| Some(row.value) == due);
        rows.push(row.ok_or_else(|| damaged(index + 2))?);
    }
    Ok((rows, kept as u64))
}

/// The outcomes in the folder of a sweep, finished or not; `None` if there is no sweep.
pub(crate) fn read(dir: &Path) -> Result<Option<SweepTable>, Failure> {
    let (json, csv) = (dir.join(JSON), dir.join(CSV));
    let text = match fs::read_to_string(&json) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Failure::read(&json))?,
    };
    let description: Description = serde_json::from_str(&text)?;
    let bytes = fs::read(&csv).map_err(Failure::read(&csv))?;
    let (rows, _) = complete_rows(&csv, &bytes, &description.grid)?;
    Ok(Some(SweepTable { param: description.param, clock_hz: description.clock_hz, rows }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::diagnosis::FindingKind;

    const GRID: Grid = Grid { lo: 10, hi: 30, step: 10 };

    fn rows(text: &str) -> Result<(Vec<u64>, u64), String> {
        let (rows, kept) = complete_rows(Path::new("f.csv"), text.as_bytes(), &GRID)
            .map_err(|failure| failure.to_string())?;
        Ok((rows.iter().map(|row| row.value).collect(), kept))
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let row = SweepRow {
            value: 700,
            finding: "lock-corrupted".to_owned(),
            cpu: Some(18),
            lock_word: Some(0x0001_0001),
        };
        let run = SweepRun {
            row: row.clone(),
            cause: Some(FindingKind::LockCorrupted),
            trace_hash: "0123456789abcdef".to_owned(),
        };
        let text = line(&run);
        assert_eq!(text, "700,lock-corrupted,18,0x00010001,lock-corrupted,0123456789abcdef\n");
        assert_eq!(parse(text.trim_end()), Some(row));
        let plain = parse("5,ok,,,,0123456789abcdef").expect("a row");
        assert_eq!((plain.cpu, plain.lock_word), (None, None));
    }

    #[test]
    fn a_torn_line_is_cut_and_nothing_else() {
        let ok = |value: u32| format!("{value},ok,,,,0123456789abcdef\n");
        let two = format!("{HEADER}\n{}{}", ok(10), ok(20));
        let kept = two.len() as u64;
        assert_eq!(rows(&two), Ok((vec![10, 20], kept)));
        assert_eq!(rows(&format!("{two}30,o")), Ok((vec![10, 20], kept)));
        assert_eq!(rows("value,fin"), Ok((vec![], 0)));
        assert_eq!(rows(""), Ok((vec![], 0)));
        let gap = format!("{HEADER}\n{}{}", ok(10), ok(30));
        assert_eq!(rows(&gap), Err("line 3 of f.csv is not of this sweep".to_owned()));
        assert!(rows("something else\n").is_err());
        let more = format!("{two}{}{}", ok(30), ok(40));
        assert!(rows(&more).is_err(), "a row beyond the range");
    }
}
