//! `latchup litmus` and `latchup verify`: the machine held to what is known to be right.

use crate::common::{Ran, folder, latchup, write};

/// Store buffering: both loads may read 0.
const SB: &str = "X86_64 SB
{ }
 P0            | P1            ;
 movl $1,(x)   | movl $1,(y)   ;
 movl (y),%eax | movl (x),%eax ;
exists (0:eax=0 /\\ 1:eax=0)
";

/// What x86-TSO allows: everything.
const ALL: &str = "[[0,0],[0,1],[1,0],[1,1]]";
/// What sequential consistency would allow.
const WITHOUT_BUFFERS: &str = "[[0,1],[1,0],[1,1]]";

fn litmus(name: &str, states: &str) -> Ran {
    let dir = folder(name);
    write(&dir, "SB.litmus", SB);
    let entry =
        format!(r#"[{{"path": "SB.litmus", "observed": ["0:rax", "1:rax"], "states": {states}}}]"#);
    write(&dir, "expected.json", entry);
    latchup(&dir, &["litmus", "SB.litmus", "--expected", "expected.json", "--tries", "2000"])
}

#[test]
fn a_test_whose_states_are_all_allowed_is_accepted() {
    let ran = litmus("litmus-allowed", ALL);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("SB"), "{}", ran.out);
}

#[test]
fn a_forbidden_state_that_is_seen_is_an_error() {
    let ran = litmus("litmus-forbidden", WITHOUT_BUFFERS);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.to_lowercase().contains("forbidden"), "{}", ran.out);
}

#[test]
fn without_an_expectation_the_states_are_told_as_herd7_does() {
    let dir = folder("litmus-herd");
    write(&dir, "SB.litmus", SB);
    let ran = latchup(&dir, &["litmus", "SB.litmus", "--tries", "2000"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for line in ["Test SB", "States 4", "0:eax=0; 1:eax=0;", "Observation SB Sometimes"] {
        assert!(ran.out.contains(line), "no `{line}` in {}", ran.out);
    }
}

#[test]
fn wrong_litmus_files_are_told_clearly() {
    let dir = folder("litmus-wrong");
    write(&dir, "SB.litmus", SB);
    write(&dir, "arm.litmus", SB.replace("X86_64", "AArch64"));
    write(&dir, "bad.litmus", SB.replace("movl $1,(x) ", "frob $1,(x) "));
    write(&dir, "list.json", "{}");
    write(&dir, "other.json", r#"[{"path": "SB.litmus", "observed": ["[x]"], "states": [[1]]}]"#);
    for (arguments, message) in [
        (["missing.litmus"].as_slice(), "missing.litmus"),
        (&["arm.litmus"], "AArch64"),
        (&["bad.litmus"], "frob"),
        (&["SB.litmus", "--expected", "missing.json"], "missing.json"),
        (&["SB.litmus", "--expected", "list.json"], "not a list of tests"),
        (&["SB.litmus", "--expected", "other.json"], "the test observes"),
        (&["SB.litmus", "--tries", "0"], "--tries"),
        (&[], "<PATH>"),
    ] {
        let ran = latchup(&dir, &[&["litmus"], arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(message), "{arguments:?} without `{message}`: {}", ran.err);
    }
}

#[test]
fn the_protocol_is_explored_and_its_states_are_counted() {
    let ran = latchup(&folder("verify-protocol"), &["verify", "protocol", "--quick"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let complete = ran.out.lines().filter(|line| line.starts_with("complete")).count();
    assert_eq!(complete, ran.out.lines().count(), "{}", ran.out);
    assert!(ran.out.contains("3 cores, 1 line, both lines fit: 81082 states"), "{}", ran.out);
}

#[test]
fn compiled_programs_are_compared() {
    let ran = latchup(&folder("verify-corpus"), &["verify", "corpus"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("gcc-O2: 92 programs as on the host, 0 different"), "{}", ran.out);
    assert!(ran.out.contains("0 not implemented"), "{}", ran.out);
}

#[test]
fn latencies_are_held_to_what_the_preset_states() {
    let arguments = ["verify", "timing", "--preset", "westmere-ep"];
    let ran = latchup(&folder("verify-timing"), &arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    let expected = "westmere-ep: 33 latencies, 6 lines, 0 not as stated";
    assert!(ran.out.contains(expected), "{}", ran.out);
}

#[test]
fn speed_ups_and_snapshots_are_compared() {
    let dir = folder("verify-speed");
    write(&dir, "SB.litmus", SB);
    write(
        &dir,
        "one.ron",
        r#"Scenario(
        title: "one task", machine: (cores: 2),
        tasks: [(comm: "one", cpu: 1, run: [Compute("10us")])], until: AllTasksDone,
    )"#,
    );
    let ran = latchup(&dir, &["verify", "speed", ".", "--until", "200us"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let equal = ran.out.lines().filter(|line| line.starts_with("equal")).count();
    assert_eq!(equal, 12, "{}", ran.out);
    assert!(ran.out.ends_with("12 compared, 0 different\n"), "{}", ran.out);
}

#[test]
fn wrong_use_of_verify_is_answered_with_advice() {
    let dir = folder("verify-wrong");
    for (arguments, message) in [
        ([].as_slice(), "protocol"),
        (&["protocl"], "protocol"),
        (&["protocol", "--fast"], "--fast"),
        (&["corpus", "extra"], "extra"),
        (&["protocol", "--quick", "--long"], "cannot be used with"),
        (&["timing", "--preset", "westmere"], "the presets are westmere-ep, "),
        (&["speed", "--until", "soon"], "--until soon"),
        (&["speed", "missing"], "cannot read missing"),
        (&["timing", "--check", "missing.md"], "cannot read missing.md"),
        (&["timing", "--check", "a.md", "--write", "b.md"], "cannot be used with"),
    ] {
        let ran = latchup(&dir, &[&["verify"], arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(message), "{arguments:?} without `{message}`: {}", ran.err);
    }
}
