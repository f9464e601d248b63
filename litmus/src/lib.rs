//! Litmus tests of the memory order, run as machine code on the simulated machine.
//!
//! A *litmus test* (Alglave, Maranget, Sarkar, Sewell: Litmus: running tests against hardware,
//! TACAS 2011) is a handful of instructions for a few threads, and a question about the final
//! state. [`parse`](parse::parse) reads it, [`runner`] assembles it and runs it under many timings,
//! [`model`] computes every state that x86-TSO allows, and [`judge`] compares the two.

pub mod assemble;
pub mod condition;
pub mod expected;
pub mod herd;
pub mod judge;
pub mod model;
pub mod parse;
pub mod program;
pub mod rig;
pub mod runner;
pub mod timing;
