//! `oracle`: compares latchup's machine with real processors.

use anstream::{eprintln, println};
use clap::{Parser, Subcommand};
use oracle::campaign::{Bench, Tally};
use oracle::native::NativeError;
use std::error::Error;
use std::io::Read;
use std::ops::Range;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Compares latchup's machine with real processors.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Random instructions on the host's processor and on latchup.
    Native {
        /// Number of cases.
        #[arg(long, default_value_t = 1_000_000)]
        cases: u64,
        /// Seed of the cases.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of the first case.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// Processes.
        #[arg(long, default_value_t = 1)]
        jobs: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        What::Native { cases, seed, first, jobs } => native(seed, first..first + cases, jobs),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("oracle: {error}");
            ExitCode::from(2)
        }
    }
}

/// Compares cases and tells about them. True if there was no difference.
fn native(seed: u64, cases: Range<u64>, jobs: u64) -> Result<bool, Box<dyn Error>> {
    if jobs > 1 {
        return in_parts(seed, cases, jobs);
    }
    let started = Instant::now();
    let mut bench = match Bench::new(seed) {
        Ok(bench) => bench,
        Err(skipped @ NativeError::Unsupported) => {
            println!("{skipped}");
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    };
    let tally = bench.run(cases);
    for report in &tally.reports {
        println!("{report}");
    }
    println!("{}", summary(&tally, started));
    Ok(tally.differences == 0)
}

fn summary(tally: &Tally, started: Instant) -> String {
    format!(
        "{} cases compared ({} with an exception, {} also on a whole machine), {} passed over, \
         {} differences, {:.1} s",
        tally.compared,
        tally.faults,
        tally.on_machine,
        tally.skipped,
        tally.differences,
        started.elapsed().as_secs_f64()
    )
}

/// Cases have fixed addresses, so parallel runs need processes of their own.
fn in_parts(seed: u64, cases: Range<u64>, jobs: u64) -> Result<bool, Box<dyn Error>> {
    let total = cases.end - cases.start;
    let cut = |n: u64| cases.start + total / jobs * n + (total % jobs).min(n);
    let mut parts = Vec::new();
    for n in 0..jobs {
        let (first, next) = (cut(n), cut(n + 1));
        let part = Command::new(std::env::current_exe()?)
            .args(["native", "--seed", &seed.to_string(), "--first", &first.to_string()])
            .args(["--cases", &(next - first).to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        parts.push(part);
    }
    let mut equal = true;
    for mut part in parts {
        let mut text = String::new();
        if let Some(out) = part.stdout.as_mut() {
            out.read_to_string(&mut text)?;
        }
        print_part(&text);
        equal &= part.wait()?.success();
    }
    Ok(equal)
}

fn print_part(text: &str) {
    println!("{}", text.trim_end());
}
