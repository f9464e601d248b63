//! HOT: where time passes.
//!
//! Cores touch each other only through events that take at least `leg` cycles (half of the L3
//! latency). So from the earliest core's clock on, every core may run that far ahead without
//! looking at the others, up to the next pending event. Events at a cycle come before the
//! instructions that start at it.

use crate::core::step::{self, Parts, Scratch};
use crate::core::{Core, DeviceRead, NO_LINE, Note, Run, Wait};
use crate::dev::{DevCtx, DevEffect, Device, DmaRead};
use crate::event::{Event, Reach, StopCause, Want};
use crate::ids::{CoreId, DeviceId, LineAddr, PhysAddr};
use crate::lapic::Lvt;
use crate::machine::agenda::Agenda;
use crate::machine::{DmaWrite, Machine, Speed};
use crate::mem::cache::LineState;
use crate::mem::home::{self, Requester, Send};
use crate::mem::ram::Ram;
use crate::tile::Tracker;
use crate::tile::pace::Pace;
use crate::trace::{Delivery, Observer, Trace};
use sim_core::Cycle;
use std::cell::RefCell;

/// How far to run.
pub type Until = Cycle;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The cycle given was reached.
    Deadline,
    /// Nothing will ever happen again: no core runs and no event is pending.
    Idle,
    /// Port 0xF4 was written.
    Exit {
        /// By whom.
        core: CoreId,
        /// With which code.
        code: u8,
    },
    /// A word set by [`Machine::stop_on_write`] was written.
    Written(CoreId),
    /// An instruction set by [`Machine::stop_at`] was reached.
    Reached(CoreId),
    /// A CPU shut down.
    TripleFault(CoreId),
    /// A CPU met an instruction that the machine does not implement; RIP points at it.
    Unimplemented(CoreId),
}

/// What a device reads of memory, noted for a run whose tile is looked for.
struct ReadLog<'a> {
    ram: &'a Ram,
    read: RefCell<Vec<(PhysAddr, u64)>>,
}

impl DmaRead for ReadLog<'_> {
    fn read(&self, addr: PhysAddr, bytes: &mut [u8]) {
        self.read.borrow_mut().push((addr, bytes.len() as u64));
        self.ram.read_bytes(addr, bytes);
    }
}

/// A loop was skipped up to now: where its last instruction began is not looked into.
fn track_unpark(core: &Core, tracker: Option<&mut Tracker>) {
    if let Some(tracker) = tracker {
        let (id, clock) = (core.unit.id, core.unit.clock);
        let acting = tracker.enter_core(id);
        let last = Cycle(clock.0.saturating_sub(1));
        tracker.instruction(id, last, core.regs.rip, core.regs.interrupts_enabled());
        tracker.resume(acting);
    }
}

/// A probe is about to take `line` from a core whose due stores are visible.
fn track_probe(core: &Core, tracker: Option<&mut Tracker>, now: Cycle, line: LineAddr) {
    let Some(tracker) = tracker else { return };
    let unit = &core.unit;
    let held = (unit.locked_line == line).then_some(unit.locked_until);
    // Stores that would have left if the line had stayed. One behind a store to a line that has
    // not come might have left at any time.
    let owned = unit.caches.state(line).writable();
    let stores = unit.stores.iter().enumerate();
    let to_line = stores.filter(|(_, store)| owned && store.addr.line() == line);
    let due: Vec<(usize, Cycle)> =
        to_line.map(|(index, _)| (index, unit.stores.left_by(index + 1).max(now))).collect();
    tracker.probed(unit.id, now, line, held, &due);
}

/// When a core next does something by itself: executes, leaves a counted loop, or makes a buffered
/// store visible while it sleeps or waits.
pub(super) fn acts_at(core: &Core) -> Cycle {
    let unit = &core.unit;
    match unit.run {
        Run::Running => unit.clock,
        Run::Parked(park) => park.ends_at().unwrap_or(Cycle::NEVER),
        Run::Off | Run::Waiting(_) | Run::Halted(_) => match unit.stores.head() {
            Some((store, at)) if unit.caches.state(store.addr.line()).writable() => at,
            _ => Cycle::NEVER,
        },
    }
}

