//! The guest kernel on the largest machine that it has room for.

use crate::guest_run::run;
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::simulation::NoFiles;

/// Masks of four words, and APIC ids of more than a byte.
#[test]
fn the_guest_runs_on_256_cpus() {
    let ran = run(
        r#"(
            title: "t",
            machine: (preset: "sandybridge-ep", sockets: 16, x2apic: true),
            kernel: (watchdog: Off, hung_task: Off),
            variables: { "lock": Lock, "count": Word, "go": Completion },
            tasks: [
                // Flushes the TLBs of CPUs in every word of the mask.
                (comm: "app", cpu: 0, at: "100us", mm: "app", run: [Munmap(pages: 4)]),
                (comm: "app", cpu: 63, mm: "app", run: [Compute("400us")]),
                (comm: "app", cpu: 64, mm: "app", run: [Compute("400us")]),
                (comm: "app", cpu: 200, mm: "app", run: [Compute("400us")]),
                (comm: "app", cpu: 255, mm: "app", run: [Compute("400us")]),
                // Woken across the whole machine.
                (comm: "waits", cpu: 255, kernel: [Wait("go"), Log("CPU 255 was woken")]),
                (comm: "wakes", cpu: 1, at: "50us", kernel: [Complete("go")]),
            ],
            populations: [
                (comm: "fair", count: 256, awaited: true, kernel: [
                    Lock("lock"), Add("count", 1), Unlock("lock"),
                ]),
            ],
            until: AnyOf([Panic, AllTasksDone]),
        )"#,
        100_000_000,
    );
    assert!(ran.done().iter().all(|&done| done), "{:?} {}", ran.stop, ran.console());
    assert_eq!(ran.variable("count"), 256);
    assert!(ran.console().contains("CPU 255 was woken"), "{}", ran.console());
}

/// Why a machine is refused.
fn refused(machine: &str) -> String {
    let text = format!("Scenario(title: \"t\", machine: ({machine}), until: Time(\"1ms\"))");
    let document = Document::parse("t.ron", &text).expect("well-formed");
    document.load(&Guest::shipped().image, &NoFiles).expect_err("refused").to_string()
}

#[test]
fn too_many_cpus_are_refused_with_advice() {
    for (machine, problem, advice) in [
        ("cores: 25", "25 CPUs don't fit the topology, which has 24", "write `sockets: 3`"),
        ("sockets: 30, cores: 256", "1–255 without x2APIC", "`sockets: 22, x2apic: true`"),
        ("sockets: 22, x2apic: true", "the guest kernel has room for 256 CPUs", "fewer `cores`"),
        ("cores: 1025", "1025 is out of range for the number of CPUs: 1 to 1024", ""),
        ("sockets: 0", "0 is out of range for the number of sockets: 1 to 128", ""),
    ] {
        let text = refused(machine);
        assert!(text.contains(problem) && text.contains(advice), "{machine}: {text}");
    }
}
