//! The home agent: serialises the requests for each line and keeps the copies coherent.
//!
//! MESI(F) with an inclusive L3 per die (SDM vol. 3A §11.4; Molka et al., PACT 2009 for the
//! Nehalem/Westmere behaviour that the presets time). One transaction per line is active at a
//! time; later requests for the line queue behind it in order of arrival. A transaction reads the
//! directory when it starts, sends probes to the cores whose copies must go or be downgraded,
//! and ends with the fill, whose time follows from where the line was found.
//!
//! Nothing here knows cores or the event queue: effects are returned as [`Send`]s.

use crate::event::Want;
use crate::ids::{CoreId, DeviceId, LineAddr};
use crate::mem::cache::{LineState, Probed};
use crate::mem::l3::{AllBusy, DieState, L3, L3Entry, Slot};
use crate::spec::{MachineSpec, MemorySpec, StateLatency, Topology};
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use std::collections::VecDeque;

/// Who asked for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requester {
    /// A core.
    Core(CoreId, Want),
    /// A device that writes the line by DMA.
    Dma(DeviceId),
}

/// A message the home agent sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// Probe `core` for `line`; tell [`Home::probed`] what it found.
    Probe {
        /// When it arrives.
        at: Cycle,
        /// Whom.
        core: CoreId,
        /// Which line.
        line: LineAddr,
    },
    /// The line arrives at who asked; then call [`Home::finish`].
    Fill {
        /// When it arrives.
        at: Cycle,
        /// For whom.
        to: Requester,
        /// Which line.
        line: LineAddr,
    },
    /// The set is full of lines in flight: ask again.
    Retry {
        /// When.
        at: Cycle,
        /// Who asked.
        from: Requester,
        /// Which line.
        line: LineAddr,
    },
}

/// A transaction in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Transaction {
    /// For whom; `None` for the eviction of a line from an L3.
    requester: Option<Requester>,
    /// When it started (the directory was read).
    started: Cycle,
    /// Earliest fill.
    fill_at: Cycle,
    /// Probes not answered yet.
    probes: u32,
    /// Latency row and distance if a probe decides what state the line was found in.
    owner_distance: Option<u8>,
    /// State that the requester gets.
    grant: LineState,
    /// Requests that arrived meanwhile.
    waiting: VecDeque<Requester>,
}

impl Transaction {
    /// One that has not begun.
    fn new() -> Self {
        Transaction {
            requester: None,
            started: Cycle(0),
            fill_at: Cycle(0),
            probes: 0,
            owner_distance: None,
            grant: LineState::Invalid,
            waiting: VecDeque::new(),
        }
    }

    /// See [`Home::due`].
    fn due(&self, memory: &MemorySpec, leg: u32, found: Probed) -> Cycle {
        match (self.owner_distance, self.requester) {
            (Some(distance), Some(requester)) => {
                let latency = owner_latency(memory, requester, found, usize::from(distance));
                self.fill_at.max(self.started + u64::from(latency.saturating_sub(leg)))
            }
            _ => self.fill_at,
        }
    }
}

/// The transactions in flight by line, ascending: few at a time, so that a sorted list beats a tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct InFlight(Vec<(LineAddr, Transaction)>);

impl InFlight {
    fn position(&self, line: LineAddr) -> Result<usize, usize> {
        self.0.binary_search_by_key(&line, |&(line, _)| line)
    }

    fn contains(&self, line: LineAddr) -> bool {
        self.position(line).is_ok()
    }

    fn get(&self, line: LineAddr) -> Option<&Transaction> {
        self.position(line).ok().map(|at| &self.0[at].1)
    }

    fn get_mut(&mut self, line: LineAddr) -> Option<&mut Transaction> {
        self.position(line).ok().map(|at| &mut self.0[at].1)
    }

