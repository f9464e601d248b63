//! Where a tracked run ends: what has not happened yet must not come to matter.

use super::Tracker;
use super::pace::{Pace, Site, Stamp};
use crate::core::Run;
use crate::event::Event;
use crate::ids::LineAddr;
use sim_core::Cycle;

/// What a core will do next by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    /// What it is doing.
    pub(crate) run: Run,
    /// When it acts next at the earliest.
    pub(crate) at: Cycle,
}

impl Tracker {
    /// The outcome is that of cycle `at`: what has happened must have happened by then, and what
    /// has not must not, for the whole tile.
    pub(crate) fn look(&mut self, at: Cycle, cores: &[Next]) {
        let look = Stamp { at, pace: Pace::FIXED, instruction: false, site: Site::Look };
        self.acted.before(&look, &mut self.bounds);
        for &(then, event, pace) in &self.pending {
            let site = event.line().map_or(Site::Look, |line| Site::Line { core: None, line });
            let stamp = Stamp { at: then, pace, instruction: false, site };
            self.bounds.order(&look, &stamp);
        }
        for (core, next) in self.cores.iter().zip(cores) {
            let loose = core.loose.iter().any(|(&then, &margin)| then <= at + margin);
            if loose || next.run == Run::Running && !core.pace.is_fixed() {
                self.bounds.cut(None);
            }
        }
    }

    /// What has happened until now settles the outcome, if it happens before `limit`.
    pub(crate) fn settle(&mut self, limit: Cycle) {
        let limit = Stamp { at: limit, pace: Pace::FIXED, instruction: false, site: Site::Look };
        self.acted.before(&limit, &mut self.bounds);
        self.settled = Some(self.acted.clone());
    }

    /// The run ends at `end`, its outcome being settled. Whatever follows must not come before
    /// what has settled it: neither the events that are pending nor what the cores do next, and so
    /// nothing that comes of these.
    pub(crate) fn close(&mut self, end: Cycle, events: &[(Cycle, Event)], cores: &[Next]) {
        let settled = self.settled.take().unwrap_or_else(|| self.acted.clone());
        let mut ahead = Ahead::default();
        for &(at, event) in events {
            ahead.comes(self.expected(at, event), self.pace_of_pending(at, event));
        }
        for (core, next) in self.cores.iter().zip(cores) {
            if next.at < Cycle::NEVER {
                ahead.comes(next.at, core.pace);
            }
            core.paces_of_stores().for_each(|pace| ahead.comes(end, pace));
        }
        for (at, pace) in ahead.0 {
            let next = Stamp { at, pace, instruction: false, site: Site::Look };
            settled.before(&next, &mut self.bounds);
        }
    }

    fn pace_of_pending(&self, at: Cycle, event: Event) -> Pace {
        let found = self.pending.iter().find(|&&(then, other, _)| then == at && other == event);
        found.map_or(Pace::FIXED, |&(.., pace)| pace)
    }

    /// When an event comes at the earliest that is scheduled for `at`.
    fn expected(&self, at: Cycle, event: Event) -> Cycle {
        let Event::ApicTimer { core } = event else { return at };
        let margin = self.cores[core.index()].loose.get(&at).copied().unwrap_or(0);
        Cycle(at.since(Cycle(margin)))
    }
}

/// The earliest that is still to come, of each pace.
#[derive(Default)]
struct Ahead(Vec<(Cycle, Pace)>);

impl Ahead {
    fn comes(&mut self, at: Cycle, pace: Pace) {
        match self.0.iter_mut().find(|(_, known)| *known == pace) {
            Some((earliest, _)) => *earliest = at.min(*earliest),
            None => self.0.push((at, pace)),
        }
    }
}

impl Event {
    /// The line that it is about.
    fn line(&self) -> Option<LineAddr> {
        match *self {
            Event::Request { line, .. }
            | Event::WriteBack { line, .. }
            | Event::Probe { line, .. }
            | Event::Fill { line, .. }
            | Event::DmaVisible { line, .. } => Some(line),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CoreId, DeviceId};
    use crate::tile::pace::Bounds;
    use crate::tile::swept::Swept;

    const ARRIVAL: Event = Event::Device { device: DeviceId(0), token: 0 };
    const HALTED: Next = Next { run: Run::Halted(Cycle(0)), at: Cycle::NEVER };

    /// A fixed event has settled the outcome at cycle 100; an arrival of pace 1 is to come at 150.
    fn settled() -> Tracker {
        let mut tracker = Tracker::new(1, 64, &[Swept::Arrival(DeviceId(0))]);
        tracker.pending_already(Cycle(150), ARRIVAL);
        tracker.enter_event(Cycle(100), Event::ApicTimer { core: CoreId(0) });
        tracker.settle(Cycle(1_000));
        tracker
    }

    fn slacks(bounds: &Bounds) -> Vec<(i16, u64)> {
        bounds.iter().map(|(direction, bound)| (direction[0], bound.slack)).collect()
    }

    #[test]
    fn what_is_still_to_come_stays_behind_what_settled_the_outcome() {
        let mut tracker = settled();
        tracker.close(Cycle(120), &[(Cycle(150), ARRIVAL)], &[HALTED]);
        assert_eq!(slacks(&tracker.into_bounds()), [(-1, 49)]);
    }

    #[test]
    fn what_settles_the_outcome_does_so_before_the_limit() {
        let mut tracker = Tracker::new(1, 64, &[Swept::Arrival(DeviceId(0))]);
        tracker.pending_already(Cycle(150), ARRIVAL);
        tracker.enter_event(Cycle(150), ARRIVAL);
        tracker.settle(Cycle(200));
        tracker.close(Cycle(180), &[], &[HALTED]);
        assert_eq!(slacks(&tracker.into_bounds()), [(1, 49)]);
    }

    #[test]
    fn what_has_happened_since_does_not_bound() {
        let mut tracker = settled();
        tracker.enter_event(Cycle(140), Event::ApicTimer { core: CoreId(0) });
        tracker.close(Cycle(145), &[(Cycle(150), ARRIVAL)], &[HALTED]);
        assert_eq!(slacks(&tracker.into_bounds()), [(-1, 49)]);
    }

    #[test]
    fn a_core_that_goes_on_bounds_by_its_clock() {
        let mut tracker = settled();
        tracker.set_pace(CoreId(0), Pace::FIXED.after_value(0));
        let next = Next { run: Run::Running, at: Cycle(130) };
        tracker.close(Cycle(120), &[], &[next]);
        assert_eq!(slacks(&tracker.into_bounds()), [(-1, 29)]);
    }
}
