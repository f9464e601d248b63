//! HOT: the instruction loop of one core.
//!
//! `straight` is the loop proper: it runs decoded instructions from L1I as long as nothing but
//! instructions happens. Per instruction: the execution, the clock, one comparison with the next
//! cycle at which to look up, and one test of whether the next instruction follows in the same
//! line. Only after a jump or at a new line it looks for the next one in L1I and in the predecoded
//! page. Whatever else there is to do (another page, a miss, an interrupt, a fault, a mode change)
//! makes it return, and [`run`] does it. `benches/` measures the cost.

use crate::core::bus::CoreBus;
use crate::core::carry::{Carried, Left};
use crate::core::code::{CodeCache, CodePage, Lookup};
use crate::core::regs::{Registers, flags};
use crate::core::replay::{self, Replays};
use crate::core::spin::{SpinProbe, Walked};
use crate::core::translate::{PlainRam, Purpose, Target, translate};
use crate::core::{Core, NO_LINE, Note, Run, Shadow, Unit, Wait};
use crate::event::{Event, StopCause, Want};
use crate::exec::fast::{self, Brief};
use crate::exec::{Access, Bus, Exception, Flow, Stall, execute};
use crate::ids::{CoreId, LINE_BYTES, LineAddr, PhysAddr};
use crate::machine::log::TraceLog;
use crate::machine::{DeviceMap, Speed};
use crate::mem::cache::Level;
use crate::mem::home;
use crate::mem::ram::Ram;
use crate::op::{Op, place};
use crate::spec::MachineSpec;
use crate::trace::Trace;
use sim_core::{Cycle, EventQueue};

/// Bytes in a page.
const PAGE_BYTES: u64 = 4096;
/// Slots of the instruction translation cache.
const PAGES: usize = 16;

/// A page from which instructions are fetched.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// Its linear base, with the privilege it was translated for in the low bits.
    va: u64,
    /// Its frame's base.
    pa: u64,
    /// Its handle in the code cache.
    handle: usize,
}

/// Slot of a page in the instruction translation cache.
fn slot_of(va: u64) -> usize {
    (va >> 12) as usize % PAGES
}

/// No page has this key.
const NO_PAGE: Page = Page { va: u64::MAX, pa: 0, handle: 0 };

/// What one core keeps between windows and may lose at any time.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// Page of the last fetch.
    page: Page,
    /// Pages fetched from before, by low bits of the page number.
    pages: [Page; PAGES],
    /// Loop detection.
    pub(crate) spin: SpinProbe,
    /// Stretches of code that repeat.
    pub(super) replays: Replays,
    /// How far events have carried the core ahead of time.
    pub(crate) carried: Carried,
    /// Where it left the polling loop that it was parked in last.
    pub(super) left: Option<Box<Left>>,
    /// Instructions that were executed and not computed by skipping.
    pub(crate) executed: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        let (spin, replays, carried) = Default::default();
        let (page, pages, left) = (NO_PAGE, [NO_PAGE; PAGES], None);
        Scratch { page, pages, spin, replays, carried, left, executed: 0 }
    }
}

/// The parts of a machine that a running core needs.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Memory.
    pub ram: &'a mut Ram,
    /// Pending events.
    pub queue: &'a mut EventQueue<Event>,
    /// What the machine is made of.
    pub spec: &'a MachineSpec,
    /// Records for the observer.
    pub log: &'a mut TraceLog,
    /// Predecoded instructions.
    pub code: &'a mut CodeCache,
    /// How often each trigger was reached.
    pub triggers: &'a mut [u64],
    /// Which device answers where.
    pub map: &'a DeviceMap,
    /// Instructions that end the run when reached.
    pub breakpoints: &'a [(u64, Option<CoreId>)],
    /// Which speed-ups the core may use.
    pub speed: Speed,
}

impl Parts<'_> {
    /// The view of one core on the machine.
    #[inline]
    pub fn bus<'b>(&'b mut self, unit: &'b mut Unit, rip: u64) -> CoreBus<'b> {
        CoreBus {
            unit,
            ram: self.ram,
            queue: self.queue,
            spec: self.spec,
            log: self.log,
            map: self.map,
            cost: 0,
            rip,
            horizon: Cycle::NEVER,
            pause: Cycle::NEVER,
            plain: PlainRam::NOTHING,
        }
    }
}

