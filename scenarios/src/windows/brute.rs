//! Decides a point by running it, and nothing else.

use super::flip::Stage;
use super::tile::{Decide, Point, Tile, Verdict};
use crate::diagnostics::Diagnostics;
use crate::document::Document;
use crate::guest::Guest;
use crate::load::{Files, Loaded};
use crate::simulation::{RunOptions, Simulation, SimulationError};
use crate::sweep::{Param, SweepError, alone};

/// A scenario whose parameters are swept.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The scenario, with all other changes made.
    pub document: &'a Document,
    /// Files that it names.
    pub files: &'a (dyn Files + Sync),
    /// As many parameters as [`VALUES`](super::VALUES) at most.
    pub params: &'a [Param],
    /// How to run.
    pub options: RunOptions,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Subject<'_> {
    /// `at` as [`Document::set`] takes it, an argument for each parameter.
    #[must_use]
    pub fn settings(&self, at: Point) -> Vec<String> {
        self.params.iter().zip(at).map(|(param, value)| param.setting(value)).collect()
    }

    /// A run with these values broke off.
    pub(super) fn broke_off(
        &self,
        at: Point,
        source: impl Into<Box<SimulationError>>,
    ) -> SweepError {
        SweepError::Simulation { setting: self.settings(at).join(" "), source: source.into() }
    }

    /// Loads the scenario with these values.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, at: Point) -> Result<Loaded, Diagnostics> {
        let mut document = self.document.clone();
        for setting in self.settings(at) {
            document.set_swept(&setting);
        }
        document.load(&Guest::shipped().image, self.files)
    }
}

/// Runs every point alone, from its boot to its outcome: tiles of one point each.
#[derive(Clone, Copy, Debug)]
pub struct Brute<'a>(pub Subject<'a>);

impl Brute<'_> {
    /// What a point leads to, and the cycles that were simulated.
    ///
    /// # Errors
    /// If the scenario does not take the value, or the run breaks off.
    pub fn run(&self, at: Point) -> Result<(Verdict, u64), SweepError> {
        let loaded = self.0.load(at).map_err(|diags| SweepError::Refused(Box::new(diags)))?;
        let run = alone(loaded, &self.0.options).map_err(|source| self.0.broke_off(at, source))?;
        Ok((Verdict::from(&run.finding), run.cycles))
    }
}

impl Decide for Brute<'_> {
    fn decide(&self, at: Point) -> Result<Tile, SweepError> {
        let (verdict, cycles) = self.run(at)?;
        Ok(Tile { at, bounds: Tile::point(self.0.params.len()), verdict: Some(verdict), cycles })
    }

    fn judge(&self, at: Point) -> Result<Option<Verdict>, SweepError> {
        self.run(at).map(|(verdict, _)| Some(verdict))
    }

    fn alone(&self, at: Point) -> Result<u64, SweepError> {
        self.run(at).map(|(_, cycles)| cycles)
    }

    fn stage(&self) -> Option<&dyn Stage> {
        Some(self)
    }
}

impl Stage for Brute<'_> {
    fn subject(&self) -> &Subject<'_> {
        &self.0
    }

    fn start(&self, at: Point) -> Result<(Simulation, RunOptions), SweepError> {
        let loaded = self.0.load(at).map_err(|diags| SweepError::Refused(Box::new(diags)))?;
        let mut simulation =
            Simulation::new(loaded).map_err(|error| self.0.broke_off(at, error))?;
        simulation.boot(self.0.options.speed).map_err(|error| self.0.broke_off(at, error))?;
        Ok((simulation, self.0.options))
    }
}
