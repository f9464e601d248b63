//! Interrupts and exceptions: when they are recognised, and how they enter their handlers.
//!
//! Order at an instruction boundary (SDM vol. 3A §6.9): NMI before maskable interrupts. An NMI is
//! blocked from its delivery to the next IRET (§6.7.1); STI and MOV SS hold interrupts off for one
//! instruction (§6.8.3). Delivery drains the store buffer (§11.10).

use crate::core::bus::CoreBus;
use crate::core::regs::{flags, gpr};
use crate::core::step::Parts;
use crate::core::{Core, Note, Run};
use crate::event::{Event, StopCause};
use crate::exec::{Access, Bus, Exception, Size, Stall};
use crate::mem::home;
use crate::perturb::Site;
use crate::trace::{Entry, Trace};
use sim_core::Cycle;

/// Vector of the non-maskable interrupt.
const NMI: u8 = 2;
/// Vector of the double fault.
const DOUBLE_FAULT: u8 = 8;

/// A gate of the IDT in 64-bit mode (SDM vol. 3A §6.14.1).
#[derive(Clone, Copy, Debug)]
struct Gate {
    offset: u64,
    selector: u16,
    ist: u8,
    trap: bool,
    dpl: u8,
}

/// What is being delivered.
#[derive(Clone, Copy, Debug)]
struct Event64 {
    vector: u8,
    error: Option<u16>,
    entry: Entry,
    /// INT n and INT3 from a program: the gate's DPL counts, and a fault on the way is not external
    /// to the program.
    software: bool,
    /// A fault: the image of RFLAGS that is saved has RF set (SDM vol. 3B §16.3.1.1).
    fault: bool,
}

impl Event64 {
    fn exception(exception: Exception) -> Self {
        let (vector, error) = exception.vector();
        let fault = !matches!(exception, Exception::Debug | Exception::Breakpoint);
        Event64 { vector, error, entry: Entry::Exception(vector), software: false, fault }
    }

    fn interrupt(vector: u8, entry: Entry) -> Self {
        Event64 { vector, error: None, entry, software: false, fault: false }
    }

    /// Error code of a fault that the event's own gate raises: the gate, in the IDT, and whether
    /// the event came from outside the program (SDM vol. 3A §6.13).
    fn gate_error(self) -> u16 {
        u16::from(self.vector) << 3 | 2 | u16::from(!self.software)
    }
}

/// True if an exception during the delivery of `first` makes a double fault (SDM vol. 3A table
/// 6-5). All others are delivered in its place.
fn doubles(first: Event64, second: u8) -> bool {
    let contributory = |vector| matches!(vector, 0 | 10..=13);
    match first.vector {
        _ if !matches!(first.entry, Entry::Exception(_)) || first.software => false,
        14 => second == 14 || contributory(second),
        vector => contributory(vector) && contributory(second),
    }
}

impl Exception {
    /// Its vector and error code.
    #[must_use]
    pub fn vector(self) -> (u8, Option<u16>) {
        match self {
            Exception::DivideError => (0, None),
            Exception::Debug => (1, None),
            Exception::Breakpoint => (3, None),
            Exception::InvalidOpcode => (6, None),
            Exception::SegmentNotPresent(code) => (11, Some(code)),
            Exception::StackFault(code) => (12, Some(code)),
            Exception::GeneralProtection(code) => (13, Some(code)),
            Exception::PageFault { code, .. } => (14, Some(code)),
            Exception::AlignmentCheck => (17, Some(0)),
        }
    }
}

impl Core {
    /// True if an interrupt would be taken at this boundary.
    pub(crate) fn interrupt_ready(&self) -> bool {
        let shadow = self.unit.shadow.active && self.unit.shadow.at == self.unit.instructions;
        let nmi_shadow = shadow && self.unit.shadow.nmi_too;
        (self.unit.nmi_pending && !self.unit.nmi_blocked && !nmi_shadow)
            || (self.regs.interrupts_enabled()
                && !shadow
                && self.unit.lapic.deliverable().is_some())
    }

