//! HOT: the machine as one instruction sees it: translation, store buffer, caches, APIC, PMU.
//!
//! - `stores`: what becomes of stores

mod stores;

use crate::core::msr;
use crate::core::regs::Registers;
use crate::core::translate::{PlainRam, Purpose, Target, is_canonical, translate};
use crate::core::{DeviceRead, NO_LINE, Note, Run, Unit, Wait};
use crate::event::{Event, Want};
use crate::exec::{Access, Bus, Exception, Size, Stall};
use crate::ids::{LINE_BYTES, LineAddr, PhysAddr};
use crate::machine::DeviceMap;
use crate::machine::log::TraceLog;
use crate::mem::cache::Level;
use crate::mem::home;
use crate::mem::ram::Ram;
use crate::mem::store_buffer::Forward;
use crate::perturb::Site;
use crate::spec::MachineSpec;
use crate::trace::Trace;
use sim_core::{Cycle, EventQueue, Source};

/// MSR number of the time-stamp counter.
const IA32_TSC: u32 = 0x10;
/// APIC register of the timer's current count (SDM vol. 3A §10.5.4), and its MSR.
const CURRENT_COUNT: u32 = 0x390;
const CURRENT_COUNT_MSR: u32 = 0x839;

/// The parts of a machine that one core may touch while it runs ahead of the others: its own unit,
/// RAM (guarded by the protocol), and the queue into which everything else goes as an event.
#[derive(Debug)]
pub struct CoreBus<'a> {
    /// The core.
    pub unit: &'a mut Unit,
    /// Memory.
    pub ram: &'a mut Ram,
    /// Pending events.
    pub queue: &'a mut EventQueue<Event>,
    /// What the machine is made of.
    pub spec: &'a MachineSpec,
    /// Records for the observer.
    pub log: &'a mut TraceLog,
    /// Which device answers where.
    pub map: &'a DeviceMap,
    /// Cycles charged to the current instruction on top of its table cost.
    pub cost: u32,
    /// Linear address of the current instruction.
    pub rip: u64,
    /// The instruction loop must look up at this cycle: events of the core's own lower it.
    pub horizon: Cycle,
    /// The instruction loop asks `may_go_on` from this cycle on: at the horizon, or
    /// when a buffered store is due.
    pub pause: Cycle,
    /// Memory whose accesses need no more than to hit the most recent way of L1D.
    pub plain: PlainRam,
}

