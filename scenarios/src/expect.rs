//! Holds a finished run to what its scenario expects.

use crate::diagnosis::{Finding, FindingKind};
use crate::report::Report;
use crate::schema::{Expect, ExpectedFinding, VariableKind};
use crate::simulation::Simulation;

/// What of `expect` has not come true, in words; nothing if the run is as expected.
#[must_use]
pub fn judge(expect: &Expect, report: &Report, simulation: &Simulation) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(expected) = &expect.finding {
        finding(expected, report, &mut wrong);
    }
    if let Some(tasks) = &expect.tasks_done {
        let done = simulation.finished() as u64;
        if done < tasks.value {
            wrong.push(format!("{done} tasks came to their end instead of {}", tasks.value));
        }
    }
    let shows = |text: &str| report.console.iter().any(|line| line.contains(text));
    for text in expect.console_contains.iter().filter(|text| !shows(text)) {
        wrong.push(format!("the console does not show \"{text}\""));
    }
    for text in expect.console_lacks.iter().filter(|text| shows(text)) {
        wrong.push(format!("the console shows \"{text}\""));
    }
    for (name, value) in &expect.variables {
        variable(&name.value, *value, simulation, &mut wrong);
    }
    wrong
}

/// Compares kind, CPU, lock word and text, each on its own: a difference in the kind makes the
/// others pointless.
fn finding(expected: &ExpectedFinding, report: &Report, wrong: &mut Vec<String>) {
    let found = &report.finding;
    let kind = expected.kind.value;
    if found.kind != kind {
        wrong.push(format!("the finding is {} instead of {kind}", described(found)));
        return;
    }
    if let Some(cpu) = &expected.cpu
        && found.cpu.map(u64::from) != Some(cpu.value)
    {
        let is = found.cpu.map_or_else(|| "no CPU".to_owned(), |cpu| format!("CPU {cpu}"));
        wrong.push(format!("the finding ({kind}) is about {is} instead of CPU {}", cpu.value));
    }
    if let Some(word) = expected.lock_word
        && found.lock_word != Some(word)
    {
        let is =
            found.lock_word.map_or_else(|| "unknown".to_owned(), |word| format!("{word:#010x}"));
        wrong.push(format!("the lock word is {is} instead of {word:#010x}"));
    }
    let panics = |text: &str| {
        report.console.iter().any(|line| line.contains("Kernel panic") && line.contains(text))
    };
    if let Some(text) = expected.text.as_deref().filter(|text| !panics(text)) {
        wrong.push(format!("the panic message does not contain \"{text}\""));
    }
}

fn described(found: &Finding) -> String {
    let cpu = found.cpu.map(|cpu| format!(" on CPU {cpu}")).unwrap_or_default();
    if found.kind == FindingKind::Ok {
        return "ok".to_owned();
    }
    format!("{}{cpu} ({})", found.kind, found.summary)
}

fn variable(name: &str, value: u64, simulation: &Simulation, wrong: &mut Vec<String>) {
    // Loading refuses expectations about variables that do not exist.
    let Some(variable) = simulation.loaded().variables.iter().find(|known| known.name == name)
    else {
        return;
    };
    let size = if matches!(variable.kind, VariableKind::Word(_)) { 8 } else { 4 };
    let mut bytes = [0; 8];
    simulation.machine().read_physical(variable.phys, &mut bytes[..size]);
    let now = u64::from_le_bytes(bytes);
    if now != value {
        wrong.push(format!("variable `{name}` is {now} ({now:#x}) instead of {value}"));
    }
}
