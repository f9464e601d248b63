//! Whole machines running small programs.

mod guest;
mod home;
mod litmus;
mod locks;
mod perturb;
mod replay;
mod skipping;
mod snapshots;
mod vectors;
