//! A cycle-level simulator of x86-64 multicore machines that runs real kernel code and says why it
//! went wrong.
//!
//! This crate is what a program embeds; the `latchup` command is made of the same parts. Embedders
//! leave the command's dependencies out with `default-features = false`.
//!
//! 1. Load a scenario: [`load_text`] or [`load_file`], or [`Document`] to change values before
//!    loading. Programs without an operating system come from [`Image`] and [`bare_image`].
//! 2. Make a [`Simulation`] of it. It is a value: clone it to fork a run, or write it to disk with
//!    [`Simulation::snapshot`].
//! 3. Run it: to the scenario's end ([`Simulation::run`]), to a cycle ([`Simulation::advance`]), or
//!    to a condition ([`Machine::stop_at`] an instruction, [`Machine::stop_on_write`] of a word).
//!    An [`Observer`] sees what happens on the way, and changes nothing.
//! 4. Look: [`Machine::registers`], [`Machine::read_virtual`] and [`Loaded::symbols`]; or let
//!    [`Simulation::investigate`] say what went wrong, and [`Simulation::report`] tell it.
//!
//! ```
//! use latchup::{RunOptions, Simulation, load_text};
//!
//! let text = r#"Scenario(
//!     title: "a task computes",
//!     machine: (preset: "westmere-ep", cores: 2),
//!     tasks: [(comm: "hello", cpu: 1, run: [Compute("10us")])],
//!     until: AllTasksDone,
//! )"#;
//! let mut simulation = Simulation::new(load_text("hello.ron", text)?)?;
//! let stop = simulation.run(&RunOptions::default())?;
//! let report = simulation.report(&stop, &simulation.investigate(&stop));
//! assert_eq!(report.finding.kind.name(), "ok");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Runs are exact and repeatable: the same scenario and seed give the same
//! [`Machine::trace_hash`] on every host. Time is counted in [`Cycle`]s of the core clock.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

pub use scenarios::diagnosis::{Finding, FindingKind, StopReason};
pub use scenarios::diagnostics::Diagnostics;
pub use scenarios::document::Document;
pub use scenarios::expect::judge;
pub use scenarios::guest::Guest;
pub use scenarios::image::Image;
pub use scenarios::investigate::Investigation;
pub use scenarios::load::{Files, Loaded, PlacedVariable, bare_image};
pub use scenarios::report::Report;
pub use scenarios::simulation::{NoFiles, RestoreError, RunOptions, Simulation, SimulationError};
pub use scenarios::sweep::{Grid, Param, Sweep, SweepRun};
pub use scenarios::symbols::SymbolTable;
pub use scenarios::windows;
pub use sim_core::{Cycle, Hertz};
pub use sim_x86::core::regs::Registers;
pub use sim_x86::ids::{CoreId, DeviceId, PhysAddr};
pub use sim_x86::machine::snapshot::SnapshotError;
pub use sim_x86::spec::MachineSpec;
pub use sim_x86::trace::{Actor, Delivery, Entry, Observer, Record, Trace, TraceMask};
pub use sim_x86::{Machine, Speed, Start, Stop};

/// Presets of machines by name, to build a [`MachineSpec`] from.
pub use sim_x86::presets;

/// Why a scenario's file cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has mistakes.
    #[error("{0}")]
    Refused(Box<Diagnostics>),
}

/// Files in a folder, for scenarios that name some.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.0.join(name))
    }
}

/// Loads a scenario from its text, with the guest kernel that comes with latchup. `name` is what
/// messages call it. It can name no further files.
///
/// # Errors
/// Everything that is wrong with it, with places.
pub fn load_text(name: &str, text: &str) -> Result<Loaded, Diagnostics> {
    Document::parse(name, text)?.load(&Guest::shipped().image, &NoFiles)
}

/// Loads a scenario from its file; files that it names are looked for beside it.
///
/// # Errors
/// If it cannot be read, or everything that is wrong with it.
pub fn load_file(path: impl AsRef<Path>) -> Result<Loaded, LoadError> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path)
        .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let folder = Folder(path.parent().unwrap_or(Path::new("")).to_owned());
    let refused = |diagnostics| LoadError::Refused(Box::new(diagnostics));
    let document = Document::parse(&path.to_string_lossy(), &text).map_err(refused)?;
    document.load(&Guest::shipped().image, &folder).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load_file("no/such/file.ron").expect_err("no such file");
        assert_eq!(error.to_string(), "cannot read no/such/file.ron");
    }

    #[test]
    fn mistakes_are_told_with_their_places() {
        let error = load_text("t.ron", "Scenario(titel: \"t\")").expect_err("a mistake");
        assert!(error.to_string().contains("t.ron:1:10"), "{error}");
    }
}