impl Core {
    /// [`Parts::bus`] with the registers beside it, for loads and stores that need no more than to hit
    /// the most recent way of L1D.
    pub(super) fn plain_bus<'b>(
        &'b mut self,
        parts: &'b mut Parts<'_>,
    ) -> (&'b mut Registers, CoreBus<'b>) {
        let plain = CoreBus::plain_ram(self.regs.cpl() == 3, parts.spec, parts.log);
        let bus = CoreBus { plain, ..parts.bus(&mut self.unit, self.regs.rip) };
        (&mut self.regs, bus)
    }
}

/// Why `straight` returned.
#[derive(Debug)]
enum Exit {
    /// The horizon, an interrupt to look at, or single-stepping.
    Look,
    /// The next instruction's line or page is not at hand, or it is not decoded.
    Fetch,
    /// A backward branch was taken, and it is time to look whether a loop repeats.
    Back,
    /// An instruction at this address completed and did more than fall through or jump.
    Flow(Flow, u64),
    /// An instruction did not complete.
    Stalled(Stall),
}

/// Runs `core` while its clock lies before `until` and before every pending event (its own
/// included, as it posts them), and it has something to execute.
pub fn run(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) {
    let mut before = core.unit.instructions;
    let (mut fresh, mut alone) = (core.unit.restarting, false);
    let id = core.unit.id;
    let acting = parts.log.tracker.as_mut().map(|tracker| tracker.enter_core(id));
    while core.unit.run == Run::Running
        && core.unit.clock < until
        && core.unit.clock < parts.queue.horizon()
    {
        if core.unit.attention {
            // Behind a replayed stretch there is what it could not contain.
            fresh |= !alone;
            if core.service(parts) {
                fresh = true;
                continue;
            }
        }
        if parts.log.code_dirty() {
            parts.log.forget_code(parts.code);
        }
        let tries = std::mem::take(&mut fresh) && parts.speed.replay && !scratch.spin.is_looking();
        if tries && let Some(replayed) = replay::try_stretch(core, scratch, parts, until) {
            before += replayed;
            alone = true;
            continue;
        }
        let exit = if acting.is_some() {
            track_boundary(core, parts)
        } else if std::mem::take(&mut alone) {
            // What ends one stretch is one instruction, as a rule; the next may begin after it.
            fresh = true;
            boundary(core, parts)
        } else if scratch.spin.surveys() || core.goes_alone(parts) {
            boundary(core, parts)
        } else if scratch.spin.is_within() {
            walk(core, scratch, parts, until)
        } else {
            straight_on(core, scratch, parts, until)
        };
        match exit {
            Exit::Look => {}
            Exit::Fetch => core.single(scratch, parts, until),
            Exit::Back => core.look_for_loop(scratch, parts, until),
            Exit::Flow(flow, rip) => core.follow(flow, rip, scratch, parts),
            Exit::Stalled(stall) => core.stalled(stall, parts),
        }
    }
    scratch.executed += core.unit.instructions - before;
    if let (Some(tracker), Some(pace)) = (&mut parts.log.tracker, acting) {
        tracker.resume(pace);
    }
}

/// What `straight` does before an instruction, for one that is executed alone.
fn boundary(core: &mut Core, parts: &mut Parts<'_>) -> Exit {
    let (clock, rip) = (core.unit.clock, core.regs.rip);
    if core.unit.stores.due() < clock {
        parts.bus(&mut core.unit, rip).drain_before(clock);
        if parts.queue.horizon() <= clock {
            return Exit::Look;
        }
    }
    Exit::Fetch
}

/// The rest of an iteration of the loop that was parked last.
fn walk(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) -> Exit {
    if parts.speed.carry && core.come_back(scratch, parts) {
        return Exit::Look;
    }
    let limit = until.min(parts.queue.horizon());
    match core.walk(&mut scratch.spin, parts, limit, !parts.speed.skip_loops) {
        Walked::Head if scratch.spin.is_due() => Exit::Back,
        Walked::Head | Walked::Limit => Exit::Look,
        Walked::Elsewhere => straight_on(core, scratch, parts, until),
    }
}

