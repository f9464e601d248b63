//! Exact windows of whole scenarios, held against runs of single values.

use crate::window_cases::document;
use crate::{catalog, posted};
use scenarios::document::Document;
use scenarios::simulation::{NoFiles, RunOptions};
use scenarios::sweep::Param;
use scenarios::windows::flip::prove;
use scenarios::windows::judge::{Points, compare};
use scenarios::windows::{
    Area, Brute, Cover, CoverError, Decide, Distance, Forked, Map, Side, Subject, Table, Tile,
    point,
};

/// The windows of `document` over the firmware latency, found and judged at every value close to
/// an edge and at some others.
fn judged(document: &Document, (lo, hi): (u64, u64)) -> (Table, u64) {
    let range = format!("devices.ioc0.firmware_latency={lo}cy..{hi}cy");
    let params = [range.parse::<Param>().expect("a range")];
    let options = RunOptions { until_decided: true, ..RunOptions::default() };
    let subject = Subject { document, files: &NoFiles, params: &params, options };
    let forked = Forked::new(subject, point(&[lo])).expect("it boots").expect("a device's latency");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let area = Area::line(lo, hi);
    let mut cover = Cover::new(area).expect("few rows");
    let mut tiles = 0;
    let mut take = |_: &Tile, _| {
        tiles += 1;
        Ok::<(), CoverError>(())
    };
    cover.complete(&forked, &pool, &mut take).expect("no run breaks off");
    let table = Table::new(&cover);
    let near = Points::near_edges(&table, (lo, hi), 40);
    for points in [near, Points::random(area, 150, 7)] {
        let judgement = compare(&cover, &forked, &points, &pool, &mut |_| ()).expect("it runs");
        assert_eq!(judgement.undecided, 0);
        assert_eq!(judgement.mismatches, [], "of {} points", judgement.points);
    }
    (table, tiles)
}

fn findings(table: &Table) -> Vec<(u64, u64, &str)> {
    table.windows.iter().map(|window| (window.lo, window.hi, window.finding())).collect()
}

#[test]
fn the_bug_has_a_window_between_lost_and_correct() {
    let (table, tiles) =
        judged(&posted::scenario("init-after-post", 1, "initial_uses: 3"), (0, 60_000));
    assert!(tiles < 2_000, "{tiles} tiles are hardly better than single runs");
    let found: Vec<&str> = findings(&table).iter().map(|&(.., finding)| finding).collect();
    let mut kinds = found.clone();
    kinds.dedup();
    assert_eq!(kinds, ["lost-completion", "lock-corrupted", "ok"], "{:?}", findings(&table));
    let width: u64 = table.windows[1..found.len() - 1].iter().map(|w| w.hi - w.lo + 1).sum();
    assert!(width < 2_000, "{:?}", findings(&table));
}

#[test]
fn the_fixed_driver_has_none() {
    let (table, _) =
        judged(&posted::scenario("init-before-post", 1, "initial_uses: 3"), (0, 60_000));
    assert_eq!(findings(&table), [(0, 60_000, "ok")]);
}

#[test]
fn an_interrupt_on_the_submitting_cpu_cannot_meet_the_lock() {
    // Every boundary between two instructions of a busy CPU is an edge of a tile here.
    let (table, _) =
        judged(&posted::scenario("init-after-post", 2, "initial_uses: 3"), (17_000, 30_000));
    let found = findings(&table);
    assert!(found.iter().all(|&(.., finding)| finding != "lock-corrupted"), "{found:?}");
    assert_eq!(found.last().map(|&(.., finding)| finding), Some("ok"), "{found:?}");
}

#[test]
fn a_completion_without_earlier_uses_is_judged_right_too() {
    let mut document = posted::scenario("init-after-post", 1, "first_use_uninitialised: true");
    // A CPU that has faulted leaves the other one waiting: nothing but the end is the end of that.
    document.set("until=AnyOf([AllTasksDone, Time(\"1050us\")])");
    judged(&document, (0, 40_000));
}

