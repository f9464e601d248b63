//! `oracle`: compares latchup's machine with real processors.

use anstream::{eprintln, println};
use clap::{Parser, Subcommand};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use oracle::campaign::{Bench, Tally};
use oracle::compare::{judge, record};
use oracle::image;
use oracle::kvm::KvmError;
use oracle::native::NativeError;
use oracle_cases::{Delta, Vectors};
use std::error::Error;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
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
    /// Records what the host's processor makes of random instructions, for other hosts' tests.
    Vectors {
        /// Number of cases.
        #[arg(long, default_value_t = 100_000)]
        cases: usize,
        /// Seed of the cases.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// File to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Ring-0 images under KVM and on latchup.
    Kvm {
        /// Only the image with this name.
        #[arg(long)]
        image: Option<String>,
        /// Write what KVM made of the images to this file.
        #[arg(long)]
        record: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        What::Native { cases, seed, first, jobs } => native(seed, first..first + cases, jobs),
        What::Vectors { cases, seed, out } => vectors(seed, cases, &out),
        What::Kvm { image, record } => kvm(image.as_deref(), record.as_deref()),
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

/// Compares images and tells about them. True if all are equal.
fn kvm(only: Option<&str>, to: Option<&Path>) -> Result<bool, Box<dyn Error>> {
    let started = Instant::now();
    let mut records = BTreeMap::new();
    let mut wrong = 0;
    for image in image::all().iter().filter(|image| only.is_none_or(|name| name == image.name)) {
        let region = match oracle::kvm::run(image) {
            Ok(region) => region,
            Err(skipped @ KvmError::Unsupported(_)) => {
                println!("{skipped}");
                return Ok(true);
            }
            Err(error) => {
                println!("{}: KVM: {error}", image.name);
                wrong += 1;
                continue;
            }
        };
        let made = record(&region);
        let mut problems = judge(image, "kvm", &made);
        let disappointed = image.disappointments(&region);
        problems.extend(disappointed.into_iter().map(|problem| format!("under KVM: {problem}")));
        for problem in &problems {
            println!("{}: {problem}", image.name);
        }
        wrong += usize::from(!problems.is_empty());
        records.insert(image.name, made);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{} images compared, {wrong} differ, {seconds:.1} s", records.len());
    if let Some(path) = to {
        std::fs::write(path, serde_json::to_string_pretty(&records)? + "\n")?;
    }
    Ok(wrong == 0)
}

/// Writes a file of recorded outcomes.
fn vectors(seed: u64, cases: usize, out: &Path) -> Result<bool, Box<dyn Error>> {
    let mut bench = Bench::new(seed)?;
    let mut vectors = Vectors { seed, records: Vec::with_capacity(cases) };
    let mut index = 0;
    while vectors.records.len() < cases {
        if let Some((case, outcome)) = bench.native(index) {
            vectors.records.push(Delta::new(case, &outcome));
        }
        index += 1;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vectors.to_bytes())?;
    let bytes = encoder.finish()?;
    std::fs::write(out, &bytes)?;
    println!("{cases} cases in {} bytes", bytes.len());
    Ok(true)
}
