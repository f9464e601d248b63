//! Compiled C: programs whose results are known from the host they were built on, and the
//! instructions that compilers make of them.
//!
//! `corpus/build.sh` compiles the programs of `corpus/src` with two compilers at three levels of
//! optimisation, each into one bare-metal image, and natively; `corpus/expected.txt` is what they
//! printed there.

pub mod forms;

use scenarios::image::{Image, ImageError};
use sim_core::Cycle;
use sim_x86::ids::CoreId;
use sim_x86::presets;
use sim_x86::spec::{SpecErrors, Translation};
use sim_x86::{Machine, Speed, Start, Stop};
use thiserror::Error;

/// All programs, compiled one way.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// Compiler and level of optimisation.
    pub name: &'static str,
    /// The image.
    pub elf: &'static [u8],
}

/// Every way in which the programs were compiled.
pub const BUILDS: [Build; 6] = [
    Build { name: "gcc-O0", elf: include_bytes!("../corpus/elf/gcc-O0.elf") },
    Build { name: "gcc-O2", elf: include_bytes!("../corpus/elf/gcc-O2.elf") },
    Build { name: "gcc-Os", elf: include_bytes!("../corpus/elf/gcc-Os.elf") },
    Build { name: "clang-O0", elf: include_bytes!("../corpus/elf/clang-O0.elf") },
    Build { name: "clang-O2", elf: include_bytes!("../corpus/elf/clang-O2.elf") },
    Build { name: "clang-Os", elf: include_bytes!("../corpus/elf/clang-Os.elf") },
];

/// What the programs printed natively: a line for each, its name and its digest.
const EXPECTED: &str = include_str!("../corpus/expected.txt");

/// Cycles within which every build ends.
const LIMIT: Cycle = Cycle(2_000_000_000);

/// Why a build gave no results.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// The image cannot be loaded.
    #[error("the image cannot be loaded")]
    Image(#[from] ImageError),
    /// No such machine.
    #[error("the machine cannot be built")]
    Spec(#[from] SpecErrors),
    /// The programs did not come to their end.
    #[error("it ended with {stop:?} at {rip:#x}, after {printed:?}")]
    Stopped {
        /// How.
        stop: Stop,
        /// Where CPU 0 was.
        rip: u64,
        /// The last line printed.
        printed: String,
    },
}

/// The results of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Programs that computed what they did natively.
    pub equal: usize,
    /// Lines that differ: expected and printed.
    pub different: Vec<(String, String)>,
    /// Instructions executed.
    pub instructions: u64,
}

/// How many programs there are.
#[must_use]
pub fn programs() -> usize {
    EXPECTED.lines().count()
}

/// Runs all programs of a build on the simulated machine and compares.
///
/// # Errors
/// If they do not all come to their end.
pub fn run(build: &Build) -> Result<Ran, CorpusError> {
    let mut spec = presets::westmere_ep();
    spec.cores = 1;
    spec.translation = Translation::Identity;
    let image = Image::parse(build.elf, spec.memory.ram_bytes)?;
    let mut machine = Machine::new(spec)?;
    for segment in &image.segments {
        machine.write_physical(segment.addr, &segment.bytes);
    }
    machine.start_core(CoreId(0), Start { rip: image.entry, ..Start::default() });
    let stop = machine.run(LIMIT, Speed::default(), &mut ());
    let console = String::from_utf8_lossy(machine.console()).into_owned();
    if !matches!(stop, Stop::Exit { code: 0, .. }) {
        let printed = console.lines().last().unwrap_or_default().to_owned();
        return Err(CorpusError::Stopped { stop, rip: machine.registers(CoreId(0)).rip, printed });
    }
    Ok(compare(&console, machine.instructions()))
}

fn compare(console: &str, instructions: u64) -> Ran {
    let mut printed: Vec<&str> = console.lines().collect();
    printed.sort_unstable();
    let mut ran = Ran { equal: 0, different: Vec::new(), instructions };
    let lines = EXPECTED.lines().count().max(printed.len());
    let mut expected = EXPECTED.lines();
    let mut printed = printed.into_iter();
    for _ in 0..lines {
        let pair = (expected.next().unwrap_or("nothing"), printed.next().unwrap_or("nothing"));
        if pair.0 == pair.1 {
            ran.equal += 1;
        } else {
            ran.different.push((pair.0.to_owned(), pair.1.to_owned()));
        }
    }
    ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen() {
        let right = compare(EXPECTED, 1);
        assert_eq!((right.equal, right.different.len()), (programs(), 0));
        let wrong = EXPECTED.replacen("sort_heap ", "sort_heap 0", 1);
        assert_eq!(compare(&wrong, 1).different.len(), 1);
        let short = EXPECTED.rsplit_once('\n').expect("lines").0.rsplit_once('\n').expect("two").0;
        assert_eq!(compare(short, 1).different.len(), 1);
    }
}
