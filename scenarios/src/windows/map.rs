//! Two parameters: which points lead to what, as rectangles and as connected regions.

use super::cover::{Area, Cover};
use super::table::verdict_fields;
use super::tile::Verdict;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Points with one verdict: the same interval of the first parameter for neighbouring values of
/// the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rectangle {
    /// First and last value of the first parameter.
    pub first: (u64, u64),
    /// First and last value of the second parameter.
    pub second: (u64, u64),
    /// Index of its region in [`Map::regions`].
    pub region: usize,
}

impl Rectangle {
    /// Number of points.
    #[must_use]
    pub fn area(&self) -> u128 {
        super::pieces::width(self.first.0, self.first.1)
            * super::pieces::width(self.second.0, self.second.1)
    }
}

/// Points with one verdict that are connected: side by side, not just at a corner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// What they lead to; `None`: undecided.
    pub verdict: Option<Verdict>,
    /// Number of points.
    pub area: u128,
    /// Least and greatest value of the first parameter.
    pub first: (u64, u64),
    /// Least and greatest value of the second parameter.
    pub second: (u64, u64),
    /// A point of it: of its lowest second values the one with the lowest first.
    pub witness: [u64; 2],
}

impl Region {
    /// The finding; `undecided` if there is none.
    #[must_use]
    pub fn finding(&self) -> &str {
        self.verdict.as_ref().map_or("undecided", |verdict| &verdict.finding)
    }
}

/// What every point of a rectangle leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The whole.
    pub area: Area,
    /// All of it that is known, by their lowest second, then their lowest first value.
    pub rectangles: Vec<Rectangle>,
    /// The regions, by their witnesses in the same order.
    pub regions: Vec<Region>,
}

impl Map {
    /// Puts together what is known.
    #[must_use]
    pub fn new(cover: &Cover) -> Self {
        let (mut parts, links) = parts(cover);
        // Everything by its place, so that how it was found does not show.
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&i| (parts[i].rectangle.second.0, parts[i].rectangle.first.0));
        let roots = roots(parts.len(), &links);
        let mut regions: Vec<Region> = Vec::new();
        let mut numbers = vec![None; parts.len()];
        for &i in &order {
            let verdict = &cover.verdicts[parts[i].class];
            let number = *numbers[roots[i]].get_or_insert_with(|| {
                regions.push(Region::at(&parts[i].rectangle, verdict.clone()));
                regions.len() - 1
            });
            regions[number].add(&parts[i].rectangle);
            parts[i].rectangle.region = number;
        }
        let rectangles = order.into_iter().map(|i| parts[i].rectangle.clone()).collect();
        Map { area: cover.area(), rectangles, regions }
    }

    /// Area of each verdict, in the order of the regions.
    #[must_use]
    pub fn areas(&self) -> Vec<(Option<&Verdict>, u128)> {
        let mut areas: Vec<(Option<&Verdict>, u128)> = Vec::new();
        for region in &self.regions {
            let verdict = region.verdict.as_ref();
            match areas.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, area)) => *area += region.area,
                None => areas.push((verdict, region.area)),
            }
        }
        areas
    }

    /// The rectangles as CSV, the same bytes for the same map.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = "lo,hi,second_lo,second_hi,finding,cpu,lock_word,cause,region\n".to_owned();
        for Rectangle { first, second, region } in &self.rectangles {
            let fields = verdict_fields(self.regions[*region].verdict.as_ref());
            let (lo, hi) = first;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{lo},{hi},{},{},{fields},{region}", second.0, second.1);
        }
        text
    }
}

impl Region {
    /// A region without points yet; `rectangle` is its lowest.
    fn at(rectangle: &Rectangle, verdict: Option<Verdict>) -> Self {
        let Rectangle { first, second, .. } = *rectangle;
        Region { verdict, area: 0, first, second, witness: [first.0, second.0] }
    }

    fn add(&mut self, rectangle: &Rectangle) {
        self.area += rectangle.area();
        self.first.0 = self.first.0.min(rectangle.first.0);
        self.first.1 = self.first.1.max(rectangle.first.1);
        self.second.1 = self.second.1.max(rectangle.second.1);
    }
}

/// A rectangle that may still grow.
struct Part {
    rectangle: Rectangle,
    class: usize,
}

