//! HOT: stores on their way: into the buffer, and out of it into lines that the core owns.

use super::{CoreBus, crosses_line, is_within_word, mask};
use crate::core::regs::Registers;
use crate::core::translate::{Purpose, Target};
use crate::core::{Note, Run, Wait};
use crate::event::{Event, StopCause, Want};
use crate::exec::{Access, Bus, Size, Stall};
use crate::ids::{LINE_BYTES, LineAddr, PhysAddr};
use crate::mem::store_buffer::BufferedStore;
use crate::trace::Trace;
use sim_core::Cycle;

impl CoreBus<'_> {
    /// The clock has come to [`CoreBus::pause`]: stores that are due become visible. True if more
    /// instructions may be executed.
    #[inline(never)]
    pub(in crate::core) fn may_go_on(&mut self) -> bool {
        let clock = self.unit.clock;
        if clock >= self.horizon {
            return false;
        }
        self.drain_before(clock);
        let due = self.unit.stores.due();
        self.pause = self.horizon;
        if due >= clock || !self.is_stuck() {
            self.pause = self.horizon.min(due + 1);
        }
        clock < self.horizon
    }

    /// True if the oldest store waits for a line of which L1D has no copy either: until that line
    /// comes, trying to make the store visible does nothing at all.
    fn is_stuck(&self) -> bool {
        self.unit.stores.is_stuck(self.unit.caches.insertions())
    }

    /// The line of the oldest store is not owned.
    #[cold]
    fn stick(&mut self, line: LineAddr) {
        if self.unit.caches.is_away(line) {
            self.unit.stores.stick(self.unit.caches.insertions());
        }
    }

    /// Blocks the instruction until `count` more stores have left the buffer.
    #[inline(never)]
    pub(super) fn wait_stores<T>(&mut self, count: usize) -> Access<T> {
        self.unit.activity += 1;
        let owned = |store: &BufferedStore| self.unit.caches.state(store.addr.line()).writable();
        if self.unit.stores.iter().take(count).all(owned) {
            // Nothing but time is missing. A probe may still take a line away: then we are here
            // again.
            let left = self.unit.stores.left_by(count);
            if let Some(tracker) = &mut self.log.tracker {
                tracker.waits_for_stores(self.unit.id, self.unit.clock, left + 1, count);
            }
            self.unit.clock = self.unit.clock.max(left + 1);
        } else {
            self.unit.run = Run::Waiting(Wait::Stores);
        }
        Err(Stall::Wait)
    }

    #[inline(never)]
    pub(super) fn make_room(&mut self, stores: usize) -> Access<()> {
        self.drain_before(self.unit.clock);
        match stores.checked_sub(self.unit.stores.room()) {
            None | Some(0) => Ok(()),
            Some(missing) => self.wait_stores(missing),
        }
    }

    /// Makes every store visible whose commit cycle lies before `until`, oldest first, as long as
    /// the lines are owned.
    #[inline(always)]
    pub fn drain_before(&mut self, until: Cycle) {
        while self.unit.stores.due() < until {
            let Some((store, at)) = self.unit.stores.head() else { return };
            if self.is_stuck() {
                return;
            }
            if !self.unit.caches.write(store.addr.line()) {
                return self.stick(store.addr.line());
            }
            self.track_commit(&store, at, false);
            self.unit.stores.retire_head(at);
            self.commit(at, &store);
        }
    }

    /// The oldest store's line has just come: it commits now, so that every fill makes progress.
    pub fn drain_filled(&mut self, now: Cycle, line: LineAddr) {
        let Some((store, at)) = self.unit.stores.head() else { return };
        if store.addr.line() != line {
            return;
        }
        if at > now {
            if let Some(tracker) = &mut self.log.tracker {
                tracker.too_early(self.unit.id, now, at, line);
            }
        } else if self.unit.caches.write(line) {
            self.track_commit(&store, now, true);
            self.unit.stores.retire_head(now);
            self.commit(now, &store);
        }
    }

    #[inline]
    fn track_commit(&mut self, store: &BufferedStore, at: Cycle, forced: bool) {
        if let Some(tracker) = &mut self.log.tracker {
            let times = (store.ready, self.unit.stores.last_commit());
            let line = store.addr.line();
            tracker.committed(self.unit.id, store.rip, line, at, times, forced);
        }
    }

    #[inline(always)]
    fn commit(&mut self, at: Cycle, store: &BufferedStore) {
        let change = self.ram.replace(store.addr, u64::from(store.size), store.value);
        self.unit.activity += u64::from(change != 0);
        if self.log.watches(store.addr) {
            let new = mask(store.value, u64::from(store.size));
            self.watched(at, store.addr, store.size, false, store.rip, new ^ change, new);
        }
    }

    /// Reports a write to a watched page.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "the fields of one trace record")]
    pub(super) fn watched(
        &mut self,
        at: Cycle,
        addr: PhysAddr,
        size: u8,
        locked: bool,
        rip: u64,
        old: u64,
        new: u64,
    ) {
        if self.log.code_written(addr) {
            self.unit.activity += 1;
            self.look_up_at(Cycle(0));
        }
        let core = self.unit.id;
        if self.log.watches_word(addr, size) {
            // A loop that writes watched words is not skipped: every write is to be seen.
            self.unit.activity += 1;
            self.log.core(at, core, Trace::Write { addr, size, locked, rip, old, new });
        }
        if self.log.stops_at(addr, size) {
            self.unit.activity += 1;
            self.post(at + self.leg(), Event::Stop { core, cause: StopCause::Written });
        }
    }

    /// Lines taken away from this core that buffered stores still need are asked for again.
    pub fn ask_again_for_stores(&mut self, at: Cycle, line: LineAddr) {
        if self.unit.stores.iter().any(|store| store.addr.line() == line) {
            self.request(at, line, Want::Own);
        }
    }

    /// HOT: a store to one aligned word of plain RAM, in the most recent way of L1D, of a line that is
    /// owned; about 40 host instructions.
    #[inline(always)]
    pub(super) fn store_recent<const BYTES: u64>(&mut self, addr: u64, value: u64) -> bool {
        let Some(at) = self.plain.find(addr) else { return false };
        let hit = is_within_word(at, BYTES)
            && self.unit.stores.room() > 0
            && self.unit.caches.is_recently_owned(at.line());
        if hit {
            let ready = self.unit.clock + u64::from(self.spec.memory.store_commit);
            let store = BufferedStore { addr: at, value, size: BYTES as u8, ready, rip: self.rip };
            self.unit.stores.push_word(store);
            self.look_up_for_store();
        }
        hit
    }

    fn buffer(&mut self, addr: PhysAddr, size: u64, value: u64) {
        let mut ready = self.unit.clock + u64::from(self.spec.memory.store_commit);
        let perturb = &self.spec.perturb;
        if perturb.store_drain != 0 {
            let which = self.unit.clock.0 ^ addr.0 << 20;
            ready += perturb.of_store(self.unit.id, which);
        }
        let store = BufferedStore { addr, value, size: size as u8, ready, rip: self.rip };
        self.unit.stores.push(store);
        self.look_up_for_store();
        let line = addr.line();
        if let Some(tracker) = &mut self.log.tracker {
            tracker.buffered(self.unit.id);
            tracker.stores(addr, size);
            tracker.access(self.unit.id, self.unit.clock, self.rip, line);
        }
        if !self.unit.caches.state(line).writable() {
            self.request(self.unit.clock, line, Want::Own);
        }
    }

    /// The instruction loop has to look up when the oldest store is due.
    #[inline(always)]
    fn look_up_for_store(&mut self) {
        self.pause = self.pause.min(self.unit.stores.due() + 1);
    }

    /// A store within a line.
    fn store_ram(&mut self, addr: PhysAddr, size: u64, value: u64) -> Access<()> {
        self.room(1)?;
        self.buffer(addr, size, value);
        Ok(())
    }

    /// A store that crosses a line.
    fn store_split(&mut self, addr: PhysAddr, size: u64, value: u64) -> Access<()> {
        self.room(2)?;
        let first = LINE_BYTES - addr.0 % LINE_BYTES;
        self.buffer(addr, first, mask(value, first));
        self.buffer(PhysAddr(addr.0 + first), size - first, value >> (first * 8));
        self.cost += self.spec.memory.split_access;
        Ok(())
    }

    /// Every store.
    #[inline(never)]
    pub(super) fn store_rarer(
        &mut self,
        regs: &Registers,
        addr: u64,
        size: Size,
        value: u64,
    ) -> Access<()> {
        let bytes = size as u64;
        match self.target(regs, addr, bytes, Purpose::Write)? {
            Target::Ram(addr) if crosses_line(addr, bytes) => self.store_split(addr, bytes, value),
            Target::Ram(addr) => self.store_ram(addr, bytes, value),
            Target::Device(addr) => self.write_device(addr, bytes, value),
            Target::Apic(offset) => {
                self.drain()?;
                self.cost += self.spec.interrupts.apic_write;
                self.write_apic(offset, value as u32);
                Ok(())
            }
        }
    }

    /// A store reaches the core's own local APIC.
    pub(in crate::core) fn write_apic(&mut self, offset: u32, value: u32) {
        let clock = self.unit.clock;
        self.unit.note(Note::System, clock, self.rip, u64::from(offset));
        let effect = self.unit.lapic.write_mmio(offset, value, clock);
        self.apic_effect(effect);
    }
}
