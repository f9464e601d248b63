//! Whole machines running small programs.

mod guest;
mod litmus;
mod locks;
mod perturb;
mod skipping;
mod snapshots;
