use super::*;
use crate::windows::cover::CoverError;
use crate::windows::tile::{Decide, Tile, point};
use crate::windows::toy::{Toy, pool};

fn map(toy: &Toy, area: Area, jobs: usize) -> Map {
    let mut cover = Cover::new(area).expect("few rows");
    let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
    cover.complete(toy, &pool(jobs), &mut take).expect("no errors");
    Map::new(&cover)
}

/// Areas add up, every corner of a block is as it is on its own, and regions have their blocks.
fn assert_right(toy: &Toy, map: &Map) {
    assert_eq!(map.areas().iter().map(|a| a.1).sum::<u128>(), map.area.points());
    let mut areas = vec![0; map.regions.len()];
    for block in &map.blocks {
        areas[block.region] += block.area();
        // Bit i says which end of axis i.
        for corner in 0..1 << VALUES {
            let end = |axis: usize| {
                let (lo, hi) = block.ranges[axis];
                if corner >> axis & 1 == 0 { lo } else { hi }
            };
            let at = std::array::from_fn(end);
            let alone = toy.judge(at).expect("it can be run");
            assert_eq!(map.regions[block.region].verdict, alone, "{at:?}");
        }
    }
    let regions = map.regions.iter().zip(&areas);
    assert!(regions.into_iter().all(|(region, area)| region.area == *area));
}

const PLANE: [(u64, u64); 2] = [(0, 50), (10, 40)];

#[test]
fn a_straight_edge_makes_two_rectangles() {
    let map = map(&Toy::space(&[([1, 0], 19)]), Area::new(&PLANE), 1);
    let found: Vec<_> = map.blocks.iter().map(|block| (block.ranges[0], block.ranges[1])).collect();
    assert_eq!(found, [((0, 19), (10, 40)), ((20, 50), (10, 40))]);
    assert_eq!(map.regions[1].witness, point(&[20, 10]));
    assert_eq!(map.regions[0].area, 20 * 31);
    let second = "20,50,10,40,hard-lockup,18,0x00000001,lock-corrupted,1";
    assert_eq!(map.csv().lines().nth(2), Some(second));
}

/// Regions of points beyond just one of the toy's lines.
fn with_a_cause(map: &Map) -> Vec<&Region> {
    let has = |region: &&Region| region.verdict.as_ref().is_some_and(|v| v.cause.is_some());
    map.regions.iter().filter(has).collect()
}

#[test]
fn regions_are_connected_and_areas_add_up() {
    // An X: left and right are beyond one line each, top beyond both, bottom beyond none.
    let toy = Toy::space(&[([1, -1], 0), ([-1, -1], -50)]);
    let map = map(&toy, Area::new(&PLANE), 2);
    let beyond_one =
        map.areas().iter().find(|(v, _)| v.is_some_and(|v| v.cause.is_some())).map(|a| a.1);
    let one = with_a_cause(&map);
    assert_eq!(one.len(), 2, "{:?}", map.regions);
    assert_eq!(Some(one[0].area + one[1].area), beyond_one);
    assert_eq!(map.areas().iter().map(|a| a.1).sum::<u128>(), Area::new(&PLANE).points());
    assert_right(&toy, &map);
}

#[test]
fn the_size_of_tiles_does_not_show() {
    let lines = [([3, 1], 80), ([-1, 2], 30), ([0, 1], 20)];
    let whole = map(&Toy::space(&lines), Area::new(&PLANE), 1);
    assert_eq!(map(&Toy::space(&lines).reaching(5), Area::new(&PLANE), 2), whole);
    assert_eq!(map(&Toy::space(&lines).reaching(1), Area::new(&PLANE), 1).csv(), whole.csv());
}

const SPACE: [(u64, u64); 3] = [(0, 60), (5, 20), (3, 15)];

#[test]
fn a_space_is_covered_by_few_tiles() {
    let toy = Toy::space(&[([1, 1, 0], 40), ([1, -2, 3], 50), ([0, 1, 1], 26), ([0, 0, -1], -9)]);
    let map = map(&toy, Area::new(&SPACE), 2);
    assert_right(&toy, &map);
    assert!(toy.runs() < 150, "{} runs for {} points", toy.runs(), map.area.points());
}

#[test]
fn regions_are_connected_along_the_third_parameter() {
    let toy = Toy::space(&[([0, 0, 1], 8), ([1, 0, 0], 20)]);
    let map = map(&toy, Area::new(&SPACE), 1);
    assert_right(&toy, &map);
    // Beyond one line only: the first or the third value is large. Corners do not connect.
    let one = with_a_cause(&map);
    assert_eq!(one.len(), 2, "{:?}", map.regions);
    assert_eq!(map.blocks.len(), 4);
    assert_eq!(one[0].ranges[..3], [(21, 60), (5, 20), (3, 8)]);
    assert_eq!(one[1].ranges[..3], [(0, 20), (5, 20), (9, 15)]);
    assert_eq!(one[1].witness, point(&[0, 5, 9]));

    // Two parts that are apart wherever the third value is 10 at most, and one above that. It
    // reaches over both, so that it touches them along the third axis and nowhere else.
    let both = ([0, 0, -1], -100);
    let (left, right, lid) = (([1, 0, 1], 20), ([1, 0, -1], 40), ([0, 0, 1], 10));
    let toy = Toy::space(&[both, both, left, right, right, lid, lid]);
    let joined = self::map(&toy, Area::new(&SPACE), 1);
    assert_right(&toy, &joined);
    let fine = |region: &&Region| region.finding() == "ok";
    let fine: Vec<_> = joined.regions.iter().filter(fine).collect();
    assert_eq!(fine.len(), 1, "{:?}", joined.regions);
    assert_eq!(fine[0].ranges[..3], [(0, 60), (5, 20), (3, 15)]);
    let without: Vec<_> = SPACE[..2].iter().copied().chain([(3, 10)]).collect();
    let apart = self::map(&toy, Area::new(&without), 1);
    assert_eq!(apart.regions.iter().filter(|region| region.finding() == "ok").count(), 2);
}

#[test]
fn the_table_has_columns_for_each_parameter() {
    let three = map(&Toy::space(&[([0, 0, 1], 8)]), Area::new(&SPACE), 1);
    let text = "lo,hi,second_lo,second_hi,third_lo,third_hi,finding,cpu,lock_word,cause,region\n\
                0,60,5,20,3,8,hard-lockup,18,0x00000000,,0\n\
                0,60,5,20,9,15,hard-lockup,18,0x00000001,lock-corrupted,1\n";
    assert_eq!(three.csv(), text);
    let four = map(&Toy::space(&[([0, 1], 8)]), Area::new(&[(0, 9), (1, 9), (2, 9), (3, 9)]), 1);
    assert!(
        four.csv().starts_with("lo,hi,second_lo,second_hi,third_lo,third_hi,fourth_lo,fourth_hi,")
    );
    assert_eq!(four.csv().lines().count(), 1 + 2);
}

#[test]
fn the_size_of_tiles_does_not_show_in_three_and_four_dimensions() {
    let lines = [([1, 1, 0, 2], 40), ([1, -2, 3, 0], 50), ([0, 1, 1, -1], 26), ([2, 0, -1, 1], 60)];
    for area in [Area::new(&SPACE), Area::new(&[(0, 40), (5, 12), (3, 9), (1, 6)])] {
        let whole = map(&Toy::space(&lines), area, 1);
        assert_right(&Toy::space(&lines), &whole);
        for reach in [1, 4] {
            let small = map(&Toy::space(&lines).reaching(reach), area, 2);
            assert!(small == whole, "tiles that reach {reach}");
        }
    }
}