impl Machine {
    /// Runs until `until`, or until something ends the run. Records go to `observer`, which cannot
    /// change anything.
    pub fn run(&mut self, until: Until, speed: Speed, observer: &mut dyn Observer) -> Stop {
        self.derived.log.begin(observer.wants());
        self.derived.scratch.iter_mut().for_each(|scratch| scratch.spin.begin());
        let stop = self.advance(until, speed, observer);
        self.come_to_rest();
        self.derived.log.deliver(self.state.now, observer);
        stop
    }

    fn advance(&mut self, until: Cycle, speed: Speed, observer: &mut dyn Observer) -> Stop {
        let ahead = if speed.run_ahead { home::leg(&self.spec.memory) } else { 1 };
        let disturbed = self.spec.perturb.disturbs_loops();
        let skips = speed.skip_loops && !disturbed;
        self.derived.speed = Speed { skip_loops: skips, carry: speed.carry && skips, ..speed };
        self.derived.agenda = Agenda::new(self.state.cores.iter().map(acts_at));
        loop {
            let (core, earliest) = self.derived.agenda.first();
            let next = self.state.queue.horizon();
            let at = earliest.min(next);
            if at == Cycle::NEVER && !self.state.cores.iter().any(|core| core.unit.spins()) {
                self.state.now = self.last_sign_of_life().min(until);
                return Stop::Idle;
            }
            if at >= until {
                self.state.now = until;
                return Stop::Deadline;
            }
            self.state.now = at;
            if next <= earliest {
                if self.derived.log.is_long() {
                    self.settle_stores(at);
                    self.derived.log.deliver(at, observer);
                }
                if let Some(stop) = self.events_at(at) {
                    return stop;
                }
            } else {
                let second = self.derived.agenda.second();
                let limit = (earliest + ahead).min(next).min(until);
                if second < limit {
                    self.take_turns(limit);
                } else {
                    // Nobody else can reach the first core before the second plus a leg.
                    let until = (second + ahead).min(next).min(until);
                    let at = self.window(core, until);
                    self.derived.agenda.set(core, at);
                }
            }
        }
    }

    /// When anything happened last, at a moment when nothing is pending: the same for windows of
    /// any length.
    fn last_sign_of_life(&self) -> Cycle {
        let of_core = |core: &Core| core.unit.clock.max(core.unit.stores.last_commit());
        self.state.cores.iter().map(of_core).fold(self.state.now, Cycle::max)
    }

    /// Several cores act before `limit`, before which no one reaches another: each runs up to it.
    fn take_turns(&mut self, limit: Cycle) {
        let mut agenda = std::mem::take(&mut self.derived.agenda);
        agenda.take_turns(limit, |core| self.window(core, limit));
        self.derived.agenda = agenda;
    }

    /// Lets one core run up to `until`, or to the first event that it posts on the way. When it acts
    /// next.
    fn window(&mut self, index: usize, until: Cycle) -> Cycle {
        let speed = self.derived.speed;
        let (cores, scratch, mut parts) = self.split();
        parts.speed = speed;
        let (core, scratch) = (&mut cores[index], &mut scratch[index]);
        if let Run::Parked(park) = core.unit.run
            && let Some(end) = park.ends_at()
        {
            core.unpark(end);
            scratch.spin.forget();
            track_unpark(core, parts.log.tracker.as_deref_mut());
        }
        step::run(core, scratch, &mut parts, until);
        let until = until.min(parts.queue.horizon());
        step::settle(core, &mut parts, until);
        acts_at(core)
    }

    fn settle_stores(&mut self, until: Cycle) {
        let (cores, _, mut parts) = self.split();
        for core in cores {
            step::settle(core, &mut parts, until);
        }
    }

    /// An event has changed what `id` does next.
    fn reschedule(&mut self, id: CoreId) {
        let at = acts_at(&self.state.cores[id.index()]);
        self.derived.agenda.set(id.index(), at);
    }

    /// Brings every core to the current cycle: skipped loops are accounted for, so that the state
    /// does not show what was skipped.
    fn come_to_rest(&mut self) {
        for id in 0..self.state.cores.len() {
            self.catch_up(CoreId(id as u16), self.state.now);
        }
        self.settle_stores(self.state.now);
    }

    /// An event is about to reach `id` at `now`: a parked core is brought there first, and stores
    /// that are due become visible.
    #[inline]
    fn catch_up(&mut self, id: CoreId, now: Cycle) {
        let unit = &self.state.cores[id.index()].unit;
        let ahead = self.derived.scratch[id.index()].carried.is_ahead_of(now);
        if ahead || matches!(unit.run, Run::Parked(_)) || unit.stores.due() < now {
            self.bring(id, now);
        }
    }

