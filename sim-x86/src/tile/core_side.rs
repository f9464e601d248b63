//! Where events meet the instructions of a core.

use super::Tracker;
use super::pace::{Pace, Site, Stamp, Stamps};
use super::taint::Taints;
use crate::ids::{CoreId, LineAddr};
use sim_core::Cycle;
use std::collections::{BTreeMap, VecDeque};

/// Classes of lines that may share a set in a private cache: no L1 has fewer sets.
const SETS: u64 = 64;

/// What is known about one core.
#[derive(Clone, Debug, Default)]
pub(super) struct CoreTrack {
    /// Of its clock.
    pub(super) pace: Pace,
    /// Its own accesses, by line and by set.
    lines: BTreeMap<LineAddr, Stamps>,
    sets: BTreeMap<u64, Stamps>,
    /// What others did to its lines; lines brought in, by set.
    taken: BTreeMap<LineAddr, Stamps>,
    brought: BTreeMap<u64, Stamps>,
    /// When its buffered stores are ready, oldest first; its last commit.
    stores: VecDeque<Pace>,
    last_commit: Pace,
    /// Start of the latest instruction, and of the latest at which interrupts were open.
    latest: Option<Stamp>,
    open: Option<Stamp>,
    /// Interrupts that arrived and were not taken.
    arrivals: Vec<Stamp>,
    /// When its timer was programmed; expiries that are known only to so many cycles.
    timer: Option<Stamp>,
    pub(super) loose: BTreeMap<Cycle, u64>,
    /// Its cycle counts depend on the values.
    uncertain: bool,
    /// Values that depend on the clock.
    pub(super) taints: Taints,
}

impl CoreTrack {
    /// Of the stores in its buffer.
    pub(super) fn paces_of_stores(&self) -> impl Iterator<Item = Pace> + '_ {
        let last = (!self.stores.is_empty()).then_some(self.last_commit);
        self.stores.iter().copied().chain(last)
    }
}

impl Tracker {
    fn core(&mut self, core: CoreId) -> &mut CoreTrack {
        &mut self.cores[core.index()]
    }

    /// Pace of a core's clock.
    pub(crate) fn pace_of(&self, core: CoreId) -> Pace {
        self.cores[core.index()].pace
    }

    /// An instruction is about to start.
    #[cold]
    pub(crate) fn instruction(&mut self, core: CoreId, at: Cycle, rip: u64, open: bool) {
        self.note(at, self.pace_of(core), true);
        let track = self.core(core);
        let site = Site::Boundary { core, rip };
        let stamp = Stamp { at, pace: track.pace, instruction: true, site };
        track.latest = Some(stamp);
        if open {
            track.open = Some(stamp);
        }
    }

    /// A core touches a line that it holds, or looks for it, at its clock.
    #[cold]
    pub(crate) fn access(&mut self, core: CoreId, at: Cycle, rip: u64, line: LineAddr) {
        let pace = self.pace_of(core);
        self.touch(core, at, pace, rip, line);
    }

    fn touch(&mut self, core: CoreId, at: Cycle, pace: Pace, rip: u64, line: LineAddr) {
        let site = Site::Access { core, rip, line };
        let stamp = Stamp { at, pace, instruction: true, site };
        let track = &mut self.cores[core.index()];
        let set = line.0 % SETS;
        if let Some(taken) = track.taken.get(&line) {
            taken.before(&stamp, &mut self.bounds);
        }
        if let Some(brought) = track.brought.get(&set) {
            brought.before(&stamp, &mut self.bounds);
        }
        track.lines.entry(line).or_default().push(stamp);
        track.sets.entry(set).or_default().push(stamp);
    }

    /// A store enters the buffer.
    #[cold]
    pub(crate) fn buffered(&mut self, core: CoreId) {
        let track = self.core(core);
        track.stores.push_back(track.pace);
    }