/// [`boundary`] in a run whose tile is looked for.
fn track_boundary(core: &mut Core, parts: &mut Parts<'_>) -> Exit {
    let (id, clock, rip) = (core.unit.id, core.unit.clock, core.regs.rip);
    let due = core.unit.stores.due();
    if let Some(tracker) = &mut parts.log.tracker {
        tracker.instruction(id, clock, rip, core.regs.interrupts_enabled());
        if due >= clock && due < Cycle::NEVER {
            tracker.store_pends(id, clock, due);
        }
    }
    boundary(core, parts)
}

/// Where `straight` fetches from.
struct Fetcher<'a> {
    code: &'a CodeCache,
    page: Page,
    ops: &'a CodePage,
    privilege: u64,
    /// Linear address of the line that is known to be in L1I, divided by its size.
    line_va: u64,
}

impl<'a> Fetcher<'a> {
    fn new(code: &'a CodeCache, page: Page, privilege: u8) -> Option<Self> {
        let ops = code.code(page.handle)?;
        Some(Fetcher { code, page, ops, privilege: privilege.into(), line_va: u64::MAX })
    }

    /// Position of the instruction at `rip` on its page, if it is decoded and in L1I.
    #[inline(always)]
    fn seek(&mut self, rip: u64, pages: &[Page; PAGES], unit: &mut Unit) -> Option<usize> {
        if rip >> 6 != self.line_va {
            let wanted = rip & !0xfff | self.privilege;
            if wanted != self.page.va {
                self.page = pages[slot_of(wanted)];
                if wanted != self.page.va {
                    return None;
                }
                self.ops = self.code.code(self.page.handle)?;
            }
            self.enter_line(unit, self.line(rip), rip >> 6)?;
        }
        let position = self.ops.position(rip as usize & 0xfff);
        if self.ops.from(position).first()?.place & place::CROSSES != 0 {
            // It runs over into the next line: that one has to be in L1I too, on the same page.
            let next = LineAddr(self.line(rip).0 + 1);
            if next.0.is_multiple_of(PAGE_BYTES / LINE_BYTES) {
                return None;
            }
            self.enter_line(unit, next, (rip >> 6) + 1)?;
        }
        Some(position)
    }

    #[inline(always)]
    fn line(&self, rip: u64) -> LineAddr {
        PhysAddr(self.page.pa | rip & 0xfff).line()
    }

    #[inline(always)]
    fn enter_line(&mut self, unit: &mut Unit, line: LineAddr, line_va: u64) -> Option<()> {
        if line != unit.fetch_line {
            if !unit.caches.fetch_l1(line) {
                return None;
            }
            unit.fetch_line = line;
        }
        self.line_va = line_va;
        Some(())
    }
}

/// [`straight`], the first instruction being one that has perhaps waited: with no interrupt to hold
/// off, it is like any other.
fn straight_on(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    until: Cycle,
) -> Exit {
    let before = core.unit.instructions;
    let restarting = std::mem::take(&mut core.unit.restarting);
    let exit = straight(core, scratch, parts, until);
    if restarting && core.unit.instructions == before {
        core.unit.restarting = true;
    }
    exit
}

/// HOT: the loop. The first instruction is due and no interrupt is to be taken before it; from then
/// on only what ends the loop can change that.
fn straight(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) -> Exit {
    let Core { regs, unit } = core;
    let Parts { ram, queue, spec, log, code, map, speed, .. } = parts;
    let Some(mut fetcher) = Fetcher::new(code, scratch.page, regs.cpl()) else {
        return Exit::Fetch;
    };
    let plain = CoreBus::plain_ram(regs.cpl() == 3, spec, log);
    let horizon = until.min(queue.horizon());
    debug_assert!(unit.clock < horizon);
    // Else nothing is due before the horizon.
    let looks = !unit.stores.is_empty();
    let pause = if looks { Cycle(0) } else { horizon };
    let mut bus =
        CoreBus { unit, ram, queue, spec, log, map, cost: 0, rip: 0, horizon, pause, plain };
    if looks && !bus.may_go_on() {
        return Exit::Look;
    }
    let mut rest = Ok(Flow::Next);
    let exit = 'out: loop {
        let Some(position) = fetcher.seek(regs.rip, &scratch.pages, bus.unit) else {
            break Exit::Fetch;
        };
        // Straight code within a line.
        for op in fetcher.ops.from(position) {
            let rip = regs.rip;
            (bus.cost, bus.rip) = (0, rip);
            let brief = fast::execute(regs, &mut bus, op, &mut rest);
            if brief == Brief::Next {
                bus.retire(op);
                if bus.is_time() && !bus.may_go_on() {
                    break 'out Exit::Look;
                }
                if op.place & place::SMOOTH == 0 {
                    break;
                }
                continue;
            }
            let flow = match (brief, rest) {
                (Brief::Rest, Ok(flow)) => flow,
                (Brief::Rest, Err(stall)) => break 'out Exit::Stalled(stall),
                (Brief::Taken | Brief::Next, _) => Flow::Taken,
            };
            bus.retire(op);
            match flow {
                Flow::Next => {}
                Flow::Taken | Flow::Repeat => {
                    let back = speed.skip_loops && regs.rip <= rip && op.is_jump();
                    if back && scratch.spin.is_due() {
                        break 'out Exit::Back;
                    }
                }
                flow => break 'out Exit::Flow(flow, rip),
            }
            if bus.is_time() && !bus.may_go_on() {
                break 'out Exit::Look;
            }
            if flow != Flow::Next || op.place & place::SMOOTH == 0 {
                break;
            }
        }
    };
    scratch.page = fetcher.page;
    exit
}