#[test]
fn an_answer_after_the_time_limit_comes_too_late() {
    let mut document = posted::scenario("init-before-post", 1, "initial_uses: 3");
    document.set("until=AnyOf([AllTasksDone, Time(\"1030us\")])");
    let (table, _) = judged(&document, (40_000, 60_000));
    let kinds: Vec<&str> = findings(&table).iter().map(|&(.., finding)| finding).collect();
    assert_eq!(kinds, ["ok", "deadline"], "{:?}", findings(&table));
}

#[test]
fn the_other_socket_answers_later() {
    let mut document = posted::scenario("init-after-post", 1, "initial_uses: 3");
    document.set("machine.cores=16");
    document.set("devices.ioc0.irq_cpu=13");
    judged(&document, (0, 60_000));
}

/// The sweep over latencies as they are in the field. After its outcome a run comes upon ticks and
/// timers that moving CPUs have programmed; were these not followed, each value would be a tile.
#[test]
fn a_long_range_takes_few_runs() {
    let mut document = catalog::document("mpt2sas-field");
    let (table, tiles) = judged(&document, (0, 1_172_000));
    assert!(tiles < 1_000, "{tiles}");
    let found: Vec<&str> = findings(&table).iter().map(|&(.., finding)| finding).collect();
    let mut kinds = found.clone();
    kinds.dedup();
    assert_eq!(kinds, ["lost-completion", "lock-corrupted", "ok"], "{found:?}");
    document.set("kernel.driver=\"init-before-post\"");
    let (table, tiles) = judged(&document, (0, 1_172_000));
    assert!(tiles < 1_000, "{tiles}");
    assert_eq!(findings(&table), [(0, 1_172_000, "ok")]);
}

#[test]
fn a_sleep_after_the_request_does_not_narrow_the_tiles() {
    let document = catalog::document("mpt2sas-ctl-fixed");
    let (table, tiles) = judged(&document, (0, 1_000_000));
    assert!(tiles < 1_000, "{tiles}");
    assert_eq!(findings(&table), [(0, 1_000_000, "ok")]);
}

#[test]
fn tracking_changes_nothing() {
    let document = posted::scenario("init-after-post", 1, "initial_uses: 3");
    let params = ["devices.ioc0.firmware_latency=0cy..1cy".parse::<Param>().expect("a range")];
    let options = RunOptions { until_decided: true, ..RunOptions::default() };
    let subject = Subject { document: &document, files: &NoFiles, params: &params, options };
    let forked = Forked::new(subject, point(&[])).expect("it boots").expect("a device's latency");
    for latency in (0..30_000).step_by(977) {
        let tile = forked.decide(point(&[latency])).expect("it runs");
        let (_, machine) = forked.outcome(point(&[latency]), false).expect("it runs");
        let (_, tracked) = forked.outcome(point(&[latency]), true).expect("it runs");
        assert!(machine == tracked, "latency {latency}");
        assert_eq!(machine.trace_hash(), tracked.trace_hash());
        assert!(tile.contains(point(&[latency])));
    }
}