    /// The oldest store leaves the buffer at `at`, being ready at `ready` and at least a cycle
    /// after `last`; `forced` if a fill that came after all that lets it go.
    #[cold]
    pub(crate) fn committed(
        &mut self,
        core: CoreId,
        rip: u64,
        line: LineAddr,
        at: Cycle,
        (ready, last): (Cycle, Cycle),
        forced: bool,
    ) {
        let now = self.now;
        let track = &mut self.cores[core.index()];
        let own = track.stores.pop_front().unwrap_or(Pace::FIXED);
        let site = Site::Access { core, rip, line };
        let stamp = |at, pace| Stamp { at, pace, instruction: true, site };
        let (a, b) = (stamp(ready, own), stamp(last + 1, track.last_commit));
        let mut due = if a.at >= b.at { a } else { b };
        let other = if a.at >= b.at { b } else { a };
        self.bounds.order(&other, &due);
        if forced {
            let fill = Stamp { instruction: false, ..stamp(at, now) };
            self.bounds.order(&due, &fill);
            due = stamp(at, now);
        }
        track.last_commit = due.pace;
        self.note(at, due.pace, true);
        self.touch(core, at, due.pace, rip, line);
    }

    /// A store that is ready to leave meets a fill, but its time has not come.
    #[cold]
    pub(crate) fn too_early(&mut self, core: CoreId, now: Cycle, due: Cycle, line: LineAddr) {
        let pace = self.cores[core.index()].stores.front().copied().unwrap_or(Pace::FIXED);
        let site = Site::Line { core: Some(core), line };
        let fill = self.event_stamp(now, site);
        self.bounds.order(&fill, &Stamp { at: due, pace, instruction: true, site });
    }

    /// An instruction starts at `at` while the oldest store is due at `due`.
    #[cold]
    pub(crate) fn store_pends(&mut self, core: CoreId, at: Cycle, due: Cycle) {
        let track = &self.cores[core.index()];
        let (Some(&pace), Some(latest)) = (track.stores.front(), track.latest) else { return };
        if pace != track.pace {
            let store = Stamp { at: due, pace, ..latest };
            self.bounds.order(&Stamp { at, ..latest }, &store);
        }
    }

    /// The core waits until `left`, for `count` stores to have left.
    #[cold]
    pub(crate) fn waits_for_stores(
        &mut self,
        core: CoreId,
        clock: Cycle,
        left: Cycle,
        count: usize,
    ) {
        let track = &self.cores[core.index()];
        let mut paces: Vec<Pace> = track.stores.iter().take(count).copied().collect();
        paces.push(track.last_commit);
        let Some(&pace) = paces.iter().find(|&&pace| pace != track.pace) else { return };
        let Some(latest) = track.latest else { return self.bounds.cut(None) };
        let (own, stores) = (Stamp { at: clock, ..latest }, Stamp { at: left, pace, ..latest });
        // Which of several stores decides is not looked into.
        let alike = paces.iter().all(|&other| other == pace || other == track.pace);
        if left > clock {
            self.bounds.order(&own, &stores);
            self.cut_unless(paces[..paces.len() - 1].iter().all(|&other| other == pace));
            self.set_pace(core, pace);
        } else {
            self.bounds.order(&stores, &own);
            self.cut_unless(alike);
        }
    }

    /// The clock of a core goes on from a time of another pace.
    pub(crate) fn set_pace(&mut self, core: CoreId, pace: Pace) {
        let track = self.core(core);
        track.uncertain |= track.pace != pace;
        track.pace = pace;
    }

    /// The core goes on with what happens now.
    pub(crate) fn resumes(&mut self, core: CoreId) {
        self.set_pace(core, self.now);
    }

    /// A probe reaches a core and takes, or downgrades, its line. `held_until`: a locked operation
    /// kept it until then. `buffered`: when each buffered store to the line would leave.
    pub(crate) fn probed(
        &mut self,
        core: CoreId,
        at: Cycle,
        line: LineAddr,
        held_until: Option<Cycle>,
        buffered: &[(usize, Cycle)],
    ) {
        let stamp = self.event_stamp(at, Site::Line { core: Some(core), line });
        let track = &mut self.cores[core.index()];
        if let Some(own) = track.lines.get(&line) {
            own.before(&stamp, &mut self.bounds);
        }
        if let (Some(until), Some(latest)) = (held_until, track.latest) {
            let until = Stamp { at: until, ..latest };
            self.bounds.order(&Stamp { instruction: false, ..until }, &stamp);
        }
        for &(index, due) in buffered {
            let pace = track.stores.get(index).copied().unwrap_or(Pace::FIXED);
            let due = Stamp { at: due, pace, instruction: true, site: stamp.site };
            self.bounds.order(&stamp, &due);
        }
        track.taken.entry(line).or_default().push(stamp);
    }

