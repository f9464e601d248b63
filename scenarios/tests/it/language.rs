//! The language's diagnostics, as people see them.

use proptest::prelude::*;
use scenarios::diagnostics::Diagnostics;
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::Loaded;
use scenarios::simulation::NoFiles;

fn try_load(text: &str, sets: &[&str]) -> Result<Loaded, Diagnostics> {
    let mut document = Document::parse("test.ron", text)?;
    for set in sets {
        document.set(set);
    }
    document.load(&Guest::shipped().image, &NoFiles)
}

fn refused(text: &str) -> String {
    refused_with(text, &[])
}

fn refused_with(text: &str, sets: &[&str]) -> String {
    match try_load(text, sets) {
        Ok(_) => panic!("not refused: {text}"),
        Err(diags) => diags.to_string(),
    }
}

/// A scenario without mistakes that uses most of the language.
const WHOLE: &str = include_str!("../data/whole.ron");

#[test]
fn ten_mistakes_are_reported_together() {
    let text = refused(include_str!("../data/ten-mistakes.ron"));
    assert!(text.ends_with("\n10 errors\n"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_syntax_error_is_reported_alone_and_where_it_is() {
    insta::assert_snapshot!(refused(
        "(\n    title: \"t\",\n    tasks: [\n        (comm: \"a\" cpu: 0)\n    ],\n)\n"
    ));
    insta::assert_snapshot!(refused("(title: \"t\", machine: (cores: 4, tasks: []"));
    insta::assert_snapshot!(refused("(title: \"t\", tasks: [(at: 10ms)])"));
}

#[test]
fn contradictions_are_mistakes() {
    insta::assert_snapshot!(refused(include_str!("../data/contradictions.ron")));
}

#[test]
fn scripts_are_checked_like_everything_else() {
    insta::assert_snapshot!(refused(include_str!("../data/script-mistakes.ron")));
}

#[test]
fn mistakes_in_set_arguments_point_into_the_argument() {
    let sets = [
        "devices.ioc0.firmwar_latency=9us",
        "devices.ioc7.msi=true",
        "machine.cores=four",
        "machine.memory.l1_hti=5",
        "tasks[7].at=1ms",
        "kernel.hz",
    ];
    insta::assert_snapshot!(refused_with(WHOLE, &sets));
}

#[test]
fn the_whole_language_is_accepted() {
    let loaded = try_load(WHOLE, &[]).unwrap_or_else(|diags| panic!("{diags}"));
    assert_eq!(loaded.warnings.list, []);
    assert_eq!(loaded.spec.cores, 8);
    assert_eq!(loaded.spec.memory.l1_hit, 5);
    assert_eq!(loaded.spec.memory.load.shared, [50, 50, 200, 200]);
    assert_eq!(loaded.spec.interrupts.msi, 1500);
    assert_eq!(loaded.tasks.len(), 6 + 5);
    assert!(loaded.symbols.get("script_k").is_some());
    assert!(loaded.symbols.get("handler_eth0").is_some());
    assert!(loaded.symbols.get("user_u").is_some());
}

#[test]
fn set_changes_what_is_loaded() {
    let sets = ["machine.cores=6", "seed=9", "devices.ioc0.firmware_latency=300cy"];
    let loaded = try_load(WHOLE, &sets).unwrap_or_else(|diags| panic!("{diags}"));
    assert_eq!((loaded.spec.cores, loaded.spec.seed), (6, 9));
    let sim_x86::dev::DeviceSpec::Hba(hba) = &loaded.spec.devices[0] else { panic!("an HBA") };
    assert_eq!(hba.firmware_latency, sim_x86::dev::Latency::Constant(300));
}

#[test]
fn timing_can_be_perturbed() {
    let text =
        r#"Scenario(title: "t", machine: (perturb: (seed: 7, store_drain: "1us", one_in: 3)))"#;
    let perturb = try_load(text, &["machine.perturb.miss=9"]).expect("no mistakes").spec.perturb;
    assert_eq!((perturb.seed, perturb.one_in, perturb.miss), (7, 3, 9));
    assert!(perturb.store_drain > 1_000 && perturb.instruction == 0);
    let text = "Scenario(title: \"t\", machine: (perturb: (nmi_every: 2)))";
    assert!(
        refused(text).contains("perturb.nmi_every: must be 0 or at least"),
        "{}",
        refused(text)
    );
}

#[test]
fn every_written_number_is_a_path_that_set_takes() {
    let document = Document::parse("test.ron", WHOLE).expect("no syntax error");
    let paths = document.numeric_paths();
    assert!(paths.iter().any(|found| found.path == "devices.ioc0.firmware_latency.median"));
    assert!(paths.len() > 20, "{}", paths.len());
    for found in paths {
        let mut changed = document.clone();
        changed.set(&format!("{}=true", found.path));
        let text = match changed.load(&Guest::shipped().image, &NoFiles) {
            Ok(_) => panic!("{} is no longer a number and nobody minds", found.path),
            Err(diags) => diags.to_string(),
        };
        assert!(text.contains("--set:1:"), "{}: {text}", found.path);
    }
}

/// Pieces of the language, to be put together in ways nobody meant.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<String> =
        WHOLE.split_inclusive(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
    prop_oneof![
        4 => prop::sample::select(words),
        1 => any::<char>().prop_map(String::from),
        1 => prop::sample::select(vec!["(", ")", "[", "]", "{", "}", ",", ":", "\"", "-1", "1e400",
            "340282366920938463463374607431768211456", "\\", "r#\"", "/*", "'"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_language_panic(
        at in 0..WHOLE.len(),
        cut in 0usize..40,
        pieces in prop::collection::vec(piece(), 0..6),
    ) {
        let start = (0..=at).rev().find(|&at| WHOLE.is_char_boundary(at)).unwrap_or(0);
        let end = (start + cut..).find(|&at| at >= WHOLE.len() || WHOLE.is_char_boundary(at));
        let rest = WHOLE.get(end.unwrap_or(WHOLE.len())..).unwrap_or("");
        let text = format!("{}{}{rest}", &WHOLE[..start], pieces.concat());
        if let Err(diags) = try_load(&text, &[]) {
            prop_assert!(diags.errors() > 0);
            prop_assert!(!diags.to_string().is_empty());
        }
    }

    #[test]
    fn no_set_argument_makes_it_panic(argument in "[a-z0-9.\\[\\]=\"()é]{0,30}", at in 0..40usize) {
        let paths = Document::parse("test.ron", WHOLE).expect("no syntax error").numeric_paths();
        let argument = format!("{}{argument}", paths[at % paths.len()].path);
        if let Err(diags) = try_load(WHOLE, &[&argument]) {
            prop_assert!(diags.errors() > 0);
        }
    }
}
