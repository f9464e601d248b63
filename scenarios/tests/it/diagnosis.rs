//! The bug of the post-mortem on a small machine, over the latencies at which it shows.

use crate::posted;
use scenarios::diagnosis::{Finding, FindingKind};
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::investigate::Investigation;
use scenarios::retrace::retrace;
use scenarios::simulation::{NoFiles, RunOptions, Simulation};
use std::collections::BTreeSet;

/// Runs with this firmware latency, in cycles, until the outcome is clear; if `retraced`, a second
/// time for the backtraces.
fn run(latency: u64, retraced: bool) -> Investigation {
    investigate(posted::scenario("init-after-post", 1, "initial_uses: 3"), latency, retraced)
}

fn investigate(mut document: Document, latency: u64, retraced: bool) -> Investigation {
    document.set(&format!("devices.ioc0.firmware_latency={latency}cy"));
    let loaded = document.load(&Guest::shipped().image, &NoFiles);
    let loaded = loaded.unwrap_or_else(|diags| panic!("{diags}"));
    let mut simulation = Simulation::new(loaded).expect("a possible machine");
    let options = RunOptions { until_decided: true, ..RunOptions::default() };
    simulation.boot(options.speed).expect("it boots");
    let start = retraced.then(|| simulation.clone());
    let stop = simulation.run(&options).expect("it has booted");
    let mut found = simulation.investigate(&stop);
    if let Some(start) = start {
        retrace(&start, options.speed, &mut found.diagnosis);
    }
    found
}

fn outcomes(latencies: impl Iterator<Item = u64>) -> Vec<(u64, Finding)> {
    latencies.map(|latency| (latency, run(latency, false).diagnosis.finding)).collect()
}

#[test]
fn the_outcome_goes_from_lost_over_corrupted_to_correct() {
    let coarse = outcomes((8_000..17_000).step_by(600));
    let mut bands: Vec<FindingKind> = coarse.iter().map(|(_, finding)| finding.kind).collect();
    bands.dedup();
    let expected = [FindingKind::LostCompletion, FindingKind::LockCorrupted, FindingKind::Ok];
    assert_eq!(bands, expected, "{coarse:#?}");
    // The hang of the post-mortem lies between the last lost completion and the latencies at
    // which the waiter gets the lock while the completer is still inside.
    let lost = coarse.partition_point(|(_, finding)| finding.kind == FindingKind::LostCompletion);
    let fine = outcomes((coarse[lost - 1].0..=coarse[lost].0).step_by(50));
    let hangs = |finding: &Finding| {
        finding.kind == FindingKind::LockCorrupted && finding.lock_word == Some(0x0001_0001)
    };
    let hang = fine.iter().find(|(_, finding)| hangs(finding));
    let (latency, finding) = hang.unwrap_or_else(|| panic!("no hang in {fine:#?}"));
    assert_eq!(finding.cpu, Some(2));
    explain(&run(*latency, true));
}

/// What the latencies of `latencies` lead to if CPU 1 stands still for a microsecond inside of
/// `complete()`, behind the call that takes the lock.
fn stalled(latencies: impl Iterator<Item = u64>) -> Vec<(u64, FindingKind, Option<u32>)> {
    let stall = r#""smi": Stall(cpu: 1, at: OnReach(symbol: "complete", offset: 28, cpu: 1),
                                duration: "1us", limit: 1),"#;
    latencies
        .map(|latency| {
            let hba = "initial_uses: 3";
            let document = posted::with_devices("init-after-post", 1, hba, stall);
            let finding = investigate(document, latency, false).diagnosis.finding;
            let corrupted = finding.kind == FindingKind::LockCorrupted;
            (latency, finding.kind, finding.lock_word.filter(|_| corrupted))
        })
        .collect()
}

