//! A NIC-like source of interrupts, or a test source that fires when a CPU gets somewhere.
//!
//! Its registers let a handler look at the cause: offset 0 counts arrivals, offset 4 counts those
//! since it was last written.

use super::arrivals::Schedule;
use super::{DevCtx, DevEffect, IrqSourceSpec, Latency};
use crate::ids::{CoreId, DeviceId};
use crate::trace::{Delivery, Trace};
use serde::{Deserialize, Serialize};

/// Register: arrivals so far.
const ARRIVALS: u32 = 0x0;
/// Register: arrivals since it was last written (with anything).
const PENDING: u32 = 0x4;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IrqSource {
    id: DeviceId,
    to: CoreId,
    delivery: Delivery,
    schedule: Schedule,
    arrivals: u32,
    acknowledged: u32,
}

impl IrqSource {
    /// The source before the epoch.
    #[must_use]
    pub fn new(spec: &IrqSourceSpec, id: DeviceId, seed: u64) -> Self {
        IrqSource {
            id,
            to: spec.to,
            delivery: spec.delivery,
            schedule: Schedule::new(&spec.arrivals, spec.limit, seed, &spec.name),
            arrivals: 0,
            acknowledged: 0,
        }
    }

    pub(super) fn arm(&mut self, ctx: &mut DevCtx) {
        self.schedule.arm(ctx);
    }

    pub(super) fn on_trigger(&mut self, ctx: &mut DevCtx) {
        self.schedule.trigger(ctx);
    }

    pub(super) fn id(&self) -> DeviceId {
        self.id
    }

    pub(super) fn draws(&self) -> u64 {
        self.schedule.delays_drawn()
    }

    pub(super) fn set_delay(&mut self, latency: &Latency) {
        self.schedule.set_delay(latency);
    }

    pub(super) fn set_first_arrival(&mut self, cycles: u64) {
        self.schedule.set_first(cycles);
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        match offset {
            ARRIVALS => self.arrivals,
            PENDING => self.arrivals.wrapping_sub(self.acknowledged),
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, offset: u32) {
        if offset == PENDING {
            self.acknowledged = self.arrivals;
        }
    }

    pub(super) fn on_event(&mut self, ctx: &mut DevCtx) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let vector = match self.delivery {
            Delivery::Fixed(vector) | Delivery::Startup(vector) => vector,
            Delivery::Nmi | Delivery::Init => 2,
        };
        let trace = Trace::DeviceInterrupt { device: self.id, to: self.to, vector };
        ctx.effects.push(DevEffect::Trace(trace));
        let (at, to, delivery) = (ctx.now, self.to, self.delivery);
        ctx.effects.push(DevEffect::Interrupt { at, to, delivery });
        self.schedule.arrived(ctx);
    }
}
