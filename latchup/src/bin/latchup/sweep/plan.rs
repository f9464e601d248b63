//! `plan.json`: what an exact sweep is about. It is written first, and a sweep goes on in its
//! folder only if it is about the same.

use crate::fail::Failure;
use crate::out_dir::OutDir;
use scenarios::windows::{Area, Point, VALUES};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The file.
pub(crate) const PLAN: &str = "plan.json";
/// Version of the files of exact sweeps.
pub(crate) const FORMAT: u32 = 1;

/// What is swept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Version of this file and `tiles.jsonl`.
    pub(crate) format: u32,
    /// The scenario's title.
    pub(crate) title: String,
    /// SHA-256 of the scenario's text and of everything that it is loaded with.
    pub(crate) digest: String,
    /// The parameters, from one on.
    pub(crate) parameters: Vec<Parameter>,
    /// Part of the range; absent for all of it.
    pub(crate) shard: Option<Shard>,
    /// Other changes of the command line.
    pub(crate) set: Vec<String>,
    /// Time limit of the command line.
    pub(crate) until: Option<String>,
    /// True if runs go on after their outcome is decided.
    pub(crate) full: bool,
    /// Edges whose causes are proved, at most.
    pub(crate) proofs: usize,
    /// The command that runs the scenario with its own values.
    pub(crate) run: Vec<String>,
}

/// A swept parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    /// Its path.
    pub(crate) path: String,
    /// Core clock in Hz if its values are durations in cycles.
    pub(crate) clock_hz: Option<u64>,
    /// The first value.
    pub(crate) lo: u64,
    /// The last value.
    pub(crate) hi: u64,
}

/// One of several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Which, from 0.
    pub(crate) index: u64,
    /// Of how many.
    pub(crate) count: u64,
}

impl Parameter {
    /// `value` as `--set` takes it.
    pub(crate) fn setting(&self, value: u64) -> String {
        format!("{}={value}{}", self.path, self.unit())
    }

    /// What stands behind its values.
    pub(crate) fn unit(&self) -> &'static str {
        if self.clock_hz.is_some() { "cy" } else { "" }
    }
}

impl Plan {
    /// The plan without its shard.
    pub(crate) fn unsharded(&self) -> Plan {
        Plan { shard: None, ..self.clone() }
    }

    /// The whole range, whatever the shard.
    pub(crate) fn whole(&self) -> Area {
        let range = |parameter: &Parameter| (parameter.lo, parameter.hi);
        Area::new(&self.parameters.iter().map(range).collect::<Vec<_>>())
    }

    /// The part of it that is this plan's; `None` if there is no such part.
    pub(crate) fn area(&self) -> Option<Area> {
        match self.shard {
            None => Some(self.whole()),
            Some(Shard { index, count }) => self.whole().part(index, count),
        }
    }

    /// The command that runs the scenario at `at`.
    pub(crate) fn command(&self, at: Point) -> String {
        let mut words = self.run.clone();
        for (parameter, value) in self.parameters.iter().zip(at) {
            words.extend(["--set".to_owned(), parameter.setting(value)]);
        }
        crate::shell::join(words)
    }

    /// What differs from `other`, in words; the name of the scenario's file does not matter.
    pub(crate) fn differences(&self, other: &Plan) -> Vec<&'static str> {
        let paths = |plan: &Plan| -> Vec<String> {
            plan.parameters.iter().map(|parameter| parameter.path.clone()).collect()
        };
        let parameters = paths(self) != paths(other);
        let parts = [
            (self.format != other.format, "the format of latchup's files"),
            (parameters, "the parameters"),
            (!parameters && self.parameters != other.parameters, "the range"),
            (self.set != other.set, "--set, --seed or --cores"),
            (self.until != other.until, "--until"),
            (self.full != other.full, "--full"),
            (self.proofs != other.proofs, "--proofs"),
            (self.shard != other.shard, "the shard"),
            (self.digest != other.digest, "the scenario or a file that it names"),
        ];
        parts.into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name).collect()
    }

    /// Writes the plan to `dir`, or makes sure that the one that is there is about the same.
    pub(crate) fn settle(&self, dir: &OutDir) -> Result<(), Failure> {
        let path = dir.path(PLAN);
        let Some(there) = read(&path)? else {
            return dir.write(PLAN, serde_json::to_string_pretty(self)? + "\n");
        };
        let differences = self.differences(&there);
        if differences.is_empty() {
            return Ok(());
        }
        Err(Failure::usage(
            format!("{} belongs to a different sweep: {}", path.display(), differences.join(", ")),
            "choose another folder with --out, or remove this one",
        ))
    }
}

/// The plan of a folder; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Plan>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::read(path)(error)),
    };
    let wrong = |why: String| {
        Failure::usage(
            format!("{} is not the plan of a sweep: {why}", path.display()),
            "choose another folder with --out, or remove this one",
        )
    };
    let plan: Plan = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let count = plan.parameters.len();
    if !(1..=VALUES).contains(&count) {
        return Err(wrong(format!("it has {count} parameters")));
    }
    match plan.parameters.iter().find(|parameter| parameter.lo > parameter.hi) {
        Some(Parameter { path, .. }) => Err(wrong(format!("the range of {path} is empty"))),
        None => Ok(Some(plan)),
    }
}
