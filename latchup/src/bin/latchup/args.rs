//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit status:
  0  finished, and everything came out as expected (or nothing was expected)
  1  something came out that the scenario does not expect
  2  wrong usage, a scenario with mistakes, a file that cannot be read or written
  3  latchup itself failed
A bare-metal program's exit status is its own: see `latchup run --help`.";

const SWEEP_AFTER: &str = "\
Examples:
  latchup sweep case.ron --param devices.ioc0.firmware_latency=0cy..1000000cy --out sweep
      the exact windows of every outcome
  latchup sweep case.ron --param devices.ioc0.firmware_latency=0us..400us \\
      --odds 'LogNormal(median: \"40us\", sigma: 0.5)' --rate 100/s --monte-carlo 1000
      how likely each outcome is, when it first happens, and the same by sampling
  latchup sweep case.ron --param devices.ioc0.firmware_latency=0us..9us \\
      --param 'devices.eth0.arrivals[0]=1ms..1.01ms'
      a map over two values
  latchup sweep case.ron --param devices.eth0.at.delay=600cy..1400cy \\
      --param devices.ioc0.firmware_latency=12000cy..12020cy \\
      --param devices.ioc0.interrupt_latency=0cy..5cy --judge-random 500
      the regions of three values, and single runs that must agree with them
  latchup sweep case.ron --param 'tasks[0].at=1ms..2ms' --judge-edges 100 --judge-random 1000
      windows, and single runs that must agree with them
  latchup sweep case.ron --param machine.memory.l1_hit=1..99 --shard 3/7 --out sweep
  latchup merge sweep
      one of seven parts of a range, and all of them merged
  latchup sweep case.ron --param devices.ioc0.firmware_latency=0cy..10us --grid 100cy
      brute force: a run for every hundredth cycle

Both ends belong to the range. Durations have units (cy, ns, us, ms, s), plain numbers have none.
Every cycle or number of the range is decided as if it had been run alone. The folder gets:
  windows.csv   lo,hi,finding,cpu,lock_word,cause,witness: durations in cycles
  windows.json  the same with edges, pairs of accesses and commands that show them
  windows.svg   the outcomes over the parameter; windows.parquet with --parquet
  regions.csv, map.json, map.svg  in their place, if two parameters are swept; of three or four
                there is no picture
  odds.json     with --odds; judge.json with --judge
  work.json     what was spent; plan.json what is swept; tiles.jsonl every run as it ends
A sweep that was interrupted goes on where it was when the same command is given again. The
results are the same bytes for any number of jobs and shards, and after any number of kills.
docs/exact-windows.md has more; sweeps with a step write sweep.csv, sweep.json and sweep.svg.

Exit status:
  0  every value was decided, and those that were judged agree
  1  a single run disagrees with the windows
  2  wrong usage, a scenario with mistakes, a file that cannot be read or written
  3  latchup itself failed";

const MERGE_AFTER: &str = "\
Examples:
  latchup merge sweep
  latchup merge node1/sweep node2/sweep --out all

Every shard must be there once: gaps, overlaps, unfinished shards and shards of different sweeps
are refused. The files are those that one process would have written.

Exit status:
  0  merged
  2  wrong usage, shards that do not fit, a file that cannot be read or written
  3  latchup itself failed";

const TEST_AFTER: &str = "\
Examples:
  latchup test scenarios/catalog
  latchup test scenarios/catalog/ab-ba.ron --jobs 1

Exit status:
  0  every scenario ended as it expects
  1  some did not, or have mistakes, or expect nothing
  2  wrong usage, no scenario there, a folder that cannot be read
  3  latchup itself failed";

