//! Stories told to the collector as records, and what the diagnosis makes of them.

use super::*;
use crate::collect::{Collector, CollectorSpec};
use crate::completions::CompletionWord;
use crate::dwarf::DebugInfo;
use crate::guest_memory::SparseMemory;
use crate::investigate::{Investigation, Subject, investigate};
use crate::locks::LockWord;
use crate::symbols::{Symbol, SymbolKind, SymbolTable, module_at};
use crate::waits::AckMask;
use sim_core::Cycle;
use sim_x86::core::regs::{Registers, flags};
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::trace::{Actor, Observer, Record, Trace};

const SPIN_LOCK_IRQ: u64 = 0xffff_ffff_8100_0000;
const SPIN_LOCK_IRQSAVE: u64 = 0xffff_ffff_8100_0100;
const UNLOCK_IRQRESTORE: u64 = 0xffff_ffff_8100_0200;
const SPIN_LOCK: u64 = 0xffff_ffff_8100_0300;
const LOCK_KERNEL: u64 = 0xffff_ffff_8100_0400;
const COMPLETE: u64 = 0xffff_ffff_8100_0500;
const INIT_HEAD: u64 = 0xffff_ffff_8100_0600;
const FLUSH: u64 = 0xffff_ffff_8100_0700;
const COMMAND: u64 = 0xffff_ffff_a000_0000;
const CLOCK: u64 = 2_930_000_000;

const DONE: u64 = 0x1058;
const LOCK: u64 = 0x1060;
const BKL: u64 = 0x2000;
const TLB_LOCK: u64 = 0x3010;
const MASK: u64 = 0x3018;

struct Story {
    collector: Collector,
    symbols: SymbolTable,
    /// CPUs with interrupts disabled at the end.
    deaf: Vec<usize>,
    at: u64,
}

impl Story {
    fn new() -> Self {
        let text = |name: &str, addr: u64| Symbol {
            name: name.into(),
            addr,
            size: 0x80,
            kind: SymbolKind::Text,
            module: module_at(addr).map(str::to_owned),
        };
        let symbols = SymbolTable::new(vec![
            text("_spin_lock_irq", SPIN_LOCK_IRQ),
            text("_spin_lock_irqsave", SPIN_LOCK_IRQSAVE),
            text("_spin_unlock_irqrestore", UNLOCK_IRQRESTORE),
            text("_spin_lock", SPIN_LOCK),
            text("lock_kernel", LOCK_KERNEL),
            text("complete", COMPLETE),
            text("__init_waitqueue_head", INIT_HEAD),
            text("flush_tlb_others_ipi", FLUSH),
            text("_ctl_do_mpt_command", COMMAND),
        ]);
        let lock = |name: &str, addr: u64, initial: u32| LockWord {
            name: name.into(),
            va: addr,
            addr: PhysAddr(addr),
            initial,
        };
        let spec = CollectorSpec {
            cpus: 24,
            locks: vec![
                lock("ioc.done.wait.lock", LOCK, 0x0003_0003),
                lock("kernel_flag", BKL, 0),
                lock("flush_state[3].tlbstate_lock", TLB_LOCK, 0),
            ],
            completions: vec![CompletionWord {
                name: "ioc.done".into(),
                va: DONE,
                done: PhysAddr(DONE),
                lock: "ioc.done.wait.lock".into(),
                initial: 0,
            }],
            masks: vec![AckMask {
                name: "flush_state[3].flush_cpumask".into(),
                addr: PhysAddr(MASK),
                words: 1,
            }],
            irq_off_code: CollectorSpec::irq_off_code(&symbols),
            ..CollectorSpec::default()
        };
        Story { collector: Collector::new(spec), symbols, deaf: Vec::new(), at: 1_000_000 }
    }

    fn record(&mut self, cpu: u16, what: Trace) {
        self.at += 10;
        let actor = Actor::Core(CoreId(cpu));
        self.collector.on(&Record { at: Cycle(self.at), actor, what });
    }

    fn write(&mut self, cpu: u16, addr: u64, size: u8, rip: u64, new: u64) {
        let locked = size == 0;
        let size = if locked { 4 } else { size };
        let old = self.value(addr, size);
        self.record(cpu, Trace::Write { addr: PhysAddr(addr), size, locked, rip, old, new });
    }

