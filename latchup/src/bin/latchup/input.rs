//! Reads what is to be simulated.

use crate::args::Subject;
use crate::fail::Failure;
use crate::shell;
use rayon::{ThreadPool, ThreadPoolBuilder};
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::{Files, Loaded};
use scenarios::simulation::RunOptions;
use scenarios::units::Duration;
use sim_core::Hertz;
use sim_x86::Speed;
use std::path::{Path, PathBuf};

/// The first bytes of every ELF file.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// A scenario with the changes of the command line, and the files that it names.
#[derive(Debug)]
pub(crate) struct Input {
    /// The file as it was named.
    pub(crate) file: PathBuf,
    /// The scenario.
    pub(crate) document: Document,
    /// Its text.
    pub(crate) text: String,
    /// Further files.
    pub(crate) files: Beside,
    /// True for a bare-metal program that was named instead of a scenario.
    pub(crate) program: bool,
}

/// The files beside a scenario, or the one program that was named instead of one.
#[derive(Debug)]
pub(crate) enum Beside {
    Folder(PathBuf),
    Program(Vec<u8>),
}

impl Files for Beside {
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        match self {
            Beside::Folder(folder) => std::fs::read(folder.join(name)),
            Beside::Program(bytes) => Ok(bytes.clone()),
        }
    }
}

impl Input {
    /// Reads `subject`'s file and applies the changes of the command line.
    pub(crate) fn read(subject: &Subject) -> Result<Self, Failure> {
        let mut input = Self::open(&subject.file)?;
        for change in subject.changes() {
            input.document.set(&change);
        }
        Ok(input)
    }

    /// Reads a file without changing anything.
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(file).map_err(Failure::read(file))?;
        let name = file.to_string_lossy();
        let program = bytes.starts_with(ELF_MAGIC);
        let (text, files) = if program {
            // A program is the scenario in which nothing but this program runs.
            let text = format!("Scenario(title: {name:?}, image: {name:?}, until: Exit)");
            (text, Beside::Program(bytes))
        } else {
            let text = String::from_utf8(bytes).map_err(|_| {
                Failure::usage(
                    format!("{name} is neither text nor an ELF file"),
                    "name a scenario (.ron) or a static x86-64 program",
                )
            })?;
            (text, Beside::Folder(file.parent().unwrap_or(Path::new("")).to_owned()))
        };
        let document = Document::parse(&name, &text)?;
        Ok(Input { file: file.to_owned(), document, text, files, program })
    }

    /// Loads the scenario.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        Ok(self.document.load(&Guest::shipped().image, &self.files)?)
    }
}

/// The files of a folder and its subfolders that have one of these extensions, by name; or the one
/// file, whatever its extension.
pub(crate) fn files_of(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut open, mut files) = (vec![path.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Failure::read(&folder))? {
            let path = entry.map_err(Failure::read(&folder))?.path();
            let is = |extension: &&str| path.extension().is_some_and(|own| own == *extension);
            if path.is_dir() {
                open.push(path);
            } else if extensions.iter().any(is) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// How to run `subject` on a machine with this clock.
pub(crate) fn options(subject: &Subject, clock: Hertz) -> Result<RunOptions, Failure> {
    let limit = match &subject.until {
        None => None,
        Some(text) => {
            let time = text.parse::<Duration>().map_err(|error| {
                Failure::usage(format!("--until {text}: {error}"), error.help())
            })?;
            Some(time.cycles(clock))
        }
    };
    let speed = if subject.exact_steps { Speed::exact_steps() } else { Speed::default() };
    Ok(RunOptions { speed, limit, check: subject.check, ..RunOptions::default() })
}

/// The command that repeats the run of `subject`.
pub(crate) fn reproduce(subject: &Subject) -> String {
    shell::join(reproduce_words(subject))
}

/// The words of that command.
pub(crate) fn reproduce_words(subject: &Subject) -> Vec<String> {
    let mut words = vec!["latchup".to_owned(), "run".to_owned()];
    // A name that begins with a dash would be taken for an option.
    let file = subject.file.to_string_lossy();
    words.push(if file.starts_with('-') { format!("./{file}") } else { file.into_owned() });
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    for set in &subject.sets {
        option("--set", Some(set.clone()));
    }
    option("--cores", subject.cores.map(|cores| cores.to_string()));
    option("--seed", subject.seed.map(|seed| seed.to_string()));
    option("--until", subject.until.clone());
    words
}

/// Threads for `jobs` runs at a time; one for each CPU of the host if it is not said.
pub(crate) fn pool(jobs: Option<usize>) -> Result<ThreadPool, Failure> {
    Ok(ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0)).build()?)
}
