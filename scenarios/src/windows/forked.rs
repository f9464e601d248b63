//! Decides a point by a tracked run from the last moment before the values are first used.
//!
//! Everything up to the first use of a swept latency is the same for all values: it is run once.
//! Each point is a fork from there, tracked (see [`sim_x86::tile`]), up to the moment at which its
//! outcome is decided: something is wrong that will not mend
//! ([`Collector::is_decided`](crate::collect::Collector::is_decided)), the request has ended well
//! ([`Collector::is_delivered`](crate::collect::Collector::is_delivered)) and no other one can use
//! the value, or the scenario stops. A run that is not decided for long goes on
//! untracked, and decides its own point only.

use super::brute::Subject;
use super::flip::Stage;
use super::tile::{Bound, Decide, Side, Tile, Verdict};
use crate::diagnosis::StopReason;
use crate::load::Loaded;
use crate::locks::LockState;
use crate::simulation::{RunOptions, Simulation, SimulationError};
use crate::sweep::SweepError;
use sim_x86::Machine;
use sim_x86::dev::{DeviceSpec, Latency};
use sim_x86::ids::{DeviceId, LineAddr};
use sim_x86::tile::pace::{self, Site, Slope};

/// Cycles between two looks at a fork's outcome: the less, the wider the tiles, as nothing that
/// follows the decision can bound them.
const LOOK: u64 = 2_000;
/// Cycles of the first steps in search of the first use, and of the last.
const STEP: u64 = 1 << 24;
const LAST_STEP: u64 = 1 << 12;
/// Most cycles of a tracked run, beyond the swept values.
const TRACKED: u64 = 1 << 23;

/// Decides values by tracked forks of one simulation that has come to their first use.
#[derive(Debug)]
pub struct Forked<'a> {
    subject: Subject<'a>,
    /// The devices whose latencies are swept, one for each parameter.
    swept: Vec<DeviceId>,
    base: Simulation,
    options: RunOptions,
}

/// The device whose constant latency the parameter `path` sets, if it does.
fn device_of(path: &str, loaded: &Loaded) -> Option<DeviceId> {
    let (name, field) = path.strip_prefix("devices.")?.split_once('.')?;
    let position = loaded.spec.devices.iter().position(|device| device.name() == name)?;
    let latency = match &loaded.spec.devices[position] {
        DeviceSpec::Hba(_) => field == "firmware_latency",
        DeviceSpec::IrqSource(_) | DeviceSpec::Stall(_) => false,
    };
    let id = u8::try_from(position).ok()?;
    latency.then_some(DeviceId(id))
}

/// True if one request at most draws a latency of `swept`: all others have theirs listed.
fn uses_once(loaded: &Loaded, swept: &[DeviceId]) -> bool {
    let listed = |id: &DeviceId| match &loaded.spec.devices[id.index()] {
        DeviceSpec::Hba(hba) => hba.first_latencies.len() as u64,
        DeviceSpec::IrqSource(_) | DeviceSpec::Stall(_) => 0,
    };
    // Whichever adapters the requests go to, none draws more often than this.
    swept.iter().all(|id| loaded.requests.is_some_and(|most| most <= listed(id) + 1))
}