    fn value(&self, addr: u64, size: u8) -> u64 {
        let known = self.collector.locks().iter().find(|lock| lock.word().addr.0 == addr);
        let word = known.map_or(0, |lock| u64::from(lock.value()));
        if size == 2 { word & 0xffff } else { word }
    }

    /// `lock xadd` of 0x10000.
    fn take(&mut self, cpu: u16, addr: u64, rip: u64) {
        let word = self.value(addr, 4).wrapping_add(0x1_0000) & 0xffff_ffff;
        self.write(cpu, addr, 0, rip, word);
    }

    /// `incw`.
    fn release(&mut self, cpu: u16, addr: u64, rip: u64) {
        let owner = self.value(addr, 2).wrapping_add(1) & 0xffff;
        self.write(cpu, addr, 2, rip, owner);
    }

    fn print(&mut self, cpu: u16, text: &str) {
        for byte in text.bytes().chain([b'\n']) {
            self.record(cpu, Trace::Console(byte));
        }
    }

    fn end(&self, stop: &StopReason) -> Investigation {
        let mut registers = vec![Registers { rflags: flags::IF, ..Registers::default() }; 24];
        for cpu in &self.deaf {
            registers[*cpu].rflags = 2;
        }
        investigate(
            &self.collector,
            &Subject {
                memory: &SparseMemory::default(),
                symbols: &self.symbols,
                debug: &DebugInfo::default(),
                stacks: &crate::backtrace::Stacks::default(),
                registers: &registers,
                clock_hz: CLOCK,
                start: 1_000_000,
                end: self.at,
                stop,
            },
        )
    }
}

/// The post-mortem up to the hang: `complete` on CPU 5 holds the lock while CPU 18 initialises.
fn hang(story: &mut Story) {
    story.take(18, BKL, LOCK_KERNEL + 0x20);
    story.take(5, LOCK, SPIN_LOCK_IRQSAVE + 0x10);
    story.write(18, DONE, 4, COMMAND + 0x40, 0);
    story.write(5, DONE, 4, COMPLETE + 0x20, 1);
    story.write(18, LOCK, 4, INIT_HEAD + 0x8, 0);
    story.release(5, LOCK, UNLOCK_IRQRESTORE + 0x8);
    story.take(18, LOCK, SPIN_LOCK_IRQ + 0x10);
    story.deaf.push(18);
}

/// How the hang spreads: CPU 3 and 19 flush TLBs, the others want the Big Kernel Lock.
fn spread(story: &mut Story) {
    story.take(3, TLB_LOCK, SPIN_LOCK + 0x10);
    story.write(3, MASK, 8, FLUSH + 0x30, 1 << 18 | 1 << 19);
    story.take(0, BKL, LOCK_KERNEL + 0x20);
    let clear = |old: u64, new: u64| Trace::Write {
        addr: PhysAddr(MASK),
        size: 8,
        locked: true,
        rip: FLUSH,
        old,
        new,
    };
    story.record(19, clear(1 << 18 | 1 << 19, 1 << 18));
    story.take(19, TLB_LOCK, SPIN_LOCK + 0x10);
    for cpu in [1, 2, 4] {
        story.take(cpu, BKL, LOCK_KERNEL + 0x20);
    }
}

const PANIC: &str = "Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu 18";

fn texts(found: &Investigation) -> Vec<&str> {
    found.diagnosis.causal_chain.iter().map(|link| link.text.as_str()).collect()
}

