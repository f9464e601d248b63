//! Why a command ended without a result.

use scenarios::diagnostics::Diagnostics;
use scenarios::simulation::SimulationError;
use scenarios::sweep::SweepError;
use scenarios::windows::CoverError;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Exit status of wrong usage and wrong input.
pub(crate) const WRONG_INPUT: u8 = 2;
/// Exit status if latchup itself failed.
const INTERNAL: u8 = 3;

/// Why a command ended without a result.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The scenario has mistakes.
    #[error("the scenario has mistakes")]
    Refused(Box<Diagnostics>),
    /// Something on the command line is wrong.
    #[error("{message}")]
    Usage { message: String, help: String },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Nothing can be printed any more.
    #[error("cannot write to standard output")]
    Print(#[from] io::Error),
    /// The simulation broke off.
    #[error("the simulation broke off")]
    Simulation(#[from] SimulationError),
    /// A run of a sweep broke off.
    #[error(transparent)]
    Sweep(SweepError),
    /// A range could not be covered with tiles.
    #[error(transparent)]
    Cover(CoverError),
    /// The host refuses threads.
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A picture could not be drawn.
    #[error("a picture could not be drawn")]
    Picture(#[from] viz::VizError),
    /// A litmus test showed that the machine itself is broken.
    #[error("a litmus test could not be run")]
    Litmus(#[source] litmus::runner::RunError),
    /// A program of the corpus gave no results.
    #[error("the corpus cannot be run")]
    Corpus(#[from] verify::corpus::CorpusError),
    /// Runs could not be compared.
    #[error("the runs cannot be compared")]
    Compare(#[from] verify::speed::SpeedError),
    /// An image in the program itself is not readable.
    #[error("an image cannot be read")]
    Image(#[from] verify::object::Error),
    /// A document of latchup's own could not be written or read.
    #[error("cannot convert to or from JSON")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Failure::Usage { message: message.into(), help: help.into() }
    }

    /// A function that turns an error of reading `path` into a failure.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Failure {
        let path = path.to_owned();
        |source| Failure::Read { path, source }
    }

    /// A function that turns an error of writing `path` into a failure.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Failure {
        let path = path.to_owned();
        |source| Failure::Write { path, source }
    }

    /// The process's exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Refused(_)
            | Failure::Usage { .. }
            | Failure::Read { .. }
            | Failure::Write { .. }
            | Failure::Simulation(SimulationError::Spec(_)) => WRONG_INPUT,
            Failure::Print(_)
            | Failure::Simulation(_)
            | Failure::Sweep(_)
            | Failure::Cover(_)
            | Failure::Threads(_)
            | Failure::Picture(_)
            | Failure::Litmus(_)
            | Failure::Corpus(_)
            | Failure::Compare(_)
            | Failure::Image(_)
            | Failure::Json(_) => INTERNAL,
        }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Failure::Usage { help, .. } => Some(help.clone()),
            Failure::Read { .. } => Some("check the name and the permissions".to_owned()),
            Failure::Write { .. } => {
                Some("choose a folder that you may write to with --out".to_owned())
            }
            _ => None,
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Failure::Refused(Box::new(diagnostics))
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Refused(diagnostics) => Failure::Refused(diagnostics),
            error => Failure::Sweep(error),
        }
    }
}

impl From<CoverError> for Failure {
    fn from(error: CoverError) -> Self {
        match error {
            CoverError::Sweep(error) => error.into(),
            CoverError::TooManyRows => {
                Failure::usage(error.to_string(), "give the parameter with the most values first")
            }
            error => Failure::Cover(error),
        }
    }
}