impl Unit {
    /// An instruction that cost `cycles` has completed.
    #[inline(always)]
    pub(super) fn retire(&mut self, cycles: u32) {
        self.clock.0 += u64::from(cycles);
        self.instructions += 1;
        self.restarting = false;
        self.announced = false;
    }
}

impl Core {
    /// True if there is something to be done at the next boundary that `straight` does not look
    /// for: an instruction that was begun completes before an interrupt, an interrupt shadow or a single
    /// step ends, perturbation draws, or the observer sees every instruction.
    pub(super) fn goes_alone(&self, parts: &Parts<'_>) -> bool {
        let unit = &self.unit;
        let shadow = unit.shadow.active && unit.shadow.at == unit.instructions;
        unit.announced
            || unit.attention && (unit.restarting || shadow)
            || self.regs.rflags & flags::TF != 0
            || parts.spec.perturb.at_boundaries()
            || parts.log.wants_retire()
    }

    /// Executes one instruction that `straight` left: one whose code has to be brought first, one
    /// that devices watch, or one that [`Core::goes_alone`].
    fn single(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) {
        let rip = self.regs.rip;
        let op = match fetch(self, scratch, parts) {
            Ok(op) => op,
            Err(stall) => return self.stalled(stall, parts),
        };
        if scratch.spin.surveys() {
            self.survey(scratch, parts, &op);
        }
        let single_step = self.regs.rflags & flags::TF != 0;
        let before = parts.log.tracker.as_mut().map(|tracker| {
            tracker.begin_step();
            self.regs
        });
        let (regs, mut bus) = self.plain_bus(parts);
        let flow = match execute(regs, &mut bus, &op) {
            Ok(flow) => flow,
            Err(stall) => return self.stalled(stall, parts),
        };
        let cost = bus.cost + op.cost();
        if let Some(before) = before {
            let code = PhysAddr(scratch.page.pa | rip & 0xfff);
            self.track_values(&before, code, parts);
        }
        if parts.log.wants_retire() {
            parts.log.core(self.unit.clock, self.unit.id, Trace::Retire { rip });
        }
        self.unit.retire(cost);
        match flow {
            Flow::Next | Flow::Repeat => {}
            Flow::Taken => {
                if parts.speed.skip_loops
                    && self.regs.rip <= rip
                    && op.is_jump()
                    && scratch.spin.is_due()
                {
                    self.look_for_loop(scratch, parts, until);
                }
            }
            flow => self.follow(flow, rip, scratch, parts),
        }
        if single_step {
            self.raise(Exception::Debug, parts);
        }
    }

    /// Notes which lines the instruction at RIP touches: it may belong to a loop to be parked.
    fn survey(&self, scratch: &mut Scratch, parts: &Parts<'_>, op: &Op) {
        let code = (PhysAddr(scratch.page.pa | self.regs.rip & 0xfff), op.length());
        let operand = op.loads_from(&self.regs).map(|addr| {
            let user = self.regs.cpl() == 3;
            match translate(parts.spec.translation, addr, user, Purpose::Read) {
                Ok(Target::Ram(addr)) => Some((addr, op.size as u64)),
                Ok(Target::Device(_) | Target::Apic(_)) | Err(_) => None,
            }
        });
        let known = op.only_polls() && operand != Some(None);
        scratch.spin.survey((self.regs.rip, *op), code, operand.flatten(), known);
    }