    /// The transaction on a line, new if there is none.
    fn entry(&mut self, line: LineAddr) -> &mut Transaction {
        let at = self.position(line).unwrap_or_else(|at| {
            self.0.insert(at, (line, Transaction::new()));
            at
        });
        &mut self.0[at].1
    }

    fn remove(&mut self, line: LineAddr) -> Option<Transaction> {
        self.position(line).ok().map(|at| self.0.remove(at).1)
    }
}

/// The directory and the transactions in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Home {
    dies: Vec<L3>,
    active: InFlight,
    memory: MemorySpec,
    topology: Topology,
    /// Cycles from a core to the home agent, and from there to a probed core.
    leg: u32,
    cores: u32,
    /// Empty: room for those whom the next transaction probes.
    #[serde(skip)]
    probes: Vec<CoreId>,
}

/// Cycles from a core to the home agent: half of the plain L3 latency.
#[must_use]
pub fn leg(memory: &MemorySpec) -> u64 {
    u64::from(memory.load.shared[0] / 2)
}

impl Topology {
    /// The die of a CPU.
    #[must_use]
    pub fn die(&self, core: CoreId) -> usize {
        (u32::from(core.0) / self.cores_per_die) as usize
    }

    /// Distance class between two dies: index into [`crate::spec::ByDistance`].
    #[must_use]
    pub fn distance(&self, a: usize, b: usize) -> usize {
        if a == b {
            return 0;
        }
        let per_package = self.dies_per_package as usize;
        let (pa, pb) = (a / per_package, b / per_package);
        if pa == pb { 1 } else { 1 + usize::from(self.hops[pa][pb].clamp(1, 2)) }
    }

    /// Distance class between two CPUs.
    #[must_use]
    pub fn core_distance(&self, a: CoreId, b: CoreId) -> usize {
        self.distance(self.die(a), self.die(b))
    }
}

impl Home {
    /// Makes clones cheap (see [`sim_core::CowArray::freeze`]).
    pub fn freeze(&mut self) {
        self.dies.iter_mut().for_each(L3::freeze);
    }

    /// An empty directory.
    #[must_use]
    pub fn new(spec: &MachineSpec) -> Self {
        let dies = spec.cores.div_ceil(spec.topology.cores_per_die) as usize;
        Home {
            dies: vec![L3::new(&spec.memory); dies],
            active: InFlight::default(),
            memory: spec.memory,
            topology: spec.topology.clone(),
            leg: u32::try_from(leg(&spec.memory)).expect("half of a u32"),
            cores: spec.cores,
            probes: Vec::new(),
        }
    }

    /// A request reaches the home agent.
    pub fn request(&mut self, now: Cycle, line: LineAddr, from: Requester, out: &mut Vec<Send>) {
        match self.active.get_mut(line) {
            Some(busy) => busy.waiting.push_back(from),
            None => self.start(now, line, from, out),
        }
    }

    /// What the probe of the transaction on `line` has to leave in the probed cache.
    #[must_use]
    pub fn probe_keeps(&self, line: LineAddr) -> LineState {
        match self.active.get(line).and_then(|transaction| transaction.requester) {
            Some(Requester::Core(_, want)) if !want.owns() => LineState::Shared,
            _ => LineState::Invalid,
        }
    }

    /// A core answered the probe for `line` at `now`.
    pub fn probed(&mut self, now: Cycle, line: LineAddr, found: Probed, out: &mut Vec<Send>) {
        let Some(transaction) = self.active.get_mut(line) else { return };
        let due = transaction.due(&self.memory, self.leg, found);
        transaction.probes -= 1;
        // A line held back by a locked operation still has to travel.
        transaction.fill_at = due.max(now + 1);
        let (last, requester, at) =
            (transaction.probes == 0, transaction.requester, transaction.fill_at);
        if found == Probed::Modified {
            self.found_modified(line, requester);
        }
        match (last, requester) {
            (false, _) => {}
            (true, Some(to)) => out.push(Send::Fill { at, to, line }),
            (true, None) => self.finish(now, line, out),
        }
    }

