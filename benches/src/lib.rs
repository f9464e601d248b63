//! What the benchmarks run: small machines in full swing, and the floor to compare them with.

pub mod floor;
pub mod programs;
