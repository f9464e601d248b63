//! `latchup run --distance`: how far the run is from another outcome.

use crate::args::RunArgs;
use crate::fail::Failure;
use crate::input::Input;
use scenarios::set_path::NumericValue;
use scenarios::simulation::RunOptions;
use scenarios::sweep::Param;
use scenarios::units::Duration;
use scenarios::windows::{Distance, Subject, decider, point};
use sim_core::Hertz;

/// Expands the windows over the number or duration at `path` from its own value outwards.
pub(super) fn measure(
    args: &RunArgs,
    path: &str,
    input: &Input,
    options: &RunOptions,
) -> Result<Distance, Failure> {
    let clock = input.load()?.spec.clock;
    let (value, cycles) = value(path, input, clock)?;
    let within = within(&args.within, cycles.then_some(clock))?;
    let searched = (value.saturating_sub(within), value.saturating_add(within));
    let unit = if cycles { "cy" } else { "" };
    let range = format!("{path}={}{unit}..{}{unit}", searched.0, searched.1);
    let param: Param = range.parse().map_err(|error| {
        Failure::usage(format!("--distance {path}: {error}"), "choose another value")
    })?;
    let params = [param];
    let options = RunOptions { until_decided: true, ..*options };
    let subject =
        Subject { document: &input.document, files: &input.files, params: &params, options };
    let decider = decider(subject, point(&[value]))?;
    let distance = Distance::of(&*decider, value, searched)?;
    Ok(Distance { path: path.to_owned(), cycles, ..distance })
}

/// The value at `path`, and whether it is a duration, in cycles of `clock` then.
fn value(path: &str, input: &Input, clock: Hertz) -> Result<(u64, bool), Failure> {
    let paths = input.document.numeric_paths();
    let found = paths.iter().find(|found| found.path == path).map(|found| found.value);
    match found {
        Some(NumericValue::Duration(duration)) => Ok((duration.cycles(clock), true)),
        Some(NumericValue::Int(number)) => {
            let number = u64::try_from(number).map_err(|_| no_value(path))?;
            Ok((number, false))
        }
        Some(NumericValue::Float(_)) | None => Err(no_value(path)),
    }
}

fn no_value(path: &str) -> Failure {
    Failure::usage(
        format!("--distance {path}: the scenario has no whole number or duration there"),
        "give it one with --set, as in --set devices.ioc0.firmware_latency=9us",
    )
}

/// `--within`: a time for durations, else a plain number; plain cycles will do for both.
fn within(text: &str, clock: Option<Hertz>) -> Result<u64, Failure> {
    if let Ok(plain) = text.parse() {
        return Ok(plain);
    }
    let help = "write a number (1000000), or a time for a duration (50us)";
    let Some(clock) = clock else {
        return Err(Failure::usage(format!("--within {text} is not a whole number"), help));
    };
    let time = text.parse::<Duration>();
    let time = time.map_err(|error| Failure::usage(format!("--within {text}: {error}"), help))?;
    Ok(time.cycles(clock))
}
