//! Brute-force sweeps: one run for each value of a grid, in parallel, in order.
//!
//! Every value is a run of its own, loaded and booted afresh: nothing is shared, so a row does not
//! depend on the others, on their order or on the number of threads.

use crate::diagnosis::{Finding, FindingKind};
use crate::diagnostics::Diagnostics;
use crate::document::Document;
use crate::guest::Guest;
use crate::load::{Files, Loaded};
use crate::simulation::{RunOptions, Simulation, SimulationError};
use crate::timeline::SweepRow;
use crate::units::{Duration, DurationError};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use sim_core::Hertz;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use thiserror::Error;

/// Why a text is not a swept parameter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// No `=`.
    #[error("a swept parameter needs a range")]
    NoRange,
    /// No `..` on the right.
    #[error("`{0}` is not a range")]
    NotARange(String),
    /// A bound or step that is neither a whole number nor a duration.
    #[error("`{text}`: {error}")]
    Number {
        /// The bound or step.
        text: String,
        /// What is wrong with it as a duration.
        error: DurationError,
    },
    /// Some bounds have units and some have not.
    #[error("a range is either of durations or of plain numbers")]
    Mixed,
    /// The first value is above the last.
    #[error("the range ends before it begins")]
    Backwards,
    /// A step of nothing.
    #[error("a step of 0 never arrives")]
    NoStep,
    /// More values than anybody can run.
    #[error("the range has more than {} values", Grid::MOST)]
    TooMany,
}

impl ParamError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            ParamError::NoRange | ParamError::NotARange(_) => {
                "write PATH=LO..HI or PATH=LO..HI:STEP, e.g. \
                 devices.ioc0.firmware_latency=0cy..10us:100cy"
            }
            ParamError::Number { error: DurationError::NoUnit, .. } | ParamError::Mixed => {
                "give all of LO, HI and STEP units (0cy..10us:100cy), or none (1..8)"
            }
            ParamError::Number { error, .. } => return error.help(),
            ParamError::Backwards => "write the smaller value first",
            ParamError::NoStep => "leave the step out for every value, or write 1 or more",
            ParamError::TooMany => "choose a larger step: PATH=LO..HI:STEP",
        }
        .to_owned()
    }
}

/// A bound as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Plain(u64),
    Time(Duration),
}

impl Bound {
    fn parse(text: &str) -> Result<Self, ParamError> {
        let text = text.trim();
        let digits: String = text.chars().filter(|&c| c != '_').collect();
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            let too_long =
                |_| ParamError::Number { text: text.to_owned(), error: DurationError::TooLong };
            return digits.parse().map(Bound::Plain).map_err(too_long);
        }
        let number = |error| ParamError::Number { text: text.to_owned(), error };
        text.parse().map(Bound::Time).map_err(number)
    }

    /// The number, or the duration in cycles of `clock`.
    fn value(self, clock: Hertz) -> u64 {
        match self {
            Bound::Plain(value) => value,
            Bound::Time(duration) => duration.cycles(clock),
        }
    }
}

/// A parameter and its range as written: `PATH=LO..HI[:STEP]`. Both ends belong to the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Path of the value, as [`Document::set`] takes it.
    pub path: String,
    lo: Bound,
    hi: Bound,
    step: Option<Bound>,
}

impl std::str::FromStr for Param {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        let (path, range) = text.split_once('=').ok_or(ParamError::NoRange)?;
        let not_a_range = || ParamError::NotARange(range.to_owned());
        let (lo, rest) = range.split_once("..").ok_or_else(not_a_range)?;
        let (hi, step) = match rest.split_once(':') {
            Some((hi, step)) => (hi, Some(step)),
            None => (rest, None),
        };
        if lo.trim().is_empty() || hi.trim().is_empty() {
            return Err(not_a_range());
        }
        let mut param = Param {
            path: path.trim().to_owned(),
            lo: Bound::parse(lo)?,
            hi: Bound::parse(hi)?,
            step: step.map(Bound::parse).transpose()?,
        };
        param.agree()?;
        Ok(param)
    }
}

