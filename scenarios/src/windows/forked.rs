//! Decides a point by a tracked run from the last moment before the values are first used.
//!
//! Everything up to the first use of a swept time is the same for all values: it is run once.
//! Each point is a fork from there, tracked (see [`sim_x86::tile`]), up to the moment at which its
//! outcome is decided: something is wrong that will not mend
//! ([`Collector::is_decided`](crate::collect::Collector::is_decided)), the request has ended well
//! ([`Collector::is_delivered`](crate::collect::Collector::is_delivered)) and no other one can use
//! the value, or the scenario stops. A run that is not decided for long goes on
//! untracked, and decides its own point only.

use super::brute::{Brute, Subject};
use super::flip::Stage;
use super::swept::{is_used, serve_one_request, swept};
use super::tile::{Bound, Decide, Point, Side, Tile, Verdict};
use crate::diagnosis::StopReason;
use crate::locks::LockState;
use crate::simulation::{RunOptions, Simulation, SimulationError};
use crate::sweep::SweepError;
use sim_x86::Machine;
use sim_x86::ids::LineAddr;
use sim_x86::tile::pace::{self, Site, Slope};
use sim_x86::tile::swept::Swept;

/// Cycles between two looks at a fork's outcome: the less, the wider the tiles, as nothing that
/// follows the decision can bound them.
const LOOK: u64 = 2_000;
/// Cycles for which a run goes on when its outcome is settled. A tile is about as wide at most, if
/// anything of another pace is still under way then.
const WATCH: u64 = 8_000;
/// Cycles of the first steps in search of the first use, and of the last.
const STEP: u64 = 1 << 24;
const LAST_STEP: u64 = 1 << 12;
/// Most cycles of a tracked run, beyond the swept values.
const TRACKED: u64 = 1 << 23;

/// Decides values by tracked forks of one simulation that has come to their first use.
#[derive(Debug)]
pub struct Forked<'a> {
    subject: Subject<'a>,
    /// What is swept, one for each parameter, and the least values that the forks can have.
    swept: Vec<Swept>,
    least: Point,
    base: Simulation,
    options: RunOptions,
}

impl<'a> Forked<'a> {
    /// Runs the scenario up to the first use of its parameters, with `at`, the least values, for
    /// them. `None` if one of them is not a time that tracked runs follow, or is used by the boot.
    ///
    /// # Errors
    /// If the scenario does not take the value, or does not boot.
    pub fn new(subject: Subject<'a>, at: Point) -> Result<Option<Self>, SweepError> {
        let loaded = subject.load(at).map_err(|diags| SweepError::Refused(Box::new(diags)))?;
        let times = subject.params.iter().map(|param| swept(&param.path, &loaded));
        let Some(swept) = times.collect::<Option<Vec<Swept>>>() else { return Ok(None) };
        let once = serve_one_request(&loaded, &swept);
        let broke_off = |source: SimulationError| subject.broke_off(at, source);
        let mut base = Simulation::new(loaded).map_err(broke_off)?;
        base.boot_without(&swept, subject.options.speed).map_err(broke_off)?;
        let values = || swept.iter().copied().zip(at);
        if values().any(|(swept, value)| is_used(&base, swept, value)) {
            return Ok(None);
        }
        let used = |base: &Simulation| values().any(|(swept, value)| is_used(base, swept, value));
        let base = before_first_use(base, used, &subject.options).map_err(broke_off)?;
        // Only if no later request uses the value is a delivered completion the end of it.
        let replies = once.then(|| base.collector().replies() + 1);
        let options =
            RunOptions { until_decided: true, replies, look: Some(LOOK), ..subject.options };
        Ok(Some(Forked { subject, swept, least: at, base, options }))
    }

    /// Cycles that all points have in common.
    #[must_use]
    pub fn shared_cycles(&self) -> u64 {
        self.base.machine().now().0
    }

    /// What `at` leads to, and the machine at the moment at which that was decided.
    ///
    /// # Errors
    /// If the run breaks off.
    pub fn outcome(&self, at: Point, tracked: bool) -> Result<(Verdict, Machine), SweepError> {
        let (fork, stop) = self.fork(at, tracked)?;
        Ok((verdict(&fork, &stop), fork.machine().clone()))
    }

    /// A fork from before the first use of the values, with these.
    fn with(&self, at: Point) -> Simulation {
        let mut fork = self.base.clone();
        let epoch = fork.epoch().unwrap_or_default();
        for (swept, value) in self.values(at) {
            fork.machine_mut().set_swept(swept, value, epoch);
        }
        fork
    }

    fn values(&self, at: Point) -> Vec<(Swept, u64)> {
        self.swept.iter().copied().zip(at).collect()
    }

    fn fork(&self, at: Point, tracked: bool) -> Result<(Simulation, StopReason), SweepError> {
        let mut fork = self.with(at);
        let mut options = self.options;
        if tracked {
            fork.machine_mut().track(&self.values(at));
            let epoch = fork.epoch().unwrap_or_default();
            let swept = at.into_iter().fold(0, u64::saturating_add);
            let most = (fork.machine().now().since(epoch) + TRACKED).saturating_add(swept);
            options.limit = Some(options.limit.map_or(most, |limit| limit.min(most)));
        }
        let stop = fork.run(&options).map_err(|source| self.subject.broke_off(at, source))?;
        Ok((fork, stop))
    }