#[test]
fn the_post_mortem_is_explained_to_the_end() {
    let mut story = Story::new();
    hang(&mut story);
    assert!(story.collector.is_decided());
    spread(&mut story);
    story.print(18, PANIC);
    let found = story.end(&StopReason::Exit(1));
    assert_eq!(
        texts(&found),
        [
            "complete on CPU 5 took ioc.done.wait.lock with ticket 3",
            "_ctl_do_mpt_command on CPU 18 zeroed ioc.done.wait.lock while complete on CPU 5 held \
             it (ticket 3)",
            "the unlock by CPU 5 made Owner 1 with Next 0: Owner is past Next",
            "CPU 18 drew ticket 0, but Owner is 1: it can never be served",
            "nobody holds ioc.done.wait.lock: no task or CPU will ever release it (word \
             0x00010001)",
            "CPU 3 waits for CPU 18 to acknowledge an IPI (flush_state[3].flush_cpumask), which \
             it cannot",
            "CPUs 0, 1, 2, 4 wait for kernel_flag, which CPU 18 holds (the last since cycle \
             1000150)",
            "CPU 19 waits for flush_state[3].tlbstate_lock, which CPU 3 holds",
            PANIC,
        ]
    );
    let finding = &found.diagnosis.finding;
    assert_eq!((finding.kind, finding.cpu), (FindingKind::HardLockup, Some(18)));
    assert_eq!(finding.cause, Some(FindingKind::LockCorrupted));
    assert_eq!(finding.lock_word, Some(0x0001_0001));
    assert!(finding.summary.starts_with(PANIC), "{}", finding.summary);
    let lock = found.locks.iter().find(|lock| lock.symbol == "ioc.done.wait.lock").unwrap();
    assert_eq!(lock.holder, None);
    assert!(lock.waiters[0].never);
    assert_eq!(found.propagation.origin, Some(1_000_050), "the cycle of the zeroing");
    assert_eq!(found.tickets.unwrap().symbol, "ioc.done.wait.lock");
}

#[test]
fn before_the_watchdog_barks_it_is_a_corrupted_lock() {
    let mut story = Story::new();
    hang(&mut story);
    let finding = story.end(&StopReason::Deadline).diagnosis.finding;
    assert_eq!((finding.kind, finding.cpu), (FindingKind::LockCorrupted, Some(18)));
    assert_eq!(finding.cause, None);
    assert_eq!(finding.object.as_deref(), Some("ioc.done.wait.lock"));
}

#[test]
fn an_erased_completion_is_a_lost_one() {
    let mut story = Story::new();
    story.take(5, LOCK, SPIN_LOCK_IRQSAVE + 0x10);
    story.write(5, DONE, 4, COMPLETE + 0x20, 1);
    story.release(5, LOCK, UNLOCK_IRQRESTORE + 0x8);
    story.write(18, DONE, 4, COMMAND + 0x40, 0);
    story.write(18, LOCK, 4, INIT_HEAD + 0x8, 0);
    for _ in 0..2 {
        story.take(18, LOCK, SPIN_LOCK_IRQ + 0x10);
        story.release(18, LOCK, SPIN_LOCK_IRQ + 0x40);
        story.at += 29_300_000_000;
    }
    let found = story.end(&StopReason::Condition("all tasks are done".into()));
    let finding = &found.diagnosis.finding;
    assert_eq!((finding.kind, finding.cpu), (FindingKind::LostCompletion, Some(18)));
    assert_eq!(
        texts(&found),
        [
            "complete on CPU 5 completed ioc.done (done 1)",
            "_ctl_do_mpt_command on CPU 18 set done of ioc.done back to 0",
            "the waiter on CPU 18 slept 10.000000 s in vain: its whole timeout",
        ]
    );
}

#[test]
fn a_waiter_is_not_lost_while_the_completer_is_still_inside() {
    let mut story = Story::new();
    story.take(5, LOCK, SPIN_LOCK_IRQSAVE + 0x10);
    story.write(5, DONE, 4, COMPLETE + 0x20, 1);
    story.write(18, DONE, 4, COMMAND + 0x40, 0);
    story.write(18, LOCK, 4, INIT_HEAD + 0x8, 0);
    story.take(18, LOCK, SPIN_LOCK_IRQ + 0x10);
    story.release(18, LOCK, SPIN_LOCK_IRQ + 0x40);
    assert!(!story.collector.is_decided(), "CPU 5 will wake the sleeper");
    story.release(5, LOCK, UNLOCK_IRQRESTORE + 0x8);
    assert!(!story.collector.is_decided(), "the sleeper will meet Owner past Next");
    story.take(18, LOCK, SPIN_LOCK_IRQ + 0x10);
    assert!(story.collector.is_decided());
    let finding = story.end(&StopReason::Deadline).diagnosis.finding;
    assert_eq!((finding.kind, finding.cpu), (FindingKind::LockCorrupted, Some(18)));
    assert_eq!(finding.lock_word, Some(0x0002_0002));
}

