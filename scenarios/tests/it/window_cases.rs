//! Small programs with known verdicts: their windows, held against a run of every value.
//!
//! The files are in `data/windows`; each says what it is and what is swept.

use rayon::ThreadPool;
use scenarios::document::Document;
use scenarios::load::Files;
use scenarios::simulation::RunOptions;
use scenarios::sweep::Param;
use scenarios::windows::judge::{Judgement, Points, compare};
use scenarios::windows::{
    Area, Brute, Cover, CoverError, Decide, Forked, Subject, Table, Tile, point,
};
use std::path::{Path, PathBuf};

/// A file, what is swept in it and from where to where, and the findings in order.
struct Case {
    file: &'static str,
    path: &'static str,
    range: (u64, u64),
    findings: &'static [&'static str],
}

const fn case(
    file: &'static str,
    path: &'static str,
    range: (u64, u64),
    findings: &'static [&'static str],
) -> Case {
    Case { file, path, range, findings }
}

const START: &str = "devices.start.at";
const FIRMWARE: &str = "devices.ioc0.firmware_latency";
const MESSAGE: &str = "devices.ioc0.interrupt_latency";

const FINE: &[&str] = &["ok"];
const INSIDE: &[&str] = &["ok", "deadline", "ok"];
const FROM_THERE: &[&str] = &["ok", "deadline"];
const ASTRAY: &[&str] = &["lost-completion", "lock-corrupted", "ok"];

const CASES: [Case; 32] = [
    case("ab-ba-short", START, (290_800, 291_600), &["ok", "deadlock"]),
    case("ab-ba-long", START, (297_500, 298_400), &["deadlock", "ok"]),
    case("ab-ab", START, (290_800, 291_600), FINE),
    case("lost-wake-up", START, (293_500, 294_500), ASTRAY),
    case("ready-to-wake", START, (293_500, 294_500), FINE),
    case("irq-unsafe-lock", "devices.eth0.at", (303_600, 304_700), &["ok", "deadlock", "ok"]),
    case("irq-safe-lock", "devices.eth0.at", (303_600, 304_700), FINE),
    case("tlb-shootdown", "devices.drv0.at", (304_000, 305_000), &["deadlock", "ok"]),
    case("tlb-shootdown-irqs-on", "devices.drv0.at", (304_000, 305_000), FINE),
    case("svcomp-05-tas", START, (289_600, 290_300), FINE),
    case("tas-not-atomic", START, (289_600, 290_300), INSIDE),
    case("svcomp-06-ticket", START, (289_700, 290_400), FINE),
    case("ticket-not-atomic", START, (289_700, 290_400), INSIDE),
    case("svcomp-14-spin2003", START, (289_500, 290_500), FINE),
    case("svcomp-15-dekker", START, (289_900, 290_600), FINE),
    case("dekker-no-fence", START, (289_900, 290_600), INSIDE),
    case("svcomp-16-peterson", START, (289_900, 290_600), FINE),
    case("peterson-no-fence", START, (289_900, 290_600), INSIDE),
    case("sct-account", START, (295_900, 296_600), FROM_THERE),
    case(
        "sct-sync01",
        START,
        (294_500, 295_200),
        &["ok", "lock-corrupted", "lost-completion", "lock-corrupted", "lost-completion"],
    ),
    case("sct-deadlock01", START, (290_300, 291_000), FROM_THERE),
    case("sct-lazy01", START, (295_500, 296_200), FROM_THERE),
    case("sct-twostage", START, (295_200, 296_000), FROM_THERE),
    case("sct-wronglock", START, (295_300, 296_200), INSIDE),
    case("mpt2sas-init-after-post", FIRMWARE, (11_500, 12_700), ASTRAY),
    case("mpt2sas-init-before-post", FIRMWARE, (11_500, 12_500), FINE),
    case("mpt2sas-first-use", FIRMWARE, (11_800, 12_700), &["fault", "lock-corrupted", "ok"]),
    case("mpt2sas-other-socket", FIRMWARE, (6_500, 7_800), ASTRAY),
    case("mpt2sas-interrupt-latency", MESSAGE, (3_700, 4_800), ASTRAY),
    case(
        "mpt2sas-interrupt-start",
        "devices.eth0.at.delay",
        (600, 1_400),
        &["lock-corrupted", "ok"],
    ),
    case("mpt2sas-same-cpu", FIRMWARE, (19_800, 20_300), &["lost-completion", "ok"]),
    case("mpt2sas-stale-done", MESSAGE, (1_800, 2_800), &["ok", "command-timeout"]),
];

