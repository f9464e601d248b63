//! The memory system: RAM, private caches, store buffers, and the home agent that keeps them
//! coherent.
//!
//! RAM holds *the* value of every byte; caches hold tags and states only. That is exact because
//! the protocol gives at most one core permission to write a line at a time, and no core
//! permission to read it meanwhile.

pub mod cache;
pub mod home;
pub mod l3;
pub mod ram;
pub mod store_buffer;
