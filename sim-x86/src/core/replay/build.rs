//! From a recording to a segment: partial evaluation.
//!
//! A *root* is what a segment reads before it writes it: a register, the status flags, a word of
//! memory. Roots that are known to vary, and the time, are followed through the recording: an
//! instruction with an input that depends on one of them is *residual* and will be executed at
//! each replay; of all others the results are those of the recording, as long as the other roots
//! have their recorded values.

use super::effects::Mask;
use super::record::{Recording, Step, Touch};
use super::segment::{Given, Load, Residual, Segment, Stored, Word};
use crate::core::regs::flags;
use crate::ids::{LineAddr, PhysAddr};
use crate::op::Kind;

/// What a segment's results can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// A general-purpose register.
    Register(u8),
    /// The status flags.
    Status,
    /// This many bytes of memory.
    Word(PhysAddr, u8),
}

/// A set of roots: bit n for the n-th varying one, and [`TIME`].
type Roots = u64;
/// The time-stamp counter.
const TIME: Roots = 1 << 63;
/// Instructions after which a segment rather ends than that a root must not vary.
const LONG_ENOUGH: usize = 12;
/// Most roots that may vary.
pub(super) const MOST_VARYING: usize = 60;

/// A recording cannot become a segment as long as these vary: addresses depend on them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addressing(pub(super) Roots);

/// A store so far.
#[derive(Clone, Copy, Debug)]
struct Pending {
    stored: Stored,
    roots: Roots,
}

/// Where a load gets its value.
enum Origin {
    /// Memory before the segment.
    Memory,
    /// The `n`-th store of the segment, shifted right by so many bits.
    Store(usize, u8),
    /// Partly from a store.
    Torn,
}

/// What is known after the instructions so far.
struct Builder<'a> {
    recording: &'a Recording,
    varying: &'a [Root],
    /// By register: the varying roots that its value depends on.
    gpr: [Roots; 16],
    status: Roots,
    written: Mask,
    status_written: bool,
    /// By register: its value while residual instructions run, if known.
    live: [Option<u64>; 16],
    guarded: Mask,
    status_guarded: bool,
    stores: Vec<Pending>,
    words: Vec<Word>,
    residual: Vec<Residual>,
    loads: Vec<Load>,
    given: Vec<Given>,
    time_reads: u64,
}

/// An instruction's inputs as far as they vary; `None`: the segment has to end before it.
type Inputs = Result<Option<Roots>, Addressing>;

/// Makes a segment of the first `steps` instructions of `recording` (or fewer).
///
/// # Errors
/// [`Addressing`]: some of `varying` must not vary.
pub(super) fn build(
    recording: &Recording,
    steps: usize,
    varying: &[Root],
) -> Result<Segment, Addressing> {
    let mut builder = Builder::new(recording, varying);
    let mut taken = 0;
    while taken < steps {
        match builder.add(taken) {
            Ok(true) => taken += 1,
            Err(addressing) if taken < LONG_ENOUGH => return Err(addressing),
            Ok(false) | Err(_) => break,
        }
    }
    Ok(builder.finish(taken))
}

fn bits(mask: Mask) -> impl Iterator<Item = usize> {
    (0..16).filter(move |n| mask >> n & 1 != 0)
}

impl<'a> Builder<'a> {
    fn new(recording: &'a Recording, varying: &'a [Root]) -> Self {
        let mut gpr = [0; 16];
        let mut status = 0;
        for (n, root) in varying.iter().enumerate() {
            match *root {
                Root::Register(number) => gpr[usize::from(number)] |= 1 << n,
                Root::Status => status |= 1 << n,
                Root::Word(..) => {}
            }
        }
        Builder {
            recording,
            varying,
            gpr,
            status,
            written: 0,
            status_written: false,
            live: std::array::from_fn(|n| (gpr[n] == 0).then_some(recording.start.gpr[n])),
            guarded: 0,
            status_guarded: false,
            stores: Vec::new(),
            words: Vec::new(),
            residual: Vec::new(),
            loads: Vec::new(),
            given: Vec::new(),
            time_reads: 0,
        }
    }

