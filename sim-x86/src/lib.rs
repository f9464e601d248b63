//! A cycle-level x86-64 multicore machine as a value.

pub mod core;
pub mod dev;
pub mod exec;
pub mod ids;
pub mod op;
pub mod spec;
pub mod trace;
