//! One core: real caches, and what the machine's core does about lines, in the same order.

use super::{Mutation, Up};
use sim_x86::event::Want;
use sim_x86::ids::LineAddr;
use sim_x86::mem::cache::{Level, LineState, PrivateCaches, Probed};
use sim_x86::spec::MemorySpec;

/// An operation that a core may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Issue {
    /// A load of a word that no buffered store covers.
    Load,
    /// A store: into the buffer.
    Store,
    /// A locked read-modify-write.
    Rmw,
    /// CLFLUSH: the line leaves this core.
    Evict,
    /// An instruction fetch.
    Fetch,
    /// A locked read-modify-write that crosses from the first line into the second.
    SplitRmw,
}

/// The operation in which a core is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// What it is.
    pub(crate) issue: Issue,
    /// On which line.
    pub(crate) line: LineAddr,
    /// The line whose arrival makes the core try again; `None`: any arrival does.
    pub(crate) waits_for: Option<LineAddr>,
    /// It will try again by itself.
    pub(crate) awake: bool,
}

/// What happens to one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreEvent {
    /// It begins an operation.
    Issue(Issue, LineAddr),
    /// It tries its blocked operation again.
    Retry,
    /// Its oldest store becomes visible.
    Commit,
    /// Its locked operation is over.
    Unlock,
    /// Its oldest message is on its way no longer.
    Send,
    /// It is probed, and has to keep no more than this.
    Probe(LineAddr, LineState),
    /// A line arrives.
    Fill(LineAddr, LineState, Want),
    /// Another core has written a line.
    Old(LineAddr),
}

impl CoreEvent {
    /// How many there are, for two lines.
    pub(crate) const COUNT: usize = 56;

    /// Each has a number of its own.
    pub(crate) fn code(self) -> usize {
        match self {
            CoreEvent::Issue(issue, line) => issue as usize * 2 + line.0 as usize,
            CoreEvent::Retry => 12,
            CoreEvent::Commit => 13,
            CoreEvent::Unlock => 14,
            CoreEvent::Send => 15,
            CoreEvent::Old(line) => 16 + line.0 as usize,
            CoreEvent::Probe(line, keep) => 18 + line.0 as usize * 2 + keep as usize,
            CoreEvent::Fill(line, state, want) => {
                24 + line.0 as usize * 16 + state as usize * 4 + want as usize
            }
        }
    }

    /// The same with other names for the lines.
    pub(crate) fn renamed(self, name: impl Fn(LineAddr) -> LineAddr) -> Self {
        match self {
            CoreEvent::Issue(issue, line) => CoreEvent::Issue(issue, name(line)),
            CoreEvent::Probe(line, keep) => CoreEvent::Probe(name(line), keep),
            CoreEvent::Fill(line, state, want) => CoreEvent::Fill(name(line), state, want),
            CoreEvent::Old(line) => CoreEvent::Old(name(line)),
            same @ (CoreEvent::Retry | CoreEvent::Commit | CoreEvent::Unlock | CoreEvent::Send) => {
                same
            }
        }
    }
}

/// What an event at a core means for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Lines that were written.
    pub(crate) written: [Option<LineAddr>; 2],
    /// The message that [`CoreEvent::Send`] sent.
    pub(crate) sent: Option<Up>,
    /// The answer to a probe.
    pub(crate) found: Probed,
}

impl Effect {
    /// The same with other names for the lines.
    pub(crate) fn renamed(self, name: impl Fn(LineAddr) -> LineAddr) -> Self {
        let sent = self.sent.map(|message| match message {
            Up::Request(line, want) => Up::Request(name(line), want),
            Up::WriteBack(line) => Up::WriteBack(name(line)),
        });
        Effect { written: self.written.map(|line| line.map(&name)), sent, found: self.found }
    }
}

/// A core and its messages to the home agent.
#[derive(Clone, Debug)]
pub(crate) struct CoreSide {
    pub(crate) caches: PrivateCaches,
    pub(crate) requested: Vec<(LineAddr, Want)>,
    pub(crate) stores: Vec<LineAddr>,
    pub(crate) pending: Option<Pending>,
    pub(crate) locked: Option<LineAddr>,
    pub(crate) split_hold: Option<LineAddr>,
    pub(crate) up: Vec<Up>,
    /// By line: the copy, if there is one, is older than the last write.
    pub(crate) old: Vec<bool>,
    mutation: Mutation,
}

/// Lines that an operation has written.
type Written = [Option<LineAddr>; 2];

const NOTHING: Written = [None, None];

impl CoreSide {
    pub(crate) fn new(spec: &MemorySpec, lines: u64, mutation: Mutation) -> Self {
        CoreSide {
            caches: PrivateCaches::new(spec),
            requested: Vec::new(),
            stores: Vec::new(),
            pending: None,
            locked: None,
            split_hold: None,
            up: Vec::new(),
            old: vec![false; lines as usize],
            mutation,
        }
    }

