//! HOT: the instruction loop of one core.
//!
//! Per instruction: one comparison against the horizon, one test for attention, the L1I check when
//! the code line changes, a lookup in the predecoded page, the execution, and the clock. Cost is
//! to be measured by `benches/`.

use crate::core::bus::CoreBus;
use crate::core::code::{CodeCache, Lookup};
use crate::core::regs::{Registers, flags};
use crate::core::spin::SpinProbe;
use crate::core::translate::{Purpose, Target, translate};
use crate::core::{Core, NO_LINE, Note, Run, Shadow, Unit, Wait};
use crate::event::{Event, StopCause, Want};
use crate::exec::{Access, Bus, Exception, Flow, Stall, execute};
use crate::ids::{CoreId, LineAddr, PhysAddr};
use crate::machine::DeviceMap;
use crate::machine::log::TraceLog;
use crate::mem::cache::Level;
use crate::mem::home;
use crate::mem::ram::Ram;
use crate::op::Op;
use crate::spec::MachineSpec;
use crate::trace::Trace;
use sim_core::{Cycle, EventQueue};

/// What one core keeps between windows and may lose at any time.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// Linear page of the last fetch, with the privilege it was translated for.
    page_va: u64,
    /// Its frame's base.
    page_pa: u64,
    /// Its handle in the code cache.
    page: usize,
    /// Loop detection.
    pub(crate) spin: SpinProbe,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch { page_va: u64::MAX, page_pa: 0, page: 0, spin: SpinProbe::default() }
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
    /// Park loops that only wait.
    pub skip: bool,
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
        }
    }
}

/// Runs `core` while its clock lies before `until` and it has something to execute.
pub fn run(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>, until: Cycle) {
    while core.unit.run == Run::Running && core.unit.clock < until.min(core.unit.limit) {
        if core.unit.attention && core.service(parts) {
            continue;
        }
        let rip = core.regs.rip;
        if !core.unit.stores.is_empty() {
            let clock = core.unit.clock;
            parts.bus(&mut core.unit, rip).drain_before(clock);
        }
        if parts.log.code_dirty() {
            parts.log.forget_code(parts.code);
        }
        let op = match fetch(core, scratch, parts) {
            Ok(op) => op,
            Err(stall) => {
                core.stalled(stall, parts);
                continue;
            }
        };
        let single_step = core.regs.rflags & flags::TF != 0;
        let mut bus = parts.bus(&mut core.unit, rip);
        match execute(&mut core.regs, &mut bus, &op) {
            Ok(flow) => {
                let cost = bus.cost + op.cost();
                core.retire(cost, parts, rip);
                if flow != Flow::Next {
                    core.follow(flow, rip, scratch, parts);
                }
                if single_step {
                    core.raise(Exception::Debug, parts);
                }
            }
            Err(stall) => core.stalled(stall, parts),
        }
    }
    // The core's own events that set the limit are in the queue: they bound the next window.
    core.unit.limit = Cycle::NEVER;
}

impl Core {
    #[inline]
    fn retire(&mut self, cost: u32, parts: &mut Parts<'_>, rip: u64) {
        if parts.log.wants_retire() {
            parts.log.core(self.unit.clock, self.unit.id, Trace::Retire { rip });
        }
        self.unit.clock += u64::from(cost);
        self.unit.instructions += 1;
        self.unit.restarting = false;
        self.unit.announced = false;
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

    /// Everything but falling through to the next instruction.
    #[inline]
    fn follow(&mut self, flow: Flow, rip: u64, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        match flow {
            Flow::Next | Flow::Repeat => {}
            Flow::Taken => {
                if self.regs.rip <= rip && parts.skip {
                    self.look_for_loop(scratch, parts);
                }
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

    #[inline]
    fn look_for_loop(&mut self, scratch: &mut Scratch, parts: &mut Parts<'_>) {
        let (page_va, page) = (scratch.page_va, scratch.page);
        let code = &*parts.code;
        let head = self.regs.rip;
        let counter = || {
            let op = (head & !0xfff == page_va & !0xfff)
                .then(|| code.lookup(page, head as usize & 0xfff))
                .flatten()?;
            let jump = code.lookup(page, (head & 0xfff) as usize + op.length() as usize)?;
            if jump.is_jnz() { op.decremented() } else { None }
        };
        // An interrupt that is pending but masked stays masked as long as the loop repeats: had it
        // opened in between, it would have been taken.
        if parts.log.wants_retire() || (self.unit.attention && self.interrupt_ready()) {
            return;
        }
        if let Some(park) = scratch.spin.visit(&self.regs, &self.unit, counter) {
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
            self.unit.run = Run::Running;
            self.unit.monitor = NO_LINE;
            parts.log.core_control(clock, self.unit.id, Trace::Wake);
        } else {
            // Counters stand still: whatever overflow was scheduled is stale.
            self.unit.pmu_generation = self.unit.pmu_generation.wrapping_add(1);
        }
    }
}

/// The instruction at RIP, its line being in L1I.
#[inline]
fn fetch(core: &mut Core, scratch: &mut Scratch, parts: &mut Parts<'_>) -> Access<Op> {
    let rip = core.regs.rip;
    let page_va = rip & !0xfff | u64::from(core.regs.cpl());
    if page_va != scratch.page_va {
        change_page(&core.regs, scratch, parts, page_va)?;
    }
    let addr = PhysAddr(scratch.page_pa | rip & 0xfff);
    let line = addr.line();
    if line != core.unit.fetch_line {
        fetch_line(core, parts, rip, line)?;
    }
    let Some(op) = parts.code.lookup(scratch.page, rip as usize & 0xfff) else {
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
    let user = regs.cpl() == 3;
    let target = translate(parts.spec.translation, regs.rip, user, Purpose::Fetch);
    match target.map_err(Stall::Fault)? {
        Target::Ram(addr) => {
            scratch.page_va = page_va;
            scratch.page_pa = addr.0 & !0xfff;
            scratch.page = parts.code.page(addr.0 >> 12);
            parts.log.watch_code(addr);
            Ok(())
        }
        // Executing from device registers is not modelled.
        Target::Device(_) | Target::Apic(_) => Err(Stall::Unimplemented),
    }
}

/// Brings a code line into L1I.
fn fetch_line(core: &mut Core, parts: &mut Parts<'_>, rip: u64, line: LineAddr) -> Access<()> {
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
    let op =
        match parts.code.decode(scratch.page, addr, rip, parts.ram, &parts.spec.costs, watched)? {
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

/// Makes the core's stores visible up to `until`: called for every core at the end of a window, so
/// that what is visible never depends on how long the windows are.
#[inline]
pub fn settle(core: &mut Core, parts: &mut Parts<'_>, until: Cycle) {
    if !core.unit.stores.is_empty() && !matches!(core.unit.run, Run::Parked(_)) {
        let rip = core.regs.rip;
        parts.bus(&mut core.unit, rip).drain_before(until);
    }
}

impl CoreBus<'_> {
    /// True while nothing is buffered.
    pub(crate) fn drained(&mut self) -> bool {
        self.drain().is_ok()
    }
}
