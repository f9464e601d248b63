//! Replay of a segment: look whether everything is as it was, execute what is residual on the
//! side, and only then change the core.

use super::build::Root;
use super::segment::{Load, Residual, Segment, Stored};
use crate::core::Core;
use crate::core::bus::mask;
use crate::core::regs::{Registers, flags};
use crate::core::step::Parts;
use crate::core::translate::{Purpose, Target, translate};
use crate::exec::{Access, Bus, Flow, Size, Stall, execute};
use crate::ids::PhysAddr;
use crate::mem::cache::LineState;
use crate::mem::ram::Ram;
use crate::mem::store_buffer::BufferedStore;
use crate::spec::Translation;
use sim_core::Cycle;

/// Why a segment was not replayed. The core is unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something may come in between.
    NotNow,
    /// It was recorded in other circumstances, its lines are not at hand, or a branch goes another
    /// way today.
    Otherwise,
    /// These roots have other values.
    Changed(Vec<Root>),
}

/// Replays `segment` on a core whose store buffer is empty and that stands at its start. `values`
/// is room for the values of its stores.
pub(super) fn replay(
    segment: &Segment,
    core: &mut Core,
    parts: &mut Parts<'_>,
    limit: Cycle,
    values: &mut Vec<u64>,
) -> Result<(), Refusal> {
    if core.unit.clock + segment.last_start >= limit {
        return Err(Refusal::NotNow);
    }
    if !segment.has_circumstances(core) {
        return Err(Refusal::Otherwise);
    }
    if !segment.roots_hold(core, parts.ram) {
        return Err(Refusal::Changed(segment.changed_roots(core, parts.ram)));
    }
    if !segment.has_lines(core) {
        return Err(Refusal::Otherwise);
    }
    values.clear();
    values.extend(segment.stores.iter().map(|store| store.value));
    let regs = segment.execute(core, parts, values).ok_or(Refusal::Otherwise)?;
    segment.finish(core, parts.ram, &regs, values);
    Ok(())
}

impl Segment {
    fn has_circumstances(&self, core: &Core) -> bool {
        let (unit, regs) = (&core.unit, &core.regs);
        unit.paid == self.paid
            && unit.restarting == self.restarting
            && regs.sel.cs == self.cs
            && (regs.fs_base, regs.gs_base) == self.bases
            && regs.rflags & !flags::STATUS == self.system_flags
    }

    fn roots_hold(&self, core: &Core, ram: &Ram) -> bool {
        let regs = &core.regs;
        self.status.is_none_or(|status| regs.rflags & flags::STATUS == status)
            && self.registers.iter().all(|root| regs.gpr[usize::from(root.register)] == root.value)
            && self.words.iter().all(|word| ram.read(word.addr, word.size.into()) == word.value)
    }

    fn changed_roots(&self, core: &Core, ram: &Ram) -> Vec<Root> {
        let regs = &core.regs;
        let status = self.status.is_some_and(|status| regs.rflags & flags::STATUS != status);
        let registers = self.registers.iter();
        let registers = registers.filter(|root| regs.gpr[usize::from(root.register)] != root.value);
        let words = self.words.iter();
        let words = words.filter(|word| ram.read(word.addr, word.size.into()) != word.value);
        status
            .then_some(Root::Status)
            .into_iter()
            .chain(registers.map(|root| Root::Register(root.register)))
            .chain(words.map(|word| Root::Word(word.addr, word.size)))
            .collect()
    }

    fn has_lines(&self, core: &Core) -> bool {
        let caches = &core.unit.caches;
        let data = |line, store| {
            let state = caches.data_state(line);
            if store { state.writable() } else { state != LineState::Invalid }
        };
        let buffered = &self.stores[self.committed..];
        self.data.iter().all(|&(line, store)| data(line, store))
            && buffered.iter().all(|store| data(store.addr.line(), true))
            && (core.unit.fetch_line == self.first_line || caches.has_code(self.first_line))
            && self.code.iter().all(|&line| caches.has_code(line))
    }

    /// Executes the residual instructions; the registers after the segment, and in `values` those
    /// of the stores. `None` if an instruction does not do what it did.
    fn execute(&self, core: &Core, parts: &Parts<'_>, values: &mut [u64]) -> Option<Registers> {
        let mut regs = core.regs;
        let mut bus = ReplayBus {
            segment: self,
            ram: parts.ram,
            translation: parts.spec.translation,
            values,
            rip: 0,
            load: 0,
            store: 0,
            cost: 0,
            time: 0,
        };
        let epoch = core.unit.clock.0.wrapping_add(core.unit.tsc_offset);
        for residual in &self.residual {
            for given in &self.given[residual.given.0 as usize..residual.given.1 as usize] {
                regs.gpr[usize::from(given.register)] = given.value;
            }
            if let Some(rflags) = residual.rflags {
                regs.rflags = rflags;
            }
            bus.begin(residual, epoch);
            regs.rip = residual.rip;
            let flow = execute(&mut regs, &mut bus, &residual.op).ok()?;
            let plain = matches!(flow, Flow::Next | Flow::Repeat | Flow::Taken);
            if !plain || regs.rip != residual.next || !bus.did_the_same(residual) {
                return None;
            }
        }
        for result in &self.results {
            regs.gpr[usize::from(result.register)] = result.value;
        }
        if let Some(rflags) = self.rflags {
            regs.rflags = rflags;
        }
        regs.rip = self.rip;
        Some(regs)
    }