    /// When the fill of the transaction on `line` comes if a probe that found this is answered in
    /// time.
    #[must_use]
    pub fn due(&self, line: LineAddr, found: Probed) -> Cycle {
        let due = |transaction: &Transaction| transaction.due(&self.memory, self.leg, found);
        self.active.get(line).map_or(Cycle(0), due)
    }

    /// True if a transaction on `line` may evict another line from an L3.
    #[must_use]
    pub fn may_evict(&self, line: LineAddr) -> bool {
        self.dies.iter().any(|l3| l3.is_full_for(line))
    }

    /// A dirty copy came back by a read within one die: that die's L3 is dirty now. Across dies it
    /// is written to memory (Nehalem has no Owned state).
    fn found_modified(&mut self, line: LineAddr, requester: Option<Requester>) {
        let Some(Requester::Core(core, want)) = requester else { return };
        let (die, slot) = (self.topology.die(core), self.slot(line));
        if !want.owns() && self.nearest_other(slot, die).is_none() {
            self.dies[die].update(slot, |entry| entry.state = DieState::Modified);
        }
    }

    /// A dirty line left a private cache.
    pub fn write_back(&mut self, core: CoreId, line: LineAddr) {
        let (die, slot) = (self.topology.die(core), self.slot(line));
        let local = self.local(core);
        let busy = self.active.contains(line);
        // A transaction in flight has probed the core already and found nothing.
        let found = self.dies[die].find(slot).filter(|(_, entry)| entry.owner() == Some(local));
        if !busy && let Some((way, mut entry)) = found {
            entry.clear_owner();
            entry.sharers &= !(1 << local);
            entry.state = DieState::Modified;
            self.dies[die].renew(slot, way, entry);
        }
    }

    /// State granted by the transaction on `line`, and what for, for the fill that is being
    /// delivered to a core.
    #[must_use]
    pub fn granted(&self, line: LineAddr) -> (LineState, Want) {
        match self.active.get(line) {
            Some(Transaction { requester: Some(Requester::Core(_, want)), grant, .. }) => {
                (*grant, *want)
            }
            _ => (LineState::Invalid, Want::Read),
        }
    }

    /// The transaction on `line` is complete: the next request in line starts.
    pub fn finish(&mut self, now: Cycle, line: LineAddr, out: &mut Vec<Send>) {
        let Some(done) = self.active.get_mut(line) else { return };
        match done.waiting.pop_front() {
            Some(next) => self.start(now, line, next, out),
            None => {
                self.active.remove(line);
            }
        }
    }

    /// Starts the transaction for `from` on `line`, which none is active on.
    fn start(&mut self, now: Cycle, line: LineAddr, from: Requester, out: &mut Vec<Send>) {
        let slot = self.slot(line);
        let mut probes = std::mem::take(&mut self.probes);
        let plan = match from {
            Requester::Core(core, want) if want.owns() => {
                self.plan_own(slot, core, want, &mut probes)
            }
            Requester::Core(core, want) => self.plan_read(slot, core, want, &mut probes),
            Requester::Dma(_) => self.plan_dma(slot, &mut probes),
        };
        let leg = u64::from(self.leg);
        let Plan { latency, owner_distance, grant, entry, way, die, elsewhere } = plan;
        let fill_at = now + u64::from(latency).saturating_sub(leg).max(1);
        // The line is active from here on, so that it can't be chosen as its own set's victim.
        let active = self.active.entry(line);
        active.requester = Some(from);
        (active.started, active.fill_at) = (now, fill_at);
        (active.probes, active.owner_distance) = (probes.len() as u32, owner_distance);
        active.grant = grant;
        let placed = match (entry, way) {
            (None, _) => Ok(()),
            (Some(entry), Some(way)) => {
                self.dies[die].renew(slot, way, entry);
                Ok(())
            }
            (Some(entry), None) => self.allocate(now, die, slot, entry, out),
        };
        if placed.is_err() {
            let transaction = self.active.remove(line).expect("just inserted");
            let ask_again = std::iter::once(from).chain(transaction.waiting);
            out.extend(ask_again.map(|from| Send::Retry { at: now + leg, from, line }));
            probes.clear();
        } else {
            if elsewhere {
                self.settle_directory(slot, from);
            }
            if probes.is_empty() {
                out.push(Send::Fill { at: fill_at, to: from, line });
            }
            out.extend(probes.drain(..).map(|core| Send::Probe { at: now + leg, core, line }));
        }
        self.probes = probes;
    }