    /// The core after `event`.
    pub(crate) fn after(&self, event: CoreEvent) -> (CoreSide, Effect) {
        let mut next = self.clone();
        let mut effect = Effect { written: NOTHING, sent: None, found: Probed::Absent };
        match event {
            CoreEvent::Issue(issue, line) => effect.written = next.attempt(issue, line),
            CoreEvent::Retry => {
                let pending = next.pending.take().expect("an enabled event");
                effect.written = next.attempt(pending.issue, pending.line);
            }
            CoreEvent::Commit => effect.written[0] = next.commit(),
            CoreEvent::Unlock => next.locked = None,
            CoreEvent::Send => effect.sent = Some(next.up.remove(0)),
            CoreEvent::Probe(line, keep) => effect.found = next.probe(line, keep),
            CoreEvent::Fill(line, state, want) => next.fill(line, state, want),
            CoreEvent::Old(line) => next.grow_old(line),
        }
        (next, effect)
    }

    pub(crate) fn idle(&self) -> bool {
        self.pending.is_none() && self.locked.is_none()
    }

    pub(crate) fn awake(&self) -> bool {
        self.pending.is_some_and(|pending| pending.awake)
    }

    pub(crate) fn at_rest(&self) -> bool {
        self.idle() && self.stores.is_empty() && self.up.is_empty() && self.requested.is_empty()
    }

    pub(crate) fn can_issue(&self, issue: Issue, store_buffer: usize) -> bool {
        match issue {
            Issue::Store => self.stores.len() < store_buffer,
            // CLFLUSH waits for the buffer to drain before it does anything.
            Issue::Evict => self.stores.is_empty(),
            Issue::Load | Issue::Rmw | Issue::Fetch | Issue::SplitRmw => true,
        }
    }

    pub(crate) fn can_commit(&self) -> bool {
        self.stores.first().is_some_and(|&line| self.caches.state(line).writable())
    }

    /// True while a locked operation keeps probes off `line`.
    pub(crate) fn holds(&self, line: LineAddr) -> bool {
        let held = self.locked == Some(line) || self.split_hold == Some(line);
        held && self.mutation != Mutation::IgnoreLocks
    }

    /// As `CoreBus::request`.
    fn request(&mut self, line: LineAddr, want: Want) {
        if !self.requested.iter().any(|&(asked, w)| asked == line && w.covers(want)) {
            self.requested.push((line, want));
            self.up.push(Up::Request(line, want));
        }
    }

    /// As `CoreBus::write_back`.
    fn write_back(&mut self, line: LineAddr) {
        let hasty = self.mutation == Mutation::HastyWriteBack;
        if hasty || !self.requested.iter().any(|&(asked, _)| asked == line) {
            self.up.push(Up::WriteBack(line));
        }
    }

    /// Operations in progress.
    pub(crate) fn in_progress(&self) -> usize {
        self.stores.len() + usize::from(!self.idle())
    }

    fn ask_again_for_stores(&mut self, line: LineAddr) {
        if self.stores.contains(&line) {
            self.request(line, Want::Own);
        }
    }

    fn wait(&mut self, issue: Issue, line: LineAddr, want: Want, of: LineAddr) -> Written {
        self.request(of, want);
        self.pending = Some(Pending { issue, line, waits_for: Some(of), awake: false });
        NOTHING
    }

    fn attempt(&mut self, issue: Issue, line: LineAddr) -> Written {
        match issue {
            Issue::Load => match self.caches.read(line) {
                Level::Miss => self.wait(issue, line, Want::Read, line),
                Level::L1 | Level::L2 => NOTHING,
            },
            Issue::Fetch => match self.caches.fetch(line) {
                Level::Miss => self.wait(issue, line, Want::Fetch, line),
                Level::L1 | Level::L2 => NOTHING,
            },
            Issue::Store => {
                self.stores.push(line);
                if !self.caches.state(line).writable() {
                    self.request(line, Want::Own);
                }
                NOTHING
            }
            Issue::Evict => {
                if self.caches.probe(line, LineState::Invalid) == Probed::Modified {
                    self.write_back(line);
                }
                self.forget(line);
                NOTHING
            }
            Issue::Rmw | Issue::SplitRmw if !self.stores.is_empty() => {
                self.wait_stores(issue, line)
            }
            Issue::Rmw => {
                if !self.caches.write(line) {
                    return self.wait(issue, line, Want::OwnLocked, line);
                }
                self.locked = Some(line);
                [Some(line), None]
            }
            Issue::SplitRmw => self.split(line, LineAddr(line.0 + 1)),
        }
    }

    /// As `CoreBus::wait_stores`: by itself if only time is missing.
    fn wait_stores(&mut self, issue: Issue, line: LineAddr) -> Written {
        let owned = |&line: &LineAddr| self.caches.state(line).writable();
        let awake = self.stores.iter().all(owned);
        self.pending = Some(Pending { issue, line, waits_for: None, awake });
        NOTHING
    }

