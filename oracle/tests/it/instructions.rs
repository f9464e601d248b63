//! A short campaign of the native oracle.

use oracle::campaign::Bench;
use oracle::native::NativeError;

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
    assert!(tally.compared > 19_000 && tally.on_machine > 200, "{tally:?}");
    assert!(tally.faults * 2 < tally.compared, "{tally:?}");
}