    /// Delivers a pending interrupt if one may be taken here. True if the core's state changed so
    /// that the instruction loop has to look again.
    pub(crate) fn service(&mut self, parts: &mut Parts<'_>) -> bool {
        if self.unit.restarting {
            return false;
        }
        let perturb = parts.spec.perturb.at_boundaries();
        if perturb && self.perturb(parts) {
            return true;
        }
        if !self.interrupt_ready() {
            let pending = self.unit.nmi_pending || self.unit.lapic.deliverable().is_some();
            self.unit.attention = pending || perturb;
            return false;
        }
        self.unit.activity += 1;
        // It is taken at this boundary, however long the stores then need to leave.
        if let Some(tracker) = &mut parts.log.tracker {
            tracker.taken(self.unit.id, self.unit.clock, self.regs.rip);
        }
        if !parts.bus(&mut self.unit, self.regs.rip).drained() {
            return true;
        }
        let nmi = self.unit.nmi_pending && !self.unit.nmi_blocked;
        let event = if nmi {
            Event64::interrupt(NMI, Entry::Nmi)
        } else {
            let Some(vector) = self.unit.lapic.deliverable() else { return false };
            Event64::interrupt(vector, Entry::Interrupt(vector))
        };
        match self.enter(event, parts) {
            Ok(()) if nmi => {
                self.unit.nmi_pending = false;
                self.unit.nmi_blocked = true;
            }
            Ok(()) => {
                self.unit.lapic.acknowledge();
            }
            Err(stall) => self.failed_delivery(event, stall, parts),
        }
        true
    }

    /// What the machine's perturbation has in store before the instruction at RIP. True if it is
    /// delayed.
    fn perturb(&mut self, parts: &Parts<'_>) -> bool {
        let unit = &mut self.unit;
        let which = unit.instructions;
        if unit.perturbed == which + 1 {
            return false;
        }
        unit.perturbed = which + 1;
        unit.activity += 1;
        let perturbation = &parts.spec.perturb;
        let id = unit.id;
        if perturbation.strikes(perturbation.nmi_every, Site::Nmi, id, which) {
            unit.nmi_pending = true;
            unit.note(Note::Arrive, unit.clock, self.regs.rip, u64::from(NMI));
        }
        if perturbation.strikes(perturbation.interrupt_every, Site::Interrupt, id, which) {
            unit.lapic.accept(perturbation.vector, false);
            unit.note(Note::Arrive, unit.clock, self.regs.rip, u64::from(perturbation.vector));
        }
        let delay = perturbation.before_instruction(id, which);
        unit.clock += delay;
        delay != 0
    }

    /// Delivers an exception raised by the instruction at RIP.
    pub(crate) fn raise(&mut self, exception: Exception, parts: &mut Parts<'_>) {
        self.unit.activity += 1;
        if let Exception::PageFault { addr, .. } = exception {
            self.regs.sys.cr2 = addr;
        }
        self.deliver(Event64::exception(exception), parts);
    }

    /// INT n, INT3 at `rip`, or INT1, for which a gate's privilege level does not count: RIP is
    /// past the instruction already.
    pub(crate) fn software_interrupt(
        &mut self,
        vector: u8,
        privileged: bool,
        rip: u64,
        parts: &mut Parts<'_>,
    ) {
        self.unit.activity += 1;
        let entry = Entry::Exception(vector);
        let event = Event64 { vector, error: None, entry, software: !privileged, fault: false };
        match self.enter(event, parts) {
            Ok(()) => {}
            Err(Stall::Wait) => {
                // No room for the frame: the instruction is executed again.
                self.regs.rip = rip;
                self.unit.instructions -= 1;
            }
            Err(stall) => {
                // A fault of the instruction: RIP is its own.
                self.regs.rip = rip;
                self.failed_delivery(event, stall, parts);
            }
        }
    }

    /// An exception does not wait for the store buffer: the frame's stores queue behind the older
    /// ones, so order is kept.
    fn deliver(&mut self, event: Event64, parts: &mut Parts<'_>) {
        if let Err(stall) = self.enter(event, parts) {
            self.failed_delivery(event, stall, parts);
        }
    }

