//! Where requests meet: the home agent.

use super::Tracker;
use super::pace::{Bounds, Pace, Site, Stamp, Stamps};
use crate::ids::{CoreId, LineAddr};
use crate::mem::home::Send;
use sim_core::Cycle;
use std::collections::BTreeMap;

/// Paces of a transaction in flight.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    started: Pace,
    fill: Pace,
}

/// The order of requests in one L3 set. It matters only once a line is evicted from it.
#[derive(Clone, Debug, Default)]
struct SetOrder {
    stamps: Stamps,
    deferred: Bounds,
}

/// What is known about the home agent.
#[derive(Clone, Debug)]
pub(super) struct HomeTrack {
    l3_sets: u64,
    lines: BTreeMap<LineAddr, Stamps>,
    sets: BTreeMap<u64, SetOrder>,
    active: BTreeMap<LineAddr, Transaction>,
}

impl HomeTrack {
    pub(super) fn new(l3_sets: u32) -> Self {
        HomeTrack {
            l3_sets: u64::from(l3_sets),
            lines: BTreeMap::new(),
            sets: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }
}

impl Tracker {
    /// The home agent does something about `line`, for `core` or a device. `full`: it may have to
    /// evict a line from an L3 set for it.
    pub(crate) fn at_home(&mut self, at: Cycle, line: LineAddr, core: Option<CoreId>, full: bool) {
        let stamp = self.event_stamp(at, Site::Line { core, line });
        let stamps = self.home.lines.entry(line).or_default();
        stamps.before(&stamp, &mut self.bounds);
        stamps.push(stamp);
        let set = self.home.sets.entry(line.0 % self.home.l3_sets).or_default();
        set.stamps.before(&stamp, &mut set.deferred);
        set.stamps.push(stamp);
        if full {
            for (direction, bound) in set.deferred.iter() {
                self.bounds.add(direction, bound.slack, bound.pair);
            }
        }
    }

    /// A transaction on `line` is in flight: from now on, if it was not before. Or none is.
    pub(crate) fn in_flight(&mut self, line: LineAddr, active: bool) {
        if active {
            let (started, fill) = (self.now, self.now);
            self.home.active.entry(line).or_insert(Transaction { started, fill });
        } else {
            self.home.active.remove(&line);
        }
    }

    /// A probe was answered at `now`; without it the fill would come at `due`.
    pub(crate) fn answered(&mut self, now: Cycle, line: LineAddr, due: Cycle) {
        let pace = self.now;
        let Some(transaction) = self.home.active.get_mut(&line) else { return };
        if transaction.started != transaction.fill && transaction.fill != pace {
            self.bounds.cut(None);
        }
        if transaction.fill == pace {
            return;
        }
        let site = Site::Line { core: None, line };
        let answer = Stamp { at: now + 1, pace, instruction: false, site };
        let fixed = Stamp { at: due, pace: transaction.fill, instruction: false, site };
        if answer.at <= fixed.at {
            self.bounds.order(&answer, &fixed);
        } else {
            self.bounds.order(&fixed, &answer);
            transaction.fill = pace;
        }
    }

    /// Pace of a message of the home agent.
    pub(crate) fn sends(&mut self, message: &Send) -> Pace {
        let now = self.now;
        match *message {
            Send::Fill { line, .. } => {
                self.home.active.get(&line).map_or(now, |transaction| transaction.fill)
            }
            Send::Probe { line, .. } => {
                // The line of the transaction, or a victim that has to leave for it.
                let start = Transaction { started: now, fill: now };
                self.home.active.entry(line).or_insert(start);
                now
            }
            Send::Retry { .. } => now,
        }
    }
}