const CHECK_AFTER: &str = "\
Examples:
  latchup check case.ron
  latchup check scenarios/catalog/*.ron

Exit status:
  0  no mistakes
  2  wrong usage, a scenario with mistakes, a file that cannot be read";

const PLOT_AFTER: &str = "\
Examples:
  latchup plot result
  latchup plot sweep --format png --width 800

Exit status:
  0  drawn
  2  wrong usage, nothing to draw there, a file that cannot be read or written
  3  latchup itself failed";

const LITMUS_AFTER: &str = "\
Examples:
  latchup litmus litmus/catalog --expected litmus/catalog/expected.json
  latchup litmus litmus/catalog/classic --model --tries 20000 --jobs 4
  latchup litmus sb.litmus
  latchup litmus sb.litmus --seed 7 --try 1234

Every try is a timing of its own: how variables lie in cache lines, which CPUs and packages the
threads are on, where each line is at the start, start skew, delays of instructions, stores and
misses, interrupts and NMIs. Seed and number of a try decide all of it. docs/litmus.md describes
the files and the output.

Exit status:
  0  no forbidden state was seen (or nothing said what is forbidden)
  1  a forbidden state was seen
  2  wrong usage, a test with mistakes or without an expectation, a file that cannot be read
  3  latchup itself failed";

const VERIFY_AFTER: &str = "\
Examples:
  latchup verify protocol
  latchup verify protocol --quick
  latchup verify timing --preset magny-cours
  latchup verify corpus
  latchup verify timing --write docs/timing-validation.md
  latchup verify timing --check docs/timing-validation.md

Exit status:
  0  everything is as it should be
  1  something is not, or the checked page is not up to date
  2  wrong usage, a file that cannot be read or written
  3  latchup itself failed";

const RUN_AFTER: &str = "\
Examples:
  latchup run scenarios/catalog/mpt2sas-ctl.ron
  latchup run case.ron --set devices.ioc0.firmware_latency=9us --out result
  latchup run case.ron --seed 7 --json | jq .finding
  latchup run case.ron --distance devices.ioc0.firmware_latency
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

    /// Find, for a timing or number of a scenario, the exact windows in which each outcome happens.
    ///
    /// Every value of the range is decided as if it had been run alone. A run ends as soon as its
    /// outcome is decided (a ticket that can never be served, an erased completion), unless --full
    /// is given. With a step, just the values of that grid are run, each on its own.
    #[command(after_help = SWEEP_AFTER)]
    Sweep(Box<SweepArgs>),

    /// Put the shards of a sweep together.
    #[command(after_help = MERGE_AFTER)]
    Merge(MergeArgs),

    /// Run every scenario of a folder and hold it to what it expects.
    #[command(after_help = TEST_AFTER)]
    Test(TestArgs),

    /// Look for mistakes in scenarios without running them.
    #[command(after_help = CHECK_AFTER)]
    Check(CheckArgs),

    /// Draw the pictures of a run's or a sweep's folder anew.
    #[command(after_help = PLOT_AFTER)]
    Plot(PlotArgs),

    /// Run litmus tests of the memory order under many timings and report the final states.
    ///
    /// Reads herd7's files in the dialects X86 and X86_64 and runs them as machine code. With
    /// --expected or --model every final state is held against those that x86-TSO allows;
    /// otherwise the states that were seen are printed as herd7 does.
    #[command(after_help = LITMUS_AFTER)]
    Litmus(LitmusArgs),

    /// Prove that the machine is right: its protocol, compiled code, its timing.
    #[command(after_help = VERIFY_AFTER)]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) what: VerifyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Explore every state that the coherence protocol can reach, and check each.
    Protocol {
        /// Only what takes seconds.
        #[arg(long)]
        quick: bool,

        /// Three cores and two lines in every kind of cache: nobody has seen the end of it.
        #[arg(long, conflicts_with = "quick")]
        long: bool,
    },

    /// Run compiled C programs and compare with what they compute natively.
    Corpus,

    /// Measure latencies on every preset and hold them to what it states.
    Timing(TimingArgs),

    /// Run scenarios and litmus tests with each speed-up on and off, and scenarios once more through
    /// snapshots: every way must end in the same state by the same trace.
    Speed(SpeedArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SpeedArgs {
    /// Scenarios (.ron), litmus tests (.litmus), or folders of them; ten scenarios drawn from seeds
    /// are run in any case.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// More of everything: a hundred generated scenarios, 100 snapshots of each run, 60
    /// arrangements of each litmus test, and 52 ms of each scenario instead of 4.
    #[arg(long)]
    pub(crate) long: bool,

    /// End each scenario this long after its begin.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Comparisons at the same time; as many as the host has CPUs if left out.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct TimingArgs {
    /// Write the page with all numbers to this file, and its picture beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,

    /// Hold this page and its picture to what is measured, byte for byte.
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    pub(crate) check: Option<PathBuf>,

    /// Only the latencies of this preset.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["write", "check"])]
    pub(crate) preset: Option<String>,
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

    /// Execute every instruction in turn: no run-ahead, no skipping, no replays. Changes
    /// nothing but the time it takes.
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

    /// Say how far this run is from another outcome: up to which other value of PATH everything
    /// ends as it does here, and which accesses nothing orders (see docs/exact-windows.md).
    #[arg(long, value_name = "PATH")]
    pub(crate) distance: Option<String>,

    /// Look for other outcomes as far as this from the value: a time, or a plain number.
    #[arg(long, value_name = "SPAN", requires = "distance", default_value = "1000000")]
    pub(crate) within: String,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) subject: Subject,

    /// The value to sweep and its range; twice for a map, up to four times for regions. The one with
    /// the most values comes first. With STEP the values of a grid are run.
    #[arg(long = "param", value_name = "PATH=LO..HI[:STEP]", required = true)]
    pub(crate) params: Vec<String>,

    /// Brute force: run every STEP-th value of the range on its own (the same as LO..HI:STEP).
    #[arg(long, value_name = "STEP")]
    pub(crate) grid: Option<String>,

    /// Runs at the same time; as many as the host has CPUs if left out.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,

    /// Folder of the results; FILE's name with `-sweep` in the current folder if left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Run until the scenario ends, even if the outcome is decided before.
    #[arg(long)]
    pub(crate) full: bool,

    /// Prove the causes of the lowest N edges: the pair of accesses whose order makes each.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) proofs: usize,

    /// Sweep part I (from 0) of N, into the folder shard-I-of-N in the results' folder. `array/N`
    /// takes I from SLURM_ARRAY_TASK_ID or HQ_TASK_ID, `array` also N from Slurm.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<String>,

    /// Print the N shards and their ranges, and run nothing.
    #[arg(long, value_name = "N", conflicts_with = "shard",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) plan: Option<u64>,

    /// Write the table of windows or regions as Apache Parquet, too.
    #[arg(long)]
    pub(crate) parquet: bool,

    /// Distribution of the swept time, as scenarios write it: Constant, Uniform, Normal, LogNormal,
    /// or csv:FILE (csv:FILE#COLUMN) with measured latencies.
    #[arg(long, value_name = "DIST")]
    pub(crate) odds: Option<String>,

    /// Operations per second (also /min, /h): gives the time to the first failure.
    #[arg(long, value_name = "N/s", requires = "odds", value_parser = rate)]
    pub(crate) rate: Option<f64>,

    /// Estimate the odds by N samples, too.
    #[arg(long, value_name = "N", requires = "odds",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) monte_carlo: Option<u64>,

    /// How each sampled value is decided: by a run of its own, or by the windows.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = DecideBy::Judge)]
    pub(crate) monte_carlo_by: DecideBy,

    /// Seed of the samples of --monte-carlo and --judge-random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) sample_seed: u64,

    /// Run every point of the range alone and compare.
    #[arg(long)]
    pub(crate) judge: bool,

    /// Run N random points alone and compare.
    #[arg(long, value_name = "N")]
    pub(crate) judge_random: Option<usize>,

    /// Run every value within WIDTH of an edge alone and compare.
    #[arg(long, value_name = "WIDTH", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) judge_edges: Option<u64>,

    /// What judges and Monte Carlo run: the whole scenario, from its boot to its outcome; or a fork
    /// from the first use of the values on, as the windows do: fast, but not independent of them.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = JudgeBy::Run)]
    pub(crate) judge_by: JudgeBy,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Folders of shards, or the folder that has them all.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,

    /// Folder of the whole; the first DIR if left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Write the table of windows or regions as Apache Parquet, too.
    #[arg(long)]
    pub(crate) parquet: bool,
}

/// What a judge runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JudgeBy {
    /// The whole scenario: independent of the windows.
    Run,
    /// A fork from the first use of the values on.
    Fork,
}

impl JudgeBy {
    /// What happens to each point, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            JudgeBy::Run => "run alone",
            JudgeBy::Fork => "forked",
        }
    }
}

/// How a sampled value is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DecideBy {
    /// By a run of its own: independent of the windows.
    Judge,
    /// By the windows: fast, but a check of the integration only.
    Windows,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// A folder of scenarios (*.ron), or one scenario.
    #[arg(value_name = "DIR")]
    pub(crate) path: PathBuf,

    /// Runs at the same time; as many as the host has CPUs if left out.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Scenarios (.ron) or bare-metal programs (ELF).
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LitmusArgs {
    /// Tests (.litmus), or folders of them.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Hold the states seen to the allowed ones of this JSON file.
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) expected: Option<PathBuf>,

    /// Hold the states seen to those that the built-in x86-TSO model computes.
    #[arg(long)]
    pub(crate) model: bool,

    /// Timings of each test.
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) tries: u64,

    /// Seed of all timings.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Run only this try, and show its timing.
    #[arg(long = "try", value_name = "N", conflicts_with_all = ["expected", "model", "json"])]
    pub(crate) one: Option<u64>,

    /// Tests at the same time; as many as the host has CPUs if left out.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,

    /// List the allowed states that were seen, too.
    #[arg(long)]
    pub(crate) states: bool,

    /// Print one JSON document and nothing else (see docs/litmus.md).
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlotArgs {
    /// A folder that `run --out` or `sweep` wrote.
    pub(crate) dir: PathBuf,

    /// Format of the pictures.
    #[arg(long, value_enum, default_value_t = PictureFormat::Svg)]
    pub(crate) format: PictureFormat,

    /// Width in CSS pixels (1/96 inch); PNG has three pixels for each.
    #[arg(long, value_name = "PX", default_value_t = 640,
          value_parser = clap::value_parser!(u32).range(480..=4000))]
    pub(crate) width: u32,
}

/// Formats of pictures, as the command line names them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PictureFormat {
    Svg,
    Png,
}

impl From<PictureFormat> for viz::Format {
    fn from(format: PictureFormat) -> Self {
        match format {
            PictureFormat::Svg => viz::Format::Svg,
            PictureFormat::Png => viz::Format::Png,
        }
    }
}

impl Subject {
    /// Changes of the scenario, as `--set` takes them.
    pub(crate) fn changes(&self) -> Vec<String> {
        let cores = self.cores.map(|cores| format!("machine.cores={cores}"));
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        self.sets.iter().cloned().chain(cores).chain(seed).collect()
    }
}

impl SweepArgs {
    /// True if something is asked for that only exact windows can give.
    pub(crate) fn only_exact(&self) -> bool {
        let judged = self.judge || self.judge_random.is_some() || self.judge_edges.is_some();
        judged || self.shard.is_some() || self.plan.is_some() || self.odds.is_some() || self.parquet
    }
}

/// Operations per second.
fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, ""));
    let number: f64 = number.trim().parse().map_err(|_| "write a rate like 100/s".to_owned())?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err("write a rate with /s, /min or /h: 100/s".to_owned()),
    };
    if number.is_finite() && number > 0.0 {
        Ok(number / seconds)
    } else {
        Err("a rate is above 0".to_owned())
    }
}

fn jobs(text: &str) -> Result<usize, String> {
    let number = text.parse().map_err(|_| "write a number from 1 to 1024".to_owned())?;
    if (1..=1024).contains(&number) { Ok(number) } else { Err("1 to 1024 at a time".to_owned()) }
}
