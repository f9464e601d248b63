//! Scenario language, guest kernel, runs, sweeps, diagnosis.

pub mod timeline;
