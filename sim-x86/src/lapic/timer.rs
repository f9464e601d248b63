//! The APIC timer (SDM §10.5.4): counts at a divided rate, or compares with the TSC.
//!
//! Nothing ticks: the state is the instant of the next expiry, and counts are computed from it.

use serde::{Deserialize, Serialize};
use sim_core::Cycle;

/// LVT timer bits 18:17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
}

impl TimerMode {
    /// The mode in an LVT timer register; the reserved value 3 counts as one-shot.
    pub(super) fn of(lvt: u32) -> Self {
        match lvt >> 17 & 3 {
            1 => TimerMode::Periodic,
            2 => TimerMode::TscDeadline,
            _ => TimerMode::OneShot,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Timer {
    /// Core cycles per tick at divide-by-1.
    tick: u32,
    /// Divide configuration register: bits 3, 1 and 0.
    divide: u32,
    mode: TimerMode,
    initial: u32,
    expiry: Option<Cycle>,
}

impl Timer {
    pub(super) fn new(tick: u32) -> Self {
        let tick = tick.max(1);
        Timer { tick, divide: 0, mode: TimerMode::OneShot, initial: 0, expiry: None }
    }

    pub(super) fn tick(&self) -> u32 {
        self.tick
    }

    pub(super) fn expiry(&self) -> Option<Cycle> {
        self.expiry
    }

    pub(super) fn initial(&self) -> u32 {
        self.initial
    }

    pub(super) fn divide(&self) -> u32 {
        self.divide
    }

    /// Core cycles per count.
    pub(super) fn cycles_per_count(&self) -> u64 {
        let code = (self.divide >> 1 & 4) | (self.divide & 3);
        // SDM figure 10-10: 000 is divide-by-2, …, 110 by 128, and 111 by 1.
        u64::from(self.tick) << if code == 7 { 0 } else { code + 1 }
    }

    /// Moves a masked timer, which had no events, to where it is at `now`.
    pub(super) fn catch_up(&mut self, now: Cycle) {
        if self.expiry.is_some_and(|expiry| expiry <= now) {
            self.pass(now);
        }
    }

    /// Steps over every expiry up to `at`: reloads a periodic timer, stops the others.
    pub(super) fn pass(&mut self, at: Cycle) {
        let period = self.cycles_per_count() * u64::from(self.initial);
        self.expiry = match self.expiry {
            Some(expiry) if self.mode == TimerMode::Periodic && period != 0 => {
                Some(expiry + (at.since(expiry) / period + 1) * period)
            }
            _ => None,
        };
    }

    pub(super) fn set_mode(&mut self, mode: TimerMode, now: Cycle) {
        self.catch_up(now);
        let deadline = TimerMode::TscDeadline;
        if mode != self.mode && (mode == deadline || self.mode == deadline) {
            self.expiry = None;
            self.initial = 0;
        }
        self.mode = mode;
    }

    /// Write to the initial count: starts the count, 0 stops it. Ignored in TSC-deadline mode.
    pub(super) fn start(&mut self, count: u32, now: Cycle) {
        if self.mode == TimerMode::TscDeadline {
            return;
        }
        self.initial = count;
        self.expiry = (count != 0).then(|| now + self.cycles_per_count() * u64::from(count));
    }

    /// The count at `now`.
    pub(super) fn current(&self, now: Cycle) -> u32 {
        if self.mode == TimerMode::TscDeadline {
            return 0;
        }
        let mut at_now = self.clone();
        at_now.catch_up(now);
        let left = at_now.expiry.map_or(0, |expiry| expiry.since(now));
        // At most the initial count, or what a change of the divider made of it.
        u32::try_from(left.div_ceil(self.cycles_per_count())).unwrap_or(u32::MAX)
    }

    /// Changes the divider; the count that is left goes on at the new rate.
    pub(super) fn set_divide(&mut self, divide: u32, now: Cycle) {
        self.catch_up(now);
        let left = self.current(now);
        self.divide = divide & 0xb;
        if self.mode != TimerMode::TscDeadline && self.expiry.is_some() {
            self.expiry = Some(now + self.cycles_per_count() * u64::from(left));
        }
    }

    /// IA32_TSC_DEADLINE: the armed deadline, 0 if there is none.
    pub(super) fn deadline(&self) -> u64 {
        match (self.mode, self.expiry) {
            (TimerMode::TscDeadline, Some(expiry)) => expiry.0,
            _ => 0,
        }
    }

    /// Write to IA32_TSC_DEADLINE: a deadline in the past fires at once, 0 disarms. Ignored in
    /// the other modes (SDM §10.5.4.1). The TSC counts core cycles.
    pub(super) fn set_deadline(&mut self, tsc: u64, now: Cycle) {
        if self.mode == TimerMode::TscDeadline {
            self.expiry = (tsc != 0).then(|| Cycle(tsc).max(now));
        }
    }
}
