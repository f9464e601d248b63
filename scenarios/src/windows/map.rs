//! Two to four parameters: which points lead to what, as blocks and as connected regions.

use super::cover::{Area, Cover};
use super::pieces::{Piece, width};
use super::table::verdict_fields;
use super::tile::{Point, Verdict};
use serde::{Deserialize, Serialize};
use sim_x86::tile::pace::VALUES;
use std::fmt::Write as _;

/// Points with one verdict: an interval of each parameter; of two, a rectangle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// First and last value of each parameter; (0, 0) of those that are not swept.
    pub ranges: [(u64, u64); VALUES],
    /// Index of its region in [`Map::regions`].
    pub region: usize,
}

impl Block {
    /// Names of the columns of each parameter's first and last value.
    pub const COLUMNS: [[&'static str; 2]; VALUES] = [
        ["lo", "hi"],
        ["second_lo", "second_hi"],
        ["third_lo", "third_hi"],
        ["fourth_lo", "fourth_hi"],
    ];

    /// Number of points.
    #[must_use]
    pub fn area(&self) -> u128 {
        self.ranges.iter().map(|&(lo, hi)| width(lo, hi)).product()
    }

    /// The point with the least value of each parameter.
    #[must_use]
    pub fn lowest(&self) -> Point {
        self.ranges.map(|(lo, _)| lo)
    }
}

/// Points with one verdict that are connected: side by side along any parameter, not just at a
/// corner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// What they lead to; `None`: undecided.
    pub verdict: Option<Verdict>,
    /// Number of points.
    pub area: u128,
    /// Least and greatest value of each parameter.
    pub ranges: [(u64, u64); VALUES],
    /// A point of it: the one with the lowest value of the last parameter, of several the one with
    /// the lowest value of the parameter before it, and so on.
    pub witness: Point,
}

impl Region {
    /// The finding; `undecided` if there is none.
    #[must_use]
    pub fn finding(&self) -> &str {
        self.verdict.as_ref().map_or("undecided", |verdict| &verdict.finding)
    }
}

/// What every point of an area leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The whole.
    pub area: Area,
    /// All of it that is known, by the least values of the last parameter, then those of the one
    /// before it, and so on.
    pub blocks: Vec<Block>,
    /// The regions, by their witnesses in the same order.
    pub regions: Vec<Region>,
}

impl Map {
    /// Puts together what is known.
    #[must_use]
    pub fn new(cover: &Cover) -> Self {
        let mut links = Links::new(cover);
        let mut parts = parts(cover, &links, VALUES - 1, 0);
        // Everything by its place, so that how it was found does not show.
        parts.sort_by_key(|part| backwards(part.block.lowest()));
        let mut regions: Vec<Region> = Vec::new();
        let mut numbers = vec![None; links.parent.len()];
        let mut number = |Part { mut block, class, piece }: Part| {
            let number = *numbers[links.root(piece)].get_or_insert_with(|| {
                regions.push(Region::at(&block, cover.verdicts[class].clone()));
                regions.len() - 1
            });
            regions[number].add(&block);
            block.region = number;
            block
        };
        let blocks = parts.into_iter().map(&mut number).collect();
        Map { area: cover.area(), blocks, regions }
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

    /// The blocks as CSV, the same bytes for the same map.
    #[must_use]
    pub fn csv(&self) -> String {
        let axes = self.area.ranges().len();
        let names = Block::COLUMNS[..axes].iter().map(|[lo, hi]| format!("{lo},{hi},"));
        let mut text = names.collect::<String>() + "finding,cpu,lock_word,cause,region\n";
        for Block { ranges, region } in &self.blocks {
            for (lo, hi) in &ranges[..axes] {
                // Writing to a string cannot fail.
                let _ = write!(text, "{lo},{hi},");
            }
            let fields = verdict_fields(self.regions[*region].verdict.as_ref());
            let _ = writeln!(text, "{fields},{region}");
        }
        text
    }
}

impl Region {
    /// A region without points yet; `block` is its lowest.
    fn at(block: &Block, verdict: Option<Verdict>) -> Self {
        Region { verdict, area: 0, ranges: block.ranges, witness: block.lowest() }
    }

