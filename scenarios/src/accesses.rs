//! Every access to the words that matter, in the order in which they took effect, and the messages
//! that order CPUs among each other.
//!
//! The words are those that the [`Collector`](crate::collect::Collector) watches (locks, counters
//! of completions, acknowledgement masks) and the scenario's variables. Unlike the collector, which
//! folds writes into histories, the log keeps reads too, each in its place.

use crate::schema::VariableKind;
use crate::simulation::Simulation;
use crate::waits::AckState;
use sim_x86::ids::{CoreId, DeviceId, PhysAddr};
use sim_x86::trace::Entry::Interrupt;
use sim_x86::trace::{Actor, Delivery, Observer, Record, Trace, TraceMask};
use std::collections::BTreeMap;

/// Entries of a log at most: a run with more is too long to be looked at access by access.
const MOST: usize = 1 << 20;

/// What a word is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A ticket lock.
    Lock,
    /// The counter of a completion.
    Done,
    /// Part of an acknowledgement mask.
    Mask,
    /// A variable of the scenario.
    Variable,
}

/// A word whose accesses are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub addr: PhysAddr,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it is for.
    pub role: Role,
}

/// The words that matter in `simulation`, by address.
#[must_use]
pub fn words(simulation: &Simulation) -> Vec<Word> {
    let collector = simulation.collector();
    let mut words = Vec::new();
    for lock in collector.locks() {
        let word = lock.word();
        words.push(Word::new(word.name.clone(), word.addr, 4, Role::Lock));
    }
    for completion in collector.completions() {
        let word = completion.word();
        words.push(Word::new(format!("{}.done", word.name), word.done, 4, Role::Done));
    }
    for mask in collector.masks().iter().map(AckState::mask) {
        let bytes = 8 * u64::from(mask.words);
        words.push(Word::new(mask.name.clone(), mask.addr, bytes, Role::Mask));
    }
    for variable in &simulation.loaded().variables {
        if let VariableKind::Word(_) = variable.kind {
            words.push(Word::new(variable.name.clone(), variable.phys, 8, Role::Variable));
        }
    }
    words.sort_by_key(|word| word.addr);
    words.dedup_by(|later, first| later.addr.0 < first.addr.0 + first.bytes);
    words
}

impl Word {
    fn new(name: String, addr: PhysAddr, bytes: u64, role: Role) -> Self {
        Word { name, addr, bytes, role }
    }
}

/// What an access does to its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Reads this value, once or again and again with nothing of its own in between.
    Read(u64),
    /// Writes.
    Write {
        /// In one step with reading it.
        locked: bool,
        /// Bytes that are written.
        size: u8,
        /// What is written.
        new: u64,
    },
}

impl Deed {
    /// True for a write.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Deed::Write { .. })
    }
}

/// An access to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Cycle at which it took effect; of repeated reads, the first.
    pub at: u64,
    /// Who.
    pub actor: Actor,
    /// The word, by index.
    pub word: usize,
    /// The instruction; 0 for a device.
    pub rip: u64,
    /// What.
    pub deed: Deed,
}

/// What makes two accesses of different runs the same: who does it where, and for which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who.
    pub actor: Actor,
    /// The word, by index.
    pub word: usize,
    /// The instruction.
    pub rip: u64,
    /// True for a write.
    pub writes: bool,
    /// How many like it came before.
    pub nth: usize,
}

/// A message that orders what its sender did before what its receiver does after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// An interrupt is sent to a CPU.
    Sent(CoreId, u8),
    /// A CPU takes an interrupt.
    Taken(u8),
    /// A CPU writes to a register of a device.
    Posted(DeviceId),
    /// A device takes a request that was written to its registers.
    Request,
}

/// One entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An access.
    Access(Access),
    /// A message, and who has part in it.
    Message(Actor, Message),
}

/// The accesses and messages of a run, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    words: Vec<Word>,
    entries: Vec<Entry>,
    /// The latest entry of each actor.
    latest: BTreeMap<Actor, usize>,
    full: bool,
}

impl AccessLog {
    /// An empty log of accesses to `words`, which must be in ascending order.
    #[must_use]
    pub fn new(words: Vec<Word>) -> Self {
        AccessLog { words, entries: Vec::new(), latest: BTreeMap::new(), full: false }
    }

    /// Makes `simulation` report accesses to the words.
    pub fn watch(&self, simulation: &mut Simulation) {
        for word in &self.words {
            simulation.machine_mut().watch(word.addr, word.bytes);
        }
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Accesses and messages.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The accesses.
    pub fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Access(access) => Some(access),
            Entry::Message(..) => None,
        })
    }

    /// The accesses with what tells them apart, in order.
    #[must_use]
    pub fn keyed(&self) -> Vec<(Key, Access)> {
        let mut counts = BTreeMap::new();
        let keyed = self.accesses().map(|access| {
            let &Access { actor, word, rip, deed, .. } = access;
            let mut key = Key { actor, word, rip, writes: deed.writes(), nth: 0 };
            let count: &mut usize = counts.entry(key).or_default();
            key.nth = *count;
            *count += 1;
            (key, *access)
        });
        keyed.collect()
    }

    /// True if there was more than a log holds.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    fn word_at(&self, addr: PhysAddr, size: u8) -> Option<usize> {
        let after = self.words.partition_point(|word| word.addr.0 < addr.0 + u64::from(size));
        let index = after.checked_sub(1)?;
        let word = &self.words[index];
        (word.addr.0 + word.bytes > addr.0).then_some(index)
    }

    fn access(&mut self, record: &Record, addr: PhysAddr, size: u8, rip: u64, deed: Deed) {
        let Some(word) = self.word_at(addr, size) else { return };
        let access = Access { at: record.at.0, actor: record.actor, word, rip, deed };
        let again = |entry: &Entry| match entry {
            Entry::Access(old) => !deed.writes() && Access { at: old.at, ..access } == *old,
            Entry::Message(..) => false,
        };
        let last = self.latest.get(&record.actor).map(|&index| &self.entries[index]);
        if !last.is_some_and(again) {
            self.push(record.actor, Entry::Access(access));
        }
    }

    fn push(&mut self, actor: Actor, entry: Entry) {
        if self.entries.len() == MOST {
            self.full = true;
            return;
        }
        self.latest.insert(actor, self.entries.len());
        self.entries.push(entry);
    }
}

impl Observer for AccessLog {
    fn wants(&self) -> TraceMask {
        let wanted = TraceMask { writes: true, reads: true, ..TraceMask::default() };
        TraceMask { control: true, messages: true, ..wanted }
    }

    fn on(&mut self, record: &Record) {
        let message = match record.what {
            Trace::Read { addr, size, rip, value } => {
                return self.access(record, addr, size, rip, Deed::Read(value));
            }
            Trace::Write { addr, size, locked, rip, new, .. } => {
                return self.access(record, addr, size, rip, Deed::Write { locked, size, new });
            }
            Trace::Ipi { to, delivery: Delivery::Fixed(vector) }
            | Trace::DeviceInterrupt { to, vector, .. } => Message::Sent(to, vector),
            Trace::Enter { entry: Interrupt(vector), .. } => Message::Taken(vector),
            Trace::DeviceWrite { device } => Message::Posted(device),
            Trace::DeviceRequest { .. } => Message::Request,
            _ => return,
        };
        self.push(record.actor, Entry::Message(record.actor, message));
    }
}