/// Points that are also run from their boot on, which shares nothing with the forks.
const ALONE: usize = 2;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/windows")
}

struct Folder;

impl Files for Folder {
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        std::fs::read(folder().join(name))
    }
}

/// A file of the folder.
pub(crate) fn document(name: &str) -> Document {
    let file = format!("{name}.ron");
    let text = std::fs::read_to_string(folder().join(&file)).expect(name);
    Document::parse(&file, &text).unwrap_or_else(|diags| panic!("{diags}"))
}

/// What the windows of a case are, how many runs found them, and what their judges say.
struct Judged {
    findings: Vec<String>,
    runs: u64,
    all: Judgement,
    alone: Judgement,
}

impl Case {
    fn judged(&self, pool: &ThreadPool) -> Judged {
        let (document, (lo, hi)) = (document(self.file), self.range);
        let param = format!("{}={lo}cy..{hi}cy", self.path);
        let params = [param.parse::<Param>().expect("a range")];
        let options = RunOptions { until_decided: true, ..RunOptions::default() };
        let subject = Subject { document: &document, files: &Folder, params: &params, options };
        let forked =
            Forked::new(subject, point(&[lo])).expect("it boots").expect("tiles decide it");
        let area = Area::line(lo, hi);
        let mut cover = Cover::new(area).expect("few rows");
        let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
        cover.complete(&forked, pool, &mut take).unwrap_or_else(|e| panic!("{}: {e}", self.file));
        let judge = |decide: &dyn Decide, points: &Points| {
            compare(&cover, decide, points, pool, &mut |_| ()).expect("every value runs")
        };
        let windows = Table::new(&cover).windows;
        let mut findings: Vec<String> =
            windows.iter().map(|window| window.finding().to_owned()).collect();
        findings.dedup();
        Judged {
            findings,
            runs: cover.work().0,
            all: judge(&forked, &Points::All(area)),
            alone: judge(&Brute(subject), &Points::random(area, ALONE, 3)),
        }
    }

    /// Tiles that are points prove nothing about tiles.
    fn check(&self, pool: &ThreadPool) {
        let judged = self.judged(pool);
        let (points, file) = (judged.all.points, self.file);
        for judgement in [&judged.all, &judged.alone] {
            assert_eq!(judgement.mismatches, [], "{file}");
            assert_eq!(judgement.undecided, 0, "{file}");
        }
        assert_eq!(judged.findings, self.findings, "{file}");
        assert!(judged.runs < points / 2, "{file}: {} runs for {points} values", judged.runs);
    }
}

/// Checks the cases that `belongs` picks.
fn check(belongs: impl Fn(&str) -> bool) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    CASES.iter().filter(|case| belongs(case.file)).for_each(|case| case.check(&pool));
}

fn is_published(file: &str) -> bool {
    file.starts_with("svcomp-") || file.starts_with("sct-")
}

fn is_driver(file: &str) -> bool {
    file.starts_with("mpt2sas-")
}

#[test]
fn published_verdicts_hold_at_every_value() {
    check(is_published);
}

#[test]
fn the_driver_s_windows_are_right_at_every_value() {
    check(is_driver);
}

#[test]
fn windows_of_locks_are_right_at_every_value() {
    check(|file| !is_published(file) && !is_driver(file));
}

#[test]
fn every_file_of_the_folder_is_a_case_and_says_what_it_is() {
    let names = std::fs::read_dir(folder()).expect("the folder").filter_map(|entry| {
        let name = entry.expect("a file").file_name().into_string().expect("UTF-8");
        name.strip_suffix(".ron").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    let mut cases = CASES.map(|case| case.file.to_owned());
    cases.sort();
    assert_eq!(names, cases);
    for name in names {
        let text = std::fs::read_to_string(folder().join(format!("{name}.ron"))).expect("it is");
        assert!(text.starts_with("// ") && text.contains("// Swept: `"), "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name}: a line is too long");
    }
}
