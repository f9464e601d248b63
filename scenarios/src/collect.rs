//! The observer that collects the evidence of a run: lock, completion and mask histories, the
//! console, device traffic, and what every CPU did.

mod targets;

use crate::bounded::{BoundedList, Bounds};
use crate::completions::{CompletionState, CompletionWord, DoneWrite};
use crate::console::Console;
use crate::locks::{DEVICE, LockState, LockWord, LockWrite};
use crate::propagation::PropagationFold;
use crate::symbols::SymbolTable;
use crate::timeline::{TicketWrite, WaitEdge};
use crate::waits::{AckMask, AckState, WaitGraph, cpu_waits};
use serde::{Deserialize, Serialize};
use sim_x86::ids::{DeviceId, PhysAddr};
use sim_x86::trace::{Actor, Observer, Record, Trace, TraceMask};
use std::collections::BTreeMap;
use targets::{Target, Targets};

/// What to collect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorSpec {
    /// Number of CPUs.
    pub cpus: usize,
    /// Lock words.
    pub locks: Vec<LockWord>,
    /// Completions; the lock of each must be among `locks` for it to be understood.
    pub completions: Vec<CompletionWord>,
    /// Masks of IPI acknowledgements.
    pub masks: Vec<AckMask>,
    /// Code ranges that take locks with interrupts disabled: first address, first one after.
    pub irq_off_code: Vec<(u64, u64)>,
    /// How much of each history is kept.
    pub bounds: Bounds,
}

impl CollectorSpec {
    /// Code ranges of the lock functions that disable interrupts, by their names in Linux.
    #[must_use]
    pub fn irq_off_code(symbols: &SymbolTable) -> Vec<(u64, u64)> {
        let named = symbols.symbols().iter().filter(|symbol| {
            symbol.name.starts_with("_spin_lock_irq")
                || symbol.name.starts_with("_raw_spin_lock_irq")
        });
        named.map(|symbol| (symbol.addr, symbol.addr + symbol.size)).collect()
    }
}

/// What passed between a device and the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceEventKind {
    /// It received a request.
    Request,
    /// It answered one.
    Reply,
    /// It asked for an interrupt of a CPU, given in place of the request id.
    Interrupt,
}

/// One exchange with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// When.
    pub at: u64,
    /// Index of the device.
    pub device: u8,
    /// What.
    pub kind: DeviceEventKind,
    /// Request id, or CPU of an interrupt.
    pub id: u32,
}

/// Collects evidence. Attach it to a run; it is a value, so that it can be forked with a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collector {
    spec: CollectorSpec,
    targets: Targets,
    locks: Vec<LockState>,
    /// Completion guarded by each lock.
    guarded: Vec<Option<u32>>,
    completions: Vec<CompletionState>,
    masks: Vec<AckState>,
    console: Console,
    propagation: PropagationFold,
    devices: BoundedList<DeviceEvent>,
    /// Requests that were not answered yet, with their cycles.
    pending: BTreeMap<(DeviceId, u32), u64>,
    /// Number of replies, and when the last one came.
    replies: u64,
    replied_at: u64,
    last_at: u64,
}

impl Collector {
    /// A collector that has seen nothing.
    #[must_use]
    pub fn new(spec: CollectorSpec) -> Self {
        let bounds = spec.bounds;
        let guarded = |lock: &LockWord| {
            let found = spec.completions.iter().position(|c| c.lock == lock.name);
            found.and_then(|index| u32::try_from(index).ok())
        };
        Collector {
            targets: Targets::new(&spec),
            guarded: spec.locks.iter().map(guarded).collect(),
            locks: spec.locks.iter().map(|word| LockState::new(word.clone(), bounds)).collect(),
            completions: spec.completions.iter().cloned().map(CompletionState::new).collect(),
            masks: spec.masks.iter().cloned().map(AckState::new).collect(),
            console: Console::default(),
            propagation: PropagationFold::new(spec.cpus),
            devices: BoundedList::new(Bounds { head: 256, recent: 256, after: 0, places: 0 }),
            replies: 0,
            replied_at: 0,
            pending: BTreeMap::new(),
            last_at: 0,
            spec,
        }
    }

