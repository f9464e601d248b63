//! Exact windows: for every value of a range, what the scenario comes to.
//!
//! A [`Decide`] runs one value and says how far its answer holds: a [`Tile`]. Everything above it
//! only puts tiles together, so its results are as exact as the tiles are, whoever makes them.
//! [`Cover`] asks for tiles until every value is known; [`Table`] has the windows of one
//! parameter, [`Map`] the regions of several. [`odds`] integrates a distribution over the windows,
//! [`monte_carlo`] estimates the same by sampling, [`judge`] compares with single runs.
//! [`flip`] proves which order of two accesses makes an edge; [`Distance`] says how far one value is
//! from the next window.

mod brute;
mod cover;
mod distance;
pub mod flip;
mod forked;
pub mod judge;
mod map;
pub mod monte_carlo;
pub mod odds;
mod pieces;
mod shadow;
mod swept;
mod table;
pub mod tile;

use crate::sweep::SweepError;

pub use brute::{Brute, Subject};
pub use cover::{Area, Cover, CoverError};
pub use distance::{Distance, Near, Racing};
pub use forked::Forked;
pub use map::{Block, Map, Region};
pub use sim_x86::tile::pace::VALUES;
pub use table::{Edge, Table, Window};
pub use tile::{Bound, Decide, Point, Side, Tile, Verdict, point};

/// What decides the points of a sweep that begins at `at`: tracked forks if the parameters are
/// times that these follow and a decided outcome is enough, else runs of single points.
///
/// # Errors
/// If the scenario does not take the values, or does not boot.
pub fn decider(subject: Subject<'_>, at: Point) -> Result<Box<dyn Decide + '_>, SweepError> {
    if subject.options.until_decided
        && let Some(forked) = Forked::new(subject, at)?
    {
        return Ok(Box::new(forked));
    }
    Ok(Box::new(Brute(subject)))
}

#[cfg(test)]
mod toy;
