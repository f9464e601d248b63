//! The real home agent, and its messages on their way.

use super::{Down, Mutation};
use sim_core::Cycle;
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::mem::cache::{LineState, Probed};
use sim_x86::mem::home::{Home, Requester, Send};
use sim_x86::mem::l3::{DieState, L3Entry};
use sim_x86::spec::MachineSpec;

/// The time at which everything happens.
const NOW: Cycle = Cycle(0);

/// What happens to the home agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HomeEvent {
    /// A request arrives.
    Request(CoreId, Want, LineAddr),
    /// A write-back arrives.
    WriteBack(CoreId, LineAddr),
    /// A probe is answered.
    Probed(CoreId, LineAddr, Probed),
    /// A fill has arrived.
    Filled(CoreId, LineAddr),
    /// A request that found its set full is repeated.
    Again(CoreId, Want, LineAddr),
}

impl HomeEvent {
    /// How many there are, for three cores and two lines.
    pub(crate) const COUNT: usize = 78;

    /// Each has a number of its own.
    pub(crate) fn code(self) -> usize {
        let of = |core: CoreId, line: LineAddr| core.index() * 2 + line.0 as usize;
        match self {
            HomeEvent::Request(core, want, line) => of(core, line) * 4 + want as usize,
            HomeEvent::WriteBack(core, line) => 24 + of(core, line),
            HomeEvent::Probed(core, line, found) => 30 + of(core, line) * 3 + found as usize,
            HomeEvent::Filled(core, line) => 48 + of(core, line),
            HomeEvent::Again(core, want, line) => 54 + of(core, line) * 4 + want as usize,
        }
    }

    /// The same with other names.
    pub(crate) fn renamed(self, name: Names) -> Self {
        match self {
            HomeEvent::Request(c, want, l) => HomeEvent::Request(name.core(c), want, name.line(l)),
            HomeEvent::WriteBack(c, l) => HomeEvent::WriteBack(name.core(c), name.line(l)),
            HomeEvent::Probed(c, l, found) => HomeEvent::Probed(name.core(c), name.line(l), found),
            HomeEvent::Filled(c, l) => HomeEvent::Filled(name.core(c), name.line(l)),
            HomeEvent::Again(c, want, l) => HomeEvent::Again(name.core(c), want, name.line(l)),
        }
    }
}

/// A mirror image: what cores and lines are called in it. Bit 0: the first two cores have changed
/// places; bit 1: the lines have. Each is its own inverse, and their order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Names(pub(crate) u8);

impl Names {
    /// Everything as it is.
    pub(crate) const SAME: Names = Names(0);

    pub(crate) fn core(self, core: CoreId) -> CoreId {
        if self.0 & 1 != 0 && core.0 < 2 { CoreId(1 - core.0) } else { core }
    }

    pub(crate) fn line(self, line: LineAddr) -> LineAddr {
        if self.0 & 2 != 0 { LineAddr(1 - line.0) } else { line }
    }

    /// One after the other.
    pub(crate) fn and(self, other: Names) -> Names {
        Names(self.0 ^ other.0)
    }

    fn message(self, down: Down) -> Down {
        match down {
            Down::Probe(core, line) => Down::Probe(self.core(core), self.line(line)),
            Down::Fill(core, line) => Down::Fill(self.core(core), self.line(line)),
            Down::Again(core, want, line) => Down::Again(self.core(core), want, self.line(line)),
        }
    }
}

/// The home agent and the messages that it has sent.
#[derive(Clone, Debug)]
pub(crate) struct HomeSide {
    pub(crate) home: Home,
    down: Vec<Down>,
    mutation: Mutation,
    per_die: u32,
}

/// A message to a core, with what the core will learn from the home agent when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) down: Down,
    /// What a probe leaves, or what a fill grants.
    pub(crate) state: LineState,
    /// What a fill is for.
    pub(crate) want: Want,
}

impl HomeSide {
    pub(crate) fn new(spec: &MachineSpec, mutation: Mutation) -> Self {
        let per_die = spec.topology.cores_per_die;
        HomeSide { home: Home::new(spec), down: Vec::new(), mutation, per_die }
    }

    /// The home agent after `event`.
    pub(crate) fn after(&self, event: HomeEvent) -> HomeSide {
        let mut next = self.clone();
        match event {
            HomeEvent::Request(core, want, line) => next.request(core, want, line),
            HomeEvent::Again(core, want, line) => {
                next.arrived(Down::Again(core, want, line));
                next.request(core, want, line);
            }
            HomeEvent::WriteBack(core, line) => next.write_back(core, line),
            HomeEvent::Probed(core, line, found) => {
                next.arrived(Down::Probe(core, line));
                next.act(|home, out| home.probed(NOW, line, found, out));
            }
            HomeEvent::Filled(core, line) => {
                next.arrived(Down::Fill(core, line));
                if self.mutation != Mutation::NeverFinish {
                    next.act(|home, out| home.finish(NOW, line, out));
                }
            }
        }
        next
    }