impl CoreBus<'_> {
    fn source(&self) -> Source {
        Source(self.unit.id.0)
    }

    /// Latencies of the memory system.
    pub fn memory(&self) -> &crate::spec::MemorySpec {
        &self.spec.memory
    }

    /// Schedules an event of this core.
    pub fn post(&mut self, at: Cycle, event: Event) {
        self.look_up_at(at);
        self.queue.schedule(at, self.source(), event);
        if let Some(tracker) = &mut self.log.tracker {
            tracker.posted(at, event);
        }
    }

    /// Lets the instruction loop go on until `at` at most.
    pub(super) fn look_up_at(&mut self, at: Cycle) {
        self.horizon = self.horizon.min(at);
        self.pause = self.pause.min(at);
    }

    /// [`CoreBus::plain`] in a ring: nothing if somebody follows the run or asks for its reads, or
    /// if stores are perturbed.
    pub(super) fn plain_ram(user: bool, spec: &MachineSpec, log: &TraceLog) -> PlainRam {
        if log.tracker.is_none() && !log.wants_reads() && spec.perturb.store_drain == 0 {
            PlainRam::of(spec.translation, user)
        } else {
            PlainRam::NOTHING
        }
    }

    /// Cycles that a message of this core to the rest of the machine takes at least.
    pub(super) fn leg(&self) -> u64 {
        home::leg(&self.spec.memory)
    }

    /// Asks the home agent for `line`, unless that has been done.
    pub fn request(&mut self, at: Cycle, line: LineAddr, want: Want) {
        let same = |&(asked, w): &(LineAddr, Want)| asked == line && w.covers(want);
        self.unit.activity += 1;
        if self.unit.requested.iter().any(same) {
            return;
        }
        self.unit.requested.push((line, want));
        self.unit.note(Note::Request, at, self.rip, line.0 << 2 | want as u64);
        let core = self.unit.id;
        self.post(self.arrival(at, line), Event::Request { core, want, line });
    }

    /// When a request for `line` that is sent at `at` reaches the home agent.
    pub(super) fn arrival(&self, at: Cycle, line: LineAddr) -> Cycle {
        let perturb = &self.spec.perturb;
        let which = at.0 ^ line.0 << 20;
        at + self.leg() + perturb.delay(perturb.miss, Site::Miss, self.unit.id, which)
    }

    /// A dirty line has left the caches: the home agent is told. Not if the line is asked for
    /// again already (by a fetch beside a store): it would come back before the message arrives,
    /// and the directory would then forget a copy that is there.
    pub fn write_back(&mut self, at: Cycle, line: LineAddr) {
        if !self.unit.requested.iter().any(|&(asked, _)| asked == line) {
            let core = self.unit.id;
            self.post(at + self.leg(), Event::WriteBack { core, line });
        }
    }

    /// Blocks the instruction until `line` has come.
    #[inline(never)]
    fn wait_for<T>(&mut self, line: LineAddr, want: Want) -> Access<T> {
        self.request(self.unit.clock, line, want);
        self.unit.run = Run::Waiting(Wait::Line(line));
        Err(Stall::Wait)
    }

    /// This core looks for, or at, its copy of `line`.
    #[inline]
    fn track_access(&mut self, line: LineAddr) {
        if let Some(tracker) = &mut self.log.tracker {
            tracker.access(self.unit.id, self.unit.clock, self.rip, line);
        }
    }

    #[inline]
    fn track_load(&mut self, addr: PhysAddr, size: u64, value: u64) {
        if let Some(tracker) = &mut self.log.tracker {
            tracker.loads(addr, size, value);
        }
    }

    /// A count that depends on the clock is read or set.
    fn track_count(&mut self) {
        if let Some(tracker) = &mut self.log.tracker {
            tracker.reads_count(self.unit.id);
        }
    }

    /// Cycles of a first access to `line` at level `level`.
    #[inline(always)]
    fn charge_level(&mut self, line: LineAddr, level: Level) {
        if self.unit.paid == line {
            self.unit.paid = NO_LINE;
        } else {
            self.cost += match level {
                Level::L1 => self.spec.memory.l1_hit,
                Level::L2 | Level::Miss => self.spec.memory.l2_hit,
            };
        }
        if level != Level::L1 {
            self.unit.activity += 1;
        }
    }

    /// Reads RAM through store buffer and caches. `size` bytes do not cross a line.
    fn read_ram(&mut self, addr: PhysAddr, size: u64) -> Access<u64> {
        match self.unit.stores.forward(addr, size) {
            Forward::None => {}
            Forward::Hit(value) => {
                self.cost += self.spec.memory.l1_hit;
                self.track_load(addr, size, value);
                return Ok(value);
            }
            Forward::Blocked => return self.wait_stores(usize::MAX),
        }
        let line = addr.line();
        self.track_access(line);
        match self.unit.caches.read(line) {
            Level::Miss => return self.wait_for(line, Want::Read),
            level => {
                self.charge_level(line, level);
                if level == Level::L2 {
                    // L1D has another line now: see `may_go_on`.
                    self.pause = Cycle(0);
                }
            }
        }
        let value = self.ram.read(addr, size);
        self.track_load(addr, size, value);
        if self.log.wants_reads() {
            self.report_read(addr, size as u8, value);
        }
        Ok(value)
    }

    #[cold]
    fn report_read(&mut self, addr: PhysAddr, size: u8, value: u64) {
        if self.log.watches_word(addr, size) {
            let what = Trace::Read { addr, size, rip: self.rip, value };
            self.log.core(self.unit.clock, self.unit.id, what);
        }
    }

    /// A load that crosses a line: both lines have to be here at once.
    fn read_split(&mut self, addr: PhysAddr, size: u64) -> Access<u64> {
        let first = LINE_BYTES - addr.0 % LINE_BYTES;
        let low = self.read_ram(addr, first)?;
        let high = self.read_ram(PhysAddr(addr.0 + first), size - first)?;
        self.cost += self.spec.memory.split_access;
        Ok(low | high << (first * 8))
    }

    /// What lies at the `bytes` bytes at `addr`.
    fn target(&self, regs: &Registers, addr: u64, bytes: u64, purpose: Purpose) -> Access<Target> {
        let target = translate(self.spec.translation, addr, regs.cpl() == 3, purpose);
        // An access that leaves the canonical half is #GP, whatever is not present before.
        let fault = |fault| match is_canonical(addr.wrapping_add(bytes - 1)) {
            true => Stall::Fault(fault),
            false => Stall::Fault(Exception::GeneralProtection(0)),
        };
        target.map_err(fault)
    }

    /// A load, most often one that needs no more than a look.
    #[inline(always)]
    fn load_as(
        &mut self,
        regs: &Registers,
        addr: u64,
        size: Size,
        purpose: Purpose,
    ) -> Access<u64> {
        let value = match size {
            Size::B1 => self.load_recent::<1>(addr),
            Size::B2 => self.load_recent::<2>(addr),
            Size::B4 => self.load_recent::<4>(addr),
            Size::B8 => self.load_recent::<8>(addr),
        };
        match value {
            Some(value) => Ok(value),
            None => self.load_rarer(regs, addr, size, purpose),
        }
    }

    /// Where the `bytes` bytes at `addr` lie, if a load of them needs no more than a look.
    #[inline(always)]
    fn find_recent(&self, addr: u64, bytes: u64) -> Option<PhysAddr> {
        let at = self.plain.find(addr)?;
        let hit = is_within_word(at, bytes)
            && self.unit.stores.is_word_clear(at)
            && self.unit.caches.is_recent(at.line())
            && self.unit.paid != at.line();
        hit.then_some(at)
    }

    /// The line of a load that would change nothing but its destination, and take time.
    pub(super) fn recent_line(&self, addr: u64, size: Size) -> Option<LineAddr> {
        self.find_recent(addr, size as u64).map(PhysAddr::line)
    }

    /// The line of such a load, and what it brings.
    pub(super) fn recent_word(&self, addr: u64, size: Size) -> Option<(LineAddr, u64)> {
        let at = self.find_recent(addr, size as u64)?;
        Some((at.line(), self.ram.read(at, size as u64)))
    }

    /// HOT: a load that touches one aligned word of plain RAM, in the most recent way of L1D, that
    /// no buffered store may touch; about 40 host instructions.
    #[inline(always)]
    fn load_recent<const BYTES: u64>(&mut self, addr: u64) -> Option<u64> {
        let at = self.find_recent(addr, BYTES)?;
        self.cost += self.spec.memory.l1_hit;
        Some(self.ram.read(at, BYTES))
    }

    /// Every load.
    #[inline(never)]
    fn load_rarer(
        &mut self,
        regs: &Registers,
        addr: u64,
        size: Size,
        purpose: Purpose,
    ) -> Access<u64> {
        let bytes = size as u64;
        match self.target(regs, addr, bytes, purpose)? {
            Target::Ram(addr) if crosses_line(addr, bytes) => self.read_split(addr, bytes),
            Target::Ram(addr) => self.read_ram(addr, bytes),
            Target::Device(addr) => self.read_device(addr, bytes),
            Target::Apic(offset) => {
                self.drain()?;
                self.unit.activity += 1;
                self.cost += self.spec.interrupts.apic_read;
                if offset == CURRENT_COUNT {
                    self.track_count();
                }
                let value = self.unit.lapic.read_mmio(offset, self.unit.clock);
                Ok(mask(u64::from(value), bytes))
            }
        }
    }

    fn read_device(&mut self, addr: PhysAddr, size: u64) -> Access<u64> {
        self.unit.activity += 1;
        if let DeviceRead::Ready(value) = self.unit.device_read {
            self.unit.device_read = DeviceRead::Idle;
            return Ok(mask(u64::from(value), size));
        }
        self.drain()?;
        let Some((device, offset)) = self.map.find(addr) else {
            // Nobody answers: a master abort reads as ones (PCI Local Bus Specification §3.3.3).
            self.cost += self.spec.interrupts.mmio_read;
            return Ok(mask(u64::MAX, size));
        };
        self.unit.note(Note::Device, self.unit.clock, self.rip, addr.0);
        self.unit.device_read = DeviceRead::Pending;
        self.unit.run = Run::Waiting(Wait::Device);
        let at = self.unit.clock + u64::from(self.spec.interrupts.mmio_read / 2).max(self.leg());
        let core = self.unit.id;
        self.post(at, Event::MmioRead { device, core, offset });
        Err(Stall::Wait)
    }

    fn write_device(&mut self, addr: PhysAddr, size: u64, value: u64) -> Access<()> {
        self.drain()?;
        self.unit.activity += 1;
        self.unit.note(Note::Device, self.unit.clock, self.rip, addr.0 ^ value.rotate_left(32));
        let at = self.unit.clock + u64::from(self.spec.interrupts.mmio_write).max(self.leg());
        if let Some((device, offset)) = self.map.find(addr) {
            self.log.core(self.unit.clock, self.unit.id, Trace::DeviceWrite { device });
            self.post(at, Event::MmioWrite { device, offset, value: value as u32 });
            if size == 8 {
                let value = (value >> 32) as u32;
                self.post(at, Event::MmioWrite { device, offset: offset + 4, value });
            }
        }
        self.cost += self.spec.interrupts.mmio_retire;
        Ok(())
    }

    fn lines_of(addr: PhysAddr, bytes: u64) -> (LineAddr, Option<LineAddr>) {
        let last = PhysAddr(addr.0 + bytes - 1).line();
        (addr.line(), (last != addr.line()).then_some(last))
    }

    /// Gets both lines of a split locked operation: in ascending order, the first held against
    /// probes until the second has come, so that two such operations cannot starve each other.
    fn own_both(&mut self, first: LineAddr, second: LineAddr) -> Access<()> {
        self.track_access(first);
        self.track_access(second);
        if !self.unit.caches.write(first) {
            return self.wait_for(first, Want::OwnLocked);
        }
        self.unit.split_hold = first;
        if !self.unit.caches.write(second) {
            return self.wait_for(second, Want::OwnLocked);
        }
        self.unit.split_hold = NO_LINE;
        self.unit.paid = NO_LINE;
        self.cost += self.spec.memory.split_lock;
        Ok(())
    }

    fn own_one(&mut self, line: LineAddr) -> Access<()> {
        self.track_access(line);
        if !self.unit.caches.write(line) {
            return self.wait_for(line, Want::OwnLocked);
        }
        if self.unit.paid == line {
            self.unit.paid = NO_LINE;
        } else {
            self.cost += self.spec.memory.locked;
        }
        Ok(())
    }

    fn ram_target(&self, regs: &Registers, addr: u64, bytes: u8) -> Access<PhysAddr> {
        match self.target(regs, addr, bytes.into(), Purpose::Write)? {
            Target::Ram(addr) => Ok(addr),
            // Locked accesses to device memory are not modelled.
            Target::Device(_) | Target::Apic(_) => Err(Stall::Unimplemented),
        }
    }
}

