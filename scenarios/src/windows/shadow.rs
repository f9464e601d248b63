//! Which values of the parameters after the first a tile reaches.
//!
//! A tile is cut out of the space of all parameters by its bounds. Its *shadow* on the later axes
//! has the points above which there is something of the tile. Eliminating one axis after the other
//! (Fourier and Motzkin) gives, for each axis, what bounds it whatever the axes before it are; so
//! rows can be listed from the last axis to the second without looking at those that the tile is
//! far from.
//!
//! A shadow may be too large, between whole numbers and where limits are left out: the rows that it
//! names are looked at one by one, so that costs time and nothing else. It is never too small.

use super::cover::Area;
use super::tile::{Point, Tile, difference};
use sim_x86::tile::pace::VALUES;
use std::collections::BTreeMap;

/// Limits of one shadow at most.
const MOST_LIMITS: usize = 500;
/// Factors and slacks at most: far below where sums of their products could overflow.
const MOST_FACTOR: i128 = 1 << 40;
const MOST_SLACK: i128 = 1 << 120;
/// Farther than one value can be from another.
const BEYOND: i128 = 1 << 66;

/// Distances from a tile's point along each axis, or factors of these.
pub(super) type Offset = [i128; VALUES];

/// `direction · offset ≤ slack`.
pub(super) type Limit = (Offset, i128);

/// The least and greatest offset along `axis` that all limits allow within `frame`, where the
/// offsets along the other axes are those of `offset`; `None` if there is none.
pub(super) fn reach(
    limits: impl Iterator<Item = Limit>,
    axis: usize,
    offset: &Offset,
    frame: (i128, i128),
) -> Option<(i128, i128)> {
    let (mut least, mut most) = frame;
    for (direction, slack) in limits {
        let others = (0..VALUES).filter(|&other| other != axis);
        let slack = slack - others.map(|other| direction[other] * offset[other]).sum::<i128>();
        match direction[axis] {
            0 if slack < 0 => return None,
            0 => {}
            up @ 1.. => most = most.min(slack.div_euclid(up)),
            down => least = least.max(-slack.div_euclid(-down)),
        }
    }
    (least <= most).then_some((least, most))
}

/// The shadows of the part of a tile that is in an area.
#[derive(Debug)]
pub(super) struct Shadow {
    at: Point,
    /// Least and greatest offset along each axis.
    frame: [(i128, i128); VALUES],
    /// What bounds the offsets along each axis and those after it.
    limits: [Limits; VALUES],
    /// The last axis along which the area has more than one value.
    last: usize,
}

impl Shadow {
    pub(super) fn new(tile: &Tile, area: &Area) -> Self {
        let end = |value: u64, axis: usize| difference(value, tile.at[axis]);
        let frame = std::array::from_fn(|axis| {
            let (lo, hi) = area.range(axis);
            (end(lo, axis), end(hi, axis))
        });
        let wide = (0..VALUES).rev().find(|&axis| frame[axis].0 < frame[axis].1);
        let last = wide.unwrap_or(0);
        let mut shadow = Shadow { at: tile.at, frame, limits: Default::default(), last };
        // One row needs no shadow.
        if last > 0 {
            for limit in tile.limits() {
                shadow.add(0, limit);
            }
        }
        for axis in 0..last {
            shadow.eliminate(axis);
        }
        shadow
    }

    /// Calls `take` for every row that the tile may reach, with a point of the row.
    pub(super) fn rows<E>(&self, take: &mut dyn FnMut(Point) -> Result<(), E>) -> Result<(), E> {
        if self.frame.iter().any(|(least, most)| least > most) {
            return Ok(());
        }
        self.walk(self.last, &mut self.frame.map(|(least, _)| least), take)
    }

    fn walk<E>(
        &self,
        axis: usize,
        offset: &mut Offset,
        take: &mut dyn FnMut(Point) -> Result<(), E>,
    ) -> Result<(), E> {
        if axis == 0 {
            // All offsets are within the area's frame.
            let value = |axis: usize| (i128::from(self.at[axis]) + offset[axis]) as u64;
            return take(std::array::from_fn(value));
        }
        let Some((least, most)) = reach(self.limits[axis].iter(), axis, offset, self.frame[axis])
        else {
            return Ok(());
        };
        for value in least..=most {
            offset[axis] = value;
            self.walk(axis - 1, offset, take)?;
        }
        Ok(())
    }

    /// Adds a limit of the axes from `axis` on, if it says more than the frame does.
    fn add(&mut self, axis: usize, (direction, slack): Limit) {
        let Some((direction, slack)) = smallest(direction, slack) else { return };
        let mut along = (0..VALUES).filter(|&axis| direction[axis] != 0);
        if let (Some(one), None) = (along.next(), along.next()) {
            let (least, most) = &mut self.frame[one];
            let slack = slack.clamp(-BEYOND, BEYOND);
            if direction[one] > 0 {
                *most = (*most).min(slack);
            } else {
                *least = (*least).max(-slack);
            }
            return;
        }
        let farthest = |(factor, (least, most)): (&i128, &(i128, i128))| {
            factor * if *factor > 0 { most } else { least }
        };
        if direction.iter().zip(&self.frame).map(farthest).sum::<i128>() > slack {
            self.limits[axis].add(direction, slack);
        }
    }

