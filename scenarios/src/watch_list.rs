//! What to watch during a run: every lock, completion and acknowledgement mask that the guest's
//! debugging information or the scenario names.

use crate::collect::CollectorSpec;
use crate::completions::CompletionWord;
use crate::dwarf::{ArrayLimits, DebugInfo, Found};
use crate::guest_memory::GuestMemory;
use crate::image::physical;
use crate::load::Loaded;
use crate::locks::LockWord;
use crate::schema::VariableKind;
use crate::waits::AckMask;

/// Structures of the guest kernel with one element per CPU.
const PER_CPU: &str = "per_cpu_area";
/// Bits in a word of a CPU mask.
const MASK_BITS: u32 = 64;

/// Everything worth watching in `loaded`; `memory` tells the values at the start.
#[must_use]
pub fn watch_list(loaded: &Loaded, debug: &DebugInfo, memory: &dyn GuestMemory) -> CollectorSpec {
    let cpus = loaded.spec.cores;
    let mut limits = ArrayLimits::default();
    limits.by_variable.insert(PER_CPU.to_owned(), u64::from(cpus));
    let mut spec = CollectorSpec {
        cpus: cpus as usize,
        irq_off_code: CollectorSpec::irq_off_code(&loaded.symbols),
        ..CollectorSpec::default()
    };
    if loaded.epoch.is_some() {
        let locks = debug.find_all(&["spinlock_t"], &limits);
        spec.locks.extend(locks.iter().filter_map(|found| lock(&found.name, found.addr, memory)));
        let completions = debug.find_all(&["completion"], &limits);
        let completion = |found: &Found| completion(&found.name, found.addr, debug, memory);
        spec.completions.extend(completions.iter().filter_map(completion));
        spec.masks.extend(masks(debug, cpus));
    }
    for variable in &loaded.variables {
        let (name, addr) = (variable.name.as_str(), variable.addr);
        match variable.kind {
            VariableKind::Lock => spec.locks.extend(lock(name, addr, memory)),
            VariableKind::Completion => {
                let inner = debug.offset("completion", "wait.lock");
                let named = format!("{name}.wait.lock");
                spec.locks.extend(inner.and_then(|offset| lock(&named, addr + offset, memory)));
                spec.completions.extend(completion(name, addr, debug, memory));
            }
            VariableKind::Mutex => {
                let inner = debug.offset("mutex", "wait_lock");
                let named = format!("{name}.wait_lock");
                spec.locks.extend(inner.and_then(|offset| lock(&named, addr + offset, memory)));
            }
            VariableKind::Word(_) => {}
        }
    }
    spec
}

fn lock(name: &str, va: u64, memory: &dyn GuestMemory) -> Option<LockWord> {
    let initial = memory.read_u32(va)?;
    Some(LockWord { name: name.to_owned(), va, addr: physical(va)?, initial })
}

fn completion(
    name: &str,
    va: u64,
    debug: &DebugInfo,
    memory: &dyn GuestMemory,
) -> Option<CompletionWord> {
    let done = va + debug.offset("completion", "done")?;
    let initial = memory.read_u32(done)?;
    let lock = format!("{name}.wait.lock");
    Some(CompletionWord { name: name.to_owned(), va, done: physical(done)?, lock, initial })
}

/// The masks of TLB shootdowns.
fn masks(debug: &DebugInfo, cpus: u32) -> Vec<AckMask> {
    let Some(variable) = debug.variable("flush_state") else { return Vec::new() };
    let Some((element, count)) = debug.array(variable.ty) else { return Vec::new() };
    let Some(inner) = debug.offset("smp_flush_state", "flush_cpumask") else { return Vec::new() };
    let size = debug.size_of(element);
    let mask = |slot: u64| {
        let addr = physical(variable.addr + slot * size + inner)?;
        let name = format!("flush_state[{slot}].flush_cpumask");
        Some(AckMask { name, addr, words: cpus.div_ceil(MASK_BITS) })
    };
    (0..count).filter_map(mask).collect()
}
