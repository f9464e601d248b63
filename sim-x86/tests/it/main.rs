//! Whole machines running small programs.

mod guest;
mod litmus;
mod locks;
mod skipping;
mod snapshots;
mod vectors;
