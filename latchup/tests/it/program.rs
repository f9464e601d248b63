//! Bare-metal programs.

use crate::common::{elf, exit, folder, latchup, say, write};

#[test]
fn a_program_prints_and_returns_its_exit_code() {
    let dir = folder("program-exit");
    write(&dir, "hello.elf", elf(&[say("hello\n"), exit(7)].concat()));
    let ran = latchup(&dir, &["run", "hello.elf", "--cores", "2"]);
    assert_eq!((ran.out.as_str(), ran.status), ("hello\n", 7), "{}", ran.err);
}

#[test]
fn a_program_that_never_ends_is_told_from_one_that_failed() {
    let dir = folder("program-stuck");
    write(&dir, "loop.elf", elf(&[0xeb, 0xfe]));
    let ran = latchup(&dir, &["run", "loop.elf", "--until", "1us"]);
    assert_eq!(ran.status, 124, "{ran:?}");
    // ud2 without an IDT: the CPU shuts down.
    write(&dir, "fault.elf", elf(&[0x0f, 0x0b]));
    let ran = latchup(&dir, &["run", "fault.elf"]);
    assert_eq!(ran.status, 125, "{ran:?}");
    assert!(!ran.err.is_empty());
}
