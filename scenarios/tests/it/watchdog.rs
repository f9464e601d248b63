//! The hard watchdog, on CPUs of both vendors: their performance counters have little in common.

use crate::guest_run::run;
use scenarios::diagnosis::StopReason;

/// A CPU that computes for ever, after `first`; checks every 20 ms, the tick's count every 4 ms.
fn scenario(preset: &str, first: &str) -> String {
    format!(
        r#"Scenario(
            title: "a busy CPU",
            machine: (preset: "{preset}", cores: 2),
            kernel: (watchdog: (thresh: "20ms", soft: false)),
            tasks: [
                (comm: "busy", cpu: 1, at: "1ms", kernel: [{first}Forever([Compute("5us")])]),
            ],
            until: AnyOf([Panic, Time("110ms")]),
        )"#
    )
}

/// Longer than five periods of either machine.
const CYCLES: u64 = 400_000_000;

#[test]
fn a_cpu_that_computes_with_interrupts_off_is_found_by_its_nmi() {
    for preset in ["magny-cours", "westmere-ep"] {
        let ran = run(&scenario(preset, "Cli, "), CYCLES);
        let console = ran.console();
        let expected = "Watchdog detected hard LOCKUP on cpu 1";
        assert!(console.contains(expected), "{preset}, {:?}: {console}", ran.stop);
        assert!(console.contains("<NMI>"), "{preset}: {console}");
    }
}

#[test]
fn a_cpu_that_takes_its_interrupts_is_left_alone() {
    for preset in ["magny-cours", "westmere-ep"] {
        let ran = run(&scenario(preset, ""), CYCLES);
        assert!(!ran.console().contains("LOCKUP"), "{preset}: {}", ran.console());
        assert!(!ran.console().contains("panic"), "{preset}: {}", ran.console());
        assert_eq!(ran.stop, StopReason::Deadline, "{preset}");
    }
}
