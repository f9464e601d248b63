//! A small machine without time: cores that may do anything, the real caches and home agent, and
//! the messages between them.

mod core_side;
pub(super) mod key;

use core_side::CoreSide;
pub use core_side::{Issue, Pending};
use sim_core::Cycle;
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::machine::invariants::{Broken, check_coherence};
use sim_x86::mem::cache::{LineState, Probed};
use sim_x86::mem::home::{Home, Requester, Send};
use sim_x86::presets;
use sim_x86::spec::{MachineSpec, MemorySpec, StateLatency, Topology};
use std::fmt::{self, Display};
use thiserror::Error;

/// What is explored: sizes, and what the cores may do.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Name in reports.
    pub name: &'static str,
    /// CPUs; the last one is on a die (and socket) of its own, the others share one.
    pub cores: u16,
    /// Lines of memory that are used.
    pub lines: u64,
    /// Ways of each core's L2, which is one set.
    pub l2_ways: u32,
    /// Ways of each die's L3, which is one set.
    pub l3_ways: u32,
    /// Entries of each store buffer.
    pub stores: usize,
    /// Operations that may be in progress at a time, on all cores together; each core can have as
    /// many as its store buffer has entries, and one more.
    pub in_progress: usize,
    /// What cores do.
    pub issues: &'static [Issue],
    /// How the protocol is broken on purpose, for tests of the exploration itself.
    pub mutation: Mutation,
}

/// Loads, stores, locked operations, evictions.
const DATA: &[Issue] = &[Issue::Load, Issue::Store, Issue::Rmw, Issue::Evict];
/// The same with instruction fetches.
const CODE: &[Issue] = &[Issue::Load, Issue::Store, Issue::Evict, Issue::Fetch];
/// Locked operations on both lines at once.
const SPLIT: &[Issue] = &[Issue::Load, Issue::Rmw, Issue::SplitRmw];

impl Setup {
    /// 3 cores on two sockets, 2 lines, with room for `l2_ways` and `l3_ways` of them in the caches.
    #[must_use]
    pub fn new(name: &'static str, l2_ways: u32, l3_ways: u32, issues: &'static [Issue]) -> Self {
        Setup {
            name,
            cores: 3,
            lines: 2,
            l2_ways,
            l3_ways,
            stores: 1,
            in_progress: 2,
            issues,
            mutation: Mutation::None,
        }
    }

    /// Ways in which two lines share the caches, and what the cores do to them.
    #[must_use]
    pub fn kinds() -> [Setup; 6] {
        [
            Setup::new("both lines fit", 2, 2, DATA),
            Setup::new("lines evict each other from L2", 1, 2, DATA),
            Setup::new("lines evict each other from L3", 2, 1, DATA),
            Setup::new("lines evict each other", 1, 1, DATA),
            Setup::new("with instruction fetches", 1, 1, CODE),
            Setup::new("with split locks", 2, 2, SPLIT),
        ]
    }

    /// True if no line ever has to make room for another.
    fn everything_fits(&self) -> bool {
        u64::from(self.l2_ways.min(self.l3_ways)) >= self.lines
    }

    /// The machine: every latency alike.
    fn spec(&self) -> MachineSpec {
        let preset = presets::westmere_ep();
        let alike = StateLatency {
            modified: [LATENCY; 4],
            exclusive: [LATENCY; 4],
            shared: [LATENCY; 4],
            memory: [LATENCY; 4],
        };
        let memory = MemorySpec {
            l1d_sets: 1,
            // If both lines fit, they do so everywhere.
            l1d_ways: self.l2_ways.min(self.l3_ways),
            l1i_sets: 1,
            l1i_ways: 1,
            l2_sets: 1,
            l2_ways: self.l2_ways,
            l3_sets: 1,
            l3_ways: self.l3_ways,
            load: alike,
            store: alike,
            atomic_extra: 0,
            ..preset.memory
        };
        let topology = Topology {
            cores_per_die: u32::from(self.cores).saturating_sub(1).max(1),
            dies_per_package: 1,
            hops: vec![vec![0, 1], vec![1, 0]],
        };
        MachineSpec { cores: u32::from(self.cores), topology, memory, ..preset }
    }
}

/// Of every access that leaves a core.
const LATENCY: u32 = 8;

/// Ways to break the protocol on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutation {
    /// None.
    #[default]
    None,
    /// A core answers a probe and keeps its copy.
    DropInvalidation,
    /// A probe that should only downgrade is not carried out.
    DropDowngrade,
    /// Readers are granted the right to write.
    GrantWritable,
    /// A write-back erases the directory's knowledge of the line even if another core owns it.
    ForgetOwner,
    /// The home agent is not told that a fill has arrived.
    NeverFinish,
    /// A locked operation does not hold its line.
    IgnoreLocks,
    /// A probed core does not ask again for the lines that its buffered stores need.
    ForgetStores,
    /// A core writes back a line that it has already asked for again, as this machine once did.
    HastyWriteBack,
    /// A fill does not wake the instruction that waits for the store buffer.
    NoWakeUp,
}