/// The rectangles of a cover, and which of them touch.
fn parts(cover: &Cover) -> (Vec<Part>, Vec<(usize, usize)>) {
    let (mut parts, mut links) = (Vec::<Part>::new(), Vec::new());
    // Of the row below, in ascending order.
    let mut below: Vec<usize> = Vec::new();
    for (row, second) in cover.rows.iter().zip(cover.area().second.0..) {
        let mut current = Vec::new();
        for piece in row.pieces() {
            let start = below.partition_point(|&i| parts[i].rectangle.first.1 < piece.lo);
            let near = below[start..].iter().copied();
            let near = near.take_while(|&i| parts[i].rectangle.first.0 <= piece.hi);
            let near: Vec<usize> = near.filter(|&i| parts[i].class == piece.class).collect();
            let first = (piece.lo, piece.hi);
            if let [same] = near[..]
                && parts[same].rectangle.first == first
            {
                parts[same].rectangle.second.1 = second;
                current.push(same);
                continue;
            }
            links.extend(near.into_iter().map(|i| (i, parts.len())));
            current.push(parts.len());
            let rectangle = Rectangle { first, second: (second, second), region: 0 };
            parts.push(Part { rectangle, class: piece.class });
        }
        below = current;
    }
    (parts, links)
}

/// For each of `count` parts, one part that stands for all that it is linked with.
fn roots(count: usize, links: &[(usize, usize)]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..count).collect();
    fn find(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for &(a, b) in links {
        let (a, b) = (find(&mut parent, a), find(&mut parent, b));
        parent[b] = a;
    }
    (0..count).map(|i| find(&mut parent, i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::cover::CoverError;
    use crate::windows::tile::{Decide, Tile};
    use crate::windows::toy::{Toy, pool};

    fn map(toy: &Toy, area: Area, jobs: usize) -> Map {
        let mut cover = Cover::new(area).expect("few rows");
        let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
        cover.complete(toy, &pool(jobs), &mut take).expect("no errors");
        Map::new(&cover)
    }

    const AREA: Area = Area { first: (0, 50), second: (10, 40) };

    #[test]
    fn a_straight_edge_makes_two_rectangles() {
        let map = map(&Toy::plane(&[([1, 0], 19)]), AREA, 1);
        let found: Vec<_> = map.rectangles.iter().map(|r| (r.first, r.second)).collect();
        assert_eq!(found, [((0, 19), (10, 40)), ((20, 50), (10, 40))]);
        assert_eq!(map.regions[1].witness, [20, 10]);
        assert_eq!(map.regions[0].area, 20 * 31);
        let second = "20,50,10,40,hard-lockup,18,0x00000001,lock-corrupted,1";
        assert_eq!(map.csv().lines().nth(2), Some(second));
    }

    #[test]
    fn regions_are_connected_and_areas_add_up() {
        // An X: left and right are beyond one line each, top beyond both, bottom beyond none.
        let toy = Toy::plane(&[([1, -1], 0), ([-1, -1], -50)]);
        let map = map(&toy, AREA, 2);
        let beyond_one =
            map.areas().iter().find(|(v, _)| v.is_some_and(|v| v.cause.is_some())).map(|a| a.1);
        let one: Vec<_> = map
            .regions
            .iter()
            .filter(|r| r.verdict.as_ref().is_some_and(|v| v.cause.is_some()))
            .collect();
        assert_eq!(one.len(), 2, "{:?}", map.regions);
        assert_eq!(Some(one[0].area + one[1].area), beyond_one);
        assert_eq!(map.areas().iter().map(|a| a.1).sum::<u128>(), AREA.points());
        for rectangle in &map.rectangles {
            for at in
                [[rectangle.first.0, rectangle.second.0], [rectangle.first.1, rectangle.second.1]]
            {
                let alone = toy.judge(at).expect("it can be run");
                assert_eq!(map.regions[rectangle.region].verdict, alone, "{at:?}");
            }
        }
    }

    #[test]
    fn the_size_of_tiles_does_not_show() {
        let lines = [([3, 1], 80), ([-1, 2], 30), ([0, 1], 20)];
        let whole = map(&Toy::plane(&lines), AREA, 1);
        assert_eq!(map(&Toy::plane(&lines).reaching(5), AREA, 2), whole);
        assert_eq!(map(&Toy::plane(&lines).reaching(1), AREA, 1).csv(), whole.csv());
    }
}
