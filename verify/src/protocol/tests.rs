use super::system::Issue;
use super::*;

fn smallest(kind: usize, cores: u16) -> Setup {
    Setup { cores, lines: 1, in_progress: usize::MAX, ..Setup::kinds()[kind].clone() }
}

fn broken(setup: Setup, mutation: Mutation) -> Violation {
    let setup = Setup { mutation, ..setup };
    let found = explore(&setup, |_, _| {}).expect_err("a broken protocol");
    assert!(!found.path.is_empty(), "a way to it is given");
    found.violation
}

#[test]
fn every_reachable_state_is_right() {
    for setup in all(true) {
        let seen = explore(&setup, |_, _| {}).unwrap_or_else(|found| panic!("{found}"));
        assert!(seen.states > 1_000, "{}: {seen:?}", setup.name);
        assert!(seen.at_rest > 1 && seen.at_rest < seen.states, "{}: {seen:?}", setup.name);
    }
}

#[test]
fn a_lost_invalidation_is_seen() {
    let violation = broken(smallest(0, 2), Mutation::DropInvalidation);
    assert!(matches!(violation, Violation::Broken(_) | Violation::Stale { .. }), "{violation}");
}

#[test]
fn a_lost_downgrade_is_seen() {
    let violation = broken(smallest(0, 2), Mutation::DropDowngrade);
    assert!(matches!(violation, Violation::Broken(_)), "{violation}");
}

#[test]
fn a_writable_copy_too_many_is_seen() {
    let violation = broken(smallest(0, 2), Mutation::GrantWritable);
    assert!(matches!(violation, Violation::Broken(_)), "{violation}");
}

#[test]
fn a_directory_that_forgets_is_seen() {
    let violation = broken(smallest(0, 3), Mutation::ForgetOwner);
    assert!(matches!(violation, Violation::Broken(_)), "{violation}");
}

#[test]
fn a_write_back_that_comes_too_late_is_seen() {
    let violation = broken(smallest(4, 2), Mutation::HastyWriteBack);
    assert!(matches!(violation, Violation::Broken(_)), "{violation}");
}

#[test]
fn a_lock_that_is_not_held_is_seen() {
    let violation = broken(smallest(0, 2), Mutation::IgnoreLocks);
    assert!(matches!(violation, Violation::NotAtomic { .. }), "{violation}");
}

#[test]
fn deadlocks_are_seen() {
    for mutation in [Mutation::NeverFinish, Mutation::ForgetStores, Mutation::NoWakeUp] {
        let violation = broken(smallest(0, 2), mutation);
        assert_eq!(violation, Violation::Deadlock, "{mutation:?}");
    }
}

#[test]
fn a_set_too_small_for_a_split_lock_is_seen() {
    // One way for two lines, of which the first is held until the second has come.
    let [.., split] = Setup::kinds();
    let setup = Setup { l3_ways: 1, cores: 2, ..split };
    assert!(setup.issues.contains(&Issue::SplitRmw));
    let found = explore(&setup, |_, _| {}).expect_err("the second line finds no room");
    assert_eq!(found.violation, Violation::Livelock);
}
