//! Which order of two accesses makes an edge, proved by turning it round.
//!
//! An edge lies between two neighbouring values with different outcomes. Their runs are compared
//! access by access: conflicting accesses to one word that are the other way round in the other
//! run are candidates. A candidate is put to the test in a run that is stopped right before the
//! first of the two: its CPU is held up there, and nothing else is changed. Held up for one cycle
//! less than it takes to turn the order round, the run must come to the outcome that it had; held
//! up for just that long, to the outcome on the other side of the edge, and the pair must be the
//! first thing that is in another order. Then the order is the cause: the delay alone, a cycle
//! shorter, is not.

use super::brute::Subject;
use super::tile::{Point, Side, Verdict, point};
use crate::accesses::{Access, AccessLog, Deed, Key, Role, Word, words};
use crate::backtrace::{Stacks, unwind};
use crate::guest::Guest;
use crate::names::Names;
use crate::simulation::{MachineMemory, RunOptions, Simulation};
use crate::sweep::SweepError;
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use sim_x86::Stop;
use sim_x86::core::regs::Registers;
use sim_x86::ids::CoreId;
use sim_x86::trace::Actor;
use std::collections::BTreeMap;

/// Candidates that are put to the test for one edge.
const CANDIDATES: usize = 8;
/// Accesses to a word that are compared, from the first difference on.
const COMPARED: usize = 256;
/// A store becomes visible after its instruction: so many cycles before that the instruction is
/// looked for.
const LOOK_BACK: u64 = 2_000;
/// Longest time for which a CPU is held up.
const LONGEST: u64 = 1 << 20;
/// Cycles after both accesses are due within which they must have come.
const PATIENCE: u64 = 4_000;

/// What can run a value from the start of the swept values' influence.
pub trait Stage: Sync {
    /// What is swept.
    fn subject(&self) -> &Subject<'_>;

    /// The simulation with the values `at`, before they are used, and how to run it on.
    ///
    /// # Errors
    /// If the scenario does not take the values, or does not boot.
    fn start(&self, at: Point) -> Result<(Simulation, RunOptions), SweepError>;
}

/// A CPU held up in one run, which turned the order of the pair and the outcome with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The swept value of the run.
    pub at: u64,
    /// Who was held up before its access.
    pub delayed: String,
    /// For how many cycles; one less changes neither order nor outcome.
    pub cycles: u64,
}

/// What was found out about the edge between `below` and the value above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The last value of the window below.
    pub below: u64,
    /// The pair whose order makes the edge, as it is above; `None` if none could be proved.
    pub pair: Option<[Side; 2]>,
    /// How it was proved: from below, from above, or both.
    pub flips: Vec<Flip>,
}

/// Finds the pair whose order makes the edge above `below`; `None` if both values lead to the same.
///
/// # Errors
/// If a run breaks off.
pub fn prove(stage: &dyn Stage, below: u64) -> Result<Option<Proof>, SweepError> {
    let (low, high) = (Course::of(stage, below)?, Course::of(stage, below + 1)?);
    if low.verdict == high.verdict {
        return Ok(None);
    }
    let mut proof = Proof { below, pair: None, flips: Vec::new() };
    for [first, second] in inversions(&low.accesses, &high.accesses).into_iter().take(CANDIDATES) {
        let swapped = [counterpart(&high, second.0), counterpart(&high, first.0)];
        let up = low.flip([first.1, second.1], &high.verdict)?;
        let down = high.flip(swapped, &low.verdict)?;
        proof.flips.extend(up.into_iter().chain(down));
        if !proof.flips.is_empty() {
            proof.pair = Some(swapped.map(|access| high.side(&access)));
            break;
        }
    }
    Ok(Some(proof))
}

/// The access of `course` that `key` names: inversions name accesses that both runs have.
fn counterpart(course: &Course<'_>, key: Key) -> Access {
    let found = course.accesses.iter().find(|(other, _)| *other == key);
    found.map_or_else(|| unreachable!("{key:?} is in both runs"), |(_, access)| *access)
}

/// One run of a value, with what it did to the words that matter.
pub(super) struct Course<'a> {
    stage: &'a dyn Stage,
    value: u64,
    /// Before the values were used.
    start: Simulation,
    options: RunOptions,
    log: AccessLog,
    accesses: Vec<(Key, Access)>,
    verdict: Verdict,
}

impl<'a> Course<'a> {
    pub(super) fn of(stage: &'a dyn Stage, value: u64) -> Result<Self, SweepError> {
        let (mut start, options) = stage.start(point(&[value]))?;
        let words = words(&start);
        AccessLog::new(words.clone()).watch(&mut start);
        let (verdict, log) = run(stage, value, start.clone(), &options, &words)?;
        Ok(Course { stage, value, start, options, accesses: log.keyed(), log, verdict })
    }

