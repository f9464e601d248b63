//! What a run has to tell, as one value: the JSON document and the text that `latchup run` prints.

pub mod cpu;
mod text;

use crate::diagnosis::{CompletionReport, Finding, Link, StopReason};
use crate::investigate::Investigation;
use crate::locks::LockReport;
use crate::tasks::TaskCounts;
use crate::waits::Waits;
use crate::windows::Distance;
use cpu::CpuReport;
use serde::{Deserialize, Serialize};

/// Version of the JSON document; it changes when a field changes its meaning or goes away.
pub const FORMAT: u32 = 1;

/// The scenario that ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioName {
    /// Its title.
    pub title: String,
    /// File it was read from, if any.
    pub file: Option<String>,
}

/// The machine it ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineName {
    /// Preset.
    pub preset: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// Core clock, Hz.
    pub clock_hz: u64,
}

/// Simulated time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    /// Cycles of the core clock since the machine started.
    pub cycles: u64,
    /// The same in seconds.
    pub seconds: f64,
}

/// What only the caller knows of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The scenario.
    pub scenario: ScenarioName,
    /// The machine.
    pub machine: MachineName,
    /// Seed of all random streams.
    pub seed: u64,
    /// Cycle at which the run ended.
    pub cycles: u64,
    /// Cycle at which the scenario's time began.
    pub epoch: u64,
    /// Instructions executed, skipped ones included.
    pub instructions: u64,
    /// Seconds it took on the host.
    pub host_seconds: f64,
    /// Hash of the whole trace, in hexadecimal.
    pub trace_hash: String,
    /// Command that repeats the run.
    pub reproduce: String,
}

/// A run's report. Serialised, it is the document that `docs/report-json.md` describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario.
    pub scenario: ScenarioName,
    /// The machine.
    pub machine: MachineName,
    /// Seed of all random streams.
    pub seed: u64,
    /// Why the run ended.
    pub stop: StopReason,
    /// What was found.
    pub finding: Finding,
    /// Why, in order of time.
    pub causal_chain: Vec<Link>,
    /// Every CPU.
    pub cpus: Vec<CpuReport>,
    /// Every lock that was used.
    pub locks: Vec<LockReport>,
    /// Completions on which a wait went wrong.
    pub completions: Vec<CompletionReport>,
    /// Who waits for whom.
    pub waits: Waits,
    /// Tasks by state.
    pub tasks: TaskCounts,
    /// The console's lines.
    pub console: Vec<String>,
    /// Simulated time.
    pub simulated: Simulated,
    /// Cycle at which the scenario's time began.
    pub epoch: u64,
    /// Instructions executed.
    pub instructions: u64,
    /// Seconds it took on the host. The only field that differs between repeated runs.
    pub host_seconds: f64,
    /// Hash of the whole trace.
    pub trace_hash: String,
    /// Command that repeats the run.
    pub reproduce: String,
    /// How far the run is from another outcome, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
}

impl Report {
    /// The report of an investigated run.
    #[must_use]
    pub fn new(
        facts: RunFacts,
        stop: StopReason,
        investigation: &Investigation,
        console: Vec<String>,
    ) -> Self {
        let hertz = sim_core::Hertz(facts.machine.clock_hz);
        let found = investigation.clone();
        Report {
            format: FORMAT,
            scenario: facts.scenario,
            machine: facts.machine,
            seed: facts.seed,
            stop,
            finding: found.diagnosis.finding,
            causal_chain: found.diagnosis.causal_chain,
            cpus: found.cpus,
            locks: found.locks,
            completions: found.completions,
            waits: found.waits,
            tasks: found.tasks.counts(),
            console,
            simulated: Simulated { cycles: facts.cycles, seconds: hertz.seconds(facts.cycles) },
            epoch: facts.epoch,
            instructions: facts.instructions,
            host_seconds: facts.host_seconds,
            trace_hash: facts.trace_hash,
            reproduce: facts.reproduce,
            distance: None,
        }
    }

    /// The JSON document, indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in a report can fail to serialise: no maps with other keys than strings.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The text that follows the console's output, without colours.
    #[must_use]
    pub fn to_text(&self) -> String {
        let distance = self.distance.as_ref().map(|distance| format!("\n{}", distance.to_text()));
        text::render(self) + &distance.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
