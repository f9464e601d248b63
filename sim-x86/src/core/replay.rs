//! HOT: exact replay of runs of instructions that were executed before.
//!
//! An interrupt handler does nearly the same each time. A *segment* is a run of plain instructions
//! (register work, loads and stores that hit L1D, jumps, RDTSC) that was recorded once and then
//! evaluated partially: most of its results follow from inputs that are the same each time; only
//! the instructions that depend on inputs that vary, or on the time, are executed again.
//!
//! **Why the state is the same.** A segment is replayed only if
//! - it ends before anything can come in between: its last instruction starts before the window's
//!   end and before every pending event, and no interrupt is to be looked at;
//! - the store buffer is empty and its last commit is past, and what a blocked instruction leaves
//!   behind ([`Unit::paid`], [`Unit::restarting`]) is as recorded: then all of the segment's times
//!   are those of the recording, moved, because every access is the same kind of hit. Instructions
//!   whose cycles depend on values are held to the recorded number;
//! - every line that it touches is in the L1 that it was in, writable if it is stored to. Nothing
//!   else than touching happens to caches that hit, and the order within a set depends only on the
//!   order of the *last* touches: these are repeated in order;
//! - the roots that do not vary have their recorded values, so the instructions that depend on
//!   nothing else compute what they computed; residual ones are executed by the ordinary
//!   [`execute`](crate::exec::execute), must access the same addresses and go the same way, and
//!   see memory as the stores of the segment left it;
//! - nobody watches the words that it stores to, and no decoded code is there.
//!
//! Stores that leave the buffer within the segment are then written to memory, in order, and
//! counted in [`Unit::activity`] as a commit counts them; the others go into the buffer. Until all
//! conditions are known to hold the core is not touched: if one fails, the instructions are
//! executed as always. Nothing here is part of a machine's state; all of it may be lost.
//!
//! **Cost.** About 20 host nanoseconds for each residual instruction, and a few for each line, each
//! fixed root and each store; an attempt that fails costs the checks so far.
//!
//! [`Unit::paid`]: crate::core::Unit::paid
//! [`Unit::restarting`]: crate::core::Unit::restarting
//! [`Unit::activity`]: crate::core::Unit::activity

mod apply;
mod build;
mod effects;
mod record;
mod segment;

use crate::core::Core;
use crate::core::step::{Exit, Parts, Scratch};
use crate::machine::log::TraceLog;
use apply::Refusal;
use build::{MOST_VARYING, Root};
use record::{End, Recording};
use segment::Segment;
use sim_core::Cycle;
use std::sync::Arc;

/// Places for segments, per core.
const SLOTS: usize = 256;
/// Cycles that must be left in a window for an attempt to be worth it.
const LEAST_CYCLES: u64 = 24;
/// Instructions that make a segment worth it.
const LEAST_INSTRUCTIONS: u64 = 8;
/// Visits of an address before it is recorded.
const COLD: u16 = 3;
/// Visits before an address whose recording was of no use is tried again.
const HOPELESS: u16 = 2000;
/// Recordings after which what was learned is forgotten: times may have changed.
const TERM: u32 = 24;
/// Replays after which a recording that a miss ended is made anew, in the hope of a longer one;
/// each time this many times as many.
const TRIAL: u32 = 8;
/// Visits from other addresses that a place in use stands, per visit of its own and at most.
const STANDING: u8 = 4;
const MOST_STANDING: u8 = 100;

/// What is known about an address at which execution went on.
#[derive(Clone, Debug)]
struct Slot {
    rip: u64,
    /// Visits from other addresses until it yields its place.
    standing: u8,
    /// Visits to go before a recording.
    patience: u16,
    /// Refusals in a row.
    strikes: u16,
    /// Recordings made.
    lessons: u32,
    /// Replays since then, and how many there are to be before a trial.
    replays: u32,
    trial: u32,
    /// The recording ended with a miss.
    short: bool,
    /// [`TraceLog::epoch`] at which nobody watched the segment's stores.
    unwatched_at: u64,
    varying: Vec<Root>,
    /// Roots that addresses depend on: they must not vary.
    fixed: Vec<Root>,
    segment: Option<Arc<Segment>>,
}

