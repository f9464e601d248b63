//! The tests that come with latchup, and what the machine makes of them.

use litmus::expected::{self, Entry};
use litmus::judge::{Judgement, Verdict};
use litmus::program::Test;
use litmus::{model, parse, runner};
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("catalog")
}

/// Every test of the catalogue with its entry of `expected.json`.
pub(crate) fn catalog() -> Vec<(Entry, Test)> {
    let json = fs::read_to_string(folder().join("expected.json")).expect("expected.json");
    let entries = expected::read(&json).expect("the expectations can be read");
    let test = |entry: Entry| {
        let text = fs::read_to_string(folder().join(&entry.path)).expect("the test is there");
        let test = parse::parse(&entry.path, &text).expect("a test without mistakes");
        (entry, test)
    };
    entries.into_iter().map(test).collect()
}

#[test]
fn every_file_has_its_expectation() {
    let listed = catalog().len();
    let folders = fs::read_dir(folder()).expect("the catalogue");
    let folders = folders.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let files: usize = folders.map(|folder| fs::read_dir(folder).expect("a folder").count()).sum();
    assert_eq!(listed, files);
    assert!(listed >= 150, "{listed}");
}

#[test]
fn expectations_are_what_the_model_computes() {
    for (entry, test) in catalog() {
        let allowed = model::allowed(&test, 1_000_000).expect("a small test");
        let expected = entry.states_of(&test).expect("the same variables");
        assert_eq!(allowed, expected, "{}", entry.path);
    }
}

#[test]
fn the_machine_shows_what_is_allowed_and_nothing_else() {
    let (mut seen, mut all) = (0, 0);
    for (entry, test) in catalog() {
        let allowed = entry.states_of(&test).expect("the same variables");
        let observations = runner::run_alone(&test, 1, 320).expect("it ends");
        let judgement = Judgement::new(&observations, &allowed);
        let forbidden: Vec<_> = judgement.with(Verdict::ForbiddenSeen).collect();
        assert!(forbidden.is_empty(), "{}: {forbidden:?}", entry.path);
        seen += judgement.count(Verdict::AllowedSeen);
        all += judgement.rows.len();
    }
    // The rest needs more tries.
    assert!(seen * 100 >= all * 95, "{seen} of {all} allowed states seen");
}

#[test]
fn speed_ups_change_nothing() {
    for (entry, test) in catalog() {
        let differences = runner::speed_differences(&test, 1, 6).expect("it ends");
        assert_eq!(differences, [], "{}", entry.path);
    }
}