    /// Puts a new `entry` into the L3 of `die`; a victim's copies in private caches are probed away.
    fn allocate(
        &mut self,
        now: Cycle,
        die: usize,
        slot: Slot,
        entry: L3Entry,
        out: &mut Vec<Send>,
    ) -> Result<(), AllBusy> {
        let active = &self.active;
        let victim = self.dies[die].insert(slot, entry, |line| active.contains(line))?;
        let Some(victim) = victim.filter(|victim| victim.sharers != 0) else { return Ok(()) };
        let (at, before) = (now + u64::from(self.leg), out.len());
        let probe = |core| Send::Probe { at, core, line: victim.line };
        out.extend(self.cores_of(die, victim.sharers).map(probe));
        let probes = (out.len() - before) as u32;
        let eviction = self.active.entry(victim.line);
        *eviction = Transaction { started: now, fill_at: now, probes, ..Transaction::new() };
        Ok(())
    }

    /// What a read brings with it. `probes` gets who is to be probed.
    fn plan_read(&self, slot: Slot, core: CoreId, want: Want, probes: &mut Vec<CoreId>) -> Plan {
        let die = self.topology.die(core);
        let row = &self.memory.load;
        let local = self.local(core);
        let mut plan = Plan::new(die);
        if let Some((way, mut entry)) = self.dies[die].find(slot) {
            plan.way = Some(way);
            // Only this die has it, unless it is Shared.
            plan.elsewhere = entry.state == DieState::Shared;
            debug_assert!(plan.elsewhere || self.nearest_other(slot, die).is_none(), "{entry:?}");
            plan.latency = row.shared[0];
            match entry.owner() {
                Some(owner) if owner != local => {
                    plan.owner_distance = Some(0);
                    probes.extend(self.cores_of(die, 1 << owner));
                    entry.clear_owner();
                    entry.sharers |= 1 << local;
                }
                Some(_) => plan.grant = LineState::Exclusive,
                None if entry.sharers & !(1 << local) == 0
                    && entry.state != DieState::Shared
                    && want == Want::Read =>
                {
                    plan.grant = LineState::Exclusive;
                    entry.set_owner(local);
                }
                None => entry.sharers |= 1 << local,
            }
            plan.entry = Some(entry);
            return plan;
        }
        let mut entry = L3Entry::new(slot.line, DieState::Shared);
        match self.nearest_other(slot, die) {
            Some((other, found, distance)) => {
                plan.latency = state_row(row, seen_by_loads(&found))[distance];
                if let Some(owner) = found.owner() {
                    plan.owner_distance = Some(distance as u8);
                    probes.extend(self.cores_of(other, 1 << owner));
                }
                entry.sharers = 1 << local;
            }
            None => {
                plan.elsewhere = false;
                plan.latency = row.memory[self.memory_distance(slot.line, die)];
                entry.state = DieState::Exclusive;
                entry.sharers = 1 << local;
                if want == Want::Read {
                    plan.grant = LineState::Exclusive;
                    entry.set_owner(local);
                }
            }
        }
        plan.entry = Some(entry);
        plan
    }