    /// Adds the `n`-th instruction. False if the segment has to end before it.
    fn add(&mut self, n: usize) -> Result<bool, Addressing> {
        let recording = self.recording;
        let step = &recording.steps[n];
        let origins: Vec<Origin> = self.origins(&step.touches);
        if origins.iter().any(|origin| matches!(origin, Origin::Torn)) {
            return Ok(false);
        }
        let Some(roots) = self.inputs(step, &origins)? else { return Ok(false) };
        self.guard(step, &origins);
        if roots != 0 {
            self.add_residual(step, &origins, recording.boundary(n + 1).rip);
        }
        let effects = &step.effects;
        for n in bits(effects.writes) {
            self.gpr[n] = roots;
            self.live[n] = None;
        }
        self.written |= effects.writes;
        if effects.status.writes() {
            self.status = roots;
            self.status_written = true;
        }
        for touch in step.touches.iter().filter(|touch| touch.store) {
            let &Touch { addr, size, value, .. } = touch;
            let ready = step.before.at + self.recording.store_commit;
            let stored = Stored { addr, size, value, ready, rip: step.before.rip };
            self.stores.push(Pending { stored, roots });
        }
        Ok(true)
    }

    /// Where each load of an instruction gets its value; nothing for its stores.
    fn origins(&self, touches: &[Touch]) -> Vec<Origin> {
        let loads = touches.iter().filter(|touch| !touch.store);
        loads.map(|load| self.origin(load.addr, u64::from(load.size))).collect()
    }

    fn origin(&self, addr: PhysAddr, size: u64) -> Origin {
        for (n, store) in self.stores.iter().enumerate().rev() {
            let first = store.stored.addr.0;
            let end = first + u64::from(store.stored.size);
            if addr.0 >= end || addr.0 + size <= first {
                continue;
            }
            if addr.0 < first || addr.0 + size > end {
                return Origin::Torn;
            }
            return Origin::Store(n, ((addr.0 - first) * 8) as u8);
        }
        Origin::Memory
    }

    fn word_roots(&self, addr: PhysAddr, size: u8) -> Roots {
        let root = Root::Word(addr, size);
        self.varying.iter().position(|&other| other == root).map_or(0, |n| 1 << n)
    }

    fn inputs(&mut self, step: &Step, origins: &[Origin]) -> Inputs {
        let effects = &step.effects;
        let of = |mask| bits(mask).fold(0, |roots, n| roots | self.gpr[n]);
        let address: Roots = of(effects.address);
        if address & TIME != 0 {
            return Ok(None);
        }
        if address != 0 {
            return Err(Addressing(address));
        }
        let mut roots = of(effects.reads);
        if effects.status.reads() {
            roots |= self.status;
        }
        let loads = step.touches.iter().filter(|touch| !touch.store);
        for (load, origin) in loads.zip(origins) {
            roots |= match *origin {
                Origin::Store(n, _) => self.stores[n].roots,
                Origin::Memory | Origin::Torn => self.word_roots(load.addr, load.size),
            };
        }
        if step.op.kind == Kind::Rdtsc {
            self.time_reads += 1;
            roots |= TIME;
        }
        // Flags from memory that varies might be any.
        Ok((step.op.kind != Kind::Popf || roots == 0).then_some(roots))
    }

    /// The roots that the instruction reads and that do not vary have to be as they were.
    fn guard(&mut self, step: &Step, origins: &[Origin]) {
        let effects = &step.effects;
        let fixed = bits((effects.reads | effects.address) & !self.written);
        self.guarded |= fixed.filter(|&n| self.gpr[n] == 0).fold(0, |mask, n| mask | 1 << n);
        let reads_status = effects.status.reads() && !self.status_written && self.status == 0;
        self.status_guarded |= reads_status;
        let loads = step.touches.iter().filter(|touch| !touch.store);
        for (load, origin) in loads.zip(origins) {
            let &Touch { addr, size, value, .. } = load;
            let word = Word { addr, size, value };
            let fixed = matches!(origin, Origin::Memory) && self.word_roots(addr, size) == 0;
            if fixed && !self.words.contains(&word) {
                self.words.push(word);
            }
        }
    }