    /// Leaves the core as if it had executed the segment.
    fn finish(&self, core: &mut Core, ram: &mut Ram, regs: &Registers, values: &[u64]) {
        let unit = &mut core.unit;
        let start = unit.clock;
        let mut stores = self.stores.iter().zip(values);
        for (store, &value) in stores.by_ref().take(self.committed) {
            let size = u64::from(store.size);
            let (old, new) = (ram.read(store.addr, size), mask(value, size));
            if old != new {
                unit.activity += 1;
                ram.write(store.addr, size, new);
            }
        }
        if let Some(at) = self.last_commit {
            unit.stores.commit_until(start + at);
        }
        for (&Stored { addr, size, ready, rip, .. }, &value) in stores {
            unit.stores.push(BufferedStore { addr, value, size, ready: start + ready, rip });
        }
        for &(line, store) in &self.data {
            if store {
                unit.caches.write(line);
            } else {
                unit.caches.read(line);
            }
        }
        if unit.fetch_line != self.first_line {
            unit.caches.fetch_l1(self.first_line);
        }
        for &line in &self.code {
            unit.caches.fetch_l1(line);
        }
        unit.fetch_line = self.fetch_line;
        unit.paid = self.paid_after;
        unit.restarting = false;
        unit.activity += self.time_reads;
        unit.instructions += self.instructions;
        unit.clock = start + self.cycles;
        core.regs = *regs;
    }
}

/// Answers what a residual instruction asks as it was answered at the recording, but for values.
struct ReplayBus<'a> {
    segment: &'a Segment,
    ram: &'a Ram,
    translation: Translation,
    values: &'a mut [u64],
    rip: u64,
    /// The next load and store.
    load: usize,
    store: usize,
    cost: u32,
    time: u64,
}

/// Something else than at the recording.
const OTHERWISE: Stall = Stall::Unimplemented;

impl ReplayBus<'_> {
    fn begin(&mut self, residual: &Residual, epoch: u64) {
        self.rip = residual.rip;
        self.load = residual.loads.0 as usize;
        self.store = residual.stores.0 as usize;
        self.cost = 0;
        self.time = epoch.wrapping_add(residual.at);
    }

    fn did_the_same(&self, residual: &Residual) -> bool {
        self.load == residual.loads.1 as usize
            && self.store == residual.stores.1 as usize
            && self.cost == residual.charged
    }

    fn is_at(&self, regs: &Registers, addr: u64, expected: PhysAddr, purpose: Purpose) -> bool {
        let target = translate(self.translation, addr, regs.cpl() == 3, purpose);
        target == Ok(Target::Ram(expected))
    }

    fn load_as(
        &mut self,
        regs: &Registers,
        addr: u64,
        size: Size,
        purpose: Purpose,
    ) -> Access<u64> {
        let &Load { addr: expected, size: bytes, from } =
            self.segment.loads.get(self.load).ok_or(OTHERWISE)?;
        if bytes != size as u8 || !self.is_at(regs, addr, expected, purpose) {
            return Err(OTHERWISE);
        }
        self.load += 1;
        Ok(match from {
            Some((store, shift)) => mask(self.values[usize::from(store)] >> shift, size as u64),
            None => self.ram.read(expected, size as u64),
        })
    }
}

/// What no segment contains.
macro_rules! refused {
    ($($name:ident($($type:ty),*) -> $out:ty = $value:expr;)*) => {
        $(fn $name(&mut self, $(_: $type),*) -> $out {
            $value
        })*
    };
}

impl Bus for ReplayBus<'_> {
    #[inline]
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Read)
    }

    #[inline]
    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.load_as(regs, addr, size, Purpose::Write)
    }

    #[inline]
    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        let expected = *self.segment.stores.get(self.store).ok_or(OTHERWISE)?;
        let same = expected.size == size as u8 && expected.rip == self.rip;
        if !same || !self.is_at(regs, addr, expected.addr, Purpose::Write) {
            return Err(OTHERWISE);
        }
        self.values[self.store] = value;
        self.store += 1;
        Ok(())
    }

    fn room(&mut self, _stores: usize) -> Access<()> {
        Ok(())
    }

    fn tsc(&mut self) -> u64 {
        self.time
    }

    #[inline]
    fn charge(&mut self, cycles: u32) {
        self.cost += cycles;
    }

    refused! {
        locked_read(&Registers, u64, u8) -> Access<u128> = Err(OTHERWISE);
        locked_write(u64, u8, u128) -> () = ();
        drain() -> Access<()> = Err(OTHERWISE);
        port_in(u16, Size) -> Access<u32> = Err(OTHERWISE);
        port_out(u16, Size, u32) -> Access<()> = Err(OTHERWISE);
        rdmsr(&Registers, u32) -> Access<u64> = Err(OTHERWISE);
        wrmsr(&Registers, u32, u64) -> Access<()> = Err(OTHERWISE);
        rdpmc(u32) -> Access<u64> = Err(OTHERWISE);
        cpuid(u32, u32) -> [u32; 4] = [0; 4];
        cr8() -> u8 = 0;
        set_cr8(u8) -> () = ();
        monitor(&Registers, u64) -> Access<()> = Err(OTHERWISE);
        flush_line(&Registers, u64) -> Access<()> = Err(OTHERWISE);
        flush_tlb(Option<u64>) -> () = ();
        read_system(u64, Size) -> Access<u64> = Err(OTHERWISE);
    }
}
