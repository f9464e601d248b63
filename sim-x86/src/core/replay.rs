//! Replaying stretches of code that were executed before.
//!
//! An idle or waiting CPU still takes its ticks, and one tick is like the other: the same
//! instructions on the same path, the same hits in L1, the same cycles; only a few words differ. So
//! where code begins after an interrupt, a miss, or the end of another stretch, and plain
//! instructions follow that only hit L1 (or store to the local APIC), that stretch is *recorded*
//! (`record`) and *compiled* (`compile`): what follows from values that are always the same is
//! worked out once. Next time the stretch is *replayed* (`stretch`): everything that its course
//! depends on is compared (registers, words, the order of the sets of L1, branches), what varies is
//! computed, and all that it leaves behind is put in place at once. If anything differs, the code
//! is executed as always.
//!
//! It is exact because a stretch lies within one window: nobody else acts before it ends, so that
//! nobody sees its stores one by one, and its cycles follow from its path and from L1. A word or
//! register that turns out to differ is known to *vary* from then on: it is loaded and carried
//! through the instructions that use it, instead of being compared.
//!
//! Derived state: which stretches are known never changes a result.

mod by_page;
mod compile;
mod draft;
mod plain;
mod record;
mod stretch;

use crate::core::Core;
use crate::core::bus::CoreBus;
use crate::core::regs::flags;
use crate::core::step::{Parts, Scratch};
use crate::core::translate::PlainRam;
use crate::ids::PhysAddr;
use crate::op::effects::RegisterSet;
use sim_core::Cycle;
use std::sync::Arc;
use stretch::{Desk, Refusal, Stretch};

/// Anchors that are remembered, per core: for each address there are two that it may take.
const ANCHORS: usize = 32;
/// Visits before the first recording.
const VISITS: u32 = 16;
/// Most visits without a replay between two recordings.
const MOST_VISITS: u32 = 1 << 16;
/// Courses that are kept for one anchor.
const COURSES: usize = 4;
/// Shorter stretches are not worth it.
const LEAST_INSTRUCTIONS: u64 = 12;
/// Less time than this is not enough for any.
const LEAST_CYCLES: u64 = 32;

/// What is known to vary at one anchor.
#[derive(Clone, Debug, Default)]
struct Varying {
    registers: RegisterSet,
    words: Vec<(PhysAddr, u64)>,
}

/// Where stretches begin.
#[derive(Clone, Debug, Default)]
struct Anchor {
    rip: u64,
    varying: Varying,
    /// The courses that were recorded, the last one that was replayed first.
    courses: Vec<Arc<Stretch>>,
    /// Visits without a replay until the next recording, and how many there were before the last.
    wait: u32,
    patience: u32,
    /// Something was learnt to vary: what is recorded next will be of more use.
    learnt: bool,
}

/// The stretches that one core knows.
#[derive(Debug, Default)]
pub struct Replays {
    anchors: Vec<Anchor>,
    /// Made when it is needed: clones are cheap without it.
    desk: Option<Box<Desk>>,
    /// Of the decoded code and the watched lines when they were recorded.
    edition: (u64, u64),
}

impl Clone for Replays {
    /// A fork learns its own.
    fn clone(&self) -> Self {
        Replays::default()
    }
}

fn position(rip: u64) -> usize {
    (rip ^ rip >> 5 ^ rip >> 10) as usize % ANCHORS
}

/// True if `core` may replay or record what follows: it is in the kernel, no interrupt is to be
/// taken, and nobody looks at single instructions.
fn may_begin(core: &Core, parts: &Parts<'_>) -> bool {
    let unit = &core.unit;
    let shadow = unit.shadow.active && unit.shadow.at == unit.instructions;
    let interrupted = unit.attention && core.interrupt_ready();
    let steps = core.regs.rflags & flags::TF != 0 || parts.log.wants_retire();
    let watched = unit.announced || parts.spec.perturb.at_boundaries();
    let plain = CoreBus::plain_ram(false, parts.spec, parts.log) != PlainRam::NOTHING;
    core.regs.cpl() == 0 && plain && !(shadow || interrupted || steps || watched)
}