/// The decider of the firmware latency of `document`.
fn with_forked<T>(document: &Document, take: impl FnOnce(&Forked<'_>) -> T) -> T {
    let params = ["devices.ioc0.firmware_latency=0cy..1cy".parse::<Param>().expect("a range")];
    let options = RunOptions { until_decided: true, ..RunOptions::default() };
    let subject = Subject { document, files: &NoFiles, params: &params, options };
    take(&Forked::new(subject, point(&[])).expect("it boots").expect("a device's latency"))
}

#[test]
fn the_order_that_makes_each_edge_is_proved_and_the_distance_is_that_to_the_edge() {
    let document = posted::scenario("init-after-post", 1, "initial_uses: 3");
    let (table, _) = judged(&document, (0, 20_000));
    let broken = table.windows.iter().position(|window| window.finding() == "lock-corrupted");
    let (first, last) = (broken.expect("a window"), table.windows.len() - 1);
    with_forked(&document, |forked| {
        for edge in &table.edges[first - 1..] {
            let proof = prove(forked, edge.below).expect("it runs").expect("an edge");
            assert!(!proof.flips.is_empty(), "{proof:?}");
            let [zeroes, inside] = proof.pair.expect("a proved pair");
            assert!(zeroes.what.starts_with("init_completion zeroes"), "{zeroes:?}");
            assert!(inside.what.starts_with("complete "), "{inside:?}");
            assert_ne!(zeroes.who, inside.who);
        }
        assert_eq!(prove(forked, table.windows[last].lo).expect("it runs"), None);

        // One passing run, from which nobody would think that anything is wrong.
        let value = table.windows[last].lo + 147;
        let distance = Distance::of(forked, value, (0, 20_000)).expect("it runs");
        let near = distance.nearest().expect("an edge");
        assert_eq!((near.value, near.distance), (table.windows[last - 1].hi, 148));
        assert_eq!(near.verdict, table.windows[last - 1].verdict);
        assert_eq!(distance.above, None);
        let deciding: Vec<_> = distance.races.iter().filter(|race| race.decides).collect();
        assert!(!deciding.is_empty(), "{:?}", distance.races);
        assert!(deciding.iter().all(|race| race.gap > 0));
    });
}

#[test]
fn the_fixed_driver_has_no_racing_initialisation() {
    let races = |driver| {
        let document = posted::scenario(driver, 1, "initial_uses: 3");
        let races = with_forked(&document, |forked| {
            Distance::of(forked, 19_000, (19_000, 19_000)).expect("it runs").races
        });
        let zeroes = |side: &Side| side.what.contains("init_completion zeroes");
        races.iter().filter(|race| race.pair.iter().any(zeroes)).count()
    };
    assert!(races("init-after-post") > 0);
    assert_eq!(races("init-before-post"), 0);
}

/// The moment of an interrupt, the latency of the firmware and that of its message, around a point
/// at which all outcomes meet.
#[test]
fn three_times_make_regions() {
    let document = document("mpt2sas-interrupt-start");
    let swept = [
        ("devices.eth0.at.delay", (930, 1_030)),
        ("devices.ioc0.firmware_latency", (12_008, 12_012)),
        ("devices.ioc0.interrupt_latency", (714, 725)),
    ];
    let param = |(path, (lo, hi)): (&str, (u64, u64))| {
        format!("{path}={lo}cy..{hi}cy").parse::<Param>().expect("a range")
    };
    let params = swept.map(param);
    let options = RunOptions { until_decided: true, ..RunOptions::default() };
    let subject = Subject { document: &document, files: &NoFiles, params: &params, options };
    let area = Area::new(&swept.map(|(_, range)| range));
    let forked = Forked::new(subject, area.lowest()).expect("it boots").expect("times of devices");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let mut cover = Cover::new(area).expect("few rows");
    let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
    cover.complete(&forked, &pool, &mut take).expect("no run breaks off");
    assert!(cover.work().0 < 1_000, "{} tiles for {} points", cover.work().0, area.points());

    let random = |decide: &dyn Decide, count: usize| {
        let points = Points::random(area, count, 11);
        let judgement = compare(&cover, decide, &points, &pool, &mut |_| ()).expect("it runs");
        assert_eq!((judgement.points, judgement.undecided), (count as u64, 0));
        assert_eq!(judgement.mismatches, []);
    };
    random(&forked, 400);
    random(&Brute(subject), 4);

    let map = Map::new(&cover);
    let areas = map.areas();
    let mut words: Vec<_> =
        areas.iter().map(|(v, _)| v.map(|v| (v.finding.as_str(), v.lock_word))).collect();
    words.sort();
    let wanted = [
        ("lock-corrupted", Some(0x0001_0001)),
        ("lock-corrupted", Some(0x0001_0004)),
        ("lost-completion", None),
        ("ok", None),
    ];
    assert_eq!(words, wanted.map(Some), "{:?}", map.regions);
    assert_eq!(areas.iter().map(|(_, area)| area).sum::<u128>(), area.points());
    // For a given interrupt one of the outcomes has one cycle only of the firmware's latency and
    // that of its message together: a diagonal, the cells of which are apart.
    let narrow = map
        .regions
        .iter()
        .filter(|region| region.verdict.as_ref().is_some_and(|v| v.lock_word == Some(0x0001_0004)));
    let narrow: Vec<_> = narrow.collect();
    assert!(narrow.len() >= 5, "{narrow:?}");
    for region in narrow {
        assert!(region.ranges[1].0 == region.ranges[1].1, "{region:?}");
        assert!(region.ranges[2].0 == region.ranges[2].1, "{region:?}");
    }
}
