mod direct;

use super::explore::explore_machine;
use super::state::Machine;
use super::system::Issue;
use super::*;

fn smallest(kind: usize, cores: u16) -> Setup {
    Setup { cores, lines: 1, ..Setup::kinds()[kind].clone() }
}

fn broken(setup: Setup, mutation: Mutation) -> Violation {
    let setup = Setup { mutation, ..setup };
    let found = explore(&setup, |_, _| {}).expect_err("a broken protocol");
    assert!(!found.path.is_empty(), "a way to it is given");
    found.violation
}

#[test]
fn every_reachable_state_is_right() {
    for setup in all(Extent::Quick) {
        let seen = explore(&setup, |_, _| {}).unwrap_or_else(|found| panic!("{found}"));
        assert!(seen.states > 1_000, "{}: {seen:?}", setup.name);
        assert!(seen.at_rest > 1 && seen.at_rest < seen.states, "{}: {seen:?}", setup.name);
    }
}

#[test]
fn reduced_states_stand_for_exactly_the_states_of_the_plain_machine() {
    let [fit, _, _, _, everywhere, _, split] = Setup::kinds();
    let few = |setup, in_progress| Setup { in_progress, ..setup };
    let mut setups = vec![few(smallest(0, 3), 2), few(smallest(5, 2), 1)];
    let issues = &[Issue::Load, Issue::Store];
    setups.extend([fit, everywhere].map(|kind| few(Setup { cores: 2, issues, ..kind }, 1)));
    setups.push(few(Setup { cores: 2, ..split }, 1));
    for setup in setups {
        let (plain, images) = direct::explore(&setup);
        let seen = explore_machine(Machine::with_homes(&setup, false), |_, _| {});
        let seen = seen.unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(seen.states, images, "{}: of {plain}", setup.name);
        assert!(images < plain, "{}: {plain} states are not reduced", setup.name);
    }
}

#[test]
fn lines_that_share_no_set_can_have_home_agents_of_their_own() {
    let kinds = Setup::kinds();
    let fitting = kinds.iter().filter(|kind| kind.l3_ways > 1);
    for setup in fitting.map(|kind| Setup { cores: 2, in_progress: 2, ..kind.clone() }) {
        let [apart, joint] = [true, false].map(|apart| {
            let machine = Machine::with_homes(&setup, apart);
            explore_machine(machine, |_, _| {}).unwrap_or_else(|found| panic!("{found}"))
        });
        assert_eq!(Exploration { parts: joint.parts, ..apart }, joint, "{}", setup.name);
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
    let violation = broken(smallest(5, 2), Mutation::HastyWriteBack);
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
    // One way for two lines, of which the first is held until the second has come: a machine that
    // `MachineSpec::validate` refuses.
    let [.., split] = Setup::kinds();
    let setup = Setup { l3_ways: 1, cores: 2, ..split };
    assert!(setup.issues.contains(&Issue::SplitRmw));
    let found = explore(&setup, |_, _| {}).expect_err("the second line finds no room");
    assert_eq!(found.violation, Violation::Livelock);
}
