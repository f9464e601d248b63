//! A cycle-level x86-64 multicore machine as a value.

pub mod core;
pub mod dev;
pub mod event;
pub mod exec;
pub mod ids;
pub mod lapic;
pub mod machine;
pub mod mem;
pub mod op;
pub mod perturb;
pub mod pmu;
pub mod presets;
pub mod spec;
pub mod tile;
pub mod trace;

pub use machine::{Machine, Speed, Start, Stop};
pub use perturb::Perturbation;