/// Replays the stretch that begins at RIP, or records it, if it ends before `until` and the next
/// event. If it did either, how many instructions were replayed.
pub(super) fn try_stretch(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    until: Cycle,
) -> Option<u64> {
    let limit = until.min(parts.queue.horizon());
    if core.unit.clock + LEAST_CYCLES > limit || !may_begin(core, parts) {
        return None;
    }
    let clock = core.unit.clock;
    parts.bus(&mut core.unit, core.regs.rip).drain_before(clock);
    if !core.unit.stores.is_empty() {
        return None;
    }
    scratch.replays.keep_valid(parts);
    let before = core.unit.instructions;
    let (anchor, desk) = scratch.replays.anchor(core.regs.rip);
    match anchor.replay(core, parts, limit, desk) {
        Ok(()) => return Some(core.unit.instructions - before),
        Err(Refusal::Time) => return None,
        Err(Refusal::Value | Refusal::Course) => {}
    }
    if anchor.wait > 0 && !anchor.learnt {
        anchor.wait -= 1;
        return None;
    }
    record_at(core, scratch, parts, limit);
    let executed = core.unit.instructions - before;
    (executed > 0 || core.unit.clock > clock).then_some(0)
}

/// Records the stretch that begins at RIP.
fn record_at(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>, limit: Cycle) {
    let rip = core.regs.rip;
    let recording = record::record(core, scratch, parts, limit);
    let (anchor, _) = scratch.replays.anchor(rip);
    if !std::mem::take(&mut anchor.learnt) {
        anchor.patience = (anchor.patience * 2).min(MOST_VISITS);
        anchor.wait = anchor.patience;
    }
    let Some(recording) = recording else { return };
    // What ended because time was up may be longer next time.
    let whole = core.unit.clock < limit.min(parts.queue.horizon());
    if whole && let Some(stretch) = compile::compile(&recording, &anchor.varying) {
        anchor.keep(stretch);
    }
}

impl Replays {
    /// The anchor at `rip`, new if need be.
    fn anchor(&mut self, rip: u64) -> (&mut Anchor, &mut Desk) {
        if self.anchors.is_empty() {
            self.anchors.resize_with(ANCHORS, Anchor::default);
        }
        let first = position(rip);
        let [one, other] = [first, first ^ 1].map(|n| &self.anchors[n]);
        // An anchor of which nothing is known makes room before another.
        let taken = one.rip != rip && one.rip != 0;
        let second = other.rip == rip || (taken && other.courses.is_empty());
        let anchor = &mut self.anchors[if second { first ^ 1 } else { first }];
        if anchor.rip != rip {
            *anchor = Anchor { rip, wait: VISITS, patience: VISITS, ..Anchor::default() };
        }
        (anchor, self.desk.get_or_insert_default())
    }

    /// Forgets what is no longer true: instructions have changed, or somebody watches a line.
    fn keep_valid(&mut self, parts: &Parts<'_>) {
        let (code, watched) = (parts.code.edition(), parts.log.watch_edition());
        if self.edition == (code, watched) {
            return;
        }
        let changed = self.edition.0 != code;
        for anchor in &mut self.anchors {
            anchor.courses.retain(|stretch| !changed && !stretch.is_watched(parts));
        }
        self.edition = (code, watched);
    }
}

impl Anchor {
    /// Replays one of the courses.
    fn replay(
        &mut self,
        core: &mut Core,
        parts: &mut Parts<'_>,
        limit: Cycle,
        desk: &mut Desk,
    ) -> Result<(), Refusal> {
        let mut n = 0;
        while let Some(course) = self.courses.get(n) {
            match course.replay(core, parts, limit, (desk, &mut self.varying)) {
                Ok(()) => {
                    self.courses.swap(0, n);
                    return Ok(());
                }
                Err(Refusal::Time) => return Err(Refusal::Time),
                // Recorded once more, it need not compare what it has just compared in vain.
                Err(Refusal::Value) => {
                    self.courses.remove(n);
                    self.learnt = true;
                }
                Err(Refusal::Course) => n += 1,
            }
        }
        Err(Refusal::Course)
    }

    fn keep(&mut self, stretch: Stretch) {
        if stretch.frame.instructions < LEAST_INSTRUCTIONS {
            return;
        }
        self.courses.truncate(COURSES - 1);
        self.courses.insert(0, Arc::new(stretch));
    }
}
