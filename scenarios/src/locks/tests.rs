//! The table of what happens when a lock is initialised while it is held (kernel-2.6.32 facts,
//! section 1.7) is re-derived here: a small model runs the initialising CPU W against the
//! completing CPU I in every order that x86-TSO allows, and what the histories say is compared
//! with what the model's CPUs lived through.

use super::*;
use crate::bounded::Bounds;
use crate::collect::{Collector, CollectorSpec};
use crate::completions::{CompletionWord, WaitFault};
use sim_core::Cycle;
use sim_x86::ids::CoreId;
use sim_x86::trace::{Actor, Observer, Record, Trace};
use std::collections::{BTreeSet, VecDeque};

const DONE: u64 = 0x1000;
const LOCK: u64 = 0x1008;
const W: usize = 0;
const I: usize = 1;

/// A store: address, bytes, value.
type Store = (u64, u8, u32);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    /// Plain 32-bit store of 0.
    Zero(u64),
    /// `lock xadd`, then spin.
    Lock,
    /// Loads `done`; the next step depends on it.
    LoadDone,
    /// Stores what was loaded plus this.
    StoreDone(i32),
    /// Loads the owner half.
    LoadOwner,
    /// Stores it plus one.
    StoreOwner,
    /// W only: asleep until I has finished.
    Sleep,
}

const COMPLETER: [Op; 5] =
    [Op::Lock, Op::LoadDone, Op::StoreDone(1), Op::LoadOwner, Op::StoreOwner];
const INITIALISER: [Op; 4] = [Op::Zero(DONE), Op::Zero(LOCK), Op::Lock, Op::LoadDone];
const CONSUME: [Op; 3] = [Op::StoreDone(-1), Op::LoadOwner, Op::StoreOwner];
const SLEEP: [Op; 5] = [Op::LoadOwner, Op::StoreOwner, Op::Sleep, Op::Lock, Op::LoadDone];
const GIVE_UP: [Op; 2] = [Op::LoadOwner, Op::StoreOwner];

#[derive(Clone, Debug, Default)]
struct Cpu {
    todo: VecDeque<Op>,
    buffer: VecDeque<Store>,
    ticket: Option<u16>,
    inside: bool,
    loaded: u32,
    slept: bool,
}

#[derive(Clone, Debug)]
struct Model {
    cpus: [Cpu; 2],
    done: u32,
    lock: u32,
    /// Visible writes: cpu, store, locked, before.
    log: Vec<(usize, Store, bool, u32)>,
    /// Both were inside at some moment.
    overlapped: bool,
    /// W took the lock before I's release was visible, or I's release used an obsolete owner.
    gave_up: bool,
}

impl Model {
    fn new(n: u32) -> Self {
        let cpu = |ops: &[Op]| Cpu { todo: ops.iter().copied().collect(), ..Cpu::default() };
        Model {
            cpus: [cpu(&INITIALISER), cpu(&COMPLETER)],
            done: 0,
            lock: n << 16 | n,
            log: Vec::new(),
            overlapped: false,
            gave_up: false,
        }
    }

    fn word(&mut self, addr: u64) -> &mut u32 {
        if addr == DONE { &mut self.done } else { &mut self.lock }
    }

    fn make_visible(&mut self, cpu: usize, store: Store, locked: bool) {
        let (addr, bytes, value) = store;
        let word = self.word(addr);
        let before = *word;
        *word = if bytes == 2 { before & 0xffff_0000 | value & 0xffff } else { value };
        if addr == LOCK && bytes == 2 {
            self.cpus[cpu].inside = false;
        }
        self.log.push((cpu, store, locked, before));
    }

    /// A load sees the CPU's own buffered stores.
    fn load(&mut self, cpu: usize, addr: u64) -> u32 {
        let mut value = *self.word(addr);
        for &(at, bytes, stored) in &self.cpus[cpu].buffer {
            if at == addr {
                value = if bytes == 2 { value & 0xffff_0000 | stored } else { stored };
            }
        }
        value
    }

