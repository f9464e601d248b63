//! The times of a machine whose values tracked runs can sweep.

use super::Tracker;
use super::pace::{Pace, VALUES};
use crate::event::Event;
use crate::ids::DeviceId;
use sim_core::Cycle;

/// A time that moves by one cycle per unit of the swept value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// What a device draws: the latency of an HBA's firmware, or an interrupt source's delay after
    /// its trigger, which is at least one cycle.
    Latency(DeviceId),
    /// The first arrival at an interrupt source, in cycles after it is armed. The later ones of a
    /// periodic source keep their distance to it.
    Arrival(DeviceId),
    /// The way of an HBA's interrupt messages to the CPU.
    Message(DeviceId),
}

impl Tracker {
    /// Which value `swept` is.
    fn which(&self, swept: Swept) -> Option<usize> {
        self.swept.iter().position(|&known| known == swept)
    }

    /// Value `which` is `value` in this run, and its time moves from `least` on: the tile must not
    /// reach beyond that.
    pub(crate) fn least(&mut self, which: usize, value: u64, least: u64) {
        let Some(slack) = value.checked_sub(least) else { return self.cut_by_value() };
        let mut direction = [0; VALUES];
        direction[which] = -1;
        self.bounds.add(direction, slack, None);
    }

    /// An event is pending when tracking begins.
    pub(crate) fn pending_already(&mut self, at: Cycle, event: Event) {
        if let Event::Device { device, .. } = event
            && let Some(which) = self.which(Swept::Arrival(device))
        {
            self.posted_as(at, event, Pace::FIXED.after_value(which));
        }
    }

    /// Pace of an event that `device` schedules for itself having drawn its latency `draws` times
    /// for it.
    pub(crate) fn device_event(&mut self, device: DeviceId, draws: u64, events: usize) -> Pace {
        match (self.which(Swept::Latency(device)), draws, events) {
            (None, ..) | (_, 0, _) => self.now,
            (Some(which), 1, 1) => self.now.after_value(which),
            (Some(_), ..) => {
                self.cut_by_value();
                self.now
            }
        }
    }

    /// Pace of an interrupt that `device` sends.
    pub(crate) fn device_interrupt(&self, device: DeviceId) -> Pace {
        self.which(Swept::Message(device)).map_or(self.now, |which| self.now.after_value(which))
    }
}