impl Param {
    /// True if the values are durations.
    #[must_use]
    pub fn is_time(&self) -> bool {
        matches!(self.hi, Bound::Time(_))
    }

    /// Holds the bounds to one sort; a bare 0 is a duration among durations.
    fn agree(&mut self) -> Result<(), ParamError> {
        let time = self.is_time();
        if time && self.lo == Bound::Plain(0) {
            self.lo = Bound::Time(Duration::Cycles(0));
        }
        let bounds = [Some(self.lo), self.step];
        let fits = |bound: &Bound| matches!(bound, Bound::Time(_)) == time;
        if bounds.iter().flatten().all(fits) { Ok(()) } else { Err(ParamError::Mixed) }
    }

    /// True if a step is written.
    #[must_use]
    pub fn has_step(&self) -> bool {
        self.step.is_some()
    }

    /// The same range with the step `text`.
    ///
    /// # Errors
    /// If it is not a step for these bounds.
    pub fn with_step(mut self, text: &str) -> Result<Self, ParamError> {
        self.step = Some(Bound::parse(text)?);
        self.agree()?;
        Ok(self)
    }

    /// The first and the last value, durations in cycles of `clock`.
    ///
    /// # Errors
    /// If the first is above the last.
    pub fn range(&self, clock: Hertz) -> Result<(u64, u64), ParamError> {
        let (lo, hi) = (self.lo.value(clock), self.hi.value(clock));
        if lo > hi { Err(ParamError::Backwards) } else { Ok((lo, hi)) }
    }

    /// The values, with durations in cycles of `clock`.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub fn grid(&self, clock: Hertz) -> Result<Grid, ParamError> {
        let step = self.step.map_or(1, |step| step.value(clock));
        if step == 0 {
            return Err(ParamError::NoStep);
        }
        let (lo, hi) = self.range(clock)?;
        if (hi - lo) / step >= Grid::MOST {
            return Err(ParamError::TooMany);
        }
        Ok(Grid { lo, hi, step })
    }

    /// `value` as [`Document::set`] takes it.
    #[must_use]
    pub fn setting(&self, value: u64) -> String {
        let unit = if self.is_time() { "cy" } else { "" };
        format!("{}={value}{unit}", self.path)
    }
}

/// Values of a sweep: `lo`, `lo + step`, … up to `hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// The first value: cycles, or a plain number.
    pub lo: u64,
    /// No value is above this.
    pub hi: u64,
    /// From one value to the next; at least 1.
    pub step: u64,
}

impl Grid {
    /// Most values of one sweep.
    pub const MOST: u64 = 100_000_000;

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from((self.hi - self.lo) / self.step + 1).unwrap_or(usize::MAX)
    }

    /// False: a grid has at least one value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The value at `index`.
    #[must_use]
    pub fn value(&self, index: usize) -> u64 {
        self.lo + self.step * index as u64
    }
}

/// What came out of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// Value and finding.
    pub row: SweepRow,
    /// What lies under the finding, if that is something else.
    pub cause: Option<FindingKind>,
    /// Hash of the whole trace, in hexadecimal.
    pub trace_hash: String,
}

/// Why a sweep cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The scenario has mistakes with this value.
    #[error("the scenario has mistakes")]
    Refused(Box<Diagnostics>),
    /// The simulation broke off.
    #[error("the simulation of {setting} broke off")]
    Simulation {
        /// The value, as `--set` takes it.
        setting: String,
        /// Why.
        #[source]
        source: Box<SimulationError>,
    },
}

/// A sweep over one parameter.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// The scenario, with all other changes made.
    pub document: &'a Document,
    /// Files that it names.
    pub files: &'a (dyn Files + Sync),
    /// The parameter.
    pub param: &'a Param,
    /// How to run.
    pub options: RunOptions,
}

impl std::fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweep").field("param", self.param).finish_non_exhaustive()
    }
}