    fn plan_own(&self, slot: Slot, core: CoreId, want: Want, probes: &mut Vec<CoreId>) -> Plan {
        let die = self.topology.die(core);
        let row = &self.memory.store;
        let local = self.local(core);
        let mut plan = Plan::new(die);
        plan.grant = LineState::Modified;
        let (mut here, mut there) = (None, false);
        for (other, l3) in self.dies.iter().enumerate() {
            let Some((way, entry)) = l3.find(slot) else { continue };
            let distance = self.topology.distance(die, other);
            let own = if other == die {
                (here, plan.way) = (Some(entry), Some(way));
                1 << local
            } else {
                there = true;
                0
            };
            let copies = entry.sharers & !own;
            probes.extend(self.cores_of(other, copies));
            if entry.owner().is_some_and(|owner| own & (1 << owner) == 0) {
                plan.owner_distance = Some(distance as u8);
            } else if copies != 0 {
                // Several cores may have it: Shared, whatever the die's state.
                plan.latency = plan.latency.max(row.shared[distance]);
            } else if other != die {
                plan.latency = plan.latency.max(state_row(row, entry.state)[distance]);
            }
        }
        let least = match here {
            Some(_) => self.memory.load.shared[0],
            // Another die supplies it.
            None if there => 0,
            None => row.memory[self.memory_distance(slot.line, die)],
        };
        plan.latency = plan.latency.max(least);
        plan.elsewhere = there;
        if want == Want::OwnLocked {
            plan.latency += self.memory.atomic_extra;
        }
        let mut entry = here.unwrap_or(L3Entry::new(slot.line, DieState::Exclusive));
        if entry.state == DieState::Shared {
            entry.state = DieState::Exclusive;
        }
        entry.set_owner(local);
        plan.entry = Some(entry);
        plan
    }

    fn plan_dma(&self, slot: Slot, probes: &mut Vec<CoreId>) -> Plan {
        let mut plan = Plan::new(0);
        plan.latency = self.memory.load.shared[0];
        for (die, l3) in self.dies.iter().enumerate() {
            if let Some(entry) = l3.get_at(slot) {
                probes.extend(self.cores_of(die, entry.sharers));
            }
        }
        plan
    }

    /// Carries out what a started transaction means for the other dies' L3s.
    fn settle_directory(&mut self, slot: Slot, requester: Requester) {
        match requester {
            Requester::Dma(_) => self.dies.iter_mut().for_each(|l3| l3.remove(slot)),
            Requester::Core(core, want) => {
                let die = self.topology.die(core);
                for other in (0..self.dies.len()).filter(|&other| other != die) {
                    if want.owns() {
                        self.dies[other].remove(slot);
                    } else {
                        self.dies[other].update(slot, |entry| {
                            entry.clear_owner();
                            entry.state = DieState::Shared;
                        });
                    }
                }
            }
        }
    }

    /// Where `line` belongs in the L3 of each die: all are of one size.
    fn slot(&self, line: LineAddr) -> Slot {
        self.dies[0].slot(line)
    }

    /// The die other than `die` that can supply a line: its only holder, or the nearest sharer.
    fn nearest_other(&self, slot: Slot, die: usize) -> Option<(usize, L3Entry, usize)> {
        let others = (0..self.dies.len()).filter(|&other| other != die);
        let holders = others.filter_map(|other| {
            let entry = self.dies[other].get_at(slot)?;
            Some((other, entry, self.topology.distance(die, other)))
        });
        holders.min_by_key(|&(other, _, distance)| (distance, other))
    }

    /// Distance from `die` to the node that owns the line's memory: pages are interleaved over
    /// the dies.
    fn memory_distance(&self, line: LineAddr, die: usize) -> usize {
        const LINES_PER_PAGE: u64 = 64;
        let node = (line.0 / LINES_PER_PAGE) as usize % self.dies.len();
        self.topology.distance(die, node)
    }