impl Slot {
    fn new(rip: u64) -> Self {
        Slot {
            rip,
            standing: STANDING,
            patience: COLD,
            strikes: 0,
            lessons: 0,
            replays: 0,
            trial: TRIAL,
            short: false,
            unwatched_at: 0,
            varying: Vec::new(),
            fixed: Vec::new(),
            segment: None,
        }
    }

    fn plan(&mut self) -> Plan {
        self.standing = (self.standing + STANDING).min(MOST_STANDING);
        if let Some(segment) = &self.segment {
            return Plan::Replay(Arc::clone(segment));
        }
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 { Plan::Record } else { Plan::Execute }
    }

    /// Another address wants this place. True if it may have it.
    fn yields(&mut self) -> bool {
        self.standing = self.standing.saturating_sub(1);
        self.standing == 0
    }
}

/// The segments of one core.
#[derive(Clone, Debug, Default)]
pub struct Replays {
    slots: Vec<Option<Box<Slot>>>,
    /// Of the decoded code from which they were recorded.
    generation: u64,
    /// Instructions that were computed and not executed.
    pub(crate) computed: u64,
    /// Room for the values of a segment's stores.
    values: Vec<u64>,
}

/// What to do at an address.
enum Plan {
    Execute,
    Record,
    Replay(Arc<Segment>),
}

impl Replays {
    fn slot(&mut self, rip: u64) -> &mut Option<Box<Slot>> {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        // Multiplicative hashing (Knuth, TAOCP vol. 3 §6.4).
        let hash = rip.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        &mut self.slots[hash as usize % SLOTS]
    }

    fn plan(&mut self, rip: u64) -> Plan {
        let place = self.slot(rip);
        if let Some(slot) = place {
            if slot.rip == rip {
                return slot.plan();
            }
            if !slot.yields() {
                return Plan::Execute;
            }
        }
        *place = Some(Box::new(Slot::new(rip)));
        Plan::Execute
    }

    fn known(&mut self, rip: u64) -> Option<&mut Slot> {
        self.slot(rip).as_deref_mut().filter(|slot| slot.rip == rip)
    }

    /// Code has been written over: what was recorded from it is worth nothing.
    fn keep_up_with(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.slots.clear();
        }
    }
}

/// Replays or records what starts at RIP, if that is possible and promising; `None` if the
/// instruction loop is to execute it.
pub(super) fn attempt(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    until: Cycle,
) -> Option<Exit> {
    let unit = &core.unit;
    let limit = until.min(parts.queue.horizon());
    if unit.attention || unit.announced || limit < unit.clock + LEAST_CYCLES {
        return None;
    }
    let rip = core.regs.rip;
    scratch.replays.keep_up_with(parts.code.generation());
    let plan = scratch.replays.plan(rip);
    if matches!(plan, Plan::Execute) || !settled(core, parts) {
        return None;
    }
    if parts.log.code_dirty() {
        return Some(Exit::Look);
    }
    if let Plan::Replay(segment) = plan {
        let limit = until.min(parts.queue.horizon());
        if replay(&segment, core, scratch, parts, limit) {
            return Some(Exit::Look);
        }
        if scratch.replays.known(rip).is_none_or(|slot| slot.segment.is_some()) {
            return None;
        }
    }
    let (exit, recording) = record::record(core, scratch, parts, until);
    if let Some(slot) = scratch.replays.known(rip) {
        slot.learn(&recording, parts.log);
    }
    Some(exit)
}

/// Makes due stores visible, as the instruction loop is about to do. True if none are left.
fn settled(core: &mut Core, parts: &mut Parts<'_>) -> bool {
    let clock = core.unit.clock;
    if core.unit.stores.due() < clock {
        parts.bus(&mut core.unit, core.regs.rip).drain_before(clock);
    }
    core.unit.stores.is_empty() && core.unit.stores.last_commit() < clock
}