    /// Every state that can follow. Filling the own store buffer shows to nobody, so it is done
    /// at once: the other orders lead to nothing new.
    fn successors(&self) -> Vec<Model> {
        let fills = |cpu: &&usize| {
            let next = self.cpus[**cpu].todo.front();
            let buffered = matches!(next, Some(Op::Zero(_) | Op::StoreDone(_) | Op::StoreOwner));
            buffered && self.cpus[**cpu].ticket.is_none()
        };
        let mut next = Vec::new();
        if let Some(cpu) = [W, I].iter().find(fills) {
            let mut filled = self.clone();
            filled.step(*cpu);
            return vec![filled];
        }
        for cpu in [W, I] {
            if !self.cpus[cpu].buffer.is_empty() {
                let mut drained = self.clone();
                let store = drained.cpus[cpu].buffer.pop_front().unwrap();
                drained.make_visible(cpu, store, false);
                next.push(drained);
            }
            let mut stepped = self.clone();
            if stepped.step(cpu) {
                next.push(stepped);
            }
        }
        next
    }

    fn enter(&mut self, cpu: usize) {
        self.cpus[cpu].inside = true;
        self.overlapped |= self.cpus[1 - cpu].inside;
    }

    fn step(&mut self, cpu: usize) -> bool {
        if let Some(ticket) = self.cpus[cpu].ticket {
            if self.load(cpu, LOCK) as u16 != ticket {
                return false;
            }
            self.cpus[cpu].ticket = None;
            self.enter(cpu);
            return true;
        }
        let Some(op) = self.cpus[cpu].todo.front().copied() else { return false };
        let other_is_over =
            self.cpus[1 - cpu].todo.is_empty() && self.cpus[1 - cpu].buffer.is_empty();
        match op {
            Op::Lock if !self.cpus[cpu].buffer.is_empty() => return false,
            Op::Sleep if !other_is_over => return false,
            _ => {}
        }
        self.cpus[cpu].todo.pop_front();
        match op {
            Op::Zero(addr) => self.cpus[cpu].buffer.push_back((addr, 4, 0)),
            Op::Lock => {
                let before = self.lock;
                self.make_visible(cpu, (LOCK, 4, before.wrapping_add(0x1_0000)), true);
                // The first comparison is with the owner that the xadd itself returned.
                match next_of(before) == owner_of(before) {
                    true => self.enter(cpu),
                    false => self.cpus[cpu].ticket = Some(next_of(before)),
                }
            }
            Op::LoadDone => {
                self.cpus[cpu].loaded = self.load(cpu, DONE);
                if cpu == W {
                    self.decide();
                }
            }
            Op::StoreDone(by) => {
                let value = self.cpus[cpu].loaded.wrapping_add_signed(by);
                self.cpus[cpu].buffer.push_back((DONE, 4, value));
            }
            Op::LoadOwner => self.cpus[cpu].loaded = self.load(cpu, LOCK) & 0xffff,
            Op::StoreOwner => {
                let value = (self.cpus[cpu].loaded + 1) & 0xffff;
                self.cpus[cpu].buffer.push_back((LOCK, 2, value));
            }
            Op::Sleep => self.cpus[W].slept = true,
        }
        true
    }

    /// What W does once it has looked at `done`.
    fn decide(&mut self) {
        let w = &mut self.cpus[W];
        let next: &[Op] = match (w.loaded, w.slept) {
            (0, false) => &SLEEP,
            (0, true) => &GIVE_UP,
            _ => &CONSUME,
        };
        self.gave_up |= w.loaded == 0 && w.slept;
        w.todo = next.iter().copied().collect();
    }

    fn hangs(&self) -> bool {
        self.cpus.iter().any(|cpu| cpu.ticket.is_some())
    }

    fn replay(&self, n: u32) -> Collector {
        let name = "x.wait.lock".to_owned();
        let addr = PhysAddr;
        let mut collector = Collector::new(CollectorSpec {
            cpus: 2,
            locks: vec![LockWord {
                name: name.clone(),
                va: LOCK,
                addr: addr(LOCK),
                initial: n << 16 | n,
            }],
            completions: vec![CompletionWord {
                name: "x".into(),
                va: DONE,
                done: addr(DONE),
                lock: name,
                initial: 0,
            }],
            bounds: Bounds::default(),
            ..CollectorSpec::default()
        });
        for (at, &(cpu, (at_addr, size, value), locked, before)) in (1..).zip(&self.log) {
            let bits = |word: u32| u64::from(if size == 2 { word & 0xffff } else { word });
            collector.on(&Record {
                at: Cycle(at),
                actor: Actor::Core(CoreId(cpu as u16)),
                what: Trace::Write {
                    addr: addr(at_addr),
                    size,
                    locked,
                    rip: 0xffff_ffff_8100_0000 + at,
                    old: bits(before),
                    new: bits(value),
                },
            });
        }
        collector
    }
}

