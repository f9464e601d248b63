//! `latchup test`.

use crate::args::TestArgs;
use crate::fail::Failure;
use crate::input::{Input, pool};
use crate::screen::Screen;
use crate::{AS_EXPECTED, NOT_AS_EXPECTED, Outcome};
use scenarios::expect::judge;
use scenarios::simulation::{RunOptions, Simulation};
use scenarios::sweep::in_order;
use std::fs;
use std::path::{Path, PathBuf};

/// What became of a scenario.
enum Verdict {
    AsExpected,
    /// Why not.
    Otherwise(Vec<String>),
    /// It could not be run.
    Broken(Failure),
}

pub(crate) fn test(args: &TestArgs, screen: &mut Screen) -> Outcome {
    let files = scenarios_of(&args.path)?;
    let mut failed = 0;
    let work = |index: usize| Ok(verdict(&files[index]));
    let mut names = files.iter();
    in_order(&pool(args.jobs)?, files.len(), work, |verdict: Verdict| {
        let name = names.next().map(|file| file.display().to_string()).unwrap_or_default();
        if matches!(verdict, Verdict::AsExpected) {
            screen.verdict(true, "ok", &format!("      {name}"))?;
        } else {
            failed += 1;
            screen.verdict(false, "FAILED", &format!("  {name}"))?;
        }
        match verdict {
            Verdict::AsExpected => {}
            Verdict::Otherwise(reasons) => {
                for reason in reasons {
                    screen.print(&format!("          {reason}\n"))?;
                }
            }
            Verdict::Broken(failure) => screen.failure(&failure),
        }
        // Runs take long: what is known is shown.
        screen.flush().map_err(Failure::from)
    })?;
    screen.print(&format!("{} passed, {failed} failed\n", files.len() - failed))?;
    screen.flush()?;
    Ok(if failed == 0 { AS_EXPECTED } else { NOT_AS_EXPECTED })
}

/// The scenarios of a folder by name, or the one file.
fn scenarios_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(Failure::read(path))? {
        files.push(entry.map_err(Failure::read(path))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ron"));
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage(
            format!("there is no scenario in {}", path.display()),
            "name a folder with *.ron files",
        ));
    }
    Ok(files)
}

fn verdict(file: &Path) -> Verdict {
    match reasons(file) {
        Ok(reasons) if reasons.is_empty() => Verdict::AsExpected,
        Ok(reasons) => Verdict::Otherwise(reasons),
        Err(failure) => Verdict::Broken(failure),
    }
}

/// Runs a scenario; returns in what it is not as expected.
fn reasons(file: &Path) -> Result<Vec<String>, Failure> {
    let loaded = Input::open(file)?.load()?;
    let Some(expect) = loaded.expect.clone() else {
        // A test that cannot fail would only look like one.
        return Ok(vec!["it expects nothing: add `expect: (finding: Ok)`".to_owned()]);
    };
    let mut simulation = Simulation::new(loaded)?;
    let stop = simulation.run(&RunOptions::default())?;
    let investigation = simulation.investigate(&stop);
    let report = simulation.report(&stop, &investigation);
    Ok(judge(&expect, &report, &simulation))
}