impl<'a> Forked<'a> {
    /// Runs the scenario up to the first use of its parameters, with `at` for them. `None` if one
    /// of them is not the latency of a device.
    ///
    /// # Errors
    /// If the scenario does not take the value, or does not boot.
    pub fn new(subject: Subject<'a>, at: [u64; 2]) -> Result<Option<Self>, SweepError> {
        let loaded = subject.load(at).map_err(|diags| SweepError::Refused(Box::new(diags)))?;
        let devices = subject.params.iter().map(|param| device_of(&param.path, &loaded));
        let Some(swept) = devices.collect::<Option<Vec<DeviceId>>>() else { return Ok(None) };
        let once = uses_once(&loaded, &swept);
        let broke_off = |source: SimulationError| SweepError::Simulation {
            setting: subject.settings(at).join(" "),
            source: Box::new(source),
        };
        let mut base = Simulation::new(loaded).map_err(broke_off)?;
        base.boot(subject.options.speed).map_err(broke_off)?;
        let base = before_first_use(base, &swept, &subject.options);
        // Only if no later request uses the value is a delivered completion the end of it.
        let replies = once.then(|| base.collector().replies() + 1);
        let options =
            RunOptions { until_decided: true, replies, look: Some(LOOK), ..subject.options };
        Ok(Some(Forked { subject, swept, base, options }))
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
    pub fn outcome(&self, at: [u64; 2], tracked: bool) -> Result<(Verdict, Machine), SweepError> {
        let (fork, stop) = self.fork(at, tracked)?;
        Ok((verdict(&fork, &stop), fork.machine().clone()))
    }

    /// A fork from before the first use of the values, with these.
    fn with(&self, at: [u64; 2]) -> Simulation {
        let mut fork = self.base.clone();
        for (&device, value) in self.swept.iter().zip(at) {
            fork.machine_mut().set_latency(device, &Latency::Constant(value));
        }
        fork
    }

    fn fork(&self, at: [u64; 2], tracked: bool) -> Result<(Simulation, StopReason), SweepError> {
        let mut fork = self.with(at);
        let mut options = self.options;
        if tracked {
            fork.machine_mut().track(&self.swept);
            let epoch = fork.epoch().unwrap_or_default();
            let most = fork.machine().now().since(epoch) + TRACKED + at[0].saturating_add(at[1]);
            options.limit = Some(options.limit.map_or(most, |limit| limit.min(most)));
        }
        let stop = fork.run(&options).map_err(|source| SweepError::Simulation {
            setting: self.subject.settings(at).join(" "),
            source: Box::new(source),
        })?;
        Ok((fork, stop))
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

/// The simulation as it is shortly before one of `swept` is drawn for the first time, ready to be
/// forked; or at its end, if none ever is.
fn before_first_use(
    mut simulation: Simulation,
    swept: &[DeviceId],
    options: &RunOptions,
) -> Simulation {
    let deadline = simulation.deadline(options);
    let mut step = STEP;
    loop {
        let before = simulation.fork();
        let until = (simulation.machine().now() + step).min(deadline);
        simulation.advance(until, options.speed, &mut ());
        let drawn = |&device: &DeviceId| simulation.machine().latencies_drawn(device) > 0;
        let used = swept.iter().any(drawn);
        if used && step <= LAST_STEP || !used && until == deadline {
            return before;
        }
        if used {
            simulation = before;
            step /= 16;
        }
    }
}

impl Decide for Forked<'_> {
    fn decide(&self, at: [u64; 2]) -> Result<Tile, SweepError> {
        let (mut fork, mut stop) = self.fork(at, true)?;
        let timed = matches!(stop, StopReason::Deadline);
        let bounds = if timed && !self.at_its_end(&fork) {
            (fork, stop) = self.fork(at, false)?;
            Tile::point()
        } else {
            // A time limit is a moment; everything else is decided by what has happened.
            let bounds = fork.machine_mut().tile(timed).unwrap_or_default();
            bounds.iter().map(|(direction, bound)| self.bound(direction, bound)).collect()
        };
        let (verdict, cycles) = (verdict(&fork, &stop), self.cycles(&fork));
        Ok(Tile { at, bounds, verdict: Some(verdict), cycles })
    }

    fn judge(&self, at: [u64; 2]) -> Result<Option<Verdict>, SweepError> {
        let (fork, stop) = self.fork(at, false)?;
        Ok(Some(verdict(&fork, &stop)))
    }

    fn alone(&self, at: [u64; 2]) -> Result<u64, SweepError> {
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

    fn start(&self, at: [u64; 2]) -> Result<(Simulation, RunOptions), SweepError> {
        Ok((self.with(at), self.options))
    }
}