    fn add(&mut self, block: &Block) {
        self.area += block.area();
        for (all, (lo, hi)) in self.ranges.iter_mut().zip(block.ranges) {
            *all = (all.0.min(lo), all.1.max(hi));
        }
    }
}

/// What points are sorted by.
fn backwards(mut at: Point) -> Point {
    at.reverse();
    at
}

/// A block that may still grow.
struct Part {
    block: Block,
    class: usize,
    /// A piece in it.
    piece: usize,
}

/// The blocks of a slice of a cover, by their ranges: all values of the parameters up to `axis`,
/// from `row` on.
///
/// Neighbouring slices along an axis are merged where both have the same block. This begins with
/// the first axes, whose slices follow from the outcomes alone.
fn parts(cover: &Cover, links: &Links, axis: usize, row: usize) -> Vec<Part> {
    let area = cover.area();
    if axis == 0 {
        let ranges = area.row(row).map(|value| (value, value));
        let part = |(i, piece): (usize, &Piece)| {
            let mut ranges = ranges;
            ranges[0] = (piece.lo, piece.hi);
            let block = Block { ranges, region: 0 };
            Part { block, class: piece.class, piece: links.starts[row] + i }
        };
        return cover.rows[row].pieces().iter().enumerate().map(part).collect();
    }
    let (step, mut all) = (area.step(axis), Vec::<Part>::new());
    // Those of the slice below, by their ranges.
    let mut below: Vec<usize> = Vec::new();
    for slice in 0..area.width(axis) as usize {
        let mut current = Vec::new();
        for part in parts(cover, links, axis - 1, row + slice * step) {
            let before = |i: &usize| all[*i].block.ranges[..axis].cmp(&part.block.ranges[..axis]);
            let same = below.binary_search_by(before).ok().map(|at| below[at]);
            if let Some(same) = same.filter(|&same| all[same].class == part.class) {
                all[same].block.ranges[axis].1 = part.block.ranges[axis].1;
                current.push(same);
            } else {
                current.push(all.len());
                all.push(part);
            }
        }
        below = current;
    }
    all.sort_by_key(|part| part.block.ranges);
    all
}

/// Which pieces of rows are connected.
struct Links {
    /// Number of the first piece of each row.
    starts: Vec<usize>,
    /// For each piece, itself or another one that it is connected with.
    parent: Vec<usize>,
}

impl Links {
    fn new(cover: &Cover) -> Self {
        let (mut starts, mut count) = (Vec::with_capacity(cover.rows.len()), 0);
        for row in &cover.rows {
            starts.push(count);
            count += row.pieces().len();
        }
        let mut links = Links { starts, parent: (0..count).collect() };
        let area = cover.area();
        for axis in 1..VALUES {
            let (step, width) = (area.step(axis), area.width(axis) as usize);
            let follows = |row: &usize| !(row / step).is_multiple_of(width);
            for row in (0..cover.rows.len()).filter(follows) {
                links.join(cover, row - step, row);
            }
        }
        links
    }

    /// Connects what touches in two neighbouring rows.
    fn join(&mut self, cover: &Cover, first: usize, second: usize) {
        let [a, b] = [first, second].map(|row| cover.rows[row].pieces());
        let (mut i, mut j) = (0, 0);
        while let (Some(left), Some(right)) = (a.get(i), b.get(j)) {
            if left.class == right.class && left.lo <= right.hi && right.lo <= left.hi {
                let left = self.root(self.starts[first] + i);
                let right = self.root(self.starts[second] + j);
                self.parent[right] = left;
            }
            if left.hi < right.hi {
                i += 1;
            } else {
                j += 1;
            }
        }
    }

    /// The piece that stands for all that a piece is connected with.
    fn root(&mut self, mut piece: usize) -> usize {
        while self.parent[piece] != piece {
            self.parent[piece] = self.parent[self.parent[piece]];
            piece = self.parent[piece];
        }
        piece
    }
}

#[cfg(test)]
mod tests;