    /// A fault during delivery is delivered in its place, becomes a double fault, or, if that one
    /// cannot be delivered, a shutdown (§6.15).
    fn failed_delivery(&mut self, first: Event64, stall: Stall, parts: &mut Parts<'_>) {
        let Stall::Fault(second) = stall else {
            self.unit.restarting = false;
            return;
        };
        if first.vector != DOUBLE_FAULT && !doubles(first, second.vector().0) {
            if let Exception::PageFault { addr, .. } = second {
                self.regs.sys.cr2 = addr;
            }
            return self.deliver(Event64::exception(second), parts);
        }
        let entry = Entry::Exception(DOUBLE_FAULT);
        let event =
            Event64 { vector: DOUBLE_FAULT, error: Some(0), entry, software: false, fault: false };
        if first.vector == DOUBLE_FAULT || self.enter(event, parts).is_err() {
            self.unit.run = Run::Off;
            let core = self.unit.id;
            let at = self.unit.clock + home::leg(&parts.spec.memory);
            let stop = Event::Stop { core, cause: StopCause::TripleFault };
            parts.bus(&mut self.unit, self.regs.rip).post(at, stop);
        }
    }

    fn gate(&mut self, event: Event64, parts: &mut Parts<'_>) -> Access<Gate> {
        let idtr = self.regs.sys.idtr;
        let at = u64::from(event.vector) * 16;
        let bad = Stall::Fault(Exception::GeneralProtection(event.gate_error()));
        if at + 15 > u64::from(idtr.limit) {
            return Err(bad);
        }
        let mut bus = parts.bus(&mut self.unit, self.regs.rip);
        let low = bus.read_system(idtr.base + at, Size::B8)?;
        let high = bus.read_system(idtr.base + at + 8, Size::B8)?;
        let kind = low >> 40 & 0xf;
        let gate = Gate {
            offset: low & 0xffff | low >> 32 & 0xffff_0000 | high << 32,
            selector: (low >> 16) as u16,
            ist: (low >> 32 & 7) as u8,
            trap: kind == 0xf,
            dpl: (low >> 45 & 3) as u8,
        };
        let present = low >> 47 & 1 != 0;
        if !matches!(kind, 0xe | 0xf) || (event.software && gate.dpl < self.regs.cpl()) {
            return Err(bad);
        }
        if !present {
            return Err(Stall::Fault(Exception::SegmentNotPresent(event.gate_error())));
        }
        Ok(gate)
    }

    /// Stack pointer for the handler (§6.14.2, §6.14.5), aligned to 16 bytes.
    fn handler_stack(&mut self, gate: Gate, parts: &mut Parts<'_>) -> Access<u64> {
        const RSP0: u64 = 4;
        const IST1: u64 = 0x24;
        let tss = self.regs.sys.tss_base;
        let mut bus = parts.bus(&mut self.unit, self.regs.rip);
        let top = if gate.ist != 0 {
            bus.read_system(tss + IST1 + 8 * (u64::from(gate.ist) - 1), Size::B8)?
        } else if self.regs.cpl() == 3 {
            bus.read_system(tss + RSP0, Size::B8)?
        } else {
            self.regs.gpr[gpr::RSP]
        };
        Ok(top & !0xf)
    }