    /// As `CoreBus::own_both`.
    fn split(&mut self, first: LineAddr, second: LineAddr) -> Written {
        if !self.caches.write(first) {
            return self.wait(Issue::SplitRmw, first, Want::OwnLocked, first);
        }
        self.split_hold = Some(first);
        if !self.caches.write(second) {
            return self.wait(Issue::SplitRmw, first, Want::OwnLocked, second);
        }
        self.split_hold = None;
        self.locked = Some(first);
        [Some(first), Some(second)]
    }

    /// The oldest store becomes visible.
    fn commit(&mut self) -> Option<LineAddr> {
        let line = self.stores.remove(0);
        self.caches.write(line).then_some(line)
    }

    /// As `Machine::probe`.
    fn probe(&mut self, line: LineAddr, keep: LineState) -> Probed {
        let found = match (self.mutation, keep) {
            (Mutation::DropInvalidation, LineState::Invalid)
            | (Mutation::DropDowngrade, LineState::Shared) => Probed::Clean,
            _ => self.caches.probe(line, keep),
        };
        self.forget(line);
        if self.mutation != Mutation::ForgetStores {
            self.ask_again_for_stores(line);
        }
        found
    }

    /// As `Machine::fill`.
    fn fill(&mut self, line: LineAddr, state: LineState, want: Want) {
        let state = match self.mutation {
            Mutation::GrantWritable => state.max(LineState::Exclusive),
            _ => state,
        };
        let evicted = self.caches.fill(line, state, want == Want::Fetch);
        self.old[line.0 as usize] = false;
        self.requested.retain(|&asked| asked != (line, want));
        if let Some((victim, dirty)) = evicted {
            if dirty {
                self.write_back(victim);
            }
            self.ask_again_for_stores(victim);
            self.forget(victim);
        }
        let wakes = self.mutation != Mutation::NoWakeUp;
        if let Some(pending) = &mut self.pending {
            pending.awake |= match pending.waits_for {
                Some(waited) => waited == line,
                None => wakes,
            };
        }
    }

    /// Another core has written `line`.
    fn grow_old(&mut self, line: LineAddr) {
        self.old[line.0 as usize] = self.caches.state(line) != LineState::Invalid;
    }

    /// A line that is gone is not old.
    fn forget(&mut self, line: LineAddr) {
        self.old[line.0 as usize] &= self.caches.state(line) != LineState::Invalid;
    }

    pub(crate) fn stale_copy(&self) -> Option<LineAddr> {
        self.old.iter().position(|&old| old).map(|line| LineAddr(line as u64))
    }

    /// Bytes that are equal for cores that behave alike, with other names for the lines.
    ///
    /// Left out is what cannot matter: the order in which lines were used, since no cache has both
    /// room for two lines and need to choose between them; and, if `fits` says that no L1D ever
    /// evicts, the state in L2 of a line that is in L1D too, which is never looked at.
    pub(crate) fn image(&self, fits: bool, name: impl Fn(LineAddr) -> LineAddr) -> Vec<u8> {
        let name = |line: LineAddr| name(line).0 as u8;
        let maybe = |line: Option<LineAddr>| line.map_or(0xff, name);
        let mut out = Vec::with_capacity(48);
        let mut part = |end: u8, mut bytes: Vec<u8>, sort: bool| {
            if sort {
                bytes.sort_unstable();
            }
            out.extend(bytes);
            out.push(end);
        };
        let held = |&(line, state): &(LineAddr, LineState)| name(line) << 2 | state as u8;
        let [l1d, l1i, l2] = self.caches.contents();
        if fits {
            let states = l2.iter().map(|&(line, _)| held(&(line, self.caches.state(line))));
            part(0xf0, states.collect(), true);
        } else {
            part(0xf1, l1d.iter().map(held).collect(), true);
            part(0xf2, l2.iter().map(held).collect(), true);
        }
        part(0xf3, l1i.iter().map(held).collect(), true);
        let wanted = |&(line, want): &(LineAddr, Want)| name(line) << 2 | want as u8;
        part(0xf4, self.requested.iter().map(wanted).collect(), true);
        part(0xf5, self.stores.iter().map(|&line| name(line)).collect(), false);
        if let Some(Pending { issue, line, waits_for, awake }) = self.pending {
            // What it waited for is of no interest once it will try again.
            let waits_for = if awake { 0xfe } else { maybe(waits_for) };
            part(0xf6, vec![issue as u8, name(line), waits_for, u8::from(awake)], false);
        }
        part(0xf7, vec![maybe(self.locked), maybe(self.split_hold)], false);
        let message = |&message: &Up| match message {
            Up::Request(line, want) => name(line) << 3 | want as u8,
            Up::WriteBack(line) => name(line) << 3 | 7,
        };
        part(0xf8, self.up.iter().map(message).collect(), false);
        let old = (0..self.old.len()).filter(|&line| self.old[line]);
        part(0xf9, old.map(|line| name(LineAddr(line as u64))).collect(), true);
        out
    }
}
