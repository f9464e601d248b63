//! Scripts become guest code that does what they say.

use crate::guest_run::run;

#[test]
fn kernel_threads_lock_count_and_wake_each_other() {
    let ran = run(
        r#"(
            title: "t",
            machine: (cores: 4),
            variables: { "lock": Lock, "count": Word, "go": Completion, "seen": Word(7) },
            tasks: [
                (comm: "a", cpu: 0, kernel: [
                    Repeat(50, [Lock("lock"), Add("count", 1), Unlock("lock")]),
                    Complete("go"),
                ]),
                (comm: "b", cpu: 1, at: "1us", kernel: [
                    Wait("go"),
                    Load("count"),
                    Store("seen", Result),
                ]),
                (comm: "c", cpu: 2, kernel: [
                    Repeat(50, [LockIrqsave("lock"), Add("count", 1), UnlockIrqrestore("lock")]),
                    Log("c is done"),
                ]),
            ],
            until: AllTasksDone,
        )"#,
        100_000_000,
    );
    assert_eq!(ran.done(), [true, true, true], "{}", ran.console());
    assert_eq!(ran.variable("count"), 100);
    assert!((50..=100).contains(&ran.variable("seen")), "{}", ran.variable("seen"));
    assert_eq!(ran.variable("lock") & 0xffff_ffff, 100 << 16 | 100);
    assert!(ran.console().contains("c is done"), "{}", ran.console());
}

#[test]
fn programs_of_ring_3_make_system_calls() {
    let ran = run(
        r#"(
            title: "t",
            machine: (cores: 2),
            tasks: [
                (comm: "u", cpu: 1, pid: 777, run: [
                    Log("hello from ring 3"),
                    Compute("2us"),
                    Repeat(3, [TtyIoctl, Fcntl, Flock, LegacyIoctl, Open, Exec, Read, GetPid]),
                    Munmap(4), Mprotect(2), Mmap(1), Yield,
                    Sleep("200us"), EpollWait("1ms"), Uninterruptible("1ms"), HoldBkl("3us"),
                    Write("written\n"),
                ]),
            ],
            until: AllTasksDone,
        )"#,
        200_000_000,
    );
    assert_eq!(ran.done(), [true], "{:?} {}", ran.stop, ran.console());
    assert!(ran.console().contains("hello from ring 3"), "{}", ran.console());
    assert!(ran.console().contains("written"), "{}", ran.console());
}