    /// A probe finds the line kept by a locked operation until `until`.
    pub(crate) fn held_off(&mut self, core: CoreId, at: Cycle, line: LineAddr, until: Cycle) {
        let stamp = self.event_stamp(at, Site::Line { core: Some(core), line });
        let track = &self.cores[core.index()];
        if let Some(own) = track.lines.get(&line) {
            own.before(&stamp, &mut self.bounds);
        }
        let end = Stamp { at: until, pace: track.pace, ..stamp };
        self.bounds.order(&stamp, &end);
    }

    /// A line comes to a core that did not wait for it (`waited` false), or did.
    pub(crate) fn filled(&mut self, core: CoreId, at: Cycle, line: LineAddr, waited: bool) {
        let stamp = self.event_stamp(at, Site::Line { core: Some(core), line });
        let track = &mut self.cores[core.index()];
        let set = line.0 % SETS;
        if !waited && let Some(own) = track.sets.get(&set) {
            own.before(&stamp, &mut self.bounds);
        }
        track.taken.entry(line).or_default().push(stamp);
        track.brought.entry(set).or_default().push(stamp);
    }

    /// What happens now changes when the core's next instruction starts.
    pub(crate) fn disturbs(&mut self, core: CoreId) {
        let same = self.pace_of(core) == self.now;
        self.cut_unless(same);
    }

    /// An interrupt reaches a core: after the last boundary at which it would have been taken.
    pub(crate) fn arrives(&mut self, core: CoreId, at: Cycle) {
        let stamp = self.event_stamp(at, Site::Arrival { core });
        let track = &mut self.cores[core.index()];
        if let Some(open) = &track.open {
            self.bounds.order(open, &stamp);
        }
        track.arrivals.push(stamp);
    }

    /// The interrupts that have arrived are looked at before the instruction at `rip`, and one is
    /// taken; or the core halts and finds them.
    #[cold]
    pub(crate) fn taken(&mut self, core: CoreId, at: Cycle, rip: u64) {
        let track = &mut self.cores[core.index()];
        let site = Site::Boundary { core, rip };
        let stamp = Stamp { at, pace: track.pace, instruction: true, site };
        for arrival in std::mem::take(&mut track.arrivals) {
            self.bounds.order(&arrival, &stamp);
        }
        track.open = Some(stamp);
    }

    /// A halted core wakes, having halted at `since`; `on_time` unless a stall delays it.
    #[cold]
    pub(crate) fn wakes(&mut self, core: CoreId, since: Cycle, at: Cycle, on_time: bool) {
        self.cut_unless(on_time || self.now.is_fixed());
        let stamp = self.event_stamp(at, Site::Arrival { core });
        let track = &mut self.cores[core.index()];
        if let Some(latest) = track.latest {
            self.bounds.order(&Stamp { at: since, pace: track.pace, ..latest }, &stamp);
        }
        // What arrives from now on has not woken it.
        track.open = Some(stamp);
        self.resumes(core);
    }

    /// A core programs its timer to expire at `at`, counting every `tick` cycles.
    #[cold]
    pub(crate) fn programs_timer(&mut self, core: CoreId, at: Option<Cycle>, tick: u64) {
        let track = self.core(core);
        track.timer = track.latest;
        self.step.timer = at.map(|at| (at, tick));
    }

    /// The timer's event comes, after what was last programmed: `live`, or a stale one.
    pub(crate) fn timer_fires(&mut self, core: CoreId, at: Cycle, live: bool) {
        let mut stamp = self.event_stamp(at, Site::Arrival { core });
        let track = &mut self.cores[core.index()];
        if let Some(margin) = track.loose.remove(&at) {
            stamp.at = Cycle(at.since(Cycle(margin)));
            self.cut_unless(!live);
        }
        if let Some(programmed) = &self.cores[core.index()].timer {
            self.bounds.order(programmed, &stamp);
        }
    }

    /// A count of cycles or of the timer is read, or overflows.
    #[cold]
    pub(crate) fn reads_count(&mut self, core: CoreId) {
        let track = &self.cores[core.index()];
        let timer =
            track.timer.is_none_or(|timer| timer.pace == track.pace && track.loose.is_empty());
        if !track.pace.is_fixed() || track.uncertain || !timer {
            self.cut_by_value();
        }
    }
}
