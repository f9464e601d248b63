//! `latchup litmus`.

use crate::args::LitmusArgs;
use crate::fail::Failure;
use crate::input::{files_of, pool};
use crate::screen::Screen;
use crate::{AS_EXPECTED, NOT_AS_EXPECTED, Outcome, shell};
use litmus::condition::State;
use litmus::expected::{self, Entry};
use litmus::judge::{Judgement, Verdict};
use litmus::program::Test;
use litmus::runner::{self, Observations, RunError, Seen};
use litmus::{herd, model, parse, timing};
use scenarios::sweep::in_order;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Configurations of one test that `--model` looks at before it gives up: some 10 GB.
const MODEL_LIMIT: usize = 20_000_000;

/// A test and what it is held to.
struct Subject {
    file: PathBuf,
    test: Test,
    /// The allowed states of `--expected`.
    allowed: Option<BTreeSet<State>>,
}

/// [`runner::run`] or [`runner::run_alone`].
type Run = fn(&Test, u64, u64) -> Result<Observations, RunError>;

/// What became of a test.
struct Ran {
    observations: Observations,
    judgement: Option<Judgement>,
}

pub(crate) fn litmus(args: &LitmusArgs, screen: &mut Screen) -> Outcome {
    let subjects = subjects(args)?;
    if let Some(number) = args.one {
        return one(args, &subjects, number, screen);
    }
    // One test alone is divided among the jobs; otherwise each job has its own tests.
    let run = if subjects.len() == 1 { runner::run } else { runner::run_alone };
    let work = |index: usize| ran(args, &subjects[index], run);
    let mut totals = Totals::default();
    let mut documents = Vec::new();
    let mut rest = subjects.iter();
    in_order(&pool(args.jobs)?, subjects.len(), work, |ran: Ran| {
        let subject = rest.next().expect("one result for each test");
        totals.add(&ran);
        if args.json {
            documents.push(document(args, subject, &ran));
        } else {
            tell(args, subject, &ran, screen)?;
            screen.flush()?;
        }
        Ok::<(), Failure>(())
    })?;
    if args.json {
        let all = json!({ "seed": args.seed, "tests": documents, "totals": totals.json() });
        screen.print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    } else if let Some(text) = totals.text() {
        screen.print(&text)?;
    }
    screen.flush()?;
    Ok(if totals.forbidden == 0 { AS_EXPECTED } else { NOT_AS_EXPECTED })
}

/// Runs a test; compares it if there is something to compare it with.
fn ran(args: &LitmusArgs, subject: &Subject, run: Run) -> Result<Ran, Failure> {
    let observations =
        run(&subject.test, args.seed, args.tries).map_err(|error| failed(subject, error))?;
    let allowed = match &subject.allowed {
        Some(allowed) => Some(allowed.clone()),
        None if args.model => {
            let allowed = model::allowed(&subject.test, MODEL_LIMIT);
            Some(allowed.map_err(|error| {
                let message = format!("{}: {error}", subject.file.display());
                Failure::usage(message, "hold it to an --expected file instead")
            })?)
        }
        None => None,
    };
    let judgement = allowed.map(|allowed| Judgement::new(&observations, &allowed));
    Ok(Ran { observations, judgement })
}

/// Why a test could not be run to its end.
fn failed(subject: &Subject, error: RunError) -> Failure {
    let RunError::Endless { .. } = error else { return Failure::Litmus(error) };
    let message = format!("{}: {error}", subject.file.display());
    Failure::usage(message, "the threads must end by themselves, whatever the timing")
}

/// `--try`: one run, with its timing.
fn one(args: &LitmusArgs, subjects: &[Subject], number: u64, screen: &mut Screen) -> Outcome {
    for subject in subjects {
        let state = runner::run_one(&subject.test, args.seed, number)
            .map_err(|error| failed(subject, error))?;
        let arrangement = timing::arrangement(&subject.test, args.seed, number);
        let perturbation = timing::perturbation(args.seed, number);
        let text = format!(
            "Test {}\n{}\ntry {number} of seed {}\n{arrangement:#?}\n{perturbation:#?}\n",
            subject.test.name,
            herd::state(&subject.test, &state),
            args.seed
        );
        screen.print(&text)?;
    }
    screen.flush()?;
    Ok(AS_EXPECTED)
}

/// Reads all tests before any is run: mistakes are told at once.
fn subjects(args: &LitmusArgs) -> Result<Vec<Subject>, Failure> {
    let expected = match &args.expected {
        Some(file) => Some((file, expectations(file)?)),
        None => None,
    };
    let mut subjects = Vec::new();
    for path in &args.paths {
        for file in tests_of(path)? {
            let text = fs::read_to_string(&file).map_err(Failure::read(&file))?;
            let test = parse::parse(&file.display().to_string(), &text)
                .map_err(|error| Failure::usage(error.to_string(), error.help))?;
            let allowed = match &expected {
                Some((json, entries)) => Some(allowed(json, entries, &file, &test)?),
                None => None,
            };
            subjects.push(Subject { file, test, allowed });
        }
    }
    Ok(subjects)
}

/// The litmus files of a folder and its subfolders by name, or the one file.
fn tests_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let files = files_of(path, &["litmus"])?;
    if files.is_empty() {
        return Err(Failure::usage(
            format!("there is no litmus test in {}", path.display()),
            "name a file, or a folder with *.litmus files",
        ));
    }
    Ok(files)
}

/// The entries of `--expected`, by the path that they name.
fn expectations(file: &Path) -> Result<BTreeMap<PathBuf, Entry>, Failure> {
    let text = fs::read_to_string(file).map_err(Failure::read(file))?;
    let entries = expected::read(&text).map_err(|error| wrong_expectations(file, &error))?;
    let folder = real(file.parent().unwrap_or(Path::new("")))?;
    Ok(entries.into_iter().map(|entry| (folder.join(&entry.path), entry)).collect())
}