    fn bring(&mut self, id: CoreId, now: Cycle) {
        let (cores, scratch, mut parts) = self.split();
        let (core, scratch) = (&mut cores[id.index()], &mut scratch[id.index()]);
        if scratch.carried.is_ahead_of(now) {
            core.fall_back(scratch, &mut parts);
            step::run(core, scratch, &mut parts, now);
        } else if let Run::Parked(park) = core.unit.run {
            core.unpark(now);
            scratch.spin.leave();
            track_unpark(core, parts.log.tracker.as_deref_mut());
            core.leave_loop(scratch, &mut parts, park, now);
        }
        step::settle(core, &mut parts, now);
    }

    /// Lets the event that has just reached `id` carry it on, if that can be foreseen.
    fn carry(&mut self, id: CoreId, how: impl FnOnce(&mut Core, &mut Scratch, &mut Parts<'_>)) {
        if self.derived.speed.carry {
            let (cores, scratch, mut parts) = self.split();
            how(&mut cores[id.index()], &mut scratch[id.index()], &mut parts);
        }
    }

    fn events_at(&mut self, now: Cycle) -> Option<Stop> {
        while self.state.queue.horizon() == now {
            let (_, event) = self.state.queue.pop().expect("an event is due");
            if let Some(tracker) = &mut self.derived.log.tracker {
                tracker.enter_event(now, event);
            }
            let reach = event.reach();
            if reach == Reach::Devices {
                self.settle_stores(now);
            }
            let stop = self.handle(now, event);
            match reach {
                Reach::Home => {}
                Reach::Core(id) => self.reschedule(id),
                Reach::Devices => {
                    self.derived.agenda = Agenda::new(self.state.cores.iter().map(acts_at));
                }
            }
            if stop.is_some() {
                return stop;
            }
        }
        None
    }

    fn handle(&mut self, now: Cycle, event: Event) -> Option<Stop> {
        match event {
            Event::Request { core, want, line } => {
                self.requested(now, line, Requester::Core(core, want));
            }
            Event::WriteBack { core, line } => {
                self.track_home(now, line, Some(core));
                self.state.home.write_back(core, line);
            }
            Event::Probe { core, line } => self.probe(now, core, line),
            Event::Fill { core, line } => self.fill(now, core, line),
            Event::DmaRequest { device } => self.dma_request(now, device),
            Event::DmaVisible { device, line } => self.dma_visible(now, device, line),
            Event::Interrupt { core, delivery } => self.interrupt(now, core, delivery),
            Event::ApicTimer { core } => self.apic_timer(now, core),
            Event::PmuOverflow { core, generation } => self.pmu_overflow(now, core, generation),
            Event::MmioWrite { device, offset, value } => {
                self.state.device_hash.add(now.0 ^ u64::from(offset) << 32 ^ u64::from(value));
                self.track_device(now, device);
                self.device(now, device, |device, ctx| device.write(offset, value, ctx));
            }
            Event::MmioRead { device, core, offset } => self.mmio_read(now, device, core, offset),
            Event::PortOut { core, port, value } => return self.port_out(now, core, port, value),
            Event::Device { device, token } => {
                self.state.device_hash.add(now.0 ^ u64::from(token) << 40);
                self.track_device(now, device);
                self.device(now, device, |device, ctx| device.on_event(token, ctx));
            }
            Event::Trigger { device } => {
                self.track_device(now, device);
                self.device(now, device, Device::on_trigger);
            }
            Event::Stop { core, cause } => {
                return Some(match cause {
                    StopCause::Written => Stop::Written(core),
                    StopCause::Reached => Stop::Reached(core),
                    StopCause::TripleFault => Stop::TripleFault(core),
                    StopCause::Unimplemented => Stop::Unimplemented(core),
                });
            }
        }
        None
    }

    /// A request reaches the home agent.
    fn requested(&mut self, now: Cycle, line: LineAddr, from: Requester) {
        let core = match from {
            Requester::Core(core, _) => Some(core),
            Requester::Dma(_) => None,
        };
        self.track_home(now, line, core);
        self.home(|home, out| home.request(now, line, from, out));
        self.track_flight(line);
    }

    /// The transaction on `line` ends.
    fn finished(&mut self, now: Cycle, line: LineAddr, core: Option<CoreId>) {
        self.track_home(now, line, core);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.in_flight(line, false);
        }
        self.home(|home, out| home.finish(now, line, out));
        self.track_flight(line);
    }

