//! The data of a run's pictures, and the pictures.

use crate::fail::Failure;
use crate::out_dir::OutDir;
use scenarios::investigate::Investigation;
use scenarios::timeline::{Propagation, SweepTable, TicketHistory};
use serde::{Deserialize, Serialize};
use viz::{Format, Options, draw_lockup, draw_sweep, draw_tickets};

/// The file that [`Timeline`] is kept in.
pub(crate) const TIMELINE: &str = "timeline.json";

/// What a run's pictures are drawn from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Timeline {
    /// What every CPU did.
    propagation: Propagation,
    /// The story of the lock of the finding.
    tickets: Option<TicketHistory>,
}

impl Timeline {
    pub(crate) fn new(investigation: &Investigation) -> Self {
        Timeline {
            propagation: investigation.propagation.clone(),
            tickets: investigation.tickets.clone(),
        }
    }

    /// Draws everything into `dir`; returns the files' names.
    pub(crate) fn draw(
        &self,
        dir: &OutDir,
        format: Format,
        options: &Options,
    ) -> Result<Vec<String>, Failure> {
        let name = |stem: &str| format!("{stem}.{}", format.extension());
        let (lockup, tickets) = (name("lockup"), name("tickets"));
        dir.write(&lockup, draw_lockup(&self.propagation, options).bytes(format)?)?;
        let Some(history) = &self.tickets else {
            dir.remove(&tickets)?;
            return Ok(vec![lockup]);
        };
        let clock = self.propagation.clock_hz;
        let options = Options { end: Some(self.propagation.end), ..options.clone() };
        dir.write(&tickets, draw_tickets(history, clock, &options).bytes(format)?)?;
        Ok(vec![lockup, tickets])
    }
}

/// Draws the outcomes of a sweep into `dir`; returns the file's name.
pub(crate) fn draw_outcomes(
    table: &SweepTable,
    dir: &OutDir,
    format: Format,
    options: &Options,
) -> Result<String, Failure> {
    let name = format!("sweep.{}", format.extension());
    dir.write(&name, draw_sweep(table, options).bytes(format)?)?;
    Ok(name)
}