    /// An instruction that lies at `code` has completed: follows values that depend on the clock.
    fn track_values(&self, before: &Registers, code: PhysAddr, parts: &mut Parts<'_>) {
        let Some(tracker) = &mut parts.log.tracker else { return };
        let mut bytes = [0; crate::op::MAX_INSTRUCTION_BYTES];
        parts.ram.read_bytes(code, &mut bytes);
        tracker.end_step(self.unit.id, &bytes, before, &self.regs);
    }

    /// The instruction did not complete: it faults, waits, or is unknown.
    fn stalled(&mut self, stall: Stall, parts: &mut Parts<'_>) {
        match stall {
            Stall::Wait => self.unit.restarting = true,
            Stall::Fault(exception) => {
                self.unit.restarting = false;
                self.unit.announced = false;
                self.raise(exception, parts);
            }
            Stall::Unimplemented => {
                self.unit.run = Run::Off;
                let core = self.unit.id;
                let at = self.unit.clock + home::leg(&parts.spec.memory);
                let stop = Event::Stop { core, cause: StopCause::Unimplemented };
                parts.bus(&mut self.unit, self.regs.rip).post(at, stop);
            }
        }
    }

    /// Everything but falling through and jumping within a ring.
    fn follow(&mut self, flow: Flow, rip: u64, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        match flow {
            Flow::Next | Flow::Repeat | Flow::Taken | Flow::Flags => {}
            Flow::Ring => {
                if parts.log.wants_control() {
                    self.report_mode_change(parts);
                }
            }
            Flow::Halt | Flow::Mwait => self.halt(parts, flow == Flow::Mwait),
            Flow::Shadow { nmi_too } => {
                let at = self.unit.instructions;
                self.unit.shadow = Shadow { at, active: true, nmi_too };
            }
            Flow::Iret => {
                scratch.spin.resume();
                self.unit.nmi_blocked = false;
                // RF lasts for one instruction and has no effect here: there are no breakpoints.
                self.regs.rflags &= !flags::RF;
                self.unit.attention = true;
                self.unit.activity += 1;
                if parts.log.wants_control() {
                    let what = Trace::Leave { rip: self.regs.rip, to_user: self.regs.cpl() == 3 };
                    parts.log.core(self.unit.clock, self.unit.id, what);
                }
            }
            Flow::Interrupt(vector) => self.software_interrupt(vector, false, rip, parts),
            Flow::DebugTrap => self.software_interrupt(1, true, rip, parts),
        }
    }

    /// SYSCALL and SYSRET change the privilege level by a plain jump: tell the observer.
    fn report_mode_change(&mut self, parts: &mut Parts<'_>) {
        let user = self.regs.cpl() == 3;
        if parts.log.user_mode(self.unit.id, user) {
            let rip = self.regs.rip;
            let what = if user {
                Trace::Leave { rip, to_user: true }
            } else {
                Trace::Enter { entry: crate::trace::Entry::Syscall, rip, from_user: true }
            };
            parts.log.core(self.unit.clock, self.unit.id, what);
        }
    }

    fn look_for_loop(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) {
        // An interrupt that is pending but masked stays masked as long as the loop repeats: had it
        // opened in between, it would have been taken.
        if parts.log.wants_retire() || (self.unit.attention && self.interrupt_ready()) {
            return;
        }
        // A tracked run sees every poll; a counted loop polls nothing.
        let polls = parts.log.tracker.is_some();
        let edition = parts.code.edition();
        // A single step traps after each instruction.
        let steps = self.regs.rflags & flags::TF != 0;
        if !polls && !steps && self.retry_loop(scratch, parts, until) {
            return;
        }
        let Page { va: page_va, handle: page, .. } = scratch.page;
        let (code, head) = (&*parts.code, self.regs.rip);
        let counter = || {
            let op = (head & !0xfff == page_va & !0xfff)
                .then(|| code.lookup(page, head as usize & 0xfff))
                .flatten()?;
            let jump = code.lookup(page, (head & 0xfff) as usize + op.length() as usize)?;
            if jump.is_jnz() { op.decremented() } else { None }
        };
        let park = scratch.spin.visit(&self.regs, &self.unit, edition, counter);
        if let Some(park) = park.filter(|park| !polls || park.counted.is_some()) {
            self.unit.run = Run::Parked(park);
        }
    }

