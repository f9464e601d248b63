//! Whole machines running small programs.

mod carrying;
mod guest;
mod home;
mod litmus;
mod locks;
mod perturb;
mod replaying;
mod scale;
mod skipping;
mod snapshots;
mod vectors;
