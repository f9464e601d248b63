//! One core: real caches, and what the machine's core does about lines, in the same order.

use super::Up;
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
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
pub struct Pending {
    /// What it is.
    pub issue: Issue,
    /// On which line.
    pub line: LineAddr,
    /// The line whose arrival makes the core try again; `None`: any arrival does.
    pub waits_for: Option<LineAddr>,
    /// It will try again by itself.
    pub awake: bool,
}

/// A core and its messages to the home agent.
#[derive(Clone, Debug)]
pub(crate) struct CoreSide {
    pub(crate) id: CoreId,
    pub(crate) caches: PrivateCaches,
    pub(crate) requested: Vec<(LineAddr, Want)>,
    pub(crate) stores: Vec<LineAddr>,
    pub(crate) pending: Option<Pending>,
    pub(crate) locked: Option<LineAddr>,
    pub(crate) split_hold: Option<LineAddr>,
    pub(crate) up: Vec<Up>,
    /// By line: the copy, if there is one, is older than the last write.
    pub(crate) old: Vec<bool>,
    /// Broken on purpose: writes back what it has already asked for again.
    pub(crate) hasty: bool,
}

/// Lines that an operation has written.
type Written = [Option<LineAddr>; 2];

const NOTHING: Written = [None, None];

impl CoreSide {
    pub(crate) fn new(id: CoreId, spec: &MemorySpec, lines: u64, hasty: bool) -> Self {
        CoreSide {
            id,
            caches: PrivateCaches::new(spec),
            requested: Vec::new(),
            stores: Vec::new(),
            pending: None,
            locked: None,
            split_hold: None,
            up: Vec::new(),
            old: vec![false; lines as usize],
            hasty,
        }
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
        self.locked == Some(line) || self.split_hold == Some(line)
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
        if self.hasty || !self.requested.iter().any(|&(asked, _)| asked == line) {
            self.up.push(Up::WriteBack(line));
        }
    }

    /// Operations in progress.
    pub(crate) fn in_progress(&self) -> usize {
        self.stores.len() + usize::from(!self.idle())
    }

    pub(crate) fn ask_again_for_stores(&mut self, line: LineAddr) {
        if self.stores.contains(&line) {
            self.request(line, Want::Own);
        }
    }

    pub(crate) fn issue(&mut self, issue: Issue, line: LineAddr) -> Written {
        self.attempt(issue, line)
    }

    pub(crate) fn try_again(&mut self) -> Written {
        let pending = self.pending.take().expect("an enabled action");
        self.attempt(pending.issue, pending.line)
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
    pub(crate) fn commit(&mut self) -> Option<LineAddr> {
        let line = self.stores.remove(0);
        self.caches.write(line).then_some(line)
    }

    pub(crate) fn probe(&mut self, line: LineAddr, keep: LineState) -> Probed {
        let found = self.caches.probe(line, keep);
        self.forget(line);
        found
    }

    /// A line arrives.
    pub(crate) fn fill(&mut self, line: LineAddr, state: LineState, want: Want, wakes: bool) {
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
        if let Some(pending) = &mut self.pending {
            pending.awake |= match pending.waits_for {
                Some(waited) => waited == line,
                None => wakes,
            };
        }
    }

    /// Another core has written `line`.
    pub(crate) fn grow_old(&mut self, line: LineAddr) {
        self.old[line.0 as usize] = self.caches.state(line) != LineState::Invalid;
    }

    /// A line that is gone is not old.
    fn forget(&mut self, line: LineAddr) {
        self.old[line.0 as usize] &= self.caches.state(line) != LineState::Invalid;
    }

    pub(crate) fn stale_copy(&self) -> Option<LineAddr> {
        self.old.iter().position(|&old| old).map(|line| LineAddr(line as u64))
    }
}
