//! A loaded scenario on its machine: boot, run, find out what happened.
//!
//! A [`Simulation`] is a value like the machine in it: clone it to fork a run.
//!
//! ```
//! use scenarios::document::Document;
//! use scenarios::guest::Guest;
//! use scenarios::simulation::{NoFiles, RunOptions, Simulation};
//!
//! let text = r#"Scenario(
//!     title: "one task",
//!     machine: (preset: "westmere-ep", cores: 2),
//!     tasks: [(comm: "hello", cpu: 1, run: [Compute("10us")])],
//!     until: AnyOf([AllTasksDone, Time("1ms")]),
//! )"#;
//! let document = Document::parse("hello.ron", text).expect("well-formed");
//! let loaded = document.load(&Guest::shipped().image, &NoFiles).expect("a valid scenario");
//! let mut simulation = Simulation::new(loaded).expect("a valid machine");
//! let stop = simulation.run(&RunOptions::default()).expect("it boots");
//! assert_eq!(simulation.investigate(&stop).diagnosis.finding.kind.name(), "ok");
//! ```

mod snapshot;

pub use snapshot::RestoreError;

use crate::backtrace::Stacks;
use crate::collect::Collector;
use crate::diagnosis::StopReason;
use crate::dwarf::DebugInfo;
use crate::guest::Guest;
use crate::guest_memory::GuestMemory;
use crate::investigate::{Investigation, Subject, investigate};
use crate::load::{Files, Loaded, Until};
use crate::report::{MachineName, Report, RunFacts, ScenarioName};
use crate::watch_list::watch_list;
use sim_core::Cycle;
use sim_x86::core::regs::Registers;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::machine::invariants::Broken;
use sim_x86::spec::SpecErrors;
use sim_x86::tile::swept::Swept;
use sim_x86::trace::{Observer, Record, TraceMask};
use sim_x86::{Machine, Speed, Start, Stop};
use std::sync::Arc;
use thiserror::Error;

/// Cycles between two looks at what no event tells: broken invariants, and a clear outcome.
const LOOK: u64 = 1_000_000;
/// Simulated time after which a guest that has not booted is given up.
const BOOT_NS: u64 = 10_000_000_000;
/// Simulated time after the epoch at which a scenario without a time limit ends.
const LIMIT_NS: u64 = 600_000_000_000;

/// A scenario without files beside it.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _name: &str) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// How to run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Exact speed-ups.
    pub speed: Speed,
    /// Ends the run so many cycles after the epoch, whatever the scenario says.
    pub limit: Option<u64>,
    /// Ends the run once something is wrong that cannot mend itself, instead of waiting for the
    /// guest's own detectors.
    pub until_decided: bool,
    /// With `until_decided`: stop, too, when so many replies of devices have come and the last one
    /// has reached its waiter (see [`Collector::is_delivered`]).
    pub replies: Option<u64>,
    /// Cycles between two looks at the outcome.
    pub look: Option<u64>,
    /// Checks the machine's invariants every million cycles.
    pub check: bool,
}

/// Why a simulation cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The machine cannot be built.
    #[error(transparent)]
    Spec(#[from] SpecErrors),
    /// The guest kernel did not come up.
    #[error("the guest did not boot: {stop:?} at cycle {at}; console: {console}")]
    NotBooted {
        /// How the machine stopped.
        stop: Stop,
        /// When.
        at: u64,
        /// What the guest had to say.
        console: String,
    },
    /// The machine broke one of its invariants: a bug of latchup.
    #[error("the machine is inconsistent at cycle {at}")]
    Broken {
        /// When it was seen.
        at: u64,
        /// What.
        #[source]
        broken: Broken,
    },
}

/// A machine's memory as the guest kernel sees it.
#[derive(Clone, Copy, Debug)]
pub struct MachineMemory<'a>(pub &'a Machine);

impl GuestMemory for MachineMemory<'_> {
    fn read(&self, va: u64, bytes: &mut [u8]) -> bool {
        self.0.read_virtual(va, bytes)
    }
}

