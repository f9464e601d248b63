//! When a source fires: the schedule shared by interrupt sources and stalls.

use super::latency::exponential;
use super::{Arrivals, DevCtx, DevEffect, Latency};
use serde::{Deserialize, Serialize};
use sim_core::{Cycle, Stream};

/// The only event a schedule asks for.
const ARRIVAL: u32 = 0;

/// Shortest delay after a trigger.
pub(super) const LEAST_DELAY: u64 = 1;

/// Arrivals in progress. One event is under way at a time, but as many as there are triggers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Schedule {
    arrivals: Arrivals,
    /// Arrivals that may still be scheduled.
    left: u64,
    /// Arrivals scheduled so far.
    scheduled: u64,
    /// When the machine reached its epoch.
    armed: Option<Cycle>,
    /// Gaps of a Poisson process, or delays after a trigger.
    stream: Stream,
}

impl Schedule {
    pub(super) fn new(arrivals: &Arrivals, limit: Option<u64>, seed: u64, name: &str) -> Self {
        let mut arrivals = arrivals.clone();
        if let Arrivals::Listed(times) = &mut arrivals {
            times.sort_unstable();
        }
        Schedule {
            arrivals,
            left: limit.unwrap_or(u64::MAX),
            scheduled: 0,
            armed: None,
            stream: Stream::new(seed, name),
        }
    }

    /// Times count from now on.
    pub(super) fn arm(&mut self, ctx: &mut DevCtx) {
        self.armed = Some(ctx.now);
        self.schedule_next(ctx, ctx.now);
    }

    /// An arrival is happening: asks for the next one.
    pub(super) fn arrived(&mut self, ctx: &mut DevCtx) {
        self.schedule_next(ctx, ctx.now);
    }

    /// A CPU reached the instruction. Delays count from there, whether armed or not.
    pub(super) fn trigger(&mut self, ctx: &mut DevCtx) {
        if let Arrivals::Reach { delay } = &self.arrivals {
            let delay = delay.draw(&mut self.stream, self.scheduled).max(LEAST_DELAY);
            self.schedule_at(ctx, ctx.now + delay);
        }
    }

    /// Draws delays after triggers from `latency` from now on.
    pub(super) fn set_delay(&mut self, latency: &Latency) {
        if let Arrivals::Reach { delay } = &mut self.arrivals {
            delay.clone_from(latency);
        }
    }

    /// Moves the first arrival, before the schedule is armed.
    pub(super) fn set_first(&mut self, cycles: u64) {
        match &mut self.arrivals {
            Arrivals::Listed(times) => times.iter_mut().take(1).for_each(|time| *time = cycles),
            Arrivals::Periodic { first, .. } | Arrivals::Poisson { first, .. } => *first = cycles,
            Arrivals::Reach { .. } => {}
        }
    }

    /// Delays drawn so far.
    pub(super) fn delays_drawn(&self) -> u64 {
        if matches!(self.arrivals, Arrivals::Reach { .. }) { self.scheduled } else { 0 }
    }

    fn schedule_next(&mut self, ctx: &mut DevCtx, previous: Cycle) {
        let Some(armed) = self.armed else { return };
        let n = self.scheduled;
        let at = match self.arrivals {
            Arrivals::Listed(ref times) => {
                let Some(&time) = times.get(usize::try_from(n).unwrap_or(usize::MAX)) else {
                    return;
                };
                armed + time
            }
            Arrivals::Periodic { first, period } => {
                armed + first.saturating_add(n.saturating_mul(period.max(1)))
            }
            Arrivals::Poisson { first, mean } => {
                let from = if n == 0 { armed + first } else { previous };
                from + exponential(&mut self.stream, mean)
            }
            Arrivals::Reach { .. } => return,
        };
        self.schedule_at(ctx, at);
    }

    fn schedule_at(&mut self, ctx: &mut DevCtx, at: Cycle) {
        if self.left > 0 {
            self.left -= 1;
            self.scheduled += 1;
            ctx.effects.push(DevEffect::Event { at, token: ARRIVAL });
        }
    }
}
