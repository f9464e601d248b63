//! A forbidden state is found, can be repeated, and does not depend on how the work is divided.

use crate::catalog::catalog;
use litmus::judge::{Judgement, Verdict};
use litmus::parse::parse;
use litmus::program::Test;
use litmus::{herd, model, runner};
use rayon::ThreadPoolBuilder;

fn named(path: &str) -> Test {
    let found = catalog().into_iter().find(|(entry, _)| entry.path == path);
    found.expect("a test of the catalogue").1
}

#[test]
fn a_state_that_the_set_lacks_is_forbidden_and_can_be_repeated() {
    let test = named("classic/SB.litmus");
    let mut allowed = model::allowed(&test, 10_000).expect("a small test");
    // As if stores could not be buffered.
    assert!(allowed.remove(&vec![0, 0]));
    let observations = runner::run(&test, 5, 64).expect("it ends");
    let judgement = Judgement::new(&observations, &allowed);
    let [row] = judgement.with(Verdict::ForbiddenSeen).collect::<Vec<_>>()[..] else {
        panic!("{judgement:?}");
    };
    assert_eq!(row.state, [0, 0]);
    let first = row.seen.expect("it was seen").first_try;
    assert_eq!(runner::run_one(&test, 5, first).expect("it ends"), [0, 0]);
}

#[test]
fn a_forgotten_fence_shows() {
    let fenced = model::allowed(&named("classic/R+po+mfence.litmus"), 10_000).expect("small");
    let observations = runner::run(&named("classic/R.litmus"), 1, 320).expect("it ends");
    assert_eq!(Judgement::new(&observations, &fenced).count(Verdict::ForbiddenSeen), 1);
}

#[test]
fn a_forgotten_lock_shows() {
    let plain = named("atomics/inc-plain.litmus");
    let locked = model::allowed(&named("atomics/inc-three.litmus"), 10_000).expect("small");
    let observations = runner::run(&plain, 1, 320).expect("it ends");
    assert!(Judgement::new(&observations, &locked).count(Verdict::ForbiddenSeen) > 0);
}

#[test]
fn results_do_not_depend_on_the_number_of_jobs() {
    let test = named("classic/IRIW.litmus");
    let run = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| runner::run(&test, 3, 200)).expect("it ends")
    };
    let alone = run(1);
    assert_eq!(alone, run(3));
    assert_eq!(alone, runner::run_alone(&test, 3, 200).expect("it ends"));
    assert_eq!(alone.tries, 200);
    // More tries only add to what was seen.
    let more = runner::run(&test, 3, 400).expect("it ends");
    for (state, seen) in &alone.states {
        assert_eq!(more.states[state].first_try, seen.first_try);
    }
}

#[test]
fn another_seed_is_another_set_of_timings() {
    let test = named("classic/six-threads.litmus");
    let run = |seed| runner::run(&test, seed, 96).expect("it ends");
    assert_ne!(run(1), run(2));
    assert_eq!(run(1), run(1));
}

#[test]
fn a_test_that_never_ends_is_reported() {
    let text = "X86_64 spin\n{ }\n P0 ;\n again: ;\n movl (x),%eax ;\n jmp again ;\nexists (x=0)\n";
    let test = parse("spin", text).expect("a test");
    let error = runner::run_one(&test, 1, 7).expect_err("it spins");
    assert!(error.to_string().contains("did not end"), "{error}");
}

#[test]
fn states_are_printed_as_herd7_does() {
    let test = named("classic/SB.litmus");
    let states = model::allowed(&test, 10_000).expect("a small test");
    let expected = "Test SB Allowed\nStates 4\n0:EAX=0; 1:EAX=0;\n0:EAX=0; 1:EAX=1;\n\
                    0:EAX=1; 1:EAX=0;\n0:EAX=1; 1:EAX=1;\nOk\nWitnesses\nPositive: 1 Negative: 3\n\
                    Condition exists (0:EAX=0 /\\ 1:EAX=0)\nObservation SB Sometimes 1 3\n";
    assert_eq!(herd::summary(&test, &states), expected);
}