/// What is wrong with a state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// An invariant of the machine.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A copy that is not of the last version written.
    #[error("{core} still holds line {line:#x} as it was before another core's write")]
    Stale {
        /// Who.
        core: CoreId,
        /// Which line.
        line: u64,
    },
    /// A line was written by another core during a locked operation.
    #[error("another core wrote line {line:#x} during a locked operation of {core}")]
    NotAtomic {
        /// Whose operation.
        core: CoreId,
        /// Which line.
        line: u64,
    },
    /// Nothing can happen any more, but something is still waited for.
    #[error("deadlock: nothing can happen, but not everything has come to an end")]
    Deadlock,
    /// Something goes on for ever, whatever happens.
    #[error("livelock: no way leads from here to a state in which everything has come to an end")]
    Livelock,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A core begins an operation.
    Issue(CoreId, Issue, LineAddr),
    /// A blocked operation is tried again.
    Retry(CoreId),
    /// The oldest store leaves the buffer.
    Commit(CoreId),
    /// A locked operation is over.
    Unlock(CoreId),
    /// The oldest message of a core reaches the home agent.
    Up(CoreId),
    /// A message of the home agent arrives.
    Down(Down),
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Issue(core, issue, line) => write!(f, "{core}: {issue:?} line {}", line.0),
            Action::Retry(core) => write!(f, "{core}: tries again"),
            Action::Commit(core) => write!(f, "{core}: the oldest store commits"),
            Action::Unlock(core) => write!(f, "{core}: the locked operation ends"),
            Action::Up(core) => write!(f, "{core}: its oldest message reaches the home agent"),
            Action::Down(down) => write!(f, "{down}"),
        }
    }
}

/// A message to the home agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Up {
    Request(LineAddr, Want),
    WriteBack(LineAddr),
}

/// A message of the home agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// To a core that holds the line.
    Probe(CoreId, LineAddr),
    /// To the core that asked for it.
    Fill(CoreId, LineAddr),
    /// To itself: a request that found its set full.
    Again(CoreId, Want, LineAddr),
}

impl Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Down::Probe(core, line) => write!(f, "{core}: is probed for line {}", line.0),
            Down::Fill(core, line) => write!(f, "{core}: line {} arrives", line.0),
            Down::Again(core, want, line) => {
                write!(f, "{core}: its request ({want:?}) for line {} is repeated", line.0)
            }
        }
    }
}

/// The machine between two things that happen.
#[derive(Clone, Debug)]
pub struct System {
    cores: Vec<CoreSide>,
    home: Home,
    down: Vec<Down>,
}

/// The time at which everything happens.
const NOW: Cycle = Cycle(0);