impl Sweep<'_> {
    /// Loads the scenario with `value`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, value: u64) -> Result<Loaded, Diagnostics> {
        let mut document = self.document.clone();
        document.set_swept(&self.param.setting(value));
        document.load(&Guest::shipped().image, self.files)
    }

    /// Runs the scenario with `value`.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    pub fn run(&self, value: u64) -> Result<SweepRun, SweepError> {
        let loaded = self.load(value).map_err(|diags| SweepError::Refused(Box::new(diags)))?;
        let setting = || self.param.setting(value);
        let broke_off = |source| SweepError::Simulation { setting: setting(), source };
        let Alone { finding, trace_hash, .. } = alone(loaded, &self.options).map_err(broke_off)?;
        Ok(SweepRun {
            row: SweepRow {
                value,
                finding: finding.kind.name().to_owned(),
                cpu: finding.cpu,
                lock_word: finding.lock_word,
            },
            cause: finding.cause,
            trace_hash: format!("{trace_hash:016x}"),
        })
    }
}

/// What a run came to that shared nothing with any other.
#[derive(Debug)]
pub(crate) struct Alone {
    pub(crate) finding: Finding,
    /// Hash of the whole trace.
    pub(crate) trace_hash: u64,
    /// Cycles that were simulated, boot included.
    pub(crate) cycles: u64,
}

/// Runs a scenario from its boot to its outcome.
pub(crate) fn alone(loaded: Loaded, options: &RunOptions) -> Result<Alone, Box<SimulationError>> {
    let mut simulation = Simulation::new(loaded)?;
    let stop = simulation.run(options)?;
    let finding = simulation.investigate(&stop).diagnosis.finding;
    let machine = simulation.machine();
    Ok(Alone { finding, trace_hash: machine.trace_hash(), cycles: machine.now().0 })
}

/// Does `work` for every index below `count` on `pool` and hands the results to `take`, on the
/// caller's thread (which must not be one of the pool's), in order of the indices. Stops at the
/// first error, of `work` or of `take`.
///
/// # Errors
/// The error of the smallest index that had one.
pub fn in_order<T: Send, E: Send>(
    pool: &ThreadPool,
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, results) = mpsc::channel();
    let mut outcome = Ok(());
    pool.in_place_scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            let (sender, next, stop, work) = (sender.clone(), &next, &stop, &work);
            // One task for each thread, which takes the next index when it is done with one: so
            // results come almost in order, and few have to wait for their predecessors.
            scope.spawn(move |_| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more once there is an error.
                    if index >= count || sender.send((index, work(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        outcome = collect(results, &mut take);
        stop.store(true, Ordering::Relaxed);
    });
    outcome
}

/// Takes results in order of their indices; those that come early wait.
fn collect<T, E>(
    results: mpsc::Receiver<(usize, Result<T, E>)>,
    take: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut due = 0;
    for (index, result) in results {
        early.insert(index, result);
        while let Some(result) = early.remove(&due) {
            take(result?)?;
            due += 1;
        }
    }
    Ok(())
}

/// Neighbouring values with the same finding and lock word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// First value.
    pub from: u64,
    /// Last value.
    pub to: u64,
    /// Number of values.
    pub runs: u64,
    /// Kind of the finding.
    pub finding: String,
    /// The lock word.
    pub lock_word: Option<u32>,
}

