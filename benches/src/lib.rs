//! What the benchmarks run: small machines in full swing, the catalogue's lockup, the event queue,
//! and the floor to compare with.

pub mod floor;
pub mod hold;
pub mod lockup;
pub mod programs;
pub mod workloads;