/// Hands records on to two observers.
struct Both<'a>(&'a mut Collector, &'a mut dyn Observer);

impl Observer for Both<'_> {
    fn wants(&self) -> TraceMask {
        self.0.wants() | self.1.wants()
    }

    fn on(&mut self, record: &Record) {
        self.0.on(record);
        self.1.on(record);
    }
}

/// A scenario and its machine.
#[derive(Clone, Debug)]
pub struct Simulation {
    loaded: Arc<Loaded>,
    machine: Machine,
    collector: Collector,
    /// Cycle at which the scenario's time began; `None` before.
    epoch: Option<Cycle>,
}

impl Simulation {
    /// Puts `loaded` into the memory of a new machine and starts its CPUs.
    ///
    /// # Errors
    /// If the machine cannot be built.
    pub fn new(loaded: Loaded) -> Result<Self, SimulationError> {
        let mut machine = Machine::new(loaded.spec.clone())?;
        for segment in &loaded.segments {
            machine.write_physical(segment.addr, &segment.bytes);
        }
        for start in &loaded.starts {
            machine.start_core(start.core, Start { rip: start.rip, rdi: start.rdi, rsp: 0 });
        }
        let spec = watch_list(&loaded, Self::debug(), &MachineMemory(&machine));
        let collector = Collector::new(spec);
        for (addr, len) in collector.watched() {
            machine.watch(addr, len);
        }
        Ok(Simulation { loaded: Arc::new(loaded), machine, collector, epoch: None })
    }

