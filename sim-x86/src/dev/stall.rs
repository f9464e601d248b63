//! SMI-like stalls: one CPU, or all, stand still for a while; nothing can interrupt them.

use super::arrivals::Schedule;
use super::latency::Sampler;
use super::{DevCtx, DevEffect, Latency, StallSpec};
use crate::ids::CoreId;
use serde::{Deserialize, Serialize};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    core: Option<CoreId>,
    schedule: Schedule,
    duration: Sampler,
}

impl Stall {
    /// The source of stalls before the epoch. Durations have a stream of their own, so that they
    /// don't move the arrivals.
    #[must_use]
    pub fn new(spec: &StallSpec, seed: u64) -> Self {
        let name = format!("{}/duration", spec.name);
        Stall {
            core: spec.core,
            schedule: Schedule::new(&spec.arrivals, spec.limit, seed, &spec.name),
            duration: Sampler::new(&spec.duration, seed, &name),
        }
    }

    pub(super) fn arm(&mut self, ctx: &mut DevCtx) {
        self.schedule.arm(ctx);
    }

    pub(super) fn on_trigger(&mut self, ctx: &mut DevCtx) {
        self.schedule.trigger(ctx);
    }

    pub(super) fn draws(&self) -> u64 {
        self.duration.drawn()
    }

    pub(super) fn set_duration(&mut self, latency: &Latency) {
        self.duration.set(latency);
    }

    pub(super) fn on_event(&mut self, ctx: &mut DevCtx) {
        let until = ctx.now + self.duration.draw();
        ctx.effects.push(DevEffect::Stall { core: self.core, until });
        self.schedule.arrived(ctx);
    }
}
