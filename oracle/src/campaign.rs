//! Many cases on both, compared.

use crate::flat::Flat;
use crate::machine::Whole;
use crate::native::Native;
use crate::ways::{self, Ways};
use oracle_cases::{BASE_FLAGS, Case, End, Generator, Outcome};
use sim_x86::presets::westmere_ep;
use std::fmt::Write;
use std::ops::Range;

/// One case in so many also runs on a whole machine, which is slower.
pub const WHOLE_MACHINE_EVERY: u64 = 64;

/// What a campaign did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases compared with the processor.
    pub compared: u64,
    /// Of these, cases that ended in an exception.
    pub faults: u64,
    /// Of these, cases that also ran on a whole machine.
    pub on_machine: u64,
    /// Cases passed over, because they leave what a case may touch.
    pub skipped: u64,
    /// Cases passed over, because the host executes them in a way of its own ([`Ways`]).
    pub foreign: u64,
    /// Cases in which the host differed from latchup once, and from itself when it ran them again.
    pub unrepeatable: u64,
    /// Reproducers of differences, up to a limit.
    pub reports: Vec<String>,
    /// All differences.
    pub differences: u64,
}

impl Tally {
    /// Adds the numbers of another part of the campaign.
    pub fn add(&mut self, other: Tally) {
        self.compared += other.compared;
        self.faults += other.faults;
        self.on_machine += other.on_machine;
        self.skipped += other.skipped;
        self.foreign += other.foreign;
        self.unrepeatable += other.unrepeatable;
        self.differences += other.differences;
        self.reports.extend(other.reports);
    }
}

/// Runs both.
#[derive(Debug)]
pub struct Bench {
    generator: Generator,
    flat: Flat,
    whole: Whole,
    native: Native,
    ways: Ways,
}

/// How often the host runs a case anew that it seems to have executed differently.
const RETRIES: usize = 16;

/// Reproducers kept in a tally.
const REPORTS: usize = 20;

impl Bench {
    /// For the cases of `seed`.
    ///
    /// # Errors
    /// The host cannot run cases.
    ///
    /// # Panics
    /// The preset is not valid.
    pub fn new(seed: u64) -> Result<Self, crate::native::NativeError> {
        let spec = westmere_ep();
        let mut native = Native::new()?;
        let ways = Ways { amd: ways::host_is_amd(), int1_stays: native.int1_stays() };
        Ok(Bench {
            generator: Generator::new(seed, sim_x86::op::implemented),
            flat: Flat::new(spec.costs),
            whole: Whole::new(spec).expect("the preset is valid"),
            native,
            ways,
        })
    }

    /// Number of opcodes from which cases are made.
    #[must_use]
    pub fn opcodes(&self) -> usize {
        self.generator.opcodes()
    }

    /// Compares the cases with these numbers.
    pub fn run(&mut self, cases: Range<u64>) -> Tally {
        let mut tally = Tally::default();
        for index in cases {
            self.compare(index, &mut tally);
        }
        tally
    }

    /// What the processor makes of case `index`; `None` if it is to be passed over.
    pub fn native(&mut self, index: u64) -> Option<(&Case, Outcome)> {
        let case = self.generator.case(index);
        let flat = self.flat.run(case)?;
        if self.ways.differ(case, &flat) {
            return None;
        }
        let outcome = self.native.run(case);
        Some((case, outcome))
    }

    fn compare(&mut self, index: u64, tally: &mut Tally) {
        let case = self.generator.case(index);
        let Some(flat) = self.flat.run(case) else {
            tally.skipped += 1;
            return;
        };
        if self.ways.differ(case, &flat) {
            tally.foreign += 1;
            return;
        }
        let native = self.native.run(case);
        tally.compared += 1;
        tally.faults += u64::from(native.end != End::Ran);
        let mut wrong = (flat != native).then_some(("flat memory", flat));
        if wrong.is_none() && index.is_multiple_of(WHOLE_MACHINE_EVERY) && Whole::can_show(&native)
        {
            tally.on_machine += 1;
            let whole = self.whole.run(case, &native);
            wrong = (whole != native).then_some(("a whole machine", whole));
        }
        if let Some((place, simulated)) = wrong {
            let again = (0..RETRIES).filter(|_| self.native.run(case) == native).count();
            let repeatable = again == RETRIES;
            tally.differences += u64::from(repeatable);
            tally.unrepeatable += u64::from(!repeatable);
            if tally.reports.len() < REPORTS {
                let mut report = reproducer(case, &native, &simulated, place);
                if !repeatable {
                    let _ = writeln!(
                        report,
                        "  not repeatable: {again} of {RETRIES} more runs did the same"
                    );
                }
                tally.reports.push(report);
            }
        }
    }
}

const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// Everything about a difference.
#[must_use]
pub fn reproducer(case: &Case, expected: &Outcome, found: &Outcome, place: &str) -> String {
    let mut text = String::new();
    let bytes: Vec<String> = case.code.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ =
        writeln!(text, "case {}: {} at {:#x}, on {place}", case.index, bytes.join(" "), case.start);
    for line in case.disassembly() {
        let _ = writeln!(text, "    {line}");
    }
    let _ = writeln!(text, "  before:");
    for (name, value) in NAMES.iter().zip(case.gpr) {
        let _ = write!(text, "    {name}={value:x}");
    }
    let _ = writeln!(text, "\n    rflags={:x} (always {BASE_FLAGS:x})", case.rflags);
    let _ = writeln!(text, "  processor, latchup:");
    if expected.end != found.end {
        let _ = writeln!(text, "    {:x?}, {:x?}", expected.end, found.end);
    }
    for (name, a, b) in
        [("rip", expected.rip, found.rip), ("rflags", expected.rflags, found.rflags)]
            .into_iter()
            .chain((0..16).map(|n| (NAMES[n], expected.gpr[n], found.gpr[n])))
            .filter(|(_, a, b)| a != b)
    {
        let _ = writeln!(text, "    {name} {a:x}, {b:x}");
    }
    let pairs = expected.memory.iter().zip(&found.memory).zip(&case.memory);
    for (at, ((a, b), old)) in pairs.enumerate().filter(|(_, ((a, b), _))| a != b).take(16) {
        let at = oracle_cases::DATA + at as u64;
        let _ = writeln!(text, "    [{at:x}] {a:02x}, {b:02x} (was {old:02x})");
    }
    text
}
