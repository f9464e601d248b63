//! Wrong usage and wrong scenarios are refused with advice.

use crate::common::{folder, latchup, write};

const TEN_MISTAKES: &str = r#"Scenario(
    title: "ten mistakes",
    sede: 4,
    machine: (preset: "westmere-ep", cores: 4),
    kernel: (hz: 1000, driver: "init-after-pots"),
    devices: {
        "ioc0": Hba(irq_cpu: 9, firmware_latency: "5uss"),
    },
    tasks: [
        (comm: "a", cpu: 18, run: [Compute("5us")]),
        (comm: "b", cpu: 1, run: [Comptue("5us")]),
        (comm: "c", cpu: 1, at: 5, run: [Yield]),
        (comm: "d", cpu: 1, run: [Ioctl("ioc1", MptCommand(function: "IOC_FACTS"))]),
        (comm: "e", cpu: 1, kernel: [Call("no_such_function")]),
        (comm: "f", cpu: 1, kernel: [Lock("no_such_lock")]),
    ],
    until: Time("1s"),
)
"#;

#[test]
fn ten_mistakes_are_told_at_once_with_their_places() {
    let dir = folder("ten-mistakes");
    write(&dir, "ten.ron", TEN_MISTAKES);
    for command in ["check", "run"] {
        let ran = latchup(&dir, &[command, "ten.ron"]);
        assert_eq!(ran.status, 2, "{ran:?}");
        for (line, column) in [
            (3, 5),
            (5, 32),
            (7, 30),
            (7, 51),
            (10, 26),
            (11, 35),
            (12, 33),
            (13, 41),
            (14, 43),
            (15, 43),
        ] {
            let place = format!("--> ten.ron:{line}:{column}\n");
            assert!(ran.err.contains(&place), "no {place} in {}", ran.err);
        }
        assert!(ran.err.contains("10 errors"), "{}", ran.err);
        assert!(ran.err.matches("help:").count() >= 8, "{}", ran.err);
    }
}

#[test]
fn a_syntax_error_is_told_where_it_is() {
    let dir = folder("syntax-error");
    write(&dir, "open.ron", "Scenario(\n    title: \"t\",\n    tasks: [(],\n)\n");
    let ran = latchup(&dir, &["check", "open.ron"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("open.ron:3:"), "{}", ran.err);
}

#[test]
fn wrong_usage_is_answered_with_advice() {
    let dir = folder("wrong-usage");
    let text = "Scenario(title: \"t\", machine: (cores: 2), until: Time(\"1us\"))";
    write(&dir, "fine.ron", text);
    write(&dir, "blob.ron", [0xff, 0xfe, 0x00]);
    for (arguments, message) in [
        (["run", "missing.ron", "--seed", "1"].as_slice(), "cannot read missing.ron"),
        (&["run", "blob.ron"], "neither text nor an ELF file"),
        (&["run", "fine.ron", "--until", "5"], "a duration needs a unit"),
        (&["run", "fine.ron", "--set", "machine.coers=3"], "did you mean `cores`?"),
        (&["sweep", "fine.ron", "--param", "machine.cores"], "PATH=LO..HI"),
        (&["sweep", "fine.ron", "--param", "machine.cores=1..3us"], "none (1..8)"),
        (&["sweep", "fine.ron", "--param", "machine.cores=4..2"], "smaller value first"),
        (&["sweep", "fine.ron", "--param", "machine.cores=1..2", "--jobs", "0"], "1 to 1024"),
        (&["sweep", "fine.ron", "--param", "devices.x.y=1..2"], "--param:1:1"),
        (&["test", "."], "blob.ron"),
        (&["plot", "."], "nothing to draw"),
        (&["check"], "<FILE"),
    ] {
        let ran = latchup(&dir, arguments);
        let expected = if arguments[0] == "test" { 1 } else { 2 };
        assert_eq!(ran.status, expected, "{arguments:?}: {ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains(message), "{arguments:?} without `{message}`: {said}");
    }
}

#[test]
fn every_command_explains_itself() {
    let dir = folder("help");
    for command in ["run", "sweep", "test", "check", "plot"] {
        let ran = latchup(&dir, &[command, "--help"]);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("Examples:") && ran.out.contains("Exit status:"), "{}", ran.out);
    }
}