    /// Accesses and messages.
    pub(super) fn log(&self) -> &AccessLog {
        &self.log
    }

    /// Holds up the first of two accesses until the second comes before it; `None` unless that
    /// alone, and not a cycle less, turns the outcome into `wanted`.
    fn flip(&self, pair: [Access; 2], wanted: &Verdict) -> Result<Option<Flip>, SweepError> {
        let Some(held) = Held::new(self, pair) else { return Ok(None) };
        let Some(cycles) = held.threshold() else { return Ok(None) };
        let run = |cycles| {
            let simulation = held.simulation(cycles);
            run(self.stage, self.value, simulation, &self.options, self.log.words())
        };
        let (kept, before) = run(cycles - 1)?;
        let (turned, after) = run(cycles)?;
        let first = inversions(&before.keyed(), &after.keyed()).into_iter().next();
        let alone = first.is_some_and(|pair| pair.map(|(key, _)| key) == held.pair);
        let proved = kept == self.verdict && turned == *wanted && alone;
        let delayed = held.core.to_string();
        Ok(proved.then_some(Flip { at: self.value, delayed, cycles }))
    }

    /// The simulation right before the instruction of `access` begins.
    fn before(&self, access: &Access) -> Option<(CoreId, Simulation)> {
        let Actor::Core(core) = access.actor else { return None };
        let begin = Cycle(access.at.saturating_sub(LOOK_BACK)).max(self.start.machine().now());
        let mut base = self.start.clone();
        self.advance(&mut base, begin)?;
        let mut walked = base.fork();
        let there = |walked: &Simulation| walked.machine().registers(core).rip == access.rip;
        let (mut was_there, mut since) = (there(&walked), None);
        for cycle in begin.0 + 1..=access.at {
            self.advance(&mut walked, Cycle(cycle))?;
            let is_there = there(&walked);
            if is_there && !was_there {
                since = Some(Cycle(cycle));
            }
            was_there = is_there;
        }
        self.advance(&mut base, since?)?;
        Some((core, base))
    }

    fn advance(&self, simulation: &mut Simulation, until: Cycle) -> Option<()> {
        let stop = simulation.advance(until, self.options.speed, &mut ());
        (stop == Stop::Deadline).then_some(())
    }

    /// The function that an access is made for.
    fn function(&self, access: &Access) -> Option<String> {
        let (core, mut simulation) = self.before(access)?;
        let regs = *simulation.machine().registers(core);
        // Return addresses may still be in the store buffer; they leave it before what follows.
        self.advance(&mut simulation, Cycle(access.at + 1))?;
        Some(function(&simulation, &regs))
    }

    /// Who does what, in words.
    pub(super) fn side(&self, access: &Access) -> Side {
        let word = &self.log.words()[access.word];
        let (verb, name) = (verb(word.role, access.deed), &word.name);
        let function = self.function(access);
        let function = function.unwrap_or_else(|| self.start.loaded().symbols.format(access.rip));
        let who = match access.actor {
            Actor::Core(core) => core.to_string(),
            Actor::Device(device) => {
                let name = self.start.machine().spec().devices[device.index()].name().to_owned();
                return Side { who: name, what: format!("{verb} {}", word.name) };
            }
        };
        Side { who, what: format!("{function} {verb} {name}") }
    }
}

/// Runs on to the outcome.
fn run(
    stage: &dyn Stage,
    value: u64,
    mut simulation: Simulation,
    options: &RunOptions,
    words: &[Word],
) -> Result<(Verdict, AccessLog), SweepError> {
    let mut log = AccessLog::new(words.to_vec());
    let stop = simulation.run_observed(options, &mut log);
    let stop = stop.map_err(|source| stage.subject().broke_off(point(&[value]), source))?;
    let verdict = Verdict::from(&simulation.investigate(&stop).diagnosis.finding);
    Ok((verdict, log))
}

/// A run that is stopped right before the first access of a pair.
struct Held<'a> {
    course: &'a Course<'a>,
    stopped: Simulation,
    core: CoreId,
    /// The pair, as accesses since then.
    pair: [Key; 2],
    /// When it comes if nobody is held up.
    due: u64,
}

impl<'a> Held<'a> {
    fn new(course: &'a Course<'a>, [first, second]: [Access; 2]) -> Option<Self> {
        let (core, stopped) = course.before(&first)?;
        let due = first.at.max(second.at);
        let accesses = since(course, stopped.clone(), due + PATIENCE);
        let key = |access: &Access| {
            let same = |(_, other): &&(Key, Access)| {
                (other.at, other.actor, other.word) == (access.at, access.actor, access.word)
            };
            accesses.iter().find(same).map(|(key, _)| *key)
        };
        let pair = [key(&first)?, key(&second)?];
        Some(Held { course, stopped, core, pair, due })
    }

