//! Tiles: for which values of a latency does a run take the same course?
//!
//! One concrete run decides a whole interval of a swept latency. While a machine runs *tracked*,
//! every time in it is known to move with the swept values by a whole number of cycles per unit
//! (its [`Pace`]): 0 for what does not depend on them, 1 for a reply that is late by the firmware
//! latency and for all that it causes. Adding a cost keeps the pace; where two times of unlike
//! pace meet and their order can change what happens next, the order that this run saw bounds the
//! values ([`Bounds`]). As long as the values keep within the bounds, every event and every
//! instruction of this run happens again, in the same order where order matters, shifted by its
//! pace: by induction over the run, since each of them depends only on what came before it, on
//! orders that are bounded, and on values read from the clock, which are bounded too
//! (`taint`). So the verdict of this run holds for all of them.
//!
//! The places where times meet are few, because cores reach each other through events only:
//! requests for one line at the home agent, a probe or a fill and the accesses of the core that it
//! reaches, an interrupt and an instruction boundary, a device's registers and its own events, a
//! store leaving the buffer, and the reading of a clock. Whatever has no sound bound *cuts* the
//! tile to the one value of the run: slow there, never wrong.
//!
//! Everything that the hot paths call is cold: a run that is not tracked pays for one test each.
//!
//! Derived state: tracking never changes what a machine does, only how fast the host is.

mod core_side;
pub(crate) mod end;
mod home_side;
pub mod pace;
pub mod swept;
mod taint;

use crate::event::Event;
use crate::ids::{CoreId, DeviceId};
use core_side::CoreTrack;
use home_side::HomeTrack;
use pace::{Bounds, Pace, Site, Stamp, Stamps, VALUES};
use sim_core::Cycle;
use std::collections::{BTreeMap, VecDeque};
use swept::Swept;
use taint::{Step, TaintedWords};

/// What follows a run to find its tile.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// The times that are swept: value `i` is that of time `i`.
    swept: Vec<Swept>,
    bounds: Bounds,
    /// Pace of whoever acts.
    now: Pace,
    cores: Vec<CoreTrack>,
    home: HomeTrack,
    devices: BTreeMap<u8, Stamps>,
    triggers: BTreeMap<usize, Stamps>,
    /// Paces of the DMA writes that are under way, oldest first.
    dma: BTreeMap<u8, VecDeque<Pace>>,
    /// Pending events that move.
    pending: Vec<(Cycle, Event, Pace)>,
    /// The latest that anything did, and what had happened when the outcome was settled.
    acted: Stamps,
    settled: Option<Stamps>,
    /// Tainted words of memory.
    words: TaintedWords,
    /// What the current instruction has done so far.
    step: Step,
}

impl Tracker {
    /// Nothing moves yet in a machine of `cores` CPUs.
    #[must_use]
    pub fn new(cores: usize, l3_sets: u32, swept: &[Swept]) -> Self {
        assert!(swept.len() <= VALUES, "at most {VALUES} values");
        Tracker {
            swept: swept.to_vec(),
            bounds: Bounds::new(swept.len()),
            now: Pace::FIXED,
            cores: vec![CoreTrack::default(); cores],
            home: HomeTrack::new(l3_sets),
            devices: BTreeMap::new(),
            triggers: BTreeMap::new(),
            dma: BTreeMap::new(),
            pending: Vec::new(),
            acted: Stamps::default(),
            settled: None,
            words: TaintedWords::new(),
            step: Step::default(),
        }
    }

    /// What bounds the tile.
    #[must_use]
    pub fn into_bounds(self) -> Bounds {
        self.bounds
    }

    /// A core is about to run. Gives the pace of who acted until now, for [`Tracker::resume`].
    #[cold]
    pub(crate) fn enter_core(&mut self, core: CoreId) -> Pace {
        std::mem::replace(&mut self.now, self.cores[core.index()].pace)
    }

    /// Whoever acted before goes on.
    #[cold]
    pub(crate) fn resume(&mut self, pace: Pace) {
        self.now = pace;
    }

    /// An event happens.
    #[cold]
    pub(crate) fn enter_event(&mut self, at: Cycle, event: Event) {
        let found = self.pending.iter().position(|&(then, other, _)| then == at && other == event);
        self.now = found.map_or(Pace::FIXED, |index| self.pending.swap_remove(index).2);
        self.note(at, self.now, false);
    }

    /// Something of this pace happens.
    fn note(&mut self, at: Cycle, pace: Pace, instruction: bool) {
        self.acted.push(Stamp { at, pace, instruction, site: Site::Look });
    }

    /// Whoever acts has scheduled an event that depends on it by an addition.
    #[cold]
    pub(crate) fn posted(&mut self, at: Cycle, event: Event) {
        self.posted_as(at, event, self.now);
    }

    /// An event was scheduled whose time has another pace than who acts.
    pub(crate) fn posted_as(&mut self, at: Cycle, event: Event, pace: Pace) {
        if !pace.is_fixed() {
            self.pending.push((at, event, pace));
        }
    }

    /// A moment of whoever acts.
    fn event_stamp(&self, at: Cycle, site: Site) -> Stamp {
        Stamp { at, pace: self.now, instruction: false, site }
    }

    /// Something happens in a device: everything there is in order.
    pub(crate) fn device(&mut self, at: Cycle, device: DeviceId) {
        let stamp = self.event_stamp(at, Site::Device(device));
        let stamps = self.devices.entry(device.0).or_default();
        stamps.before(&stamp, &mut self.bounds);
        stamps.push(stamp);
    }

    /// A core reaches the instruction of a trigger: which occurrence it is depends on the order.
    #[cold]
    pub(crate) fn trigger(&mut self, core: CoreId, at: Cycle, rip: u64, index: usize) {
        let pace = self.cores[core.index()].pace;
        let site = Site::Boundary { core, rip };
        let stamp = Stamp { at, pace, instruction: true, site };
        let stamps = self.triggers.entry(index).or_default();
        stamps.before(&stamp, &mut self.bounds);
        stamps.push(stamp);
    }

    /// A device issues a DMA write.
    pub(crate) fn dma_issued(&mut self, device: DeviceId) {
        let paces = self.dma.entry(device.0).or_default();
        paces.push_back(self.now);
    }

    /// The oldest DMA write of a device is visible; the next one, if any, reached the home agent's
    /// queue at `arrives`. Gives the pace of its request.
    pub(crate) fn dma_follows(&mut self, device: DeviceId, now: Cycle, arrives: Cycle) -> Pace {
        let own = self.dma.entry(device.0).or_default().front().copied().unwrap_or_default();
        let site = Site::Device(device);
        let issued = Stamp { at: arrives, pace: own, instruction: false, site };
        let here = self.event_stamp(now, site);
        let (first, second) = if arrives <= now { (issued, here) } else { (here, issued) };
        self.bounds.order(&first, &second);
        second.pace
    }

    /// A DMA write is visible.
    pub(crate) fn dma_done(&mut self, device: DeviceId) {
        self.dma.entry(device.0).or_default().pop_front();
    }

    /// Two times of unlike pace meet in a way that has no bound.
    pub(crate) fn cut_unless(&mut self, same: bool) {
        if !same {
            self.bounds.cut(None);
        }
    }

    /// A value that the program reads differs unless the swept values stay as they are.
    fn cut_by_value(&mut self) {
        self.bounds.cut(None);
    }
}
