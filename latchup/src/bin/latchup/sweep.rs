//! `latchup sweep`: exact windows, or brute force over a grid.

mod exact;
mod grid;
mod judge;
mod odds;
mod plan;
mod proofs;
mod results;
mod shard;
mod table;
mod tiles;

pub(crate) use plan::Plan;
pub(crate) use proofs::{Proofs, read as read_proofs, write as write_proofs};
pub(crate) use results::{Work, draw, finished, read_plan, rebuild, write};
pub(crate) use table::tell;
pub(crate) use tiles::Tiles;

use crate::Outcome;
use crate::args::SweepArgs;
use crate::fail::Failure;
use crate::input::Input;
use crate::screen::Screen;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use scenarios::load::Loaded;
use scenarios::sweep::{Param, ParamError};
use scenarios::windows::VALUES;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A parameter, and how it was written.
struct Written {
    text: String,
    param: Param,
}

pub(crate) fn sweep(args: &SweepArgs, screen: &mut Screen) -> Outcome {
    let parse = |text: &String| match text.parse::<Param>() {
        Ok(param) => Ok(Written { text: text.clone(), param }),
        Err(error) => Err(wrong_range(text, &error)),
    };
    let mut params = args.params.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if params.len() > VALUES {
        return Err(Failure::usage(
            format!("{} parameters are more than can be swept exactly", params.len()),
            format!("sweep {VALUES} at most, and give the others values with --set"),
        ));
    }
    let stepped = params.iter().any(|written| written.param.has_step());
    if !stepped && args.grid.is_none() {
        return exact::sweep(args, params, screen);
    }
    if params.len() > 1 {
        return Err(Failure::usage(
            "brute force runs over one parameter",
            "leave the steps out: several parameters are swept exactly",
        ));
    }
    if args.only_exact() {
        return Err(Failure::usage(
            "a sweep with steps has no windows to shard, judge or integrate",
            "leave the step out: PATH=LO..HI",
        ));
    }
    let mut written = params.remove(0);
    if let Some(step) = &args.grid {
        let wrong = |error| wrong_range(&format!("{} --grid {step}", written.text), &error);
        written.param = written.param.clone().with_step(step).map_err(wrong)?;
    }
    grid::sweep(args, written, screen)
}

/// What is wrong with a range.
fn wrong_range(text: &str, error: &ParamError) -> Failure {
    Failure::usage(format!("--param {text}: {error}"), error.help())
}

/// Where the results go.
fn folder(args: &SweepArgs) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let stem = args.subject.file.file_stem().unwrap_or("scenario".as_ref());
        let mut name = stem.to_owned();
        name.push("-sweep");
        PathBuf::from(name)
    })
}

/// SHA-256 of the scenario: the text says what is meant, the loaded memory what it has become, so
/// that another guest kernel or another object file is another sweep.
fn digest(input: &Input, first: &Loaded) -> String {
    let mut digest = Sha256::new();
    digest.update(input.text.as_bytes());
    for segment in &first.segments {
        digest.update(segment.addr.0.to_le_bytes());
        digest.update((segment.bytes.len() as u64).to_le_bytes());
        digest.update(&segment.bytes);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bar on standard error, if that is a terminal.
fn progress(len: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