    fn debug() -> &'static DebugInfo {
        &Guest::shipped().debug
    }

    /// What is being simulated.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine, to change it as a debugger would.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// What was seen so far.
    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Cycle at which the scenario's time began, if the guest has booted.
    #[must_use]
    pub fn epoch(&self) -> Option<Cycle> {
        self.epoch
    }

    /// Cycle that lies `ns` nanoseconds after the epoch (after the start, before it is known).
    #[must_use]
    pub fn at_ns(&self, ns: u64) -> Cycle {
        self.epoch.unwrap_or_default() + self.machine.spec().clock.cycles_in_ns(ns)
    }

    /// Runs until the guest says that it is up; then devices are armed. Does nothing the second
    /// time.
    ///
    /// # Errors
    /// If the guest does not come up.
    pub fn boot(&mut self, speed: Speed) -> Result<Cycle, SimulationError> {
        self.boot_without(&[], speed)
    }

    /// Like [`Simulation::boot`], but leaves the arrivals in `held` to
    /// [`Machine::set_swept`].
    ///
    /// # Errors
    /// As [`Simulation::boot`].
    pub fn boot_without(&mut self, held: &[Swept], speed: Speed) -> Result<Cycle, SimulationError> {
        if let Some(epoch) = self.epoch {
            return Ok(epoch);
        }
        let epoch = match self.loaded.epoch {
            None => self.machine.now(),
            Some(word) => self.boot_guest(word, speed)?,
        };
        self.machine.arm_devices(epoch, held);
        self.epoch = Some(epoch);
        Ok(epoch)
    }

    fn boot_guest(&mut self, word: PhysAddr, speed: Speed) -> Result<Cycle, SimulationError> {
        self.machine.stop_on_write(word, 8);
        let limit = Cycle(self.machine.spec().clock.cycles_in_ns(BOOT_NS));
        let stop = self.machine.run(limit, speed, &mut self.collector);
        self.machine.clear_stops();
        match (stop, self.word(word, 8)) {
            (Stop::Written(_), epoch) if epoch != 0 => Ok(self.machine.now()),
            (stop, _) => {
                let console = String::from_utf8_lossy(self.machine.console()).into_owned();
                let at = self.machine.now().0;
                Err(SimulationError::NotBooted { stop, at, console })
            }
        }
    }

    /// The `size`-byte word at `addr`.
    fn word(&self, addr: PhysAddr, size: u8) -> u64 {
        let mut bytes = [0; 8];
        self.machine.read_physical(addr, &mut bytes[..usize::from(size)]);
        u64::from_le_bytes(bytes)
    }

    /// A copy that goes its own way: cheap, because memory is shared until one of both writes it.
    /// (`clone` does the same without `&mut`, but copies what was written since the last fork.)
    #[must_use]
    pub fn fork(&mut self) -> Self {
        self.machine.freeze();
        self.clone()
    }

    /// Boots if that has not been done, and runs until the scenario ends.
    ///
    /// # Errors
    /// If the guest does not boot, or an invariant is broken under [`RunOptions::check`].
    pub fn run(&mut self, options: &RunOptions) -> Result<StopReason, SimulationError> {
        self.run_observed(options, &mut ())
    }

    /// Like [`Simulation::run`], with an observer of the caller's own.
    ///
    /// # Errors
    /// As [`Simulation::run`].
    pub fn run_observed(
        &mut self,
        options: &RunOptions,
        observer: &mut dyn Observer,
    ) -> Result<StopReason, SimulationError> {
        self.boot(options.speed)?;
        let deadline = self.deadline(options);
        self.set_stops();
        let reason = loop {
            if let Some(reason) = self.condition(options) {
                break reason;
            }
            // An event ends the run when a stop condition comes true; only these do not.
            let looks = options.check || options.until_decided;
            let step = options.look.or(looks.then_some(LOOK));
            let look = step.map_or(deadline, |step| self.next_look(step, deadline));
            let stop = self.advance(look, options.speed, observer);
            if options.check {
                let at = self.machine.now().0;
                self.machine.check().map_err(|broken| SimulationError::Broken { at, broken })?;
            }
            match stop {
                Stop::Deadline if self.machine.now() >= deadline => {
                    break self.condition(options).unwrap_or(StopReason::Deadline);
                }
                Stop::Deadline | Stop::Written(_) => {}
                stop => break self.reason(stop),
            }
        };
        self.machine.clear_stops();
        Ok(reason)
    }

    /// When to look again. Looks become more frequent before the end: the closer a decision is to
    /// it, the sooner it has to be known.
    fn next_look(&self, step: u64, deadline: Cycle) -> Cycle {
        let now = self.machine.now();
        now + step.min(deadline.since(now).div_ceil(2))
    }

    /// Runs to cycle `until`, or to the first stop that the machine knows of.
    pub fn advance(&mut self, until: Cycle, speed: Speed, observer: &mut dyn Observer) -> Stop {
        self.machine.run(until, speed, &mut Both(&mut self.collector, observer))
    }

    /// Where a run, once booted, ends at the latest.
    #[must_use]
    pub fn deadline(&self, options: &RunOptions) -> Cycle {
        let limits = self.loaded.until.iter().filter_map(|until| match until {
            Until::Cycles(cycles) => Some(*cycles),
            _ => None,
        });
        let limit = self.machine.spec().clock.cycles_in_ns(LIMIT_NS);
        self.epoch.unwrap_or_default() + limits.chain(options.limit).min().unwrap_or(limit)
    }

    fn set_stops(&mut self) {
        let loaded = Arc::clone(&self.loaded);
        for until in &loaded.until {
            match *until {
                Until::Written { addr, size, .. } => {
                    self.machine.stop_on_write(addr, u64::from(size));
                }
                Until::AllTasksDone => {
                    for task in awaited(&loaded) {
                        self.machine.stop_on_write(task, 8);
                    }
                }
                Until::Reached { rip, core } => self.machine.stop_at(rip, core),
                Until::Panic | Until::Cycles(_) | Until::Exit => {}
            }
        }
    }

    /// A stop condition that holds now.
    fn condition(&self, options: &RunOptions) -> Option<StopReason> {
        let holds = |until: &&Until| match **until {
            Until::AllTasksDone => self.unfinished() == 0,
            Until::Written { addr, size, value, initial } => {
                let now = self.word(addr, size);
                value.map_or(now != initial, |value| now == value)
            }
            Until::Panic | Until::Cycles(_) | Until::Exit | Until::Reached { .. } => false,
        };
        if let Some(until) = self.loaded.until.iter().find(holds) {
            let text = match until {
                Until::AllTasksDone => "all tasks are done",
                _ => "the variable has its value",
            };
            return Some(StopReason::Condition(text.to_owned()));
        }
        let delivered = || {
            let wanted = options.replies.is_some_and(|count| self.collector.replies() >= count);
            wanted && self.collector.is_delivered()
        };
        (options.until_decided && (self.collector.is_decided() || delivered()))
            .then(|| StopReason::Condition("the outcome is decided".to_owned()))
    }

    /// Listed tasks with an end that have not come to it.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        awaited(&self.loaded).filter(|&done| self.word(done, 8) == 0).count()
    }

    /// Listed tasks that have come to their end.
    #[must_use]
    pub fn finished(&self) -> usize {
        awaited(&self.loaded).count() - self.unfinished()
    }

    fn reason(&self, stop: Stop) -> StopReason {
        match stop {
            Stop::Deadline => StopReason::Deadline,
            Stop::Idle => StopReason::AllHalted,
            Stop::Exit { code, .. } => StopReason::Exit(u32::from(code)),
            Stop::Written(_) => StopReason::Condition("a word was written".to_owned()),
            Stop::Reached(core) => {
                let at = self.loaded.symbols.format(self.machine.registers(core).rip);
                StopReason::Condition(format!("{core} has reached {at}"))
            }
            Stop::TripleFault(core) => StopReason::TripleFault { cpu: u32::from(core.0) },
            Stop::Unimplemented(core) => {
                let rip = self.machine.registers(core).rip;
                StopReason::Unimplemented { cpu: u32::from(core.0), rip, text: self.bytes_at(rip) }
            }
        }
    }

    /// Bytes and disassembly of the instruction at `rip`.
    fn bytes_at(&self, rip: u64) -> String {
        let mut bytes = [0; sim_x86::op::MAX_INSTRUCTION_BYTES];
        if !self.machine.read_virtual(rip, &mut bytes) {
            return "unmapped".to_owned();
        }
        let text = sim_x86::op::disassemble(&bytes, rip);
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{text} ({} ...)", hex.join(" "))
    }

    /// Finds out what happened.
    #[must_use]
    pub fn investigate(&self, stop: &StopReason) -> Investigation {
        let cores = 0..self.machine.spec().cores as u16;
        let registers: Vec<Registers> =
            cores.map(|id| *self.machine.registers(CoreId(id))).collect();
        investigate(
            &self.collector,
            &Subject {
                memory: &MachineMemory(&self.machine),
                symbols: &self.loaded.symbols,
                debug: Self::debug(),
                stacks: &Stacks::of_guest(&self.loaded.symbols),
                registers: &registers,
                clock_hz: self.machine.spec().clock.0,
                start: self.epoch.unwrap_or_default().0,
                end: self.machine.now().0,
                stop,
            },
        )
    }

    /// The run's report. What only the caller knows (`host_seconds`, `reproduce`, the file's name)
    /// is left for it to fill in.
    #[must_use]
    pub fn report(&self, stop: &StopReason, investigation: &Investigation) -> Report {
        let spec = self.machine.spec();
        let facts = RunFacts {
            scenario: ScenarioName { title: self.loaded.title.clone(), file: None },
            machine: MachineName {
                preset: spec.preset.clone(),
                cpus: spec.cores,
                clock_hz: spec.clock.0,
            },
            seed: spec.seed,
            cycles: self.machine.now().0,
            epoch: self.epoch.unwrap_or_default().0,
            instructions: self.machine.instructions(),
            host_seconds: 0.0,
            trace_hash: format!("{:016x}", self.machine.trace_hash()),
            reproduce: String::new(),
        };
        let console = self.collector.console().lines().iter().map(|line| line.text.clone());
        Report::new(facts, stop.clone(), investigation, console.collect())
    }
}

/// Words that the listed tasks with an end set when they come to it.
fn awaited(loaded: &Loaded) -> impl Iterator<Item = PhysAddr> + '_ {
    loaded.tasks.iter().filter(|task| task.listed && task.finite).map(|task| task.done)
}