    fn add_residual(&mut self, step: &Step, origins: &[Origin], next: u64) {
        let (effects, before) = (&step.effects, &step.before);
        let first_given = self.given.len();
        for n in bits(effects.reads | effects.address) {
            let value = before.gpr[n];
            if self.gpr[n] == 0 && self.live[n] != Some(value) {
                self.given.push(Given { register: n as u8, value });
                self.live[n] = Some(value);
            }
        }
        let uses_status = effects.status.reads() || effects.status.writes();
        let first_load = self.loads.len();
        let loads = step.touches.iter().filter(|touch| !touch.store);
        for (load, origin) in loads.zip(origins) {
            let from = match *origin {
                Origin::Store(n, shift) => Some((n as u16, shift)),
                Origin::Memory | Origin::Torn => None,
            };
            self.loads.push(Load { addr: load.addr, size: load.size, from });
        }
        let stored = step.touches.len() - origins.len();
        let first_store = self.stores.len();
        self.residual.push(Residual {
            op: step.op,
            at: before.at,
            rip: before.rip,
            next,
            rflags: (uses_status && self.status == 0).then_some(before.rflags),
            charged: step.charged,
            given: (first_given as u32, self.given.len() as u32),
            loads: (first_load as u32, self.loads.len() as u32),
            stores: (first_store as u32, (first_store + stored) as u32),
        });
    }

    fn finish(self, taken: usize) -> Segment {
        let recording = self.recording;
        let end = recording.boundary(taken);
        let start = &recording.start;
        let stores: Vec<Stored> = self.stores.iter().map(|pending| pending.stored).collect();
        // One a cycle, each when it is ready.
        let leaves = |at: Option<u64>, store: &Stored| {
            Some(at.map_or(store.ready, |before| store.ready.max(before + 1)))
        };
        let last_commit = stores[..end.committed].iter().fold(None, leaves);
        let known = bits(self.written).filter(|&n| self.gpr[n] == 0);
        Segment {
            paid: recording.boundary(0).paid,
            restarting: recording.restarting,
            cs: start.sel.cs,
            bases: (start.fs_base, start.gs_base),
            system_flags: start.rflags & !flags::STATUS,
            status: self.status_guarded.then_some(start.rflags & flags::STATUS),
            registers: bits(self.guarded)
                .map(|n| Given { register: n as u8, value: start.gpr[n] })
                .collect(),
            words: self.words,
            residual: self.residual,
            loads: self.loads,
            given: self.given,
            stores,
            committed: end.committed,
            last_commit,
            data: last_touches(&recording.data[..end.data]),
            first_line: recording.first_line,
            code: last_fetches(&recording.code[..end.code]),
            results: known.map(|n| Given { register: n as u8, value: end.gpr[n] }).collect(),
            rflags: (self.status_written && self.status == 0).then_some(end.rflags),
            rip: end.rip,
            fetch_line: end.fetch_line,
            paid_after: end.paid,
            instructions: taken as u64,
            last_start: recording.steps[..taken].last().map_or(0, |step| step.before.at),
            cycles: end.at,
            time_reads: self.time_reads,
        }
    }
}

/// Each line once, by its last access; true if any access was a store.
fn last_touches(touches: &[(LineAddr, bool)]) -> Vec<(LineAddr, bool)> {
    let mut lines: Vec<(LineAddr, bool)> = Vec::new();
    for &(line, store) in touches {
        let before = lines.iter().position(|&(other, _)| other == line);
        let stored = before.is_some_and(|at| lines.remove(at).1);
        lines.push((line, store || stored));
    }
    lines
}

fn last_fetches(fetches: &[LineAddr]) -> Vec<LineAddr> {
    let touches: Vec<(LineAddr, bool)> = fetches.iter().map(|&line| (line, false)).collect();
    last_touches(&touches).into_iter().map(|(line, _)| line).collect()
}
