//! `latchup plot`.

use crate::args::PlotArgs;
use crate::fail::Failure;
use crate::out_dir::OutDir;
use crate::pictures::{TIMELINE, Timeline, draw_outcomes};
use crate::screen::Screen;
use crate::sweep;
use crate::sweep_files;
use crate::{AS_EXPECTED, Outcome};
use std::io::ErrorKind;
use std::path::Path;

pub(crate) fn plot(args: &PlotArgs, screen: &mut Screen) -> Outcome {
    let (timeline, table) = (timeline(&args.dir)?, sweep_files::read(&args.dir)?);
    let exact = sweep::rebuild(&args.dir)?;
    let nothing = |why: &str, help: &str| {
        Failure::usage(format!("there is nothing to draw in {}{why}", args.dir.display()), help)
    };
    if timeline.is_none() && table.is_none() && exact.is_none() {
        return Err(nothing("", "name a folder that `latchup run --out` or `latchup sweep` wrote"));
    }
    let dir = OutDir::prepare(&args.dir)?;
    let (format, options) =
        (args.format.into(), viz::Options { width: args.width, ..viz::Options::default() });
    let mut names = Vec::new();
    if let Some(timeline) = timeline {
        names.extend(timeline.draw(&dir, format, &options)?);
    }
    if let Some(table) = table {
        names.push(draw_outcomes(&table, &dir, format, &options)?);
    }
    if let Some((plan, found)) = exact {
        names.extend(sweep::draw(&plan, &found, &dir, format, &options)?);
    }
    if names.is_empty() {
        return Err(nothing(
            ": no picture shows more than two parameters",
            "see regions.csv and map.json",
        ));
    }
    for name in names {
        screen.print(&format!("{}\n", dir.path(&name).display()))?;
    }
    screen.flush()?;
    Ok(AS_EXPECTED)
}

/// What a run left in `dir`; `None` if it is not a run's folder.
fn timeline(dir: &Path) -> Result<Option<Timeline>, Failure> {
    let path = dir.join(TIMELINE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::read(&path)(error)),
    }
}