    /// Ranges of physical memory whose writes it wants: first byte and length, by address.
    #[must_use]
    pub fn watched(&self) -> Vec<(PhysAddr, u64)> {
        self.targets.ranges()
    }

    /// Locks, in the order of the specification.
    #[must_use]
    pub fn locks(&self) -> &[LockState] {
        &self.locks
    }

    /// Completions, in the order of the specification.
    #[must_use]
    pub fn completions(&self) -> &[CompletionState] {
        &self.completions
    }

    /// Masks, in the order of the specification.
    #[must_use]
    pub fn masks(&self) -> &[AckState] {
        &self.masks
    }

    /// The console's output.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What every CPU did.
    #[must_use]
    pub fn propagation(&self) -> &PropagationFold {
        &self.propagation
    }

    /// Exchanges with devices: the first and the last ones.
    pub fn device_events(&self) -> impl Iterator<Item = &DeviceEvent> {
        self.devices.iter()
    }

    /// Cycle of the last record.
    #[must_use]
    pub fn last_at(&self) -> u64 {
        self.last_at
    }

    /// True as soon as something is wrong that will not mend itself: CPUs that wait for each other
    /// in a circle, a ticket that can never be served, or a waiter whose completion was erased. If
    /// the lock of that completion is broken too, worse is to come when the waiter takes it again;
    /// and a CPU that is still inside of it may yet wake the waiter or break it: then nothing is
    /// decided.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.is_deadlocked() || self.propagation.origin().is_some() && self.is_broken()
    }

    /// True if CPUs wait for each other in a circle of sound locks and acknowledgements. A ticket
    /// cannot be given back, and a CPU that waits for one with interrupts disabled acknowledges
    /// nothing: the circle stays.
    fn is_deadlocked(&self) -> bool {
        let mut edges = cpu_waits(&self.locks, &self.masks);
        let sound = |edge: &WaitEdge| {
            let broken = |lock: &LockState| lock.word().name == edge.object && !lock.is_sound();
            !self.locks.iter().any(broken)
        };
        edges.retain(sound);
        if edges.is_empty() {
            return false;
        }
        let irqs_off =
            |rip: u64| self.spec.irq_off_code.iter().any(|(a, b)| (*a..*b).contains(&rip));
        let deaf =
            self.locks.iter().flat_map(LockState::waiting).filter(|ticket| irqs_off(ticket.rip));
        !WaitGraph::new(&edges, deaf.map(|ticket| ticket.cpu)).deadlocks().is_empty()
    }

    /// True if a lock or a completion is past mending.
    fn is_broken(&self) -> bool {
        let stuck = |lock: &LockState| lock.waiting().any(|ticket| ticket.hopeless);
        let lost = |(lock, guarded): (&LockState, &Option<u32>)| {
            let completion = guarded.map(|index| &self.completions[index as usize]);
            let settled = !lock.is_past_next() && lock.holder().is_none();
            completion.is_some_and(CompletionState::is_hopeless) && settled
        };
        self.locks.iter().any(stuck) || self.locks.iter().zip(&self.guarded).any(lost)
    }

    /// Replies of devices so far.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// Interrupts that `device` asked for, as far as they are remembered: 0 only if there was none.
    #[must_use]
    pub fn interrupts(&self, device: DeviceId) -> usize {
        let its = |event: &&DeviceEvent| {
            event.device == device.0 && event.kind == DeviceEventKind::Interrupt
        };
        self.devices.iter().filter(its).count()
    }

    /// True if every request was answered and the last reply's completion has reached its waiter,
    /// whole: the waiter slept, or took it, and nothing is wrong with the completion's lock, which
    /// is free. What was asked for has ended well: nothing that the reply's time could change is
    /// left of it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        let reached = |(lock, guarded): (&LockState, &Option<u32>)| {
            let completion = guarded.map(|index| &self.completions[index as usize]);
            let delivered = completion.and_then(CompletionState::delivered);
            let free = lock.holder().is_none() && lock.waiting().next().is_none();
            delivered.is_some_and(|at| at > self.replied_at) && free && lock.is_sound()
        };
        self.replies > 0
            && self.pending.is_empty()
            && self.locks.iter().zip(&self.guarded).any(reached)
    }

    fn write(&mut self, at: u64, cpu: u32, write: &Trace) {
        let &Trace::Write { addr, size, locked, rip, old, new } = write else { return };
        let found = self.targets.overlapping(addr.0, addr.0 + u64::from(size));
        for index in found {
            let part = self.targets.part(index, addr.0, size);
            match part.target {
                Target::Lock(lock) => {
                    let current = self.locks[lock as usize].value();
                    // The halves of a word are in order, so the machine's idea of what was
                    // there before is at least as good as ours.
                    let before = part.merge(u64::from(current), old) as u32;
                    let after = part.merge(u64::from(before), new) as u32;
                    let bytes = part.bytes;
                    let write = LockWrite { at, cpu, rip, bytes, locked, before, after };
                    self.lock_write(lock, write);
                }
                Target::Done(index) => {
                    let state = &mut self.completions[index as usize];
                    let value = part.merge(u64::from(state.value()), new) as u32;
                    let requested = self.pending.values().max().copied();
                    state.written(DoneWrite { at, cpu, rip, value }, requested);
                }
                Target::Mask { mask, word } => {
                    let state = &mut self.masks[mask as usize];
                    let value = part.merge(state.word(word as usize), new);
                    let change = state.written(at, cpu, word as usize, value, locked);
                    if let Some((cpu, waits)) = change {
                        self.propagation.await_acks(at, cpu, waits);
                    }
                }
            }
        }
    }

    fn lock_write(&mut self, lock: u32, write: LockWrite) {
        let state = &mut self.locks[lock as usize];
        let effect = state.apply(write);
        let LockWrite { at, cpu, rip, .. } = write;
        if effect.kind == TicketWrite::Take && effect.granted != Some(cpu) {
            let irqs_off = self.spec.irq_off_code.iter().any(|(a, b)| (*a..*b).contains(&rip));
            self.propagation.spin(at, cpu, lock, irqs_off);
        }
        if let Some(cpu) = effect.granted {
            self.propagation.served(at, cpu, lock);
        }
        let mut broke = effect.broke;
        if let Some(index) = self.guarded[lock as usize] {
            let completion = &mut self.completions[index as usize];
            completion.lock_written(&effect, at);
            broke |= completion.is_hopeless();
        }
        if broke {
            self.propagation.set_origin(at);
        }
    }

    fn message(&mut self, at: u64, actor: Actor, what: &Trace) {
        let (device, kind, id) = match *what {
            Trace::DeviceRequest { device, id } => {
                self.pending.insert((device, id), at);
                (device, DeviceEventKind::Request, id)
            }
            Trace::DeviceReply { device, id } => {
                self.pending.remove(&(device, id));
                self.replies += 1;
                self.replied_at = at;
                (device, DeviceEventKind::Reply, id)
            }
            Trace::DeviceInterrupt { device, to, .. } => {
                (device, DeviceEventKind::Interrupt, u32::from(to.0))
            }
            _ => return,
        };
        debug_assert!(!matches!(actor, Actor::Device(other) if other != device));
        self.devices.push(DeviceEvent { at, device: device.0, kind, id });
    }
}

impl Observer for Collector {
    fn wants(&self) -> TraceMask {
        TraceMask {
            writes: true,
            reads: false,
            control: true,
            messages: true,
            console: true,
            retire: false,
        }
    }

    fn on(&mut self, record: &Record) {
        let at = record.at.0;
        let cpu = match record.actor {
            Actor::Core(core) => u32::from(core.0),
            Actor::Device(_) => DEVICE,
        };
        self.last_at = at;
        match record.what {
            Trace::Write { .. } => self.write(at, cpu, &record.what),
            Trace::Enter { .. } | Trace::Leave { .. } | Trace::Halt | Trace::Wake => {
                self.propagation.control(at, cpu, &record.what);
            }
            Trace::Console(byte) => self.console.push(at, cpu, byte),
            Trace::DeviceRequest { .. }
            | Trace::DeviceReply { .. }
            | Trace::DeviceInterrupt { .. } => self.message(at, record.actor, &record.what),
            Trace::Read { .. }
            | Trace::Ipi { .. }
            | Trace::Arrive { .. }
            | Trace::DeviceWrite { .. }
            | Trace::Retire { .. } => {}
        }
    }
}
