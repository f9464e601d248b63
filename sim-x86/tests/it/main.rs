//! Whole machines running small programs.

mod guest;
mod home;
mod litmus;
mod locks;
mod skipping;
mod snapshots;
