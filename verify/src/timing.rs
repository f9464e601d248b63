//! Latencies measured by programs on the simulated machine, against what its preset states and
//! what others have published.

mod guest;
mod interrupts;
mod locks;
mod memory;
mod page;
mod published;
mod rig;

pub use locks::Collapse;
pub use page::{line_of, render};
pub use published::{Access, Published};

use sim_x86::presets;
use sim_x86::spec::MachineSpec;

/// Deviation from a preset's stated value that is tolerated.
pub const TOLERANCE: f64 = 0.05;
/// Least coefficient of determination of what must be linear.
pub const LINEAR: f64 = 0.98;

/// Deviation of the collapse's knee from the closed form's that is tolerated, in CPUs.
pub const KNEE_TOLERANCE: f64 = 2.0;
/// Numbers of CPUs with which the collapse is measured.
pub const COLLAPSE_CORES: [u32; 24] =
    [1, 2, 4, 6, 8, 10, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 26, 28, 32, 36, 40, 44, 48];

/// One latency.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Table in which it stands.
    pub group: &'static str,
    /// What it is.
    pub name: String,
    /// Cycles, measured.
    pub measured: f64,
    /// Cycles that the preset states, if it does.
    pub stated: Option<u32>,
    /// What others found.
    pub published: Option<Published>,
}

impl Row {
    fn new(group: &'static str, name: &str, measured: f64, stated: u32) -> Self {
        Row { stated: Some(stated), ..Row::measured(group, name, measured) }
    }

    fn measured(group: &'static str, name: &str, measured: f64) -> Self {
        Row { group, name: name.to_owned(), measured, stated: None, published: None }
    }

    fn published(self, published: Option<Published>) -> Self {
        Row { published, ..self }
    }

    /// Relative deviation from the stated value.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        self.stated.map(|stated| self.measured / f64::from(stated) - 1.0)
    }

    /// True if it is as the preset states, or the preset states nothing.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.measured.is_finite() && self.error().is_none_or(|error| error.abs() <= TOLERANCE)
    }
}

/// Something that should grow linearly.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// What the slope is counted by.
    pub per: &'static str,
    /// Counts and cycles.
    pub points: Vec<(f64, f64)>,
    /// Cycles at a count of 0.
    pub offset: f64,
    /// Cycles for each.
    pub slope: f64,
    /// Coefficient of determination.
    pub r_squared: f64,
}

impl Line {
    /// Least squares.
    fn fit(name: String, per: &'static str, points: Vec<(f64, f64)>) -> Self {
        let n = points.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let sum = |term: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(term).sum::<f64>();
        let xx = sum(&|p| (p.0 - x) * (p.0 - x));
        let xy = sum(&|p| (p.0 - x) * (p.1 - y));
        let yy = sum(&|p| (p.1 - y) * (p.1 - y));
        let slope = xy / xx;
        Line { name, per, offset: y - slope * x, slope, r_squared: xy * xy / (xx * yy), points }
    }

    /// A line for each package of a machine that has two: the first CPU beyond the first package
    /// costs more than any other. `others` CPUs are there besides those counted.
    fn by_package(
        preset: &MachineSpec,
        name: &str,
        per: &'static str,
        points: Vec<(f64, f64)>,
        others: u32,
    ) -> Vec<Line> {
        let topology = &preset.topology;
        if topology.hops.len() != 2 {
            return vec![Line::fit(name.to_owned(), per, points)];
        }
        let in_one = f64::from(topology.cores_per_die * topology.dies_per_package - others);
        let (one, two) = points.into_iter().partition(|&(count, _)| count <= in_one);
        vec![
            Line::fit(format!("{name}, within one package"), per, one),
            Line::fit(format!("{name}, in two packages"), per, two),
        ]
    }

    /// Cycles that the line gives for a count.
    #[must_use]
    pub fn at(&self, count: f64) -> f64 {
        self.offset + self.slope * count
    }

    /// True if it is linear.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.r_squared >= LINEAR
    }
}

/// Everything measured on one preset.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Name of the preset.
    pub preset: String,
    /// Its clock in MHz.
    pub megahertz: u64,
    /// Single latencies.
    pub rows: Vec<Row>,
    /// What grows with a number of CPUs.
    pub lines: Vec<Line>,
}

impl Validation {
    /// What is not as it should be.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| !row.holds()).map(|row| {
            let (measured, stated) = (row.measured, row.stated.unwrap_or_default());
            format!("{}: {}: {measured:.1} cycles, stated {stated}", self.preset, row.name)
        });
        let lines = self.lines.iter().filter(|line| !line.holds());
        let bent = |line: &Line| {
            format!("{}: {}: not linear (R² = {:.4})", self.preset, line.name, line.r_squared)
        };
        rows.chain(lines.map(bent)).collect()
    }
}

/// The single latencies that bare-metal programs can measure: seconds for all presets.
#[must_use]
pub fn latencies(preset: &MachineSpec) -> Vec<Row> {
    let mut rows = memory::levels(preset);
    rows.extend(memory::coherence(preset));
    rows.extend(interrupts::single(preset));
    rows
}

/// Everything on one preset.
#[must_use]
pub fn validate(preset: &MachineSpec) -> Validation {
    let mut rows = latencies(preset);
    rows.push(guest::context_switch(preset));
    let mut lines = interrupts::by_targets(preset);
    lines.extend(locks::hand_off(preset));
    lines.extend(guest::shootdowns(preset));
    Validation { preset: preset.preset.clone(), megahertz: preset.clock.0 / 1_000_000, rows, lines }
}

/// The presets, in the order of the page.
#[must_use]
pub fn machines() -> Vec<MachineSpec> {
    presets::names().iter().filter_map(|name| presets::preset(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_from_a_curve() {
        let line = Line::fit(
            String::new(),
            "",
            (1..9).map(f64::from).map(|x| (x, 3.0 * x + 5.0)).collect(),
        );
        assert!(
            line.holds() && (line.slope - 3.0).abs() < 1e-9 && (line.offset - 5.0).abs() < 1e-9
        );
        let curve = (1..20).map(f64::from).map(|x| (x, x * x * x)).collect();
        assert!(!Line::fit(String::new(), "", curve).holds());
    }
}
