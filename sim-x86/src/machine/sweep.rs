//! Runs of a machine for many values of a time: arming, setting, and tracking (see
//! [`crate::tile`]).

use super::Machine;
use super::run::acts_at;
use crate::core::Core;
use crate::dev::{Device, Latency};
use crate::event::Event;
use crate::ids::DeviceId;
use crate::tile::Tracker;
use crate::tile::end::Next;
use crate::tile::pace::Bounds;
use crate::tile::swept::Swept;
use sim_core::Cycle;

impl Machine {
    /// The scenario begins: arrival times of interrupt sources and stalls count from `epoch`. Those
    /// in `held` are left out, until [`Machine::set_swept`] arms them.
    pub fn arm_devices(&mut self, epoch: Cycle, held: &[Swept]) {
        for id in (0..self.state.devices.len()).map(|id| DeviceId(id as u8)) {
            if !held.contains(&Swept::Arrival(id)) {
                self.device(epoch, id, Device::arm);
            }
        }
    }

    /// Gives a swept time its value, before its first use: a fork then runs as if it had been built
    /// with it. An arrival counts from `epoch`, and its source is armed by this.
    pub fn set_swept(&mut self, swept: Swept, value: u64, epoch: Cycle) {
        match swept {
            Swept::Latency(device) => self.set_latency(device, &Latency::Constant(value)),
            Swept::Message(device) => {
                self.state.devices[device.index()].set_interrupt_latency(value);
            }
            Swept::Arrival(device) => {
                self.state.devices[device.index()].set_first_arrival(value);
                self.device(epoch, device, Device::arm);
            }
        }
    }

    /// From now on, follows what bounds the tile of this run: the values of the swept times (at
    /// most [`VALUES`](crate::tile::pace::VALUES)) for which it takes the same course. Each has
    /// been set to the value given, and has not been used yet. See [`crate::tile`].
    pub fn track(&mut self, values: &[(Swept, u64)]) {
        let swept: Vec<Swept> = values.iter().map(|&(swept, _)| swept).collect();
        let sets = self.spec.memory.l3_sets;
        let mut tracker = Tracker::new(self.state.cores.len(), sets, &swept);
        for (which, &(swept, value)) in values.iter().enumerate() {
            tracker.least(which, value, self.least(swept));
        }
        for (at, event) in self.pending() {
            tracker.pending_already(at, event);
        }
        self.derived.log.tracker = Some(Box::new(tracker));
    }

    /// The least value from which on a swept time moves with it.
    fn least(&self, swept: Swept) -> u64 {
        match swept {
            Swept::Latency(device) => self.state.devices[device.index()].least_latency(),
            Swept::Arrival(_) | Swept::Message(_) => 0,
        }
    }

    fn pending(&self) -> Vec<(Cycle, Event)> {
        self.state.queue.pending().into_iter().map(|(at, _, event)| (at, event)).collect()
    }

    /// What has happened until now settles the outcome of a tracked run, if it happens before cycle
    /// `limit`. The longer the run goes on after it, the wider its tile may be: see
    /// [`Machine::tile`].
    pub fn settle(&mut self, limit: Cycle) {
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.settle(limit);
        }
    }

    /// The tile of what has happened since [`Machine::track`], which ends here. `timed`: the
    /// outcome is that of this very cycle; else what has happened by [`Machine::settle`] decides
    /// it, whatever follows.
    pub fn tile(&mut self, timed: bool) -> Option<Bounds> {
        let now = self.state.now;
        let mut tracker = self.derived.log.tracker.take()?;
        let next = |core: &Core| Next { run: core.unit.run, at: acts_at(core) };
        let cores: Vec<Next> = self.state.cores.iter().map(next).collect();
        if timed {
            tracker.look(now, &cores);
        } else {
            tracker.close(now, &self.pending(), &cores);
        }
        Some(tracker.into_bounds())
    }
}
