//! Racing pairs: conflicting accesses of different CPUs that nothing orders.
//!
//! A hybrid of happens-before and locksets (O'Callahan and Choi, 2003). What one CPU did is ordered
//! before what another does by the order of the CPU's own accesses, by an interrupt that was sent
//! and taken, by a request that a device got and the interrupt that it sent for it, and by a locked
//! operation on a word and a later one. A device is taken to have seen every register write sent to
//! it before a request. The order in which two CPUs happened to take a lock orders nothing, because
//! it could have been the other way round: accesses under one lock do not race, that is all.
//! Neither do those that are there to synchronise (taking, releasing and polling a lock; locked
//! operations) among themselves; a lock that is overwritten races with them.

use crate::accesses::{Access, AccessLog, Deed, Entry, Message, Role};
use sim_x86::trace::Actor;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Two accesses to one word that nothing orders, at least one of which writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The access that came first in this run.
    pub first: Access,
    /// The other one.
    pub second: Access,
    /// How often accesses of the same instructions raced; this is when they came closest.
    pub count: usize,
}

impl Race {
    /// Cycles from the first access to the second.
    #[must_use]
    pub fn gap(&self) -> u64 {
        self.second.at - self.first.at
    }
}

/// The racing pairs of a run, one for each pair of instructions, the closest first.
#[must_use]
pub fn races(log: &AccessLog) -> Vec<Race> {
    let mut search = Search::new(log);
    for entry in log.entries() {
        match entry {
            Entry::Access(access) => search.access(access),
            Entry::Message(actor, message) => search.message(*actor, *message),
        }
    }
    let mut races: Vec<Race> = search.found.into_values().collect();
    races.sort_by_key(|race| (race.gap(), race.first.at, race.second.at));
    races
}

/// What each actor is known to have done, as numbers of its accesses.
#[derive(Clone, Debug, Default)]
struct Clock(BTreeMap<Actor, usize>);

impl Clock {
    fn join(&mut self, other: &Clock) {
        for (&actor, &count) in &other.0 {
            let own = self.0.entry(actor).or_default();
            *own = count.max(*own);
        }
    }

    fn tick(&mut self, actor: Actor) -> usize {
        let own = self.0.entry(actor).or_default();
        *own += 1;
        *own
    }

    fn knows(&self, actor: Actor, count: usize) -> bool {
        self.0.get(&actor).is_some_and(|&known| known >= count)
    }
}

/// An access's place in the code: who, where, and whether it writes.
type Place = (Actor, u64, bool);

/// The latest access from a place.
#[derive(Clone, Debug)]
struct Latest {
    access: Access,
    /// Number of the access among those of its actor.
    count: usize,
    /// Locks that were held.
    held: BTreeSet<usize>,
}

impl Latest {
    /// True if nothing orders this access and the later one `now`, whose actor has `clock`.
    fn races_with(&self, now: &Latest, role: Role, clock: &Clock) -> bool {
        let (a, b) = (&self.access, &now.access);
        let conflict = a.actor != b.actor && (a.deed.writes() || b.deed.writes());
        let meant = synchronises(role, a.deed) && synchronises(role, b.deed);
        let locked = !self.held.is_disjoint(&now.held);
        conflict && !meant && !locked && !clock.knows(a.actor, self.count)
    }
}

struct Search<'a> {
    log: &'a AccessLog,
    clocks: BTreeMap<Actor, Clock>,
    /// By word that is no lock: what locked operations hand on.
    released: Vec<Clock>,
    /// By word: the latest access from each place.
    latest: Vec<BTreeMap<Place, Latest>>,
    /// Locks that each actor has taken and not released, by word.
    held: BTreeMap<Actor, BTreeSet<usize>>,
    /// Interrupts under way, by target and vector.
    sent: BTreeMap<(Actor, u8), VecDeque<Clock>>,
    /// By device: what was posted to it.
    posted: BTreeMap<Actor, Clock>,
    found: BTreeMap<(usize, Place, Place), Race>,
}