    fn halt(&mut self, parts: &mut Parts<'_>, mwait: bool) {
        self.unit.activity += 1;
        if !mwait {
            self.unit.monitor = NO_LINE;
        } else if self.unit.monitor == NO_LINE {
            // Not armed, or the line was written since: MWAIT is a NOP (SDM vol. 2, MWAIT).
            return;
        }
        let clock = self.unit.clock;
        let rip = self.regs.rip;
        self.unit.run = Run::Halted(clock);
        self.unit.note(Note::Halt, clock, rip, 0);
        parts.log.core_control(clock, self.unit.id, Trace::Halt);
        if self.interrupt_ready() {
            // It was pending already: no sleep, no wake-up latency.
            if let Some(tracker) = &mut parts.log.tracker {
                tracker.taken(self.unit.id, clock, rip);
            }
            self.unit.run = Run::Running;
            self.unit.monitor = NO_LINE;
            parts.log.core_control(clock, self.unit.id, Trace::Wake);
        } else {
            // Counters stand still: whatever overflow was scheduled is stale.
            self.unit.pmu_generation = self.unit.pmu_generation.wrapping_add(1);
        }
    }
}

/// The instruction at RIP and its first and last line, if it is decoded, its page is known, and its
/// lines are in L1I.
pub(super) fn at_hand(
    core: &Core,
    scratch: &Scratch,
    parts: &Parts<'_>,
) -> Option<(Op, LineAddr, LineAddr)> {
    let rip = core.regs.rip;
    let page_va = rip & !0xfff | u64::from(core.regs.cpl());
    let known = [scratch.page, scratch.pages[slot_of(page_va)]];
    let page = known.into_iter().find(|page| page.va == page_va)?;
    let op = *parts.code.lookup(page.handle, rip as usize & 0xfff)?;
    let addr = PhysAddr(page.pa | rip & 0xfff);
    let (first, last) = (addr.line(), PhysAddr(addr.0 + op.length() - 1).line());
    let held = |line| core.unit.caches.holds_code(line);
    let all = (first == core.unit.fetch_line || held(first)) && (last == first || held(last));
    all.then_some((op, first, last))
}

/// The instruction at RIP, its line being in L1I.
pub(super) fn fetch(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>) -> Access<Op> {
    let rip = core.regs.rip;
    let page_va = rip & !0xfff | u64::from(core.regs.cpl());
    if page_va != scratch.page.va {
        change_page(&core.regs, scratch, parts, page_va)?;
    }
    let addr = PhysAddr(scratch.page.pa | rip & 0xfff);
    let line = addr.line();
    if line != core.unit.fetch_line {
        fetch_line(core, parts, rip, line)?;
    }
    let Some(op) = parts.code.lookup(scratch.page.handle, rip as usize & 0xfff) else {
        return decode(core, scratch, parts, rip, addr);
    };
    let op = *op;
    second_line(core, parts, rip, addr, &op)?;
    Ok(op)
}

/// An instruction that runs over into the next line needs that one too.
#[inline]
fn second_line(
    core: &mut Core,
    parts: &mut Parts<'_>,
    rip: u64,
    addr: PhysAddr,
    op: &Op,
) -> Access<()> {
    let last = PhysAddr(addr.0 + op.length() - 1).line();
    if last != addr.line() && core.unit.fetch_line != last {
        fetch_line(core, parts, rip, last)?;
    }
    Ok(())
}

fn change_page(
    regs: &Registers,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    page_va: u64,
) -> Access<()> {
    let slot = slot_of(page_va);
    if scratch.pages[slot].va == page_va {
        scratch.page = scratch.pages[slot];
        return Ok(());
    }
    let user = regs.cpl() == 3;
    let target = translate(parts.spec.translation, regs.rip, user, Purpose::Fetch);
    match target.map_err(Stall::Fault)? {
        Target::Ram(addr) => {
            let handle = parts.code.page(addr.0 >> 12);
            scratch.page = Page { va: page_va, pa: addr.0 & !0xfff, handle };
            scratch.pages[slot] = scratch.page;
            parts.log.watch_code(addr);
            Ok(())
        }
        // Executing from device registers is not modelled.
        Target::Device(_) | Target::Apic(_) => Err(Stall::Unimplemented),
    }
}

