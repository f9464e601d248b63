//! What is worth watching in a guest kernel, from its debugging information.

use super::CollectorSpec;
use crate::completions::CompletionWord;
use crate::dwarf::{ArrayLimits, DebugInfo};
use crate::guest_memory::GuestMemory;
use crate::locks::LockWord;
use crate::symbols::SymbolTable;
use crate::waits::AckMask;
use sim_x86::ids::PhysAddr;

/// Where a guest's words are found.
#[derive(Clone, Copy)]
pub struct GuestLayout<'a> {
    /// Its symbols.
    pub symbols: &'a SymbolTable,
    /// Its debugging information.
    pub debug: &'a DebugInfo,
    /// Its memory as loaded: initial values are read from it, and 0 where it cannot be read.
    pub memory: &'a dyn GuestMemory,
    /// Physical address of a linear one; `None` if it has none.
    pub translate: &'a dyn Fn(u64) -> Option<PhysAddr>,
}

impl std::fmt::Debug for GuestLayout<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestLayout").field("symbols", &self.symbols.symbols().len()).finish()
    }
}

/// Names of the types that are ticket locks.
const LOCK_TYPES: [&str; 2] = ["spinlock_t", "raw_spinlock_t"];
/// Arrays with one element per CPU slot whose targets clear bits of a mask to acknowledge an
/// IPI: variable, structure, member.
const ACK_MASKS: [(&str, &str, &str); 1] = [("flush_state", "smp_flush_state", "flush_cpumask")];
/// Arrays with one element per CPU.
const PER_CPU: [&str; 4] = ["per_cpu_area", "tvec_bases", "cfd_data", "csd_data"];

impl CollectorSpec {
    /// Every lock, completion and acknowledgement mask among the guest's global variables, on a
    /// machine of `cpus` CPUs.
    #[must_use]
    pub fn of_guest(guest: &GuestLayout<'_>, cpus: usize) -> Self {
        let mut limits = ArrayLimits::default();
        for name in PER_CPU {
            limits.by_variable.insert(name.to_owned(), cpus as u64);
        }
        CollectorSpec {
            cpus,
            locks: locks(guest, &limits),
            completions: completions(guest, &limits),
            masks: masks(guest, cpus),
            irq_off_code: CollectorSpec::irq_off_code(guest.symbols),
            bounds: crate::bounded::Bounds::default(),
        }
    }

    /// Adds a lock that is not among the guest's variables: one of a scenario or an object.
    pub fn add_lock(&mut self, guest: &GuestLayout<'_>, name: &str, va: u64) {
        self.locks.extend(lock(guest, name.to_owned(), va));
    }

    /// Adds a completion, and its lock, that are not among the guest's variables.
    pub fn add_completion(&mut self, guest: &GuestLayout<'_>, name: &str, va: u64) {
        self.completions.extend(completion(guest, name, va));
        if let Some(offset) = guest.debug.offset("completion", "wait.lock") {
            self.add_lock(guest, &format!("{name}.wait.lock"), va + offset);
        }
    }
}

fn lock(guest: &GuestLayout<'_>, name: String, va: u64) -> Option<LockWord> {
    let addr = (guest.translate)(va)?;
    Some(LockWord { name, va, addr, initial: guest.memory.read_u32(va).unwrap_or(0) })
}

fn locks(guest: &GuestLayout<'_>, limits: &ArrayLimits) -> Vec<LockWord> {
    let found = guest.debug.find_all(&LOCK_TYPES, limits);
    found.into_iter().filter_map(|object| lock(guest, object.name, object.addr)).collect()
}

fn completion(guest: &GuestLayout<'_>, name: &str, va: u64) -> Option<CompletionWord> {
    let done = va + guest.debug.offset("completion", "done")?;
    Some(CompletionWord {
        name: name.to_owned(),
        va,
        done: (guest.translate)(done)?,
        lock: format!("{name}.wait.lock"),
        initial: guest.memory.read_u32(done).unwrap_or(0),
    })
}

fn completions(guest: &GuestLayout<'_>, limits: &ArrayLimits) -> Vec<CompletionWord> {
    let found = guest.debug.find_all(&["completion"], limits);
    found.iter().filter_map(|object| completion(guest, &object.name, object.addr)).collect()
}

fn masks(guest: &GuestLayout<'_>, cpus: usize) -> Vec<AckMask> {
    let words = u32::try_from(cpus.div_ceil(64)).unwrap_or(u32::MAX);
    let mut masks = Vec::new();
    for (name, structure, member) in ACK_MASKS {
        let layout = || {
            let variable = guest.debug.variable(name)?;
            let (element, count) = guest.debug.array(variable.ty)?;
            let offset = guest.debug.offset(structure, member)?;
            Some((variable.addr, guest.debug.size_of(element), count, offset))
        };
        let Some((start, size, count, offset)) = layout() else { continue };
        masks.extend((0..count).filter_map(|index| {
            let addr = (guest.translate)(start + index * size + offset)?;
            Some(AckMask { name: format!("{name}[{index}].{member}"), addr, words })
        }));
    }
    masks
}
