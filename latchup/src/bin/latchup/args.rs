//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit status:
  0  finished, and everything came out as expected (or nothing was expected)
  1  something came out that the scenario does not expect
  2  wrong usage, a scenario with mistakes, a file that cannot be read or written
  3  latchup itself failed
A bare-metal program's exit status is its own: see `latchup run --help`.";

const RUN_AFTER: &str = "\
Examples:
  latchup run scenarios/catalog/mpt2sas-ctl.ron
  latchup run case.ron --set devices.ioc0.firmware_latency=9us --out result
  latchup run case.ron --seed 7 --json | jq .finding
  latchup run program.elf --cores 4

Exit status:
  0  the run ended as the scenario expects, or it expects nothing
  1  it ended otherwise
  2  wrong usage, a scenario with mistakes, a file that cannot be read or written
  3  latchup itself failed
A bare-metal program (an ELF file) ends with the code that it writes to port 0xF4; with 124 if
--until or the time limit came first, with 125 if it can never write one.";

/// Simulates multicore x86-64 machines cycle by cycle and finds the timings at which kernel code
/// goes wrong.
#[derive(Debug, Parser)]
#[command(name = "latchup", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario or a bare-metal program and say what happened.
    ///
    /// Prints the kernel's log as its console shows it, then the report: the finding and its
    /// causal chain, every CPU's backtrace, locks, who waits for whom, tasks, times, the trace's
    /// hash and the command that repeats the run.
    ///
    /// If FILE is an ELF file, it is a bare-metal program: what it writes to port 0xE9 goes to
    /// standard output, and a write to port 0xF4 ends the run.
    #[command(after_help = RUN_AFTER)]
    Run(RunArgs),
}

/// What is simulated.
#[derive(Clone, Debug, Args)]
pub(crate) struct Subject {
    /// A scenario (.ron) or a bare-metal program (ELF).
    pub(crate) file: PathBuf,

    /// Change a value of the scenario, e.g. devices.ioc0.firmware_latency=9us or tasks[0].cpu=2.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) sets: Vec<String>,

    /// Seed of all random streams (the same as --set seed=N).
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Number of CPUs (the same as --set machine.cores=N).
    #[arg(long, value_name = "N")]
    pub(crate) cores: Option<u32>,

    /// End the run this long after the scenario's begin, e.g. 130s or 20000cy.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Execute every instruction in turn: no run-ahead, no skipping. Changes nothing but the
    /// time it takes.
    #[arg(long)]
    pub(crate) exact_steps: bool,

    /// Check the machine's invariants all along.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) subject: Subject,

    /// Print the report as one JSON document and nothing else (see docs/report-json.md).
    #[arg(long)]
    pub(crate) json: bool,

    /// Write report.json, report.txt, console.log, timeline.json, lockup.svg and tickets.svg to
    /// this folder; `latchup plot` draws the pictures anew from timeline.json.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
