//! The `latchup` command.

mod args;
mod check;
mod fail;
mod input;
mod litmus;
mod merge;
mod out_dir;
mod parquet;
mod pictures;
mod plot;
mod run;
mod screen;
mod shell;
mod sweep;
mod sweep_files;
mod test;
mod verify;

use args::{Cli, Command};
use clap::Parser;
use fail::Failure;
use screen::Screen;
use std::process::ExitCode;

/// Exit status of a run that ended as its scenario expects.
const AS_EXPECTED: u8 = 0;
/// Exit status if something else came out than expected.
const NOT_AS_EXPECTED: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut screen = Screen::new();
    let result = match &cli.command {
        Command::Run(args) => run::run(args, &mut screen),
        Command::Sweep(args) => sweep::sweep(args, &mut screen),
        Command::Merge(args) => merge::merge(args, &mut screen),
        Command::Test(args) => test::test(args, &mut screen),
        Command::Check(args) => check::check(args, &mut screen),
        Command::Plot(args) => plot::plot(args, &mut screen),
        Command::Litmus(args) => litmus::litmus(args, &mut screen),
        Command::Verify(args) => verify::verify(args, &mut screen),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            screen.failure(&failure);
            ExitCode::from(failure.status())
        }
    }
}

/// What every subcommand returns: its exit status.
type Outcome = Result<u8, Failure>;