impl Bus for CoreBus<'_> {
    #[inline(always)]
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Read)
    }

    #[inline(always)]
    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Write)
    }

    #[inline(always)]
    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        let stored = match size {
            Size::B1 => self.store_recent::<1>(addr, value),
            Size::B2 => self.store_recent::<2>(addr, value),
            Size::B4 => self.store_recent::<4>(addr, value),
            Size::B8 => self.store_recent::<8>(addr, value),
        };
        if stored {
            return Ok(());
        }
        self.store_rarer(regs, addr, size, value)
    }

    #[inline]
    fn room(&mut self, stores: usize) -> Access<()> {
        if self.unit.stores.room() >= stores { Ok(()) } else { self.make_room(stores) }
    }

    fn locked_read(&mut self, regs: &Registers, addr: u64, bytes: u8) -> Access<u128> {
        let addr = self.ram_target(regs, addr, bytes)?;
        self.drain()?;
        match Self::lines_of(addr, u64::from(bytes)) {
            (line, None) => self.own_one(line)?,
            (first, Some(second)) => self.own_both(first, second)?,
        }
        let low = self.ram.read(addr, u64::from(bytes.min(8)));
        let high = if bytes == 16 { self.ram.read(PhysAddr(addr.0 + 8), 8) } else { 0 };
        self.track_load(addr, u64::from(bytes.min(8)), low);
        if bytes == 16 {
            self.track_load(PhysAddr(addr.0 + 8), 8, high);
        }
        Ok(u128::from(low) | u128::from(high) << 64)
    }

    fn locked_write(&mut self, addr: u64, bytes: u8, value: u128) {
        // `locked_read` has translated this address a moment ago.
        let Ok(Target::Ram(addr)) = translate(self.spec.translation, addr, false, Purpose::Write)
        else {
            return;
        };
        self.unit.locked_line = addr.line();
        self.unit.locked_until = self.unit.clock + u64::from(self.cost);
        let parts =
            [(addr, bytes.min(8), value as u64), (PhysAddr(addr.0 + 8), 8, (value >> 64) as u64)];
        for (addr, size, value) in parts.into_iter().take(if bytes == 16 { 2 } else { 1 }) {
            let old = self.ram.read(addr, u64::from(size));
            let new = mask(value, u64::from(size));
            if let Some(tracker) = &mut self.log.tracker {
                tracker.stores(addr, u64::from(size));
            }
            if self.log.watches(addr) {
                self.watched(self.unit.clock, addr, size, true, self.rip, old, new);
            }
            if old != new {
                self.unit.activity += 1;
                self.ram.write(addr, u64::from(size), new);
            }
        }
    }

    fn drain(&mut self) -> Access<()> {
        if self.unit.stores.is_empty() {
            return Ok(());
        }
        self.drain_before(self.unit.clock);
        if self.unit.stores.is_empty() { Ok(()) } else { self.wait_stores(usize::MAX) }
    }

    fn port_in(&mut self, port: u16, size: Size) -> Access<u32> {
        self.unit.activity += 1;
        // As on Bochs and QEMU, the debug console answers with its own number.
        let value = if port == 0xe9 { 0xe9 } else { u64::MAX };
        Ok(mask(value, size as u64) as u32)
    }

    fn port_out(&mut self, port: u16, _size: Size, value: u32) -> Access<()> {
        self.unit.activity += 1;
        self.unit.note(
            Note::Port,
            self.unit.clock,
            self.rip,
            u64::from(port) << 32 ^ u64::from(value),
        );
        let core = self.unit.id;
        let at = self.unit.clock + self.leg();
        self.post(at, Event::PortOut { core, port, value });
        Ok(())
    }

    fn rdmsr(&mut self, _regs: &Registers, number: u32) -> Access<u64> {
        self.unit.activity += 1;
        let now = self.unit.clock;
        let counts = self.unit.counts(now);
        let count = match number {
            IA32_TSC => Some(now.0.wrapping_add(self.unit.tsc_offset)),
            CURRENT_COUNT_MSR => self.unit.lapic.rdmsr(number, now),
            _ => self.unit.pmu.rdmsr(number, counts),
        };
        if count.is_some() {
            self.track_count();
        }
        let value = count
            .or_else(|| self.unit.lapic.rdmsr(number, now))
            .or_else(|| self.unit.msrs.read(self.spec, number));
        value.ok_or(Stall::Fault(Exception::GeneralProtection(0)))
    }

    fn wrmsr(&mut self, _regs: &Registers, number: u32, value: u64) -> Access<()> {
        self.unit.activity += 1;
        let now = self.unit.clock;
        let counts = self.unit.counts(now);
        self.unit.note(Note::System, now, self.rip, u64::from(number) << 32 ^ value);
        if number == IA32_TSC {
            self.track_count();
            self.unit.tsc_offset = value.wrapping_sub(now.0);
            Ok(())
        } else if let Some(effect) = self.unit.lapic.wrmsr(number, value, now) {
            self.apic_effect(effect);
            Ok(())
        } else if self.unit.pmu.wrmsr(number, value, counts).is_some() {
            self.schedule_overflow(now);
            Ok(())
        } else if self.unit.msrs.write(self.spec, number, value).is_some() {
            Ok(())
        } else {
            Err(Stall::Fault(Exception::GeneralProtection(0)))
        }
    }

    fn rdpmc(&mut self, counter: u32) -> Access<u64> {
        self.track_count();
        self.unit.activity += 1;
        let counts = self.unit.counts(self.unit.clock);
        let value = self.unit.pmu.rdpmc(counter, counts);
        value.ok_or(Stall::Fault(Exception::GeneralProtection(0)))
    }

    fn tsc(&mut self) -> u64 {
        self.unit.activity += 1;
        if let Some(tracker) = &mut self.log.tracker {
            tracker.reads_clock();
        }
        self.unit.clock.0.wrapping_add(self.unit.tsc_offset)
    }

    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> [u32; 4] {
        msr::cpuid(self.spec, self.unit.id, leaf, subleaf)
    }

    fn cr8(&mut self) -> u8 {
        self.unit.lapic.cr8()
    }

    fn set_cr8(&mut self, value: u8) {
        self.unit.activity += 1;
        self.unit.lapic.set_cr8(value);
        self.unit.attention = true;
        self.look_up_at(Cycle(0));
    }

    fn monitor(&mut self, regs: &Registers, addr: u64) -> Access<()> {
        self.load(regs, addr, Size::B1)?;
        self.unit.activity += 1;
        if let Target::Ram(addr) = self.target(regs, addr, 1, Purpose::Read)? {
            self.unit.monitor = addr.line();
        }
        Ok(())
    }

    fn flush_line(&mut self, regs: &Registers, addr: u64) -> Access<()> {
        self.drain()?;
        if let Target::Ram(addr) = self.target(regs, addr, 1, Purpose::Read)? {
            self.evict(addr.line());
        }
        Ok(())
    }

    fn flush_tlb(&mut self, _addr: Option<u64>) {
        self.unit.activity += 1;
    }

    fn read_system(&mut self, addr: u64, size: Size) -> Access<u64> {
        match translate(self.spec.translation, addr, false, Purpose::Read) {
            Ok(Target::Ram(addr)) => {
                if let Some(tracker) = &mut self.log.tracker {
                    tracker.reads_memory(addr, size as u64);
                }
                Ok(self.ram.read(addr, size as u64))
            }
            Ok(Target::Device(_) | Target::Apic(_)) => Ok(u64::MAX),
            Err(fault) => Err(Stall::Fault(fault)),
        }
    }

    #[inline]
    fn charge(&mut self, cycles: u32) {
        self.cost += cycles;
    }
}

impl CoreBus<'_> {
    /// CLFLUSH: the line leaves this core's caches (other cores' copies stay: only timing differs).
    fn evict(&mut self, line: LineAddr) {
        use crate::mem::cache::{LineState, Probed};
        self.unit.activity += 1;
        if self.unit.fetch_line == line {
            self.look_up_at(Cycle(0));
            self.unit.fetch_line = NO_LINE;
        }
        if self.unit.caches.probe(line, LineState::Invalid) == Probed::Modified {
            self.write_back(self.unit.clock, line);
        }
    }
}

#[inline]
fn crosses_line(addr: PhysAddr, bytes: u64) -> bool {
    addr.0 % LINE_BYTES + bytes > LINE_BYTES
}

/// True if `bytes` bytes lie within 8 aligned bytes.
#[inline(always)]
fn is_within_word(addr: PhysAddr, bytes: u64) -> bool {
    addr.0 % 8 + bytes <= 8
}

/// The low `bytes` bytes of `value`.
#[inline]
fn mask(value: u64, bytes: u64) -> u64 {
    if bytes >= 8 { value } else { value & ((1 << (bytes * 8)) - 1) }
}