/// Runs every interleaving, and hands each end to `check`.
fn every_end(n: u32, check: &mut dyn FnMut(&Model)) {
    let mut open = vec![Model::new(n)];
    while let Some(model) = open.pop() {
        let next = model.successors();
        if next.is_empty() {
            check(&model);
        }
        open.extend(next);
    }
}

/// The outcomes for locks last left at (n, n): (hangs, lock word, both were inside).
fn outcomes(n: u32) -> BTreeSet<(bool, u32, bool)> {
    let mut seen = BTreeSet::new();
    every_end(n, &mut |end| {
        seen.insert((end.hangs(), end.lock, end.overlapped));
    });
    seen
}

#[test]
fn every_row_of_the_table_is_reached_and_no_other() {
    let (alone, both, hangs, ends) = (false, true, true, false);
    let expected = BTreeSet::from([
        // Correct, benign and lost: W's acquisitions after the word was zeroed, and I's if that
        // came after it too; W has two if it slept.
        (ends, 0x0001_0001, alone),
        (ends, 0x0002_0002, alone),
        (ends, 0x0003_0003, alone),
        // The post-mortem: I's unlock after the zeroing makes Owner 1, W draws ticket 0.
        (hangs, 0x0001_0001, alone),
        // I had read Owner 3 before the zeroing and stores 4 after it.
        (hangs, 0x0001_0004, alone),
        // W got in while I was inside; W's second acquisition finds Owner past its ticket 1. The
        // table names 2; the obsolete Owner of the row above gives 4 and 5 here too.
        (hangs, 0x0002_0002, both),
        (hangs, 0x0002_0004, both),
        (hangs, 0x0002_0005, both),
        // The same, but W needs no second acquisition: Owner is past Next, nobody hangs yet.
        (ends, 0x0001_0002, both),
        (ends, 0x0001_0004, both),
        (ends, 0x0001_0005, both),
        // The two releases overlap and one is lost: it heals itself.
        (ends, 0x0001_0001, both),
        (ends, 0x0002_0002, both),
    ]);
    assert_eq!(outcomes(3), expected);
    let hanging: BTreeSet<u32> =
        outcomes(0).into_iter().filter(|(hangs, ..)| *hangs).map(|(_, word, _)| word).collect();
    assert_eq!(hanging, BTreeSet::from([0x0001_0001, 0x0002_0002]), "n = 0");
}

#[test]
fn histories_agree_with_what_the_cpus_lived_through() {
    for n in [0, 3, 0xffff] {
        every_end(n, &mut |end| agree(n, end));
    }
}

fn agree(n: u32, end: &Model) {
    let collector = end.replay(n);
    let lock = &collector.locks()[0];
    let has = |kind| lock.anomalies().iter().any(|anomaly| anomaly.kind == kind);
    assert_eq!(lock.value(), end.lock, "{end:?}");
    let hopeless = lock.waiting().any(|ticket| ticket.hopeless);
    assert_eq!(hopeless, end.hangs(), "{end:?}");
    assert_eq!(has(AnomalyKind::NeverServed), end.hangs(), "{end:?}");
    if end.hangs() {
        assert_eq!(lock.holder(), None, "nobody holds a lock that is lost: {end:?}");
        assert!(collector.is_decided());
        assert!(has(AnomalyKind::ReinitialisedWhileHeld), "{end:?}");
    }
    assert_eq!(has(AnomalyKind::MutualExclusionBroken), end.overlapped, "{end:?}");
    if lock.anomalies().is_empty() {
        assert_eq!(lock.tickets(), [], "{end:?}");
    }
    let waits = collector.completions()[0].anomalies();
    let lost = waits.iter().any(|wait| wait.kind == WaitFault::Lost);
    if !end.hangs() && lock.anomalies().is_empty() {
        assert_eq!(lost, end.gave_up, "{end:?} {waits:?}");
    }
}
