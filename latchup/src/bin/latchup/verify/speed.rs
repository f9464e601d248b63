//! `latchup verify speed`.

use crate::args::SpeedArgs;
use crate::fail::Failure;
use crate::input::{Input, files_of, pool};
use crate::screen::Screen;
use litmus::program::Test;
use litmus::runner;
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::Loaded;
use scenarios::simulation::NoFiles;
use scenarios::sweep::in_order;
use scenarios::units::Duration;
use std::fs;
use std::path::Path;
use verify::speed::{self, Extent, generate};

/// How much is compared.
struct Effort {
    /// Generated scenarios.
    generated: u64,
    /// Snapshots of each scenario's run.
    snapshots: usize,
    /// Arrangements of each litmus test.
    tries: u64,
    /// Simulated time of each scenario.
    until: &'static str,
}

const SHORT: Effort = Effort { generated: 10, snapshots: 10, tries: 4, until: "4ms" };
/// Long enough for the races of all scenarios of the catalogue.
const LONG: Effort = Effort { generated: 100, snapshots: 100, tries: 60, until: "52ms" };

/// What is run in several ways.
enum Subject {
    Scenario(Box<Loaded>),
    Litmus(Box<Test>),
}

/// What came out for one of them.
struct Compared {
    /// What was compared, in words.
    what: String,
    differences: Vec<String>,
}

pub(super) fn speed(args: &SpeedArgs, screen: &mut Screen) -> Result<bool, Failure> {
    let effort = if args.long { LONG } else { SHORT };
    let until = args.until.as_deref().unwrap_or(effort.until);
    let until = until
        .parse::<Duration>()
        .map_err(|error| Failure::usage(format!("--until {until}: {error}"), error.help()))?;
    let subjects = subjects(args, &effort)?;
    let work = |index: usize| compare(&subjects[index].1, until, &effort);
    let (mut different, mut names) = (0, subjects.iter().map(|(name, _)| name));
    in_order(&pool(args.jobs)?, subjects.len(), work, |compared: Compared| {
        let name = names.next().map_or("", String::as_str);
        let equal = compared.differences.is_empty();
        different += usize::from(!equal);
        let word = if equal { "equal" } else { "DIFFERENT" };
        screen.verdict(equal, word, &format!("  {name}: {}", compared.what))?;
        for difference in &compared.differences {
            screen.print(&format!("    {difference}\n"))?;
        }
        // Runs take long: what is known is shown.
        screen.flush().map_err(Failure::from)
    })?;
    screen.print(&format!("{} compared, {different} different\n", subjects.len()))?;
    Ok(different == 0)
}

/// Everything to run, by name, read before anything is run.
fn subjects(args: &SpeedArgs, effort: &Effort) -> Result<Vec<(String, Subject)>, Failure> {
    let mut subjects = Vec::new();
    for path in &args.paths {
        for file in files_of(path, &["ron", "litmus"])? {
            subjects.push((file.display().to_string(), read(&file)?));
        }
    }
    for seed in 0..effort.generated {
        let name = format!("generated from seed {seed}");
        let document = Document::parse(&name, &generate::scenario(seed))?;
        let loaded = document.load(&Guest::shipped().image, &NoFiles)?;
        subjects.push((name, Subject::Scenario(Box::new(loaded))));
    }
    Ok(subjects)
}

fn read(file: &Path) -> Result<Subject, Failure> {
    if file.extension().is_none_or(|extension| extension != "litmus") {
        return Ok(Subject::Scenario(Box::new(Input::open(file)?.load()?)));
    }
    let text = fs::read_to_string(file).map_err(Failure::read(file))?;
    let test = litmus::parse::parse(&file.display().to_string(), &text)
        .map_err(|error| Failure::usage(error.to_string(), error.help))?;
    Ok(Subject::Litmus(Box::new(test)))
}

fn compare(subject: &Subject, until: Duration, effort: &Effort) -> Result<Compared, Failure> {
    match subject {
        Subject::Scenario(loaded) => scenario(loaded, until, effort.snapshots),
        Subject::Litmus(test) => {
            let found =
                runner::speed_differences(test, 1, effort.tries).map_err(Failure::Litmus)?;
            let differences = found.iter().map(|(number, how)| format!("try {number}: {how}"));
            let what = format!("{} arrangements", effort.tries);
            Ok(Compared { what, differences: differences.collect() })
        }
    }
}

fn scenario(loaded: &Loaded, until: Duration, snapshots: usize) -> Result<Compared, Failure> {
    let extent = Extent { nanoseconds: until.nanos(loaded.spec.clock), snapshots };
    let ran = speed::compare(loaded, extent, loaded.spec.seed)?;
    let what = format!(
        "{} ways, trace hash {:016x} at cycle {} after {} instructions",
        ran.runs, ran.trace_hash, ran.end.0, ran.instructions
    );
    let differences = ran.differences.iter().map(|difference| {
        format!("{}: trace hash {:016x}, or another state", difference.how, difference.trace_hash)
    });
    Ok(Compared { what, differences: differences.collect() })
}