impl System {
    /// Nothing cached, nothing in flight.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let spec = setup.spec();
        let hasty = setup.mutation == Mutation::HastyWriteBack;
        let core = |id| CoreSide::new(CoreId(id), &spec.memory, setup.lines, hasty);
        System {
            cores: (0..setup.cores).map(core).collect(),
            home: Home::new(&spec),
            down: Vec::new(),
        }
    }

    /// Everything that may happen next.
    #[must_use]
    pub fn actions(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = Vec::new();
        let in_progress: usize = self.cores.iter().map(CoreSide::in_progress).sum();
        let more = in_progress < setup.in_progress;
        for core in &self.cores {
            if core.idle() && more {
                for &issue in setup.issues {
                    let lines = if issue == Issue::SplitRmw { 1 } else { setup.lines };
                    let possible = (0..lines).filter(|_| core.can_issue(issue, setup.stores));
                    actions.extend(possible.map(|n| Action::Issue(core.id, issue, LineAddr(n))));
                }
            }
            if core.awake() {
                actions.push(Action::Retry(core.id));
            }
            if core.can_commit() {
                actions.push(Action::Commit(core.id));
            }
            if core.locked.is_some() {
                actions.push(Action::Unlock(core.id));
            }
            if !core.up.is_empty() {
                actions.push(Action::Up(core.id));
            }
        }
        let held = |down: &&Down| match **down {
            Down::Probe(core, line) => {
                self.cores[core.index()].holds(line) && setup.mutation != Mutation::IgnoreLocks
            }
            Down::Fill(..) | Down::Again(..) => false,
        };
        actions.extend(self.down.iter().filter(|down| !held(down)).map(|&down| Action::Down(down)));
        actions
    }

    /// The state after `action`.
    ///
    /// # Errors
    /// What the action itself did wrong.
    pub fn after(&self, action: Action, setup: &Setup) -> Result<System, Violation> {
        let mut next = self.clone();
        match action {
            Action::Issue(core, issue, line) => {
                let written = next.cores[core.index()].issue(issue, line);
                next.written(core, written)?;
            }
            Action::Retry(core) => {
                let written = next.cores[core.index()].try_again();
                next.written(core, written)?;
            }
            Action::Commit(core) => {
                let line = next.cores[core.index()].commit();
                next.written(core, [line, None])?;
            }
            Action::Unlock(core) => next.cores[core.index()].locked = None,
            Action::Up(core) => next.up(core, setup),
            Action::Down(down) => {
                let at = next.down.iter().position(|&other| other == down);
                next.down.remove(at.expect("an enabled action"));
                next.deliver(down, setup);
            }
        }
        Ok(next)
    }

    /// `by` has written `lines`: every other copy is of an older version from now on.
    fn written(&mut self, by: CoreId, lines: [Option<LineAddr>; 2]) -> Result<(), Violation> {
        for line in lines.into_iter().flatten() {
            for core in self.cores.iter_mut().filter(|core| core.id != by) {
                if core.locked == Some(line) {
                    return Err(Violation::NotAtomic { core: core.id, line: line.0 });
                }
                core.grow_old(line);
            }
        }
        Ok(())
    }

    fn up(&mut self, core: CoreId, setup: &Setup) {
        match self.cores[core.index()].up.remove(0) {
            Up::Request(line, want) => self.request(core, want, line),
            Up::WriteBack(line) => {
                self.home.write_back(core, line);
                if setup.mutation == Mutation::ForgetOwner {
                    let owner = |core: &&CoreSide| core.caches.state(line).writable();
                    if let Some(owner) = self.cores.iter().find(owner) {
                        self.home.write_back(owner.id, line);
                    }
                }
            }
        }
    }

    fn request(&mut self, core: CoreId, want: Want, line: LineAddr) {
        self.home(|home, out| home.request(NOW, line, Requester::Core(core, want), out));
    }

    fn home(&mut self, act: impl FnOnce(&mut Home, &mut Vec<Send>)) {
        let mut out = Vec::new();
        act(&mut self.home, &mut out);
        for message in out {
            let Some(down) = (match message {
                Send::Probe { core, line, .. } => Some(Down::Probe(core, line)),
                Send::Fill { to: Requester::Core(core, _), line, .. } => {
                    Some(Down::Fill(core, line))
                }
                Send::Retry { from: Requester::Core(core, want), line, .. } => {
                    Some(Down::Again(core, want, line))
                }
                // There are no devices.
                Send::Fill { to: Requester::Dma(_), .. }
                | Send::Retry { from: Requester::Dma(_), .. } => None,
            }) else {
                continue;
            };
            self.down.push(down);
        }
    }

    fn deliver(&mut self, down: Down, setup: &Setup) {
        match down {
            Down::Probe(core, line) => self.probe(core, line, setup),
            Down::Fill(core, line) => self.fill(core, line, setup),
            Down::Again(core, want, line) => self.request(core, want, line),
        }
    }

    /// As `Machine::probe`.
    fn probe(&mut self, id: CoreId, line: LineAddr, setup: &Setup) {
        let keep = self.home.probe_keeps(line);
        let core = &mut self.cores[id.index()];
        let dropped = match setup.mutation {
            Mutation::DropInvalidation => keep == LineState::Invalid,
            Mutation::DropDowngrade => keep == LineState::Shared,
            _ => false,
        };
        let found = if dropped { Probed::Clean } else { core.probe(line, keep) };
        if setup.mutation != Mutation::ForgetStores {
            core.ask_again_for_stores(line);
        }
        self.home(|home, out| home.probed(NOW, line, found, out));
    }

    /// As `Machine::fill`.
    fn fill(&mut self, id: CoreId, line: LineAddr, setup: &Setup) {
        let (mut state, want) = self.home.granted(line);
        if setup.mutation == Mutation::GrantWritable {
            state = state.max(LineState::Exclusive);
        }
        let wakes = setup.mutation != Mutation::NoWakeUp;
        self.cores[id.index()].fill(line, state, want, wakes);
        if setup.mutation != Mutation::NeverFinish {
            self.home(|home, out| home.finish(NOW, line, out));
        }
    }

    /// True if nothing is in flight, blocked or buffered.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        let done = self.down.is_empty() && self.home.pending().next().is_none();
        done && self.cores.iter().all(CoreSide::at_rest)
    }

    /// Checks what must hold of every state.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, topology: &Topology) -> Result<(), Violation> {
        for core in &self.cores {
            if let Some(line) = core.stale_copy() {
                return Err(Violation::Stale { core: core.id, line: line.0 });
            }
        }
        let caches = self.cores.iter().map(|core| (core.id, &core.caches));
        check_coherence(topology, &self.home, caches)?;
        Ok(())
    }
}

impl Setup {
    /// Where the cores are.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.spec().topology
    }
}