    fn local(&self, core: CoreId) -> u8 {
        (core.0 as u32 % self.topology.cores_per_die) as u8
    }

    fn cores_of(&self, die: usize, mask: u64) -> impl Iterator<Item = CoreId> + use<> {
        let (first, all) = (die as u32 * self.topology.cores_per_die, self.cores);
        let lowest = |&mask: &u64| Some(mask & (mask - 1)).filter(|&rest| rest != 0);
        let masks = std::iter::successors(Some(mask).filter(|&mask| mask != 0), lowest);
        let cores = masks.map(move |mask| first + mask.trailing_zeros());
        cores.filter(move |&core| core < all).map(|core| CoreId(core as u16))
    }

    /// True while `line` is being evicted from an L3.
    #[must_use]
    pub fn evicts(&self, line: LineAddr) -> bool {
        self.active.get(line).is_some_and(|transaction| transaction.requester.is_none())
    }

    /// True while a transaction on `line` is in flight.
    #[must_use]
    pub fn in_flight(&self, line: LineAddr) -> bool {
        self.active.contains(line)
    }

    /// The transactions in flight, in order of their lines.
    pub fn pending(&self) -> impl Iterator<Item = Pending<'_>> {
        self.active.0.iter().map(|(line, transaction)| Pending {
            line: *line,
            requester: transaction.requester,
            probes: transaction.probes,
            grant: transaction.grant,
            waiting: &transaction.waiting,
        })
    }

    /// The L3 of each die.
    #[must_use]
    pub fn dies(&self) -> &[L3] {
        &self.dies
    }
}

/// A transaction in flight, without its times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pending<'a> {
    /// On which line.
    pub line: LineAddr,
    /// For whom; `None` for the eviction of a line from an L3.
    pub requester: Option<Requester>,
    /// Probes not answered yet.
    pub probes: u32,
    /// State that the requester gets.
    pub grant: LineState,
    /// Requests that wait for its end, in their order.
    pub waiting: &'a VecDeque<Requester>,
}

/// What a starting transaction will do.
struct Plan {
    latency: u32,
    owner_distance: Option<u8>,
    grant: LineState,
    /// What the requester's die has of the line then, and the way that it is in already.
    entry: Option<L3Entry>,
    way: Option<usize>,
    die: usize,
    /// Another die than `die` may have the line.
    elsewhere: bool,
}

impl Plan {
    fn new(die: usize) -> Self {
        Plan {
            latency: 0,
            owner_distance: None,
            grant: LineState::Shared,
            entry: None,
            way: None,
            die,
            elsewhere: true,
        }
    }
}

fn state_row(row: &StateLatency, state: DieState) -> &[u32; crate::spec::DISTANCES] {
    match state {
        DieState::Modified => &row.modified,
        DieState::Exclusive => &row.exclusive,
        DieState::Shared => &row.shared,
        DieState::Invalid => &row.memory,
    }
}

/// The state in which a load from another die finds a line that no core owns: the L3 answers
/// without a snoop, as for a Shared line, unless it has to write the line back first.
fn seen_by_loads(entry: &L3Entry) -> DieState {
    match (entry.state, entry.owner()) {
        (DieState::Exclusive, None) => DieState::Shared,
        (state, _) => state,
    }
}

/// Latency when the owner's private cache was probed.
fn owner_latency(memory: &MemorySpec, requester: Requester, found: Probed, distance: usize) -> u32 {
    let (row, extra) = match requester {
        Requester::Core(_, Want::Own) => (&memory.store, 0),
        Requester::Core(_, Want::OwnLocked) => (&memory.store, memory.atomic_extra),
        Requester::Core(_, Want::Read | Want::Fetch) | Requester::Dma(_) => (&memory.load, 0),
    };
    let latency = match found {
        Probed::Modified => row.modified[distance],
        Probed::Clean | Probed::Absent => row.exclusive[distance],
    };
    latency + extra
}