/// Brings a code line into L1I.
fn fetch_line(core: &mut Core, parts: &mut Parts<'_>, rip: u64, line: LineAddr) -> Access<()> {
    if let Some(tracker) = &mut parts.log.tracker {
        tracker.access(core.unit.id, core.unit.clock, rip, line);
    }
    let level = core.unit.caches.fetch(line);
    match level {
        Level::L1 => {}
        Level::L2 => {
            // The instruction starts later: look at the horizon again first.
            core.unit.activity += 1;
            core.unit.clock += u64::from(parts.spec.memory.l2_hit);
            return Err(Stall::Wait);
        }
        Level::Miss => {
            let clock = core.unit.clock;
            core.unit.run = Run::Waiting(Wait::Line(line));
            parts.bus(&mut core.unit, rip).request(clock, line, Want::Fetch);
            return Err(Stall::Wait);
        }
    }
    core.unit.fetch_line = line;
    Ok(())
}

fn decode(
    core: &mut Core,
    scratch: &mut Scratch,
    parts: &mut Parts<'_>,
    rip: u64,
    addr: PhysAddr,
) -> Access<Op> {
    let triggers = parts.spec.triggers.iter().map(|trigger| trigger.rip);
    let watched = triggers.chain(parts.breakpoints.iter().map(|&(at, _)| at)).any(|at| at == rip);
    let op = match parts.code.decode(
        scratch.page.handle,
        addr,
        rip,
        parts.ram,
        &parts.spec.costs,
        watched,
    )? {
        Lookup::Op(op) => op,
        Lookup::Triggering(op) => {
            // Once, even if the instruction then has to wait and start again.
            if !std::mem::replace(&mut core.unit.announced, true) {
                fire_triggers(core, parts, rip);
            }
            op
        }
    };
    second_line(core, parts, rip, addr, &op)?;
    Ok(op)
}

/// The core is about to execute an instruction that devices watch.
fn fire_triggers(core: &mut Core, parts: &mut Parts<'_>, rip: u64) {
    core.unit.activity += 1;
    let at = core.unit.clock + home::leg(&parts.spec.memory);
    for (i, trigger) in parts.spec.triggers.iter().enumerate() {
        let mine = trigger.core.is_none_or(|wanted| wanted == core.unit.id);
        if mine && trigger.rip == rip {
            if let Some(tracker) = &mut parts.log.tracker {
                tracker.trigger(core.unit.id, core.unit.clock, rip, i);
            }
            parts.triggers[i] += 1;
            if parts.triggers[i] >= trigger.nth {
                let device = trigger.device;
                parts.bus(&mut core.unit, rip).post(at, Event::Trigger { device });
            }
        }
    }
    let id = core.unit.id;
    let stops = |&(stop, of): &(u64, Option<CoreId>)| stop == rip && of.is_none_or(|of| of == id);
    if parts.breakpoints.iter().any(stops) {
        let stop = Event::Stop { core: id, cause: StopCause::Reached };
        parts.bus(&mut core.unit, rip).post(at, stop);
    }
}

/// Makes the core's stores visible up to `until`: called at the end of a window and before an event
/// reaches the core, so that what is visible never depends on how long the windows are.
#[inline]
pub fn settle(core: &mut Core, parts: &mut Parts<'_>, until: Cycle) {
    if core.unit.stores.due() < until && !matches!(core.unit.run, Run::Parked(_)) {
        let rip = core.regs.rip;
        parts.bus(&mut core.unit, rip).drain_before(until);
    }
}

impl CoreBus<'_> {
    /// HOT: `op` has completed.
    #[inline(always)]
    fn retire(&mut self, op: &Op) {
        self.unit.clock.0 += u64::from(self.cost + op.cost());
        self.unit.instructions += 1;
    }

    /// HOT: the instruction loop has to ask [`CoreBus::may_go_on`].
    #[inline(always)]
    fn is_time(&self) -> bool {
        self.unit.clock >= self.pause
    }

    /// True while nothing is buffered.
    pub(crate) fn drained(&mut self) -> bool {
        self.drain().is_ok()
    }
}
