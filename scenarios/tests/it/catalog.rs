//! The catalogue is free of mistakes.

use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::Loaded;
use scenarios::simulation::NoFiles;
use std::path::Path;

/// What the catalogue must hold.
pub(crate) const FILES: [&str; 13] = [
    "ab-ba",
    "irq-unsafe-lock",
    "mpt2sas-broken-exclusion",
    "mpt2sas-ctl",
    "mpt2sas-ctl-fixed",
    "mpt2sas-field",
    "mpt2sas-first-use",
    "mpt2sas-lost-completion",
    "mpt2sas-realistic",
    "mpt2sas-same-cpu",
    "mpt2sas-stale-done",
    "ticket-fair",
    "tlb-flush-irqs-off",
];

/// A file of the catalogue.
pub(crate) fn document(name: &str) -> Document {
    let file = format!("{name}.ron");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    let text = std::fs::read_to_string(folder.join(&file)).expect(name);
    Document::parse(&file, &text).unwrap_or_else(|diags| panic!("{diags}"))
}

/// A file of the catalogue, ready to run.
pub(crate) fn load(name: &str) -> Loaded {
    document(name).load(&Guest::shipped().image, &NoFiles).unwrap_or_else(|diags| panic!("{diags}"))
}

#[test]
fn every_scenario_loads_without_a_warning_and_says_what_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    for name in FILES {
        let text = std::fs::read_to_string(folder.join(format!("{name}.ron"))).expect(name);
        assert!(text.starts_with("// "), "{name} has no header comment");
        let loaded = load(name);
        assert_eq!(loaded.warnings.to_string(), "", "{name}");
        assert!(loaded.expect.is_some_and(|expect| expect.finding.is_some()), "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name}: a line is too long");
    }
}
