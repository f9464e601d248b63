//! Whole machines running small programs.

mod guest;
mod home;
mod litmus;
mod locks;
mod perturb;
mod scale;
mod skipping;
mod snapshots;
mod vectors;