/// True if it was replayed. If the slot has lost its segment it is to be recorded anew.
fn replay(
    segment: &Segment,
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    limit: Cycle,
) -> bool {
    let rip = core.regs.rip;
    let Some(slot) = scratch.replays.known(rip) else { return false };
    if slot.unwatched_at != parts.log.epoch() {
        if segment.stores.iter().any(|store| parts.log.is_watched(store.addr, store.size)) {
            *slot = Slot::new(rip);
            return false;
        }
        slot.unwatched_at = parts.log.epoch();
    }
    match apply::replay(segment, core, parts, limit, &mut scratch.replays.values) {
        Ok(()) => {
            let executed = segment.residual.len() as u64;
            scratch.replays.computed += segment.instructions - executed;
            if let Some(slot) = scratch.replays.known(rip) {
                slot.replayed();
            }
            true
        }
        Err(refusal) => {
            if let Some(slot) = scratch.replays.known(rip) {
                slot.refused(refusal);
            }
            false
        }
    }
}

impl Slot {
    fn replayed(&mut self) {
        self.strikes = 0;
        self.replays = self.replays.saturating_add(1);
        if self.short && self.replays == self.trial {
            self.trial = self.trial.saturating_mul(TRIAL);
            self.record_anew();
        }
    }

    fn record_anew(&mut self) {
        self.segment = None;
        self.patience = 1;
    }

    /// Refusals in a row that are borne: the more, the more has been tried.
    fn tolerance(&self) -> u16 {
        2 << (self.lessons / 4).min(9)
    }

    fn refused(&mut self, refusal: Refusal) {
        let news = match refusal {
            Refusal::NotNow => return,
            Refusal::Otherwise => false,
            Refusal::Changed(roots) => self.vary(roots),
        };
        self.strikes = self.strikes.saturating_add(1);
        if news && self.lessons < TERM || self.strikes > self.tolerance() {
            self.record_anew();
        }
    }

    /// Adds to the roots that vary. True if that is new.
    fn vary(&mut self, roots: Vec<Root>) -> bool {
        let before = self.varying.len();
        for root in roots {
            let known = self.varying.contains(&root) || self.fixed.contains(&root);
            if !known && self.varying.len() < MOST_VARYING {
                self.varying.push(root);
            }
        }
        self.varying.len() > before
    }

    fn learn(&mut self, recording: &Recording, log: &TraceLog) {
        self.lessons += 1;
        if self.lessons.is_multiple_of(TERM) {
            self.varying.clear();
            self.fixed.clear();
        }
        (self.strikes, self.replays) = (0, 0);
        self.short = recording.end == End::Miss;
        self.patience = HOPELESS;
        if recording.end == End::Interrupted {
            self.patience = COLD << (self.lessons / 4).min(7);
            return;
        }
        let segment = self.build(recording, log);
        let worth = segment.instructions >= LEAST_INSTRUCTIONS
            && segment.residual.len() as u64 <= segment.instructions / 4 * 3;
        if worth {
            self.unwatched_at = log.epoch();
            self.segment = Some(Arc::new(segment));
        }
    }

    fn build(&mut self, recording: &Recording, log: &TraceLog) -> Segment {
        let watched = |touch: &record::Touch| touch.store && log.is_watched(touch.addr, touch.size);
        let steps = recording.steps.iter();
        let steps = steps.take_while(|step| !step.touches.iter().any(watched)).count();
        loop {
            match build::build(recording, steps, &self.varying) {
                Ok(segment) => return segment,
                Err(build::Addressing(roots)) => {
                    let mut n = 0;
                    let fixed = self.varying.extract_if(.., |_| {
                        n += 1;
                        roots >> (n - 1) & 1 != 0
                    });
                    self.fixed.extend(fixed);
                }
            }
        }
    }
}