    fn track_home(&mut self, now: Cycle, line: LineAddr, core: Option<CoreId>) {
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.at_home(now, line, core, self.state.home.may_evict(line));
        }
    }

    fn track_flight(&mut self, line: LineAddr) {
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.in_flight(line, self.state.home.in_flight(line));
        }
    }

    fn track_device(&mut self, now: Cycle, device: DeviceId) {
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.device(now, device);
        }
    }

    /// Lets the home agent act and sends its messages.
    fn home(&mut self, act: impl FnOnce(&mut home::Home, &mut Vec<Send>)) {
        act(&mut self.state.home, &mut self.derived.sends);
        let source = self.home_source();
        for n in 0..self.derived.sends.len() {
            let message = self.derived.sends[n];
            let pace = self.derived.log.tracker.as_mut().map(|tracker| tracker.sends(&message));
            let (at, event) = match message {
                Send::Probe { at, core, line } => (at, Event::Probe { core, line }),
                Send::Fill { at, to: Requester::Core(core, _), line } => {
                    (at, Event::Fill { core, line })
                }
                Send::Fill { at, to: Requester::Dma(device), line } => {
                    (at, Event::DmaVisible { device, line })
                }
                Send::Retry { at, from: Requester::Core(core, want), line } => {
                    (at, Event::Request { core, want, line })
                }
                Send::Retry { at, from: Requester::Dma(device), .. } => {
                    (at, Event::DmaRequest { device })
                }
            };
            self.schedule_as(pace, at, source, event);
        }
        self.derived.sends.clear();
    }

    /// Schedules an event whose time has the pace of who acts.
    fn schedule(&mut self, at: Cycle, source: sim_core::Source, event: Event) {
        self.state.queue.schedule(at, source, event);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.posted(at, event);
        }
    }

    /// Schedules an event whose time has a pace of its own, if the run is tracked.
    fn schedule_as(
        &mut self,
        pace: Option<Pace>,
        at: Cycle,
        source: sim_core::Source,
        event: Event,
    ) {
        self.state.queue.schedule(at, source, event);
        if let (Some(tracker), Some(pace)) = (&mut self.derived.log.tracker, pace) {
            tracker.posted_as(at, event, pace);
        }
    }

    fn probe(&mut self, now: Cycle, id: CoreId, line: LineAddr) {
        if !self.goes_on_without(id, line) && !self.polls(id, now, line) {
            self.catch_up(id, now);
        }
        let leg = home::leg(&self.spec.memory);
        let source = self.home_source();
        let unit = &mut self.state.cores[id.index()].unit;
        // A locked operation keeps its line until it is done.
        let held = if unit.split_hold == line {
            Some(now + leg)
        } else if unit.locked_line == line && now < unit.locked_until {
            Some(unit.locked_until)
        } else {
            None
        };
        if let Some(at) = held {
            let split = unit.split_hold == line;
            let pace = self.derived.log.tracker.as_mut().map(|tracker| {
                if split {
                    tracker.disturbs(id);
                } else {
                    tracker.held_off(id, now, line, at);
                }
                tracker.pace_of(id)
            });
            self.schedule_as(pace, at, source, Event::Probe { core: id, line });
            return;
        }
        let keep = self.state.home.probe_keeps(line);
        let (cores, _, mut parts) = self.split();
        let core = &mut cores[id.index()];
        let rip = core.regs.rip;
        if core.unit.stores.due() < now {
            parts.bus(&mut core.unit, rip).drain_before(now);
        }
        track_probe(core, parts.log.tracker.as_deref_mut(), now, line);
        let found = core.unit.caches.probe(line, keep);
        core.unit.activity += 1;
        core.unit.note_probe(now, line);
        if !core.unit.stores.is_empty() {
            parts.bus(&mut core.unit, rip).ask_again_for_stores(now, line);
        }
        if keep == LineState::Invalid {
            self.line_lost(now, id, line);
        }
        if self.derived.log.tracker.is_some() {
            self.track_home(now, line, Some(id));
            let (due, evicts) = (self.state.home.due(line, found), self.state.home.evicts(line));
            match &mut self.derived.log.tracker {
                // No fill comes of it, but the next request for the line may start now.
                Some(tracker) if evicts => tracker.in_flight(line, false),
                Some(tracker) => tracker.answered(now, line, due),
                None => {}
            }
        }
        self.home(|home, out| home.probed(now, line, found, out));
        self.track_flight(line);
        if keep == LineState::Invalid {
            self.carry(id, |core, scratch, parts| core.carry_to_miss(scratch, parts, now, line));
        }
    }

    /// True if `id` is in a skipped loop that never touches `line`: what the probe does to the rest
    /// of the caches changes no iteration, so that the loop is skipped on.
    fn goes_on_without(&self, id: CoreId, line: LineAddr) -> bool {
        matches!(self.state.cores[id.index()].unit.run, Run::Parked(_))
            && self.derived.scratch[id.index()].spin.never_touches(line)
    }

    /// True if `id` is in a skipped loop that begins with a load from `line`: when the probe has
    /// taken it, the core is carried to that load.
    fn polls(&self, id: CoreId, now: Cycle, line: LineAddr) -> bool {
        let Run::Parked(park) = self.state.cores[id.index()].unit.run else { return false };
        let ahead = self.derived.scratch[id.index()].carried.is_ahead_of(now);
        park.polls == Some(line) && !ahead && self.derived.speed.carry
    }

    /// `line` left the caches of `id`.
    fn line_lost(&mut self, now: Cycle, id: CoreId, line: LineAddr) {
        let (cores, _, mut parts) = self.split();
        let core = &mut cores[id.index()];
        if core.unit.fetch_line == line {
            core.unit.fetch_line = NO_LINE;
            if let Some(tracker) = &mut parts.log.tracker
                && core.unit.run == Run::Running
            {
                tracker.disturbs(id);
            }
        }
        if core.unit.monitor == line {
            core.unit.monitor = NO_LINE;
            if let Run::Halted(since) = core.unit.run {
                core.wake_up(since, now, &mut parts);
            }
        }
    }

    fn fill(&mut self, now: Cycle, id: CoreId, line: LineAddr) {
        self.catch_up(id, now);
        let (state, want) = self.state.home.granted(line);
        let (cores, _, mut parts) = self.split();
        let core = &mut cores[id.index()];
        let rip = core.regs.rip;
        let waited = match core.unit.run {
            Run::Waiting(Wait::Line(waited)) => waited == line,
            Run::Waiting(Wait::Stores) => true,
            _ => false,
        };
        if let Some(tracker) = &mut parts.log.tracker {
            tracker.filled(id, now, line, waited);
            if waited {
                tracker.cut_unless(core.unit.stalled_until <= now);
            }
        }
        let evicted = core.unit.caches.fill(line, state, want == Want::Fetch);
        core.unit.activity += 1;
        core.unit.note(Note::Fill, now, rip, line.0 << 2 | state as u64);
        core.unit.requested.retain(|&asked| asked != (line, want));
        if want.owns() {
            parts.bus(&mut core.unit, rip).drain_filled(now, line);
        }
        if let Some((victim, dirty)) = evicted {
            let mut bus = parts.bus(&mut core.unit, rip);
            if dirty {
                bus.write_back(now, victim);
            }
            bus.ask_again_for_stores(now, victim);
            self.line_lost(now, id, victim);
        }
        if waited && let Some(tracker) = &mut self.derived.log.tracker {
            tracker.resumes(id);
        }
        let unit = &mut self.state.cores[id.index()].unit;
        match unit.run {
            Run::Waiting(Wait::Line(waited)) if waited == line => {
                unit.paid = line;
                unit.resume(now);
            }
            Run::Waiting(Wait::Stores) => unit.resume(now),
            Run::Off | Run::Running | Run::Waiting(_) | Run::Halted(_) | Run::Parked(_) => {}
        }
        self.finished(now, line, Some(id));
        self.carry(id, Core::carry_into_loop);
    }

    fn dma_request(&mut self, now: Cycle, device: DeviceId) {
        if let Some(write) = self.state.dma[device.index()].front() {
            let line = write.addr.line();
            self.requested(now, line, Requester::Dma(device));
        }
    }

    fn dma_visible(&mut self, now: Cycle, device: DeviceId, line: LineAddr) {
        let Some(write) = self.state.dma[device.index()].pop_front() else { return };
        self.watch_dma(now, device, &write);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.overwrites(write.addr, write.bytes.len() as u64);
            tracker.dma_done(device);
        }
        self.state.ram.write_bytes(write.addr, &write.bytes);
        self.state.device_hash.add(now.0 ^ write.addr.0 << 20);
        self.track_device(now, device);
        self.finished(now, line, None);
        if let Some(next) = self.state.dma[device.index()].front() {
            let (arrives, source) = (next.arrives, self.device_source(device));
            let pace = self.derived.log.tracker.as_mut();
            let pace = pace.map(|tracker| tracker.dma_follows(device, now, arrives));
            self.schedule_as(pace, arrives.max(now), source, Event::DmaRequest { device });
        }
        self.device(now, device, |device, ctx| device.on_dma_done(write.token, ctx));
    }

    fn watch_dma(&mut self, now: Cycle, device: DeviceId, write: &DmaWrite) {
        let log = &mut self.derived.log;
        for (i, word) in write.bytes.chunks(8).enumerate() {
            let addr = PhysAddr(write.addr.0 + 8 * i as u64);
            let last = PhysAddr(addr.0 + word.len() as u64 - 1);
            if !log.watches(addr) && !log.watches(last) {
                continue;
            }
            log.code_written(addr);
            let size = word.len() as u8;
            if log.watches_word(addr, size) {
                let old = self.state.ram.read(addr, u64::from(size));
                let mut bytes = [0u8; 8];
                bytes[..word.len()].copy_from_slice(word);
                let new = u64::from_le_bytes(bytes);
                let what = Trace::Write { addr, size, locked: false, rip: 0, old, new };
                log.device(now, device, what);
            }
        }
    }

    fn interrupt(&mut self, now: Cycle, id: CoreId, delivery: Delivery) {
        if id.index() >= self.state.cores.len() {
            return;
        }
        self.catch_up(id, now);
        let (cores, _, mut parts) = self.split();
        let core = &mut cores[id.index()];
        if let Some(tracker) = &mut parts.log.tracker {
            tracker.arrives(id, now);
        }
        parts.log.core(now, id, Trace::Arrive { delivery });
        let unit = &mut core.unit;
        let detail = match delivery {
            Delivery::Fixed(vector) => {
                unit.lapic.accept(vector, false);
                u64::from(vector)
            }
            Delivery::Nmi => {
                unit.nmi_pending = true;
                0x100
            }
            Delivery::Init => {
                // The CPU waits for a start-up IPI, which 64-bit guests never send here.
                unit.lapic.init();
                unit.run = Run::Off;
                0x200
            }
            Delivery::Startup(vector) => 0x300 | u64::from(vector),
        };
        unit.attention = true;
        unit.activity += 1;
        unit.note(Note::Arrive, now, core.regs.rip, detail);
        core.wake(now, &mut parts);
    }

    /// A local interrupt source of `id` fires.
    fn local_interrupt(&mut self, at: Cycle, id: CoreId, delivery: Option<Delivery>) {
        if let Some(delivery) = delivery {
            let source = sim_core::Source(id.0);
            self.schedule(at, source, Event::Interrupt { core: id, delivery });
        }
    }

    fn apic_timer(&mut self, now: Cycle, id: CoreId) {
        if self.derived.scratch[id.index()].carried.is_ahead_of(now) {
            self.catch_up(id, now);
        }
        let lapic = &self.state.cores[id.index()].unit.lapic;
        let live = lapic.next_timer().is_some_and(|at| at <= now);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.timer_fires(id, now, live);
        }
        // Re-armed or stopped since: there is another event for the new deadline.
        if !live {
            return;
        }
        // What the core does in the meantime is not touched: it need not be brought here.
        let delivery = self.state.cores[id.index()].unit.lapic.timer_expired(now);
        let latency = u64::from(self.spec.interrupts.timer);
        self.local_interrupt(now + latency, id, delivery);
        if let Some(at) = self.state.cores[id.index()].unit.lapic.next_timer() {
            let source = sim_core::Source(id.0);
            self.schedule(at.max(now + 1), source, Event::ApicTimer { core: id });
        }
    }

    fn pmu_overflow(&mut self, now: Cycle, id: CoreId, generation: u32) {
        if self.state.cores[id.index()].unit.pmu_generation != generation {
            return;
        }
        self.catch_up(id, now);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.reads_count(id);
        }
        let unit = &mut self.state.cores[id.index()].unit;
        let counts = unit.counts(now);
        let delivery =
            if unit.pmu.overflow(counts) { unit.lapic.local(Lvt::Performance) } else { None };
        let skid = u64::from(self.spec.interrupts.pmi);
        self.local_interrupt(now + skid, id, delivery);
        let (cores, _, mut parts) = self.split();
        let core = &mut cores[id.index()];
        parts.bus(&mut core.unit, core.regs.rip).schedule_overflow(now);
    }

    fn mmio_read(&mut self, now: Cycle, device: DeviceId, id: CoreId, offset: u32) {
        self.track_device(now, device);
        if let Some(tracker) = &mut self.derived.log.tracker {
            tracker.resumes(id);
        }
        let value = self.state.devices[device.index()].read(offset);
        let back = u64::from(self.spec.interrupts.mmio_read / 2);
        let unit = &mut self.state.cores[id.index()].unit;
        unit.note(Note::Device, now, u64::from(offset), u64::from(value));
        unit.device_read = DeviceRead::Ready(value);
        unit.resume(now + back);
    }

    fn port_out(&mut self, now: Cycle, core: CoreId, port: u16, value: u32) -> Option<Stop> {
        match port {
            0xe9 => {
                self.state.console.push(value as u8);
                self.derived.log.core(now, core, Trace::Console(value as u8));
                None
            }
            0xf4 => Some(Stop::Exit { core, code: value as u8 }),
            _ => None,
        }
    }

    /// Calls a device and carries out its effects.
    pub(super) fn device(
        &mut self,
        now: Cycle,
        id: DeviceId,
        call: impl FnOnce(&mut Device, &mut DevCtx<'_>),
    ) {
        let mut effects = Vec::new();
        let memory = ReadLog { ram: &self.state.ram, read: RefCell::default() };
        let mut ctx = DevCtx {
            now,
            interrupts: &self.spec.interrupts,
            memory: &memory,
            effects: &mut effects,
        };
        let device = &mut self.state.devices[id.index()];
        let before = device.draws();
        call(device, &mut ctx);
        let drawn = device.draws() - before;
        let pace = self.derived.log.tracker.as_mut().map(|tracker| {
            memory.read.take().into_iter().for_each(|(addr, len)| tracker.reads_memory(addr, len));
            let own = effects.iter().filter(|effect| matches!(effect, DevEffect::Event { .. }));
            tracker.device_event(id, drawn, own.count())
        });
        for effect in effects {
            self.device_effect(now, id, effect, pace);
        }
    }

    /// `pace`: of an event that the device schedules for itself.
    fn device_effect(
        &mut self,
        now: Cycle,
        device: DeviceId,
        effect: DevEffect,
        pace: Option<Pace>,
    ) {
        let source = self.device_source(device);
        match effect {
            DevEffect::Event { at, token } => {
                self.schedule_as(pace, at.max(now), source, Event::Device { device, token });
            }
            DevEffect::DmaWrite { addr, bytes, token } => {
                let leg = home::leg(&self.spec.memory);
                let latency = u64::from(self.spec.interrupts.dma_write).saturating_sub(leg);
                let arrives = now + latency;
                let queue = &mut self.state.dma[device.index()];
                queue.push_back(DmaWrite { addr, bytes, token, arrives });
                let first = queue.len() == 1;
                if let Some(tracker) = &mut self.derived.log.tracker {
                    tracker.dma_issued(device);
                }
                if first {
                    self.schedule(arrives, source, Event::DmaRequest { device });
                }
            }
            DevEffect::Interrupt { at, to, delivery } => {
                let event = Event::Interrupt { core: to, delivery };
                let tracker = self.derived.log.tracker.as_ref();
                let pace = tracker.map(|tracker| tracker.device_interrupt(device));
                self.schedule_as(pace, at.max(now), source, event);
            }
            DevEffect::Stall { core, until } => self.stall(now, core, until),
            DevEffect::Trace(what) => self.derived.log.device(now, device, what),
        }
    }

    pub(super) fn stall(&mut self, now: Cycle, which: Option<CoreId>, until: Cycle) {
        for id in 0..self.state.cores.len() as u16 {
            let id = CoreId(id);
            if which.is_some_and(|core| core != id) {
                continue;
            }
            self.catch_up(id, now);
            if let Some(tracker) = &mut self.derived.log.tracker {
                tracker.disturbs(id);
            }
            let unit = &mut self.state.cores[id.index()].unit;
            unit.activity += 1;
            unit.stalled_until = unit.stalled_until.max(until);
            if unit.run == Run::Running {
                unit.clock = unit.clock.max(until);
            }
        }
    }
}