/// Groups rows, which are in ascending order.
#[must_use]
pub fn bands(rows: &[SweepRow]) -> Vec<Band> {
    let same = |a: &SweepRow, b: &SweepRow| a.finding == b.finding && a.lock_word == b.lock_word;
    let band = |group: &[SweepRow]| {
        let (first, last) = (group.first()?, group.last()?);
        Some(Band {
            from: first.value,
            to: last.value,
            runs: group.len() as u64,
            finding: first.finding.clone(),
            lock_word: first.lock_word,
        })
    };
    rows.chunk_by(same).filter_map(band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Hertz = Hertz(2_000_000_000);

    fn grid(text: &str) -> Result<(u64, u64, u64), ParamError> {
        let grid = text.parse::<Param>()?.grid(CLOCK)?;
        Ok((grid.lo, grid.hi, grid.step))
    }

    #[test]
    fn ranges_are_of_durations_or_of_numbers() {
        assert_eq!(grid("a.b=0cy..10us:100cy"), Ok((0, 20_000, 100)));
        assert_eq!(grid("a.b=0..1us"), Ok((0, 2_000, 1)));
        assert_eq!(grid("tasks[0].cpu=1..8"), Ok((1, 8, 1)));
        assert_eq!(grid("x=1_000..9_000:2_000"), Ok((1_000, 9_000, 2_000)));
        let time: Param = "a=0cy..9cy".parse().expect("a range");
        assert_eq!(time.setting(7), "a=7cy");
        let plain: Param = "a=0..9".parse().expect("a range");
        assert_eq!(plain.setting(7), "a=7");
    }

    #[test]
    fn wrong_ranges_are_refused_with_the_reason() {
        assert_eq!(grid("a.b"), Err(ParamError::NoRange));
        assert_eq!(grid("a=5cy"), Err(ParamError::NotARange("5cy".to_owned())));
        assert_eq!(grid("a=..5cy"), Err(ParamError::NotARange("..5cy".to_owned())));
        assert_eq!(grid("a=1..5us"), Err(ParamError::Mixed));
        assert_eq!(grid("a=1us..5"), Err(ParamError::Mixed));
        assert_eq!(grid("a=0us..5us:1"), Err(ParamError::Mixed));
        assert_eq!(grid("a=5us..1us"), Err(ParamError::Backwards));
        assert_eq!(grid("a=0..5:0"), Err(ParamError::NoStep));
        assert_eq!(grid("a=0s..5s"), Err(ParamError::TooMany));
        let error = grid("a=0cy..5uss").expect_err("no unit");
        assert_eq!(error.to_string(), "`5uss`: unknown unit");
    }

    #[test]
    fn a_grid_ends_where_its_range_does() {
        let grid = Grid { lo: 5, hi: 12, step: 3 };
        let values: Vec<u64> = (0..grid.len()).map(|index| grid.value(index)).collect();
        assert_eq!(values, [5, 8, 11]);
    }

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
    }

    #[test]
    fn results_arrive_in_order_from_any_number_of_threads() {
        for jobs in [1, 2, 7] {
            let mut taken = Vec::new();
            let work = |index: usize| {
                // The earlier, the slower: all but the last would overtake.
                (0..(50 - index) * 1_000).fold(0, |a, b| std::hint::black_box(a ^ b));
                Ok::<_, usize>(index)
            };
            let take = |index| {
                taken.push(index);
                Ok(())
            };
            in_order(&pool(jobs), 50, work, take).expect("no errors");
            assert_eq!(taken, (0..50).collect::<Vec<_>>(), "{jobs} jobs");
        }
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        let mut taken = 0;
        let work = |index| if index % 10 == 7 { Err(index) } else { Ok(index) };
        let take = |_| {
            taken += 1;
            Ok(())
        };
        assert_eq!(in_order(&pool(3), 1_000, work, take), Err(7));
        assert_eq!(taken, 7);
        assert_eq!(in_order(&pool(2), 10, Ok::<usize, &str>, |_| Err("full")), Err("full"));
    }

    #[test]
    fn neighbours_with_equal_outcomes_are_a_band() {
        let row = |value, finding: &str, lock_word| SweepRow {
            value,
            finding: finding.to_owned(),
            cpu: None,
            lock_word,
        };
        let rows = [
            row(0, "lost-completion", None),
            row(1, "lost-completion", None),
            row(2, "lock-corrupted", Some(0x1_0001)),
            row(3, "lock-corrupted", Some(0x1_0002)),
            row(4, "ok", None),
        ];
        let found: Vec<(u64, u64, u64)> =
            bands(&rows).iter().map(|band| (band.from, band.to, band.runs)).collect();
        assert_eq!(found, [(0, 1, 2), (2, 2, 1), (3, 3, 1), (4, 4, 1)]);
        assert!(bands(&[]).is_empty());
    }
}