#[test]
fn every_lock_word_of_the_bug_is_reached_and_no_other() {
    const OBSOLETE_OWNER: u32 = 0x0001_0004;
    const POST_MORTEM: u32 = 0x0001_0001;
    const BROKEN_EXCLUSION: u32 = 0x0002_0002;
    // Owner is past Next, and the next to take the lock will hang: but nobody has come yet. With
    // an obsolete Owner (3 and 1, or 3 and 2) the words that may also end broken exclusion.
    const RARER: [u32; 4] = [0x0001_0002, 0x0001_0005, 0x0002_0004, 0x0002_0005];
    let coarse = stalled((8_000..14_000).step_by(400));
    // Where two are inside, a wake-up may get lost as well, so only the first of each counts.
    let mut kinds: Vec<FindingKind> = Vec::new();
    for &(_, kind, _) in &coarse {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let expected = [FindingKind::LostCompletion, FindingKind::LockCorrupted, FindingKind::Ok];
    assert_eq!(kinds, expected, "{coarse:x?}");
    // CPU 1 has read Owner 3 when CPU 2 zeroes the word: a matter of a few cycles, at the end of
    // the first lost completions.
    let first = coarse.iter().position(|&(_, kind, _)| kind != FindingKind::LostCompletion);
    let first = first.expect("a corrupted lock");
    let (mut below, mut above) = (coarse[first - 1].0, coarse[first].0);
    while above - below > 1 {
        let middle = below.midpoint(above);
        let kind = stalled(std::iter::once(middle))[0].1;
        if kind == FindingKind::LostCompletion { below = middle } else { above = middle }
    }
    let fine = stalled(above..above + 4);
    let words: BTreeSet<u32> = coarse.iter().chain(&fine).filter_map(|&(.., word)| word).collect();
    for named in [OBSOLETE_OWNER, POST_MORTEM, BROKEN_EXCLUSION] {
        assert!(words.contains(&named), "{named:#x}: {coarse:x?} {fine:x?}");
    }
    let mut allowed = BTreeSet::from(RARER);
    allowed.extend([OBSOLETE_OWNER, POST_MORTEM, BROKEN_EXCLUSION]);
    assert!(words.is_subset(&allowed), "{words:x?}: {coarse:x?} {fine:x?}");
}

/// The chain names who did it, and how they came there.
fn explain(found: &Investigation) {
    let chain = &found.diagnosis.causal_chain;
    let said = |text: &str| {
        let found = chain.iter().find(|link| link.text.contains(text));
        found.unwrap_or_else(|| panic!("`{text}` is missing in {chain:#?}"))
    };
    let took = said("complete on CPU 1 took mpt2sas_ioc[0].ctl_cmds.done.wait.lock");
    assert!(took.backtrace.iter().any(|frame| frame.name == "mpt2sas_ctl_done"), "{took:#?}");
    let zeroed = said("init_completion on CPU 2 zeroed mpt2sas_ioc[0].ctl_cmds.done.wait.lock");
    assert!(zeroed.backtrace.iter().any(|frame| frame.name == "_ctl_ioctl"), "{zeroed:#?}");
    said("the unlock by CPU 1 made Owner 1");
    let drew = said("CPU 2 drew ticket 0, but Owner is 1: it can never be served");
    assert_eq!(drew.backtrace[0].name, "_spin_lock_irq");
    said("nobody holds mpt2sas_ioc[0].ctl_cmds.done.wait.lock");
    assert!(took.at_cycle < zeroed.at_cycle && zeroed.at_cycle < drew.at_cycle);
    let cpu = &found.cpus[2];
    assert!(!cpu.interrupts_enabled);
    assert_eq!(cpu.task.as_ref().map(|task| task.pid), Some(12410));
    assert_eq!((cpu.registers.rax, cpu.registers.rdx), (0, 1));
    let names: Vec<&str> = cpu.backtrace.iter().map(|frame| frame.name.as_str()).collect();
    let expected = [
        "_spin_lock_irq",
        "wait_for_common",
        "wait_for_completion_timeout",
        "_ctl_do_mpt_command",
        "_ctl_ioctl_main",
        "_ctl_ioctl",
        "vfs_ioctl",
        "do_vfs_ioctl",
        "sys_ioctl",
        "system_call_fastpath",
    ];
    assert_eq!(names, expected);
    let tickets = found.tickets.as_ref().expect("a history");
    let broken = tickets.points.iter().find(|point| point.anomaly.is_some()).expect("a point");
    assert_eq!((broken.function.as_str(), broken.cpu), ("init_completion", 2));
}