    /// Pushes the frame and jumps to the handler.
    fn enter(&mut self, event: Event64, parts: &mut Parts<'_>) -> Access<()> {
        let gate = self.gate(event, parts)?;
        let mut rsp = self.handler_stack(gate, parts)?;
        let interrupted = self.regs;
        let from_user = interrupted.cpl() == 3;
        let mut handler = interrupted;
        handler.sel.cs = gate.selector & !3;
        if from_user {
            // A null SS with the new privilege level (§6.14.4).
            handler.sel.ss = 0;
        }
        let frame = [
            u64::from(interrupted.sel.ss),
            interrupted.gpr[gpr::RSP],
            interrupted.rflags | if event.fault { flags::RF } else { 0 },
            u64::from(interrupted.sel.cs),
            interrupted.rip,
        ];
        if let Some(tracker) = &mut parts.log.tracker {
            tracker.begin_step();
        }
        let plain = CoreBus::plain_ram(handler.cpl() == 3, parts.spec, parts.log);
        let mut bus = CoreBus { plain, ..parts.bus(&mut self.unit, interrupted.rip) };
        bus.room(2 * (frame.len() + 1))?;
        for word in frame.into_iter().chain(event.error.map(u64::from)) {
            rsp = rsp.wrapping_sub(8);
            bus.store(&handler, rsp, Size::B8, word)?;
        }
        handler.gpr[gpr::RSP] = rsp;
        handler.rip = gate.offset;
        if let Some(tracker) = &mut parts.log.tracker {
            tracker.forget_stored();
            tracker.saves_flags(self.unit.id);
        }
        handler.rflags &= !(flags::TF | flags::NT | flags::RF);
        if !gate.trap {
            handler.rflags &= !flags::IF;
        }
        self.regs = handler;
        self.finish_entry(event, gate, &interrupted, from_user, parts);
        Ok(())
    }

    fn finish_entry(
        &mut self,
        event: Event64,
        gate: Gate,
        interrupted: &crate::core::regs::Registers,
        from_user: bool,
        parts: &mut Parts<'_>,
    ) {
        let costs = &parts.spec.interrupts;
        let mut cost = if from_user { costs.entry_ring } else { costs.entry };
        if gate.ist != 0 {
            cost += costs.entry_ist;
        }
        let at = self.unit.clock;
        self.unit.note(Note::Enter, at, interrupted.rip, u64::from(event.vector));
        let what = Trace::Enter { entry: event.entry, rip: interrupted.rip, from_user };
        parts.log.core_control(at, self.unit.id, what);
        parts.log.user_mode(self.unit.id, false);
        self.unit.clock = at + u64::from(cost);
        self.unit.shadow.active = false;
    }

    /// Wakes a halted core at `now`, if an interrupt may be taken.
    pub(crate) fn wake(&mut self, now: Cycle, parts: &mut Parts<'_>) {
        let Run::Halted(since) = self.unit.run else { return };
        if !self.interrupt_ready() {
            return;
        }
        self.wake_up(since, now, parts);
    }

    /// Ends a halt: an interrupt, or a store to the monitored line.
    pub(crate) fn wake_up(&mut self, since: Cycle, now: Cycle, parts: &mut Parts<'_>) {
        let now = now.max(since);
        let at = now + u64::from(parts.spec.interrupts.hlt_wake);
        if let Some(tracker) = &mut parts.log.tracker {
            let on_time = self.unit.stalled_until <= at;
            tracker.wakes(self.unit.id, since, now, on_time);
        }
        self.unit.monitor = crate::core::NO_LINE;
        self.unit.resume(at);
        let clock = self.unit.clock;
        self.unit.halted += clock - since;
        self.unit.note(Note::Wake, now, self.regs.rip, clock.0);
        parts.log.core_control(now, self.unit.id, Trace::Wake);
        parts.bus(&mut self.unit, self.regs.rip).schedule_overflow(clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_pairs_make_a_double_fault() {
        let gp = Event64::exception(Exception::GeneralProtection(0));
        let pf = Event64::exception(Exception::PageFault { addr: 0, code: 0 });
        let ud = Event64::exception(Exception::InvalidOpcode);
        let int = Event64 { software: true, ..gp };
        let irq = Event64::interrupt(14, Entry::Interrupt(14));
        assert_eq!([11, 13, 14].map(|second| doubles(gp, second)), [true, true, false]);
        assert_eq!([11, 13, 14].map(|second| doubles(pf, second)), [true, true, true]);
        for benign in [ud, int, irq] {
            assert_eq!([11, 13, 14].map(|second| doubles(benign, second)), [false; 3]);
        }
    }

    #[test]
    fn a_gate_error_tells_whether_the_program_asked() {
        let ud = Event64::exception(Exception::InvalidOpcode);
        assert_eq!(ud.gate_error(), 6 * 8 + 3);
        assert_eq!(Event64 { software: true, ..ud }.gate_error(), 6 * 8 + 2);
    }
}
