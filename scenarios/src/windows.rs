//! Exact windows: for every value of a range, what the scenario comes to.
//!
//! A [`Decide`] runs one value and says how far its answer holds: a [`Tile`]. Everything above it
//! only puts tiles together, so its results are as exact as the tiles are, whoever makes them.

pub mod tile;

pub use tile::{Bound, Decide, Side, Tile, Verdict};
