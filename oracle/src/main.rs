//! `oracle`: compares latchup's machine with real processors.

use anstream::{eprintln, println};
use clap::{Parser, Subcommand};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use oracle::campaign::{Bench, Tally};
use oracle::compare::{Record, judge, record};
use oracle::image::{self, Image};
use oracle::kvm::KvmError;
use oracle::native::NativeError;
use oracle_cases::{Delta, Vectors};
use std::collections::BTreeMap;
use std::error::Error;
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
         {} because the host executes them in its own way, {} differences, {} not repeatable, \
         {:.1} s",
        tally.compared,
        tally.faults,
        tally.on_machine,
        tally.skipped,
        tally.foreign,
        tally.differences,
        tally.unrepeatable,
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

/// Compares images and tells about them. True if no image speaks against latchup: KVM in hardware
/// must agree with latchup, KVM in software may fall short of the image's own expectations.
fn kvm(only: Option<&str>, to: Option<&Path>) -> Result<bool, Box<dyn Error>> {
    let started = Instant::now();
    let mut tally = Images::default();
    for image in image::all().iter().filter(|image| only.is_none_or(|name| name == image.name)) {
        if let Err(skipped) = tally.add(image) {
            println!("{skipped}");
            return Ok(true);
        }
    }
    let Images { equal, undecided, wrong, .. } = &tally;
    println!(
        "{} images equal, {undecided} undecided, {wrong} differ, {:.1} s",
        equal.len(),
        started.elapsed().as_secs_f64()
    );
    if !oracle::kvm::in_hardware() {
        println!("KVM executes ring 0 in software on this host: undecided is what it cannot do");
    }
    if let Some(path) = to {
        std::fs::write(path, serde_json::to_string_pretty(equal)? + "\n")?;
    }
    Ok(*wrong == 0)
}

/// Images by what came of them.
#[derive(Debug, Default)]
struct Images {
    /// What KVM and latchup both made of them.
    equal: BTreeMap<&'static str, Record>,
    /// KVM, in software, fails an expectation or cannot execute them; latchup meets it.
    undecided: usize,
    /// Anything else.
    wrong: usize,
}

impl Images {
    /// Runs an image in both worlds and tells about it. `Err` if there is no KVM.
    fn add(&mut self, image: &Image) -> Result<(), KvmError> {
        let latchup = oracle::bare::run(image).map_err(|stop| format!("latchup stopped: {stop:?}"));
        let missed = match &latchup {
            Ok(region) => image.disappointments(region),
            Err(problem) => vec![problem.clone()],
        };
        let (made, mut short) = match oracle::kvm::run(image) {
            Ok(region) => (record(&region), image.disappointments(&region)),
            Err(skipped @ KvmError::Unsupported(_)) => return Err(skipped),
            Err(error) => (Record::new(), vec![error.to_string()]),
        };
        let differs = judge(image, "KVM", &made);
        if short.is_empty() && differs.is_empty() {
            self.equal.insert(image.name, made);
            return Ok(());
        }
        if missed.is_empty() && !short.is_empty() && !oracle::kvm::in_hardware() {
            self.undecided += 1;
            short.truncate(2);
            println!("{}: undecided, KVM: {}", image.name, short.join("; "));
            return Ok(());
        }
        self.wrong += 1;
        for problem in missed.iter().chain(&differs).chain(&short) {
            println!("{}: {problem}", image.name);
        }
        Ok(())
    }
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