fn allowed(
    json: &Path,
    entries: &BTreeMap<PathBuf, Entry>,
    file: &Path,
    test: &Test,
) -> Result<BTreeSet<State>, Failure> {
    let Some(entry) = entries.get(&real(file)?) else {
        return Err(Failure::usage(
            format!("{} says nothing of {}", json.display(), file.display()),
            "add its entry, or use --model",
        ));
    };
    entry.states_of(test).map_err(|error| wrong_expectations(json, &error))
}

fn wrong_expectations(file: &Path, error: &expected::ExpectedError) -> Failure {
    let message = format!("{}: {error}", file.display());
    Failure::usage(message, "see docs/litmus.md for the format")
}

fn real(path: &Path) -> Result<PathBuf, Failure> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::canonicalize(path).map_err(Failure::read(path))
}

/// Says what became of a test.
fn tell(
    args: &LitmusArgs,
    subject: &Subject,
    ran: &Ran,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Some(judgement) = &ran.judgement else {
        let states: BTreeSet<State> = ran.observations.states.keys().cloned().collect();
        return Ok(screen.print(&format!("{}\n", herd::summary(&subject.test, &states)))?);
    };
    let name = subject.file.display();
    let (forbidden, seen) =
        (judgement.count(Verdict::ForbiddenSeen), judgement.count(Verdict::AllowedSeen));
    let allowed = seen + judgement.count(Verdict::AllowedNotSeen);
    if forbidden == 0 {
        screen.verdict(true, "ok", &format!("         {name}: {seen} of {allowed} allowed"))?;
    } else {
        let text = format!("  {name}: {forbidden} forbidden, {seen} of {allowed} allowed");
        screen.verdict(false, "FORBIDDEN", &text)?;
    }
    for row in &judgement.rows {
        let state = herd::state(&subject.test, &row.state);
        let line = match (row.verdict, row.seen) {
            (Verdict::AllowedSeen, _) if !args.states => continue,
            (Verdict::AllowedNotSeen, _) => format!("allowed, not seen   {state}"),
            (Verdict::AllowedSeen, seen) => {
                let count = seen.map_or(0, |seen| seen.count);
                format!("allowed and seen    {state} {count} times")
            }
            (Verdict::ForbiddenSeen, seen) => {
                let first = seen.map_or(0, |seen| seen.first_try);
                let count = seen.map_or(0, |seen| seen.count);
                let again = reproduce(args, subject, first);
                format!("forbidden, seen     {state} {count} times; again: {again}")
            }
        };
        screen.print(&format!("           {line}\n"))?;
    }
    Ok(())
}

/// The command that repeats one try.
fn reproduce(args: &LitmusArgs, subject: &Subject, number: u64) -> String {
    let words = [
        "latchup".to_owned(),
        "litmus".to_owned(),
        subject.file.display().to_string(),
        "--seed".to_owned(),
        args.seed.to_string(),
        "--try".to_owned(),
        number.to_string(),
    ];
    shell::join(words.to_vec())
}

/// A test as JSON.
fn document(args: &LitmusArgs, subject: &Subject, ran: &Ran) -> Value {
    let test = &subject.test;
    let states = match &ran.judgement {
        Some(judgement) => json!(judgement.rows),
        None => {
            let row = |(state, seen): (&State, &Seen)| json!({ "state": state, "count": seen.count, "first_try": seen.first_try });
            ran.observations.states.iter().map(row).collect()
        }
    };
    let mut document = json!({
        "path": subject.file,
        "name": test.name,
        "dialect": test.dialect,
        "quantifier": test.condition.quantifier,
        "condition": test.condition.text,
        "ok": test.condition.is_ok(ran.observations.states.keys()),
        "tries": ran.observations.tries,
        "observed": test.observed_names(),
        "states": states,
    });
    let forbidden = ran.judgement.iter().flat_map(|j| j.with(Verdict::ForbiddenSeen));
    let again: Vec<String> =
        forbidden.filter_map(|row| Some(reproduce(args, subject, row.seen?.first_try))).collect();
    document["reproduce"] = json!(again);
    document
}

/// Sums over all tests.
#[derive(Default)]
struct Totals {
    tests: usize,
    tries: u64,
    judged: bool,
    forbidden: usize,
    seen: usize,
    not_seen: usize,
}

impl Totals {
    fn add(&mut self, ran: &Ran) {
        self.tests += 1;
        self.tries += ran.observations.tries;
        if let Some(judgement) = &ran.judgement {
            self.judged = true;
            self.forbidden += judgement.count(Verdict::ForbiddenSeen);
            self.seen += judgement.count(Verdict::AllowedSeen);
            self.not_seen += judgement.count(Verdict::AllowedNotSeen);
        }
    }

    fn json(&self) -> Value {
        let mut all = json!({ "tests": self.tests, "tries": self.tries });
        if self.judged {
            all["forbidden_seen"] = json!(self.forbidden);
            all["allowed_seen"] = json!(self.seen);
            all["allowed_not_seen"] = json!(self.not_seen);
        }
        all
    }

    /// The last lines, if there was something to compare with.
    fn text(&self) -> Option<String> {
        let allowed = self.seen + self.not_seen;
        let percent = self.seen as f64 * 100.0 / (allowed.max(1)) as f64;
        self.judged.then(|| {
            format!(
                "{} tests, {} tries\nforbidden states seen: {}\nallowed states seen: {} of \
                 {allowed} ({percent:.2} %)\n",
                self.tests, self.tries, self.forbidden, self.seen
            )
        })
    }
}