#[test]
fn a_circle_of_locks_is_a_deadlock() {
    let mut story = Story::new();
    story.take(1, LOCK, SPIN_LOCK + 0x10);
    story.take(2, BKL, SPIN_LOCK + 0x10);
    story.take(1, BKL, SPIN_LOCK + 0x10);
    story.take(2, LOCK, SPIN_LOCK + 0x10);
    let found = story.end(&StopReason::Deadline);
    assert_eq!(found.diagnosis.finding.kind, FindingKind::Deadlock);
    assert_eq!(
        texts(&found),
        [
            "CPU 1 waits for kernel_flag, which CPU 2 holds since cycle 1000020",
            "CPU 2 waits for ioc.done.wait.lock, which CPU 1 holds since cycle 1000010",
        ]
    );
}

#[test]
fn contention_that_passes_is_nothing() {
    let mut story = Story::new();
    for cpu in 0..24 {
        story.take(cpu, BKL, LOCK_KERNEL + 0x20);
    }
    for cpu in 0..23 {
        story.release(cpu, BKL, LOCK_KERNEL + 0x40);
    }
    let found = story.end(&StopReason::Condition("all tasks are done".into()));
    assert_eq!(found.diagnosis.finding.kind, FindingKind::Ok);
    assert_eq!(found.diagnosis.causal_chain, []);
    let late = story.end(&StopReason::Deadline);
    assert_eq!(late.diagnosis.finding.kind, FindingKind::Deadline);
}

#[test]
fn the_kernels_own_words_go_before_warnings_and_after_the_machines() {
    let kind = |lines: &[&str], stop: StopReason| {
        let mut story = Story::new();
        lines.iter().for_each(|line| story.print(7, line));
        let finding = story.end(&stop).diagnosis.finding;
        (finding.kind, finding.cpu)
    };
    let soft = "BUG: soft lockup - CPU#3 stuck for 67s! [java:18176]";
    let oops = "BUG: unable to handle kernel NULL pointer dereference at (null)";
    let fatal = "Kernel panic - not syncing: Fatal exception in interrupt";
    assert_eq!(kind(&[soft, fatal], StopReason::Exit(1)), (FindingKind::Panic, Some(7)));
    assert_eq!(kind(&[oops, fatal], StopReason::Exit(1)), (FindingKind::Fault, Some(7)));
    assert_eq!(kind(&[soft], StopReason::Deadline), (FindingKind::SoftLockup, Some(3)));
    let shutdown = StopReason::TripleFault { cpu: 2 };
    assert_eq!(kind(&[oops], shutdown), (FindingKind::Fault, Some(2)));
    let text = "vaddps".to_owned();
    let unknown = StopReason::Unimplemented { cpu: 4, rip: COMPLETE, text };
    assert_eq!(kind(&[oops], unknown), (FindingKind::UnimplementedInstruction, Some(4)));
    assert_eq!(kind(&[], StopReason::Exit(0)), (FindingKind::Ok, None));
}

#[test]
fn a_fault_on_a_raw_completion_is_explained_and_what_follows_is_not_its_cause() {
    let mut story = Story::new();
    story.take(5, LOCK, SPIN_LOCK_IRQSAVE + 0x10);
    story.write(5, DONE, 4, COMPLETE + 0x20, 1);
    story.print(5, "BUG: unable to handle kernel NULL pointer dereference at (null)");
    story.write(18, DONE, 4, COMMAND + 0x40, 0);
    story.write(18, LOCK, 4, INIT_HEAD + 0x8, 0);
    let found = story.end(&StopReason::Exit(1));
    let finding = &found.diagnosis.finding;
    assert_eq!((finding.kind, finding.cpu), (FindingKind::Fault, Some(5)));
    assert_eq!(finding.cause, None);
    assert_eq!(
        texts(&found),
        [
            "complete on CPU 5 used ioc.done, which nothing had initialised yet",
            "BUG: unable to handle kernel NULL pointer dereference at (null)",
        ]
    );
}