    fn arrived(&mut self, down: Down) {
        let at = self.down.iter().position(|&other| other == down);
        self.down.remove(at.expect("a message on its way"));
    }

    fn request(&mut self, core: CoreId, want: Want, line: LineAddr) {
        self.act(|home, out| home.request(NOW, line, Requester::Core(core, want), out));
    }

    fn write_back(&mut self, core: CoreId, line: LineAddr) {
        self.home.write_back(core, line);
        if self.mutation == Mutation::ForgetOwner {
            (0..3).for_each(|other| self.home.write_back(CoreId(other), line));
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Home, &mut Vec<Send>)) {
        let mut out = Vec::new();
        act(&mut self.home, &mut out);
        self.down.extend(out.into_iter().filter_map(|message| match message {
            Send::Probe { core, line, .. } => Some(Down::Probe(core, line)),
            Send::Fill { to: Requester::Core(core, _), line, .. } => Some(Down::Fill(core, line)),
            Send::Retry { from: Requester::Core(core, want), line, .. } => {
                Some(Down::Again(core, want, line))
            }
            // There are no devices.
            Send::Fill { to: Requester::Dma(_), .. }
            | Send::Retry { from: Requester::Dma(_), .. } => None,
        }));
    }

    /// All of it but times and sizes.
    #[cfg(test)]
    pub(crate) fn detail(&self) -> String {
        let entries: Vec<Vec<L3Entry>> =
            self.home.dies().iter().map(|l3| l3.entries().collect()).collect();
        let pending: Vec<_> = self.home.pending().collect();
        format!("{entries:?} {pending:?} {:?}", self.down)
    }

    /// True if nothing is in flight.
    pub(crate) fn quiet(&self) -> bool {
        self.down.is_empty() && self.home.pending().next().is_none()
    }

    /// The messages that may arrive next, with other names for cores and lines.
    pub(crate) fn arrivals(&self, names: Names) -> Vec<Arrival> {
        let mut down = self.down.clone();
        down.sort_unstable_by_key(|&down| down_image(down));
        down.dedup();
        let learn = |down: Down| {
            let (state, want) = match down {
                Down::Probe(_, line) => (self.home.probe_keeps(line), Want::Read),
                Down::Fill(_, line) => self.home.granted(line),
                Down::Again(_, want, _) => (LineState::Invalid, want),
            };
            Arrival { down: names.message(down), state, want }
        };
        let mut arrivals: Vec<Arrival> = down.into_iter().map(learn).collect();
        arrivals.sort_unstable_by_key(|arrival| down_image(arrival.down));
        arrivals
    }

    /// Bytes that are equal for home agents that behave alike, with other names.
    ///
    /// Left out is what can't matter without time: whether a die's copy is dirty, which decides
    /// latencies only; and the order in which lines were used, since no set has both room for two
    /// lines and need to choose between them.
    pub(crate) fn image(&self, names: Names) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        let mut part = |mut items: Vec<Vec<u8>>| {
            items.sort_unstable();
            out.extend(items.into_iter().flatten());
            out.push(0xfe);
        };
        for (die, l3) in self.home.dies().iter().enumerate() {
            part(l3.entries().map(|entry| self.entry_image(die, &entry, names)).collect());
        }
        let from = |requester: Requester| match requester {
            Requester::Core(core, want) => [names.core(core).0 as u8, want as u8],
            Requester::Dma(device) => [0x80, device.0],
        };
        let transactions = self.home.pending().map(|transaction| {
            let mut image = vec![names.line(transaction.line).0 as u8, transaction.probes as u8];
            image.push(transaction.grant as u8);
            image.extend(transaction.requester.map_or([0xff; 2], from));
            image.extend(transaction.waiting.iter().flat_map(|&next| from(next)));
            image.push(0xfd);
            image
        });
        part(transactions.collect());
        part(self.down.iter().map(|&down| down_image(names.message(down)).to_vec()).collect());
        out
    }

    fn entry_image(&self, die: usize, entry: &L3Entry, names: Names) -> Vec<u8> {
        let first = die as u32 * self.per_die;
        let named = |mask: u64| -> u8 {
            let bits = (0..8).filter(|bit| mask & (1 << bit) != 0);
            bits.map(|bit| 1 << names.core(CoreId((first + bit) as u16)).0).sum()
        };
        let clean = match entry.state {
            DieState::Modified => DieState::Exclusive,
            state => state,
        };
        let owner = entry.owner().map_or(0, |owner| 1u64 << owner);
        let line = names.line(entry.line).0 as u8;
        vec![line << 2 | clean as u8, named(entry.sharers), named(owner)]
    }
}

fn down_image(down: Down) -> [u8; 3] {
    match down {
        Down::Probe(core, line) => [0, core.0 as u8, line.0 as u8],
        Down::Fill(core, line) => [1, core.0 as u8, line.0 as u8],
        Down::Again(core, want, line) => [2 + want as u8, core.0 as u8, line.0 as u8],
    }
}