    /// Finds what bounds the axes after `axis`, whatever the offset along it is.
    fn eliminate(&mut self, axis: usize) {
        let mut limits: Vec<Limit> = self.limits[axis].iter().collect();
        let along = |factor: i128| std::array::from_fn(|i| if i == axis { factor } else { 0 });
        let (least, most) = self.frame[axis];
        limits.extend([(along(1), most), (along(-1), -least)]);
        for limit in limits.iter().filter(|(direction, _)| direction[axis] == 0) {
            self.add(axis + 1, *limit);
        }
        let upper = limits.iter().filter(|(direction, _)| direction[axis] > 0);
        for (up, most) in upper {
            for (down, least) in limits.iter().filter(|(direction, _)| direction[axis] < 0) {
                let (times, other) = (-down[axis], up[axis]);
                let direction = std::array::from_fn(|i| up[i] * times + down[i] * other);
                let most = most.checked_mul(times);
                let slack = most.zip(least.checked_mul(other));
                if let Some(slack) = slack.and_then(|(most, least)| most.checked_add(least)) {
                    self.add(axis + 1, (direction, slack));
                }
            }
        }
    }
}

/// The same limit with the smallest factors; `None` if it says nothing, or if they are too large.
fn smallest(direction: Offset, slack: i128) -> Option<Limit> {
    let common = direction.iter().fold(0, |common, &factor| divisor(common, factor.abs()));
    if common == 0 {
        // Either it always holds, or the tile is not in the area, which its rows will say.
        return None;
    }
    let (direction, slack) = (direction.map(|factor| factor / common), slack.div_euclid(common));
    let small = direction.iter().all(|factor| factor.abs() <= MOST_FACTOR);
    (small && slack.abs() <= MOST_SLACK).then_some((direction, slack))
}

/// The greatest common divisor.
fn divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// The tightest limit of each direction.
#[derive(Debug, Default)]
struct Limits(BTreeMap<Offset, i128>);

impl Limits {
    fn iter(&self) -> impl Iterator<Item = Limit> {
        self.0.iter().map(|(direction, slack)| (*direction, *slack))
    }

    fn add(&mut self, direction: Offset, slack: i128) {
        let room = self.0.len() < MOST_LIMITS;
        if let Some(known) = self.0.get_mut(&direction) {
            *known = slack.min(*known);
        } else if room {
            self.0.insert(direction, slack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::tile::{Bound, point};
    use sim_core::Stream;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    fn rows(tile: &Tile, area: &Area) -> BTreeSet<Point> {
        let mut rows = BTreeSet::new();
        let mut take = |mut row: Point| {
            row[0] = 0;
            assert!(rows.insert(row), "{row:?} comes twice");
            Ok::<(), Infallible>(())
        };
        let Ok(()) = Shadow::new(tile, area).rows(&mut take);
        rows
    }

    /// A tile with random bounds of small numbers.
    fn tile(stream: &mut Stream, at: Point) -> Tile {
        let bound = |stream: &mut Stream| Bound {
            direction: std::array::from_fn(|_| stream.between(0, 4) as i16 - 2),
            slack: stream.between(0, 12),
            pair: None,
        };
        let bounds = (0..stream.between(1, 14)).map(|_| bound(stream)).collect();
        Tile { at, bounds, verdict: None, cycles: 0 }
    }

    #[test]
    fn no_row_is_missing_and_few_are_too_many() {
        let area = Area::new(&[(10, 30), (5, 14), (0, 8), (3, 9)]);
        let (mut stream, mut reached, mut named) = (Stream::new(5, "shadow"), 0, 0);
        for _ in 0..300 {
            // Also from another shard: the first value may lie outside of the area.
            let at = [stream.between(0, 40), stream.between(5, 14), stream.between(0, 8), 6];
            let tile = tile(&mut stream, at);
            let rows = rows(&tile, &area);
            named += rows.len();
            for index in 0..area.rows() as usize {
                let mut row = area.row(index);
                let interval = tile.row(row).filter(|&(lo, hi)| lo <= 30 && hi >= 10);
                row[0] = 0;
                reached += usize::from(interval.is_some());
                assert!(interval.is_none() || rows.contains(&row), "{row:?} of {tile:?}");
            }
        }
        assert!(named < reached + reached / 5, "{named} rows named, {reached} reached");
    }

    #[test]
    fn a_small_tile_in_a_large_area_takes_few_steps() {
        let area = Area::new(&[(0, 1_000_000), (0, 1_999), (0, 1_999)]);
        let mut thin = Tile { at: [5_000, 70, 900, 0], bounds: vec![], verdict: None, cycles: 0 };
        // The second and the third value move against each other along a thin diagonal.
        for direction in [[0, 1, 1, 0], [0, -1, -1, 0], [1, 1, 0, 0], [-1, -1, 0, 0], [1, 0, 0, 0]]
        {
            thin.bounds.push(Bound { direction, slack: 0, pair: None });
        }
        let rows = rows(&thin, &area);
        assert_eq!(rows.len(), 901, "the second value from 70 to 970");
        assert!(rows.contains(&point(&[0, 970, 0])));
    }
}
