use super::*;
use crate::diagnosis::{Diagnosis, FindingKind};
use crate::locks::{Holder, Waiter};
use crate::report::cpu::{FrameReport, RegisterValues, TaskName};
use crate::timeline::{WaitEdge, WaitKind};

/// A hang in few words.
fn report() -> Report {
    let frame = |name: &str, stack| FrameReport {
        name: name.into(),
        symbol: format!("{name}+0x1/0x2"),
        rip: 0xffff_ffff_8100_0001,
        stack,
        interrupted: false,
    };
    use crate::backtrace::StackKind::{Nmi, Task};
    let cpu = CpuReport {
        id: 18,
        rip: 0xffff_ffff_8100_a285,
        symbol: "_spin_lock_irq+0x25/0x2c".into(),
        interrupts_enabled: false,
        in_nmi: true,
        task: Some(TaskName { pid: 12410, comm: "xxxx".into() }),
        registers: RegisterValues { rdx: 1, ..RegisterValues::default() },
        stopped_at: "panic+0x8/0xa".into(),
        backtrace: vec![frame("panic", Nmi), frame("nmi", Nmi), frame("_spin_lock_irq", Task)],
    };
    let waiter = Waiter { cpu: 18, ticket: 0, since: 9, function: "f".into(), never: true };
    let lock = LockReport {
        symbol: "x.lock".into(),
        address: 0x1000,
        word: 0x0001_0001,
        next: 1,
        owner: 1,
        holder: None,
        waiters: vec![waiter],
        acquisitions: 2,
        anomalies: Vec::new(),
    };
    let holder = Holder { cpu: 18, ticket: 0, since: 1, function: "lock_kernel".into() };
    let bkl = LockReport { symbol: "kernel_flag".into(), holder: Some(holder), ..lock.clone() };
    let link = Link {
        at_cycle: 2_000_000_000,
        cpu: Some(18),
        rip: 1,
        symbol: "_spin_lock_irq+0x15/0x2c".into(),
        text: "CPU 18 drew ticket 0".into(),
        backtrace: vec![frame("_spin_lock_irq", Task), frame("wait_for_common", Task)],
    };
    let edge = WaitEdge {
        since: 3_000_000_000,
        waiter: 3,
        culprit: Some(18),
        kind: WaitKind::IpiAck,
        object: "flush_state[3]".into(),
    };
    let finding = Finding {
        kind: FindingKind::HardLockup,
        cpu: Some(18),
        cause: Some(FindingKind::LockCorrupted),
        object: Some("x.lock".into()),
        lock_word: Some(0x0001_0001),
        summary: "Kernel panic".into(),
    };
    let investigation = Investigation {
        diagnosis: Diagnosis { finding, causal_chain: vec![link] },
        cpus: vec![cpu],
        locks: vec![lock, bkl],
        completions: Vec::new(),
        waits: Waits { edges: vec![edge], ..Waits::default() },
        tasks: crate::tasks::Tasks::default(),
        propagation: crate::timeline::Propagation::default(),
        tickets: None,
    };
    let machine = MachineName { preset: "p".into(), cpus: 24, clock_hz: 1_000_000_000 };
    let facts = RunFacts {
        machine,
        cycles: 4_000_000_000,
        epoch: 1_000_000_000,
        reproduce: "latchup run x.ron".into(),
        ..RunFacts::default()
    };
    Report::new(facts, StopReason::Exit(1), &investigation, vec!["line".into()])
}

#[test]
fn the_document_has_its_documented_fields() {
    let value: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
    assert_eq!(value["format"], FORMAT);
    assert_eq!(value["stop"]["exit"], 1);
    assert_eq!(value["finding"]["kind"], "hard-lockup");
    assert_eq!(value["finding"]["cause"], "lock-corrupted");
    assert_eq!(value["finding"]["lock_word"], 65537);
    assert_eq!(value["causal_chain"][0]["at_cycle"], 2_000_000_000_u64);
    assert_eq!(value["cpus"][0]["registers"]["rdx"], 1);
    assert_eq!(value["cpus"][0]["backtrace"][0]["stack"], "nmi");
    assert!(value["locks"][0]["holder"].is_null());
    assert_eq!(value["locks"][0]["waiters"][0]["never"], true);
    assert_eq!(value["waits"]["edges"][0]["kind"], "ipi-ack");
    assert_eq!(value["tasks"]["RU"], 0);
    assert_eq!(value["simulated"]["seconds"], 4.0);
    let documented = include_str!("../../../docs/report-json.md");
    for field in value.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("`{field}`")), "{field} is not documented");
    }
    let again: Report = serde_json::from_value(value).unwrap();
    assert_eq!(again, report());
}

#[test]
fn the_text_tells_the_same() {
    let text = report().to_text();
    for expected in [
        "Finding: hard-lockup on CPU 18 (cause: lock-corrupted)",
        "2,000,000,000      1.000000 s  CPU 18  CPU 18 drew ticket 0",
        "called by wait_for_common",
        "CPU 18: PID 12410 \"xxxx\", at _spin_lock_irq+0x25/0x2c, interrupts off, in an NMI",
        "    <NMI>\n     [<ffffffff81000001>] panic+0x1/0x2\n",
        "nmi+0x1/0x2\n    <<EOE>>\n",
        "  0x00010001     1     1  none           2  x.lock\n",
        "CPU 18 waits with ticket 0: can never be served",
        "CPU 3   -> CPU 18   since     2.000000 s  acknowledgement flush_state[3]",
        "Reproduce: latchup run x.ron",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in\n{text}");
    }
}
