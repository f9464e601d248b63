//! A small machine without time: cores that may do anything, the real caches and home agent, and
//! the messages between them.

pub(super) mod core_side;
pub(super) mod home_side;

pub use core_side::Issue;
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::machine::invariants::Broken;
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
    /// Ways of each core's L1D, which is one set.
    pub l1_ways: u32,
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
    /// 3 cores on two sockets, 2 lines, with room for `ways` of them in L1D, L2 and L3.
    #[must_use]
    pub fn new(name: &'static str, ways: [u32; 3], issues: &'static [Issue]) -> Self {
        let [l1_ways, l2_ways, l3_ways] = ways;
        Setup {
            name,
            cores: 3,
            lines: 2,
            l1_ways,
            l2_ways,
            l3_ways,
            stores: 1,
            in_progress: usize::MAX,
            issues,
            mutation: Mutation::None,
        }
    }

    /// Ways in which two lines share the caches, and what the cores do to them.
    #[must_use]
    pub fn kinds() -> [Setup; 7] {
        [
            Setup::new("both lines fit", [2, 2, 2], DATA),
            Setup::new("lines evict each other from L1", [1, 2, 2], DATA),
            Setup::new("lines evict each other from L2", [1, 1, 2], DATA),
            Setup::new("lines evict each other from L3", [2, 2, 1], DATA),
            Setup::new("lines evict each other everywhere", [1, 1, 1], DATA),
            Setup::new("with instruction fetches", [1, 1, 1], CODE),
            Setup::new("with split locks", [2, 2, 2], SPLIT),
        ]
    }

    /// True if no line ever has to make room for another in an L1D.
    pub(super) fn fits_cores(&self) -> bool {
        u64::from(self.l1_ways) >= self.lines
    }

    /// True if no line ever has to make room for another in an L3.
    pub(super) fn fits_home(&self) -> bool {
        u64::from(self.l3_ways) >= self.lines
    }

    /// The machine: every latency alike.
    pub(super) fn spec(&self) -> MachineSpec {
        let preset = presets::westmere_ep();
        let alike = StateLatency {
            modified: [LATENCY; 4],
            exclusive: [LATENCY; 4],
            shared: [LATENCY; 4],
            memory: [LATENCY; 4],
        };
        let memory = MemorySpec {
            l1d_sets: 1,
            l1d_ways: self.l1_ways,
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

impl Setup {
    /// Where the cores are.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.spec().topology
    }
}
