//! What a core's local APIC and counters ask of the machine: timers, overflows, messages.

use crate::core::Note;
use crate::core::bus::CoreBus;
use crate::event::Event;
use crate::ids::CoreId;
use crate::lapic::{ApicEffect, Destination, Ipi};
use crate::trace::{Delivery, Trace};
use sim_core::Cycle;

impl CoreBus<'_> {
    /// Carries out what a write to the local APIC asked for.
    pub fn apic_effect(&mut self, effect: ApicEffect) {
        self.unit.activity += 1;
        // A lowered priority or an EOI may let a pending interrupt through.
        self.unit.attention = true;
        self.look_up_at(Cycle(0));
        match effect {
            ApicEffect::None | ApicEffect::Eoi(_) => {}
            ApicEffect::Timer => self.schedule_timer(),
            ApicEffect::Ipi(ipi) => self.send_ipi(ipi),
        }
    }

    /// Schedules an event for the APIC timer's deadline.
    pub fn schedule_timer(&mut self) {
        let expiry = self.unit.lapic.next_timer().map(|at| at.max(self.unit.clock + 1));
        if let Some(at) = expiry {
            let core = self.unit.id;
            self.post(at, Event::ApicTimer { core });
        }
        if let Some(tracker) = &mut self.log.tracker {
            tracker.programs_timer(self.unit.id, expiry, self.unit.lapic.cycles_per_count());
        }
    }

    /// Schedules an event for the next counter overflow as of `now`.
    pub fn schedule_overflow(&mut self, now: Cycle) {
        self.unit.pmu_generation = self.unit.pmu_generation.wrapping_add(1);
        let counts = self.unit.counts(now);
        if let Some(cycles) = self.unit.pmu.next_overflow(counts) {
            let (core, generation) = (self.unit.id, self.unit.pmu_generation);
            let at = now + cycles.max(1);
            self.post(at, Event::PmuOverflow { core, generation });
        }
    }

    fn send_ipi(&mut self, ipi: Ipi) {
        let me = self.unit.id;
        let cores = 0..self.spec.cores as u16;
        let wanted = |core: CoreId| match ipi.to {
            Destination::One(id) => u32::from(core.0) == id,
            Destination::Logical(address) => self.is_logical(core, address),
            Destination::Self_ => core == me,
            Destination::All => true,
            Destination::AllButSelf => core != me,
        };
        let targets: Vec<CoreId> = cores.map(CoreId).filter(|&core| wanted(core)).collect();
        for to in targets {
            self.log.core(self.unit.clock, me, Trace::Ipi { to, delivery: ipi.delivery });
            self.send_interrupt(to, ipi.delivery);
        }
    }

    /// Does a logical destination name `core`? Logical ids are the ones that x2APIC derives, and
    /// the flat model's customary bit per APIC id (SDM vol. 3A §10.6.2, §10.12.10.2).
    fn is_logical(&self, core: CoreId, address: u32) -> bool {
        let id = u32::from(core.0);
        if self.unit.lapic.in_x2apic_mode() {
            address >> 16 == id >> 4 && address & (1 << (id & 15)) != 0
        } else {
            id < 8 && address & (1 << id) != 0
        }
    }

    fn send_interrupt(&mut self, to: CoreId, delivery: Delivery) {
        let me = self.unit.id;
        self.unit.note(Note::System, self.unit.clock, self.rip, u64::from(to.0));
        let latency = if to == me {
            self.spec.interrupts.self_ipi
        } else {
            self.spec.interrupts.ipi[self.spec.topology.core_distance(me, to)]
        };
        let mut at = self.unit.clock + u64::from(latency).max(1);
        if to != me {
            at = at.max(self.unit.clock + self.leg());
        }
        self.post(at, Event::Interrupt { core: to, delivery });
    }
}