    /// True if `at` uses a value before the moment from which the forks start.
    fn is_before_base(&self, at: Point) -> bool {
        let early = |(swept, value, least): (&Swept, u64, u64)| {
            matches!(swept, Swept::Arrival(_)) && value < least
        };
        let values = self.swept.iter().zip(at).zip(self.least);
        values.map(|((swept, value), least)| (swept, value, least)).any(early)
    }

    /// The outcome is settled, but the run goes on for a while: what comes in that time is known to
    /// leave alone what has settled it.
    fn watch_on(&self, fork: &mut Simulation) {
        let limit = fork.deadline(&self.options);
        fork.machine_mut().settle(limit);
        let until = fork.machine().now() + WATCH;
        fork.advance(until, self.options.speed, &mut ());
    }

    fn bound(&self, direction: Slope, bound: pace::Bound) -> Bound {
        let pair = bound.pair.map(|pair| pair.map(|site| self.side(site)));
        Bound { direction, slack: bound.slack, pair }
    }

    /// True if the scenario's own limit has been reached.
    fn at_its_end(&self, fork: &Simulation) -> bool {
        fork.machine().now() >= fork.deadline(&self.options)
    }

    fn cycles(&self, fork: &Simulation) -> u64 {
        fork.machine().now() - self.base.machine().now()
    }

    /// A line by the watched words in it, or by its address.
    fn line(&self, line: LineAddr) -> String {
        let collector = self.base.collector();
        let words = collector.locks().iter().map(LockState::word);
        let mut names = words.filter(|word| word.addr.line() == line).map(|word| &word.name);
        names
            .next()
            .map_or_else(|| format!("line {:#x}", line.base()), |n| format!("the line of {n}"))
    }

    fn side(&self, site: Site) -> Side {
        let symbols = &self.base.loaded().symbols;
        let (who, what) = match site {
            Site::Access { core, rip, line } => {
                let what = format!("{} touches {}", symbols.format(rip), self.line(line));
                (core.to_string(), what)
            }
            Site::Line { core, line } => {
                let who = core.map_or("a device".to_owned(), |core| core.to_string());
                (who, format!("a request for {}", self.line(line)))
            }
            Site::Boundary { core, rip } => {
                (core.to_string(), format!("before {}", symbols.format(rip)))
            }
            Site::Arrival { core } => (core.to_string(), "an interrupt arrives".to_owned()),
            Site::Device(device) => {
                let name = self.base.machine().spec().devices[device.index()].name();
                (name.to_owned(), "an event in the device".to_owned())
            }
            Site::Look => ("the run".to_owned(), "is looked at".to_owned()),
        };
        Side { who, what }
    }
}

fn verdict(fork: &Simulation, stop: &StopReason) -> Verdict {
    Verdict::from(&fork.investigate(stop).diagnosis.finding)
}

/// The simulation as it is shortly before it is `used` for the first time, ready to be forked; or
/// before its end, if it never is.
fn before_first_use(
    mut simulation: Simulation,
    used: impl Fn(&Simulation) -> bool,
    options: &RunOptions,
) -> Result<Simulation, SimulationError> {
    let epoch = simulation.epoch().unwrap_or_default();
    let deadline = simulation.deadline(options);
    let mut step = STEP;
    loop {
        let before = simulation.fork();
        let until = (simulation.machine().now() + step).min(deadline);
        let options = RunOptions { limit: Some(until.since(epoch)), ..*options };
        let ended = simulation.run(&options)? != StopReason::Deadline || until == deadline;
        if (ended || used(&simulation)) && step <= LAST_STEP {
            return Ok(before);
        }
        if ended || used(&simulation) {
            simulation = before;
            step /= 16;
        }
    }
}

impl Decide for Forked<'_> {
    fn decide(&self, at: Point) -> Result<Tile, SweepError> {
        if self.is_before_base(at) {
            return Brute(self.subject).decide(at);
        }
        let (mut fork, mut stop) = self.fork(at, true)?;
        let mut decided = verdict(&fork, &stop);
        let timed = matches!(stop, StopReason::Deadline);
        let bounds = if timed && !self.at_its_end(&fork) {
            (fork, stop) = self.fork(at, false)?;
            decided = verdict(&fork, &stop);
            Tile::point(self.swept.len())
        } else {
            // A time limit is a moment; everything else is decided by what has happened.
            if !timed {
                self.watch_on(&mut fork);
            }
            let bounds = fork.machine_mut().tile(timed).unwrap_or_default();
            bounds.iter().map(|(direction, bound)| self.bound(direction, bound)).collect()
        };
        Ok(Tile { at, bounds, verdict: Some(decided), cycles: self.cycles(&fork) })
    }

    fn judge(&self, at: Point) -> Result<Option<Verdict>, SweepError> {
        if self.is_before_base(at) {
            return Brute(self.subject).judge(at);
        }
        let (fork, stop) = self.fork(at, false)?;
        Ok(Some(verdict(&fork, &stop)))
    }

    fn alone(&self, at: Point) -> Result<u64, SweepError> {
        if self.is_before_base(at) {
            return Brute(self.subject).alone(at);
        }
        let (fork, _) = self.fork(at, false)?;
        Ok(self.shared_cycles() + self.cycles(&fork))
    }

    fn stage(&self) -> Option<&dyn Stage> {
        Some(self)
    }
}

impl Stage for Forked<'_> {
    fn subject(&self) -> &Subject<'_> {
        &self.subject
    }

    fn start(&self, at: Point) -> Result<(Simulation, RunOptions), SweepError> {
        Ok((self.with(at), self.options))
    }
}