    fn simulation(&self, cycles: u64) -> Simulation {
        let mut simulation = self.stopped.clone();
        simulation.machine_mut().hold_up(self.core, cycles);
        simulation
    }

    /// True if the second access comes first when the CPU is held up for so long; `None` if one of
    /// them does not come.
    fn turned(&self, cycles: u64) -> Option<bool> {
        let until = self.due + cycles + PATIENCE;
        let accesses = since(self.course, self.simulation(cycles), until);
        let [first, second] =
            self.pair.map(|key| accesses.iter().position(|(other, _)| *other == key));
        Some(first? > second?)
    }

    /// The shortest hold-up that turns the order round, as far as there is one.
    fn threshold(&self) -> Option<u64> {
        let (mut kept, mut turned) = (0, 1);
        while self.turned(turned) != Some(true) {
            kept = turned;
            turned *= 2;
            if turned > LONGEST {
                return None;
            }
        }
        while turned - kept > 1 {
            let middle = kept + (turned - kept) / 2;
            match self.turned(middle) {
                Some(true) => turned = middle,
                _ => kept = middle,
            }
        }
        (self.turned(kept) == Some(false)).then_some(turned)
    }
}

/// The accesses from here to `until`.
fn since(course: &Course<'_>, mut simulation: Simulation, until: u64) -> Vec<(Key, Access)> {
    let mut log = AccessLog::new(course.log.words().to_vec());
    simulation.advance(Cycle(until), course.options.speed, &mut log);
    log.keyed()
}

/// Conflicting accesses that come in this order in `first` and the other way round in `second`,
/// those of two writes first, then by when the later one came.
fn inversions(first: &[(Key, Access)], second: &[(Key, Access)]) -> Vec<[(Key, Access); 2]> {
    let place: BTreeMap<Key, usize> =
        second.iter().enumerate().map(|(index, (key, _))| (*key, index)).collect();
    let mut found = Vec::new();
    for accesses in by_word(first).into_values() {
        let common: Vec<_> =
            accesses.into_iter().filter_map(|one| Some((one, *place.get(&one.0)?))).collect();
        // Before the first access that comes earlier than one before it, nothing is turned round.
        let turned = common.windows(2).position(|two| two[0].1 > two[1].1);
        let Some(turned) = turned else { continue };
        let begin = common.partition_point(|&(_, place)| place < common[turned + 1].1).min(turned);
        let end = (begin + COMPARED).min(common.len());
        for (i, &(later, at)) in common[begin..end].iter().enumerate() {
            let turned = common[begin..begin + i].iter().filter(|&&(_, before)| before > at);
            let conflict = turned.filter(|((key, _), _)| key.writes || later.0.writes);
            found.extend(conflict.map(|&(earlier, _)| [earlier, later]));
        }
    }
    found.sort_by_key(|[a, b]| (!(a.0.writes && b.0.writes), b.1.at, a.1.at, a.0, b.0));
    found
}

fn by_word(accesses: &[(Key, Access)]) -> BTreeMap<usize, Vec<(Key, Access)>> {
    let mut words: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for &(key, access) in accesses {
        words.entry(access.word).or_default().push((key, access));
    }
    words
}

/// What an access does to a word, as a verb.
pub(crate) fn verb(role: Role, deed: Deed) -> &'static str {
    match (role, deed) {
        (_, Deed::Read(_)) => "reads",
        (Role::Lock, Deed::Write { locked: true, .. }) => "takes",
        (Role::Lock, Deed::Write { size: 2, .. }) => "releases",
        (Role::Lock, Deed::Write { new: 0, .. }) => "zeroes",
        (Role::Lock, Deed::Write { .. }) => "overwrites",
        (_, Deed::Write { locked: true, .. }) => "changes",
        (_, Deed::Write { .. }) => "writes",
    }
}

/// Functions that users do not think of: what they are called for counts.
const PRIMITIVES: [&str; 4] = ["_spin_", "_raw_spin_", "__init_waitqueue_head", "__ticket_spin_"];

/// The function that a CPU with `regs` is in, as the source has it: of locks, the one that uses
/// them.
fn function(simulation: &Simulation, regs: &Registers) -> String {
    let (machine, symbols) = (simulation.machine(), &simulation.loaded().symbols);
    let memory = MachineMemory(machine);
    let names = Names { symbols, debug: &Guest::shipped().debug, memory: &memory };
    let trace = unwind(&memory, symbols, &Stacks::of_guest(symbols), regs);
    let primitive = |name: &str| PRIMITIVES.iter().any(|prefix| name.starts_with(prefix));
    let user = trace.frames.iter().find(|frame| !primitive(frame.name()));
    // A return address may already belong to what comes after the call.
    let place = user.map_or(regs.rip, |frame| frame.rip - u64::from(!frame.interrupted));
    names.source_function(place)
}
