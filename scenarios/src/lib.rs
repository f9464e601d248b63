//! Scenario language, guest kernel, runs, sweeps, diagnosis.

pub mod backtrace;
pub mod bounded;
pub mod collect;
pub mod completions;
pub mod console;
pub mod diagnosis;
pub mod diagnostics;
pub mod dwarf;
pub mod guest_memory;
pub mod investigate;
pub mod locks;
pub mod names;
pub mod propagation;
pub mod report;
pub mod schema;
pub mod symbols;
pub mod tasks;
pub mod timeline;
pub mod tree;
pub mod units;
pub mod waits;
