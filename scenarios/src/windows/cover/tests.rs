use super::*;
use crate::windows::table::Table;
use crate::windows::tile::point;
use crate::windows::toy::{Toy, pool, verdict};

fn cover(toy: &Toy, area: Area, jobs: usize) -> (Cover, Vec<Tile>) {
    let (mut cover, mut tiles) = (Cover::new(area).expect("few rows"), Vec::new());
    let mut take = |tile: &Tile, _| {
        tiles.push(tile.clone());
        Ok::<(), CoverError>(())
    };
    cover.complete(toy, &pool(jobs), &mut take).expect("no errors");
    (cover, tiles)
}

/// Every point as it is on its own.
fn assert_right(toy: &Toy, cover: &Cover) {
    let area = cover.area();
    for row in 0..area.rows() as usize {
        for first in area.first().0..=area.first().1 {
            let at = with_first(area.row(row), first);
            let alone = toy.judge(at).expect("it can be run");
            assert_eq!(cover.verdict(at), Some(alone.as_ref()), "{at:?}");
        }
    }
}

#[test]
fn windows_of_one_value_are_found_in_few_runs() {
    let toy = Toy::line(&[79_251, 79_252, 79_260, 500_000, 500_001]);
    let (cover, tiles) = cover(&toy, Area::line(0, 1_000_000), 2);
    let pieces: Vec<_> = cover.rows[0].pieces().iter().map(|p| (p.lo, p.hi)).collect();
    let wanted = [
        (0, 79_251),
        (79_252, 79_252),
        (79_253, 79_260),
        (79_261, 500_000),
        (500_001, 500_001),
        (500_002, 1_000_000),
    ];
    assert_eq!(pieces, wanted);
    assert!(toy.runs() <= 30, "{} runs", toy.runs());
    assert_eq!(toy.runs(), tiles.len() as u64);
    assert_eq!(cover.work().1, 10 * u128::from(toy.runs()));
}

#[test]
fn neither_threads_nor_the_size_of_tiles_show() {
    let area = Area::line(3, 5_000);
    let ends = [40, 41, 900, 2_000, 2_001, 2_002, 4_999];
    let (whole, tiles) = cover(&Toy::line(&ends), area, 1);
    assert_eq!(tiles, cover(&Toy::line(&ends), area, 3).1);
    for reach in [0, 1, 7, 100] {
        let toy = Toy::line(&ends).reaching(reach);
        let (other, _) = cover(&toy, area, 2);
        assert_right(&toy, &other);
        assert_eq!(Table::new(&other), Table::new(&whole));
    }
}

#[test]
fn a_plane_is_covered_by_polygons() {
    let lines = [([1, 1], 60), ([2, -1], 30), ([-1, 3], 50), ([0, 1], 33), ([1, 0], 20)];
    let area = Area::new(&[(2, 70), (5, 60)]);
    let toy = Toy::space(&lines);
    let (whole, _) = cover(&toy, area, 2);
    assert_right(&toy, &whole);
    assert!(toy.runs() < 80, "{} runs for {} points", toy.runs(), area.points());
    let small = Toy::space(&lines).reaching(4);
    assert_right(&small, &cover(&small, area, 1).0);
}

#[test]
fn the_first_value_of_every_window_is_run() {
    let toy = Toy::line(&[100, 101, 640]).reaching(9);
    let (cover, _) = cover(&toy, Area::line(0, 1_000), 1);
    for start in [101, 102, 641] {
        let pair = cover.lows[&start].as_ref().expect("what changes there");
        assert_eq!(pair[0].what, (start - 1).to_string());
    }
}

#[test]
fn an_error_ends_it_without_losing_what_is_computed() {
    struct Failing(Toy);
    impl Decide for Failing {
        fn decide(&self, at: Point) -> Result<Tile, SweepError> {
            if (400..700).contains(&at[0]) {
                return Err(SweepError::Refused(Box::default()));
            }
            self.0.decide(at)
        }
        fn judge(&self, at: Point) -> Result<Option<Verdict>, SweepError> {
            self.0.judge(at)
        }
        fn alone(&self, at: Point) -> Result<u64, SweepError> {
            self.0.alone(at)
        }
    }
    let failing = Failing(Toy::line(&[10, 20, 30, 800]).reaching(40));
    let (mut cover, mut tiles) = (Cover::new(Area::line(0, 999)).expect("few rows"), 0);
    let mut take = |_: &Tile, _| {
        tiles += 1;
        Ok::<(), CoverError>(())
    };
    let result = cover.complete(&failing, &pool(2), &mut take);
    assert!(matches!(result, Err(CoverError::Sweep(_))), "{result:?}");
    assert_eq!(tiles, failing.0.runs());
    assert_eq!(tiles, cover.work().0);
    assert!(cover.remaining() >= 300);
}

#[test]
fn tiles_that_disagree_are_noticed() {
    let toy = Toy::line(&[100, 500, 501]).too_sure();
    let mut cover = Cover::new(Area::line(0, 1_000)).expect("few rows");
    let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
    let result = cover.complete(&toy, &pool(1), &mut take);
    assert!(matches!(result, Err(CoverError::Clash { .. })), "{result:?}");
}

#[test]
fn undecided_points_stay_undecided() {
    let toy = Toy::line(&[100]).reaching(3).undecided_at(&[7, 8]);
    // Tiles of neighbours must not cover them: the toy's would, so only these two are swept.
    let (cover, _) = cover(&toy, Area::line(7, 8), 1);
    assert_eq!(cover.verdict(point(&[7])), Some(None));
    let mut later = Cover::new(Area::line(0, 9)).expect("few rows");
    assert_eq!(later.verdict(point(&[7])), None);
    later.add(&toy.decide(point(&[7])).expect("a tile")).expect("no clash");
    later.add(&toy.decide(point(&[6])).expect("a tile")).expect("no clash");
    assert_eq!(later.verdict(point(&[7])), Some(Some(&verdict(0))));
}

#[test]
fn parts_make_up_the_whole() {
    for (lo, hi, count) in [(0, 99, 7), (5, 11, 7), (0, u64::MAX, 3), (0, u64::MAX, 1)] {
        let area = Area::line(lo, hi);
        let parts: Vec<Area> = (0..count).filter_map(|i| area.part(i, count)).collect();
        assert_eq!(parts.len() as u64, count);
        assert_eq!((parts[0].first().0, parts[parts.len() - 1].first().1), (lo, hi));
        assert!(parts.windows(2).all(|two| two[0].first().1 + 1 == two[1].first().0), "{parts:?}");
    }
    assert_eq!(Area::line(0, 5).part(0, 7), None);
    assert_eq!(Area::line(0, 5).part(3, 3), None);
    let sizes: Vec<u128> =
        (0..7).filter_map(|i| Area::line(0, 99).part(i, 7)).map(|p| p.points()).collect();
    assert!(sizes.iter().all(|size| (14..=15).contains(size)), "{sizes:?}");
}
