//! A short campaign of the native oracle.

use oracle::campaign::Bench;
use oracle::flat::Flat;
use oracle::native::NativeError;
use oracle::ways::Ways;
use oracle_cases::{End, Generator};
use sim_x86::presets::westmere_ep;

#[test]
fn the_host_and_latchup_agree() {
    let mut bench = match Bench::new(2026) {
        Ok(bench) => bench,
        Err(skipped @ NativeError::Unsupported) => {
            #[allow(clippy::print_stdout, reason = "a skip should be seen")]
            {
                println!("{skipped}");
            }
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(bench.opcodes() > 300, "{}", bench.opcodes());
    let tally = bench.run(0..20_000);
    assert_eq!(tally.differences, 0, "{}", tally.reports.join("\n"));
    assert!(tally.compared > 18_500 && tally.on_machine > 200, "{tally:?}");
    assert!(tally.faults * 2 < tally.compared, "{tally:?}");
}

#[test]
fn a_host_that_gets_int1_wrong_decides_all_cases_but_those_that_end_in_it() {
    let mut generator = Generator::new(2026, sim_x86::op::implemented);
    let mut flat = Flat::new(westmere_ep().costs);
    let ways = Ways { int1_stays: true, ..Ways::default() };
    let mut passed_over = 0;
    for index in 0..5_000 {
        let case = generator.case(index);
        let Some(outcome) = flat.run(case) else { continue };
        let debug = matches!(outcome.end, End::Fault { vector: 1, .. });
        assert_eq!(ways.differ(case, &outcome), debug, "case {index}");
        assert!(!Ways::default().differ(case, &outcome), "case {index}");
        passed_over += u64::from(debug);
    }
    assert!((10..100).contains(&passed_over), "{passed_over}");
}