impl<'a> Search<'a> {
    fn new(log: &'a AccessLog) -> Self {
        let words = log.words().len();
        Search {
            log,
            clocks: BTreeMap::new(),
            released: vec![Clock::default(); words],
            latest: vec![BTreeMap::new(); words],
            held: BTreeMap::new(),
            sent: BTreeMap::new(),
            posted: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    fn access(&mut self, access: &Access) {
        let role = self.log.words()[access.word].role;
        let clock = self.clocks.entry(access.actor).or_default();
        let released = &mut self.released[access.word];
        if role != Role::Lock && synchronises(role, access.deed) {
            clock.join(released);
        }
        let count = clock.tick(access.actor);
        match access.deed {
            Deed::Write { locked: true, .. } if role != Role::Lock => released.join(clock),
            // A plain write hands nothing on.
            Deed::Write { .. } => *released = Clock::default(),
            Deed::Read(_) => {}
        }
        let held = self.held.entry(access.actor).or_default();
        let now = Latest { access: *access, count, held: held.clone() };
        for (&place, earlier) in &self.latest[access.word] {
            if !earlier.races_with(&now, role, clock) {
                continue;
            }
            let race = Race { first: earlier.access, second: *access, count: 1 };
            let known = self.found.entry((access.word, place, place_of(access)));
            let known = known.and_modify(|race| race.count += 1).or_insert(race);
            if race.gap() < known.gap() {
                *known = Race { count: known.count, ..race };
            }
        }
        self.latest[access.word].insert(place_of(access), now);
        match access.deed {
            Deed::Write { locked: true, .. } if role == Role::Lock => {
                held.insert(access.word);
            }
            Deed::Write { size: 2, .. } if role == Role::Lock => {
                held.remove(&access.word);
            }
            _ => {}
        }
    }

    fn message(&mut self, actor: Actor, message: Message) {
        let clock = self.clocks.entry(actor).or_default();
        match message {
            Message::Sent(to, vector) => {
                self.sent.entry((Actor::Core(to), vector)).or_default().push_back(clock.clone());
            }
            Message::Taken(vector) => {
                let under_way = self.sent.get_mut(&(actor, vector));
                if let Some(sent) = under_way.and_then(VecDeque::pop_front) {
                    clock.join(&sent);
                }
            }
            Message::Posted(device) => {
                self.posted.entry(Actor::Device(device)).or_default().join(clock);
            }
            Message::Request => {
                if let Some(posted) = self.posted.get(&actor) {
                    clock.join(posted);
                }
            }
        }
    }
}

fn place_of(access: &Access) -> Place {
    (access.actor, access.rip, access.deed.writes())
}

/// True for accesses that are there to order others.
fn synchronises(role: Role, deed: Deed) -> bool {
    match (role, deed) {
        (Role::Lock | Role::Mask, Deed::Read(_)) => true,
        (Role::Done | Role::Variable, Deed::Read(_)) => false,
        (_, Deed::Write { locked: true, .. }) => true,
        (Role::Lock, Deed::Write { size, .. }) => size == 2,
        (_, Deed::Write { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accesses::Word;
    use sim_core::Cycle;
    use sim_x86::ids::{CoreId, DeviceId, PhysAddr};
    use sim_x86::trace::{Delivery, Entry as Control, Observer, Record, Trace};

    const LOCK: PhysAddr = PhysAddr(0x1000);
    const DATA: PhysAddr = PhysAddr(0x2000);

    fn log(records: &[(u64, Actor, Trace)]) -> AccessLog {
        let word =
            |name: &str, addr, bytes, role| Word { name: name.to_owned(), addr, bytes, role };
        let words = vec![word("lock", LOCK, 4, Role::Lock), word("data", DATA, 8, Role::Variable)];
        let mut log = AccessLog::new(words);
        for &(at, actor, what) in records {
            log.on(&Record { at: Cycle(at), actor, what });
        }
        log
    }

    fn cpu(id: u16) -> Actor {
        Actor::Core(CoreId(id))
    }

    fn write(addr: PhysAddr, size: u8, locked: bool, new: u64) -> Trace {
        let rip = 0x40 + 2 * u64::from(size) + u64::from(locked);
        Trace::Write { addr, size, locked, rip, old: 0, new }
    }

    const TAKE: fn() -> Trace = || write(LOCK, 4, true, 0x10000);
    const RELEASE: fn() -> Trace = || write(LOCK, 2, false, 1);
    const STORE: fn() -> Trace = || write(DATA, 8, false, 7);

    fn gaps(records: &[(u64, Actor, Trace)]) -> Vec<u64> {
        races(&log(records)).iter().map(Race::gap).collect()
    }

    #[test]
    fn stores_that_nothing_orders_race() {
        let load = Trace::Read { addr: DATA, size: 8, rip: 0x50, value: 0 };
        let races =
            races(&log(&[(10, cpu(0), STORE()), (25, cpu(1), load), (70, cpu(1), STORE())]));
        let gaps: Vec<u64> = races.iter().map(Race::gap).collect();
        assert_eq!(gaps, [15, 60]);
        assert_eq!(self::gaps(&[(10, cpu(0), load), (25, cpu(1), load)]), [0_u64; 0]);
        assert_eq!(self::gaps(&[(10, cpu(0), STORE()), (25, cpu(0), STORE())]), [0_u64; 0]);
    }

    #[test]
    fn what_one_lock_guards_does_not_race() {
        let inside =
            |cpu, at| [(at, cpu, TAKE()), (at + 5, cpu, STORE()), (at + 9, cpu, RELEASE())];
        assert_eq!(gaps(&[inside(cpu(0), 10), inside(cpu(1), 40)].concat()), [0_u64; 0]);
        // The second one forgets the lock.
        let outside = [&inside(cpu(0), 10)[..], &[(45, cpu(1), STORE())]].concat();
        assert_eq!(gaps(&outside), [30]);
    }

    #[test]
    fn a_lock_that_is_zeroed_races_with_its_users() {
        let zero = write(LOCK, 4, false, 0);
        assert_eq!(gaps(&[(10, cpu(0), TAKE()), (17, cpu(1), zero)]), [7]);
        assert_eq!(gaps(&[(10, cpu(1), zero), (21, cpu(0), TAKE())]), [11]);
        // That the initialiser used it first is chance.
        let used = [(10, cpu(1), zero), (13, cpu(1), TAKE()), (16, cpu(1), RELEASE())];
        assert_eq!(gaps(&[&used[..], &[(31, cpu(0), TAKE())]].concat()), [21]);
    }

    #[test]
    fn interrupts_and_requests_order() {
        let sent = Trace::Ipi { to: CoreId(1), delivery: Delivery::Fixed(0xf0) };
        let entry = Control::Interrupt(0xf0);
        let taken = Trace::Enter { entry, rip: 0, from_user: false };
        let (before, after) = ((10, cpu(0), STORE()), (90, cpu(1), STORE()));
        assert_eq!(gaps(&[before, (20, cpu(0), sent), (50, cpu(1), taken), after]), [0_u64; 0]);
        assert_eq!(gaps(&[before, (50, cpu(1), taken), after]), [80], "of somebody else's");

        let device = DeviceId(0);
        let posted = (20, cpu(0), Trace::DeviceWrite { device });
        let request = (30, Actor::Device(device), Trace::DeviceRequest { device, id: 1 });
        let raised = Trace::DeviceInterrupt { device, to: CoreId(1), vector: 0xf0 };
        let rest = [posted, request, (40, Actor::Device(device), raised), (50, cpu(1), taken)];
        assert_eq!(gaps(&[&[before], &rest[..], &[after]].concat()), [0_u64; 0]);
        // Initialised only after the request was posted: the bug of mpt2sas.
        assert_eq!(gaps(&[&rest[..], &[(60, cpu(0), STORE()), after]].concat()), [30]);
    }
}
