//! `latchup verify`.

mod speed;

use crate::args::{TimingArgs, VerifyArgs, VerifyCommand};
use crate::fail::Failure;
use crate::screen::Screen;
use crate::{AS_EXPECTED, NOT_AS_EXPECTED, Outcome};
use std::path::{Path, PathBuf};
use verify::corpus::{self, forms};
use verify::protocol::{self, Extent};
use verify::timing::{self, Collapse, Validation};
use viz::{Curve, Curves, Format};

pub(crate) fn verify(args: &VerifyArgs, screen: &mut Screen) -> Outcome {
    let good = match &args.what {
        VerifyCommand::Protocol { quick: true, .. } => protocol(Extent::Quick, screen)?,
        VerifyCommand::Protocol { long: true, .. } => protocol(Extent::Long, screen)?,
        VerifyCommand::Protocol { .. } => protocol(Extent::Full, screen)?,
        VerifyCommand::Corpus => corpus(screen)?,
        VerifyCommand::Timing(args) => timing(args, screen)?,
        VerifyCommand::Speed(args) => speed::speed(args, screen)?,
    };
    screen.flush()?;
    Ok(if good { AS_EXPECTED } else { NOT_AS_EXPECTED })
}

fn protocol(extent: Extent, screen: &mut Screen) -> Result<bool, Failure> {
    let mut good = true;
    for setup in protocol::all(extent) {
        let lines = if setup.lines == 1 { "line" } else { "lines" };
        let what = format!("{} cores, {} {lines}, {}", setup.cores, setup.lines, setup.name);
        match protocol::explore(&setup, |_, _| {}) {
            Ok(seen) => {
                let bound = match setup.in_progress {
                    usize::MAX => String::new(),
                    1 => ", 1 operation at a time".to_owned(),
                    most => format!(", {most} operations at a time"),
                };
                let protocol::Exploration { states, transitions, depth, at_rest, .. } = seen;
                let text = format!(
                    "  {what}{bound}: {states} states ({at_rest} at rest), {transitions} \
                     transitions, depth {depth}"
                );
                screen.verdict(true, "complete", &text)?;
            }
            Err(found) => {
                good = false;
                screen.verdict(false, "VIOLATION", &format!("  {what}: {found}"))?;
            }
        }
        screen.flush()?;
    }
    Ok(good)
}

fn corpus(screen: &mut Screen) -> Result<bool, Failure> {
    let mut good = true;
    for build in &corpus::BUILDS {
        let ran = corpus::run(build)?;
        let equal = ran.different.is_empty();
        good &= equal;
        let text = format!(
            "  {}: {} programs as on the host, {} different, {} instructions",
            build.name,
            ran.equal,
            ran.different.len(),
            ran.instructions
        );
        screen.verdict(equal, if equal { "equal" } else { "DIFFERENT" }, &text)?;
        for (expected, printed) in &ran.different {
            screen.print(&format!("    expected {expected}, printed {printed}\n"))?;
        }
    }
    let forms = forms::all(scenarios::guest::ELF)?;
    let missing: Vec<_> = forms.iter().filter(|(_, seen)| !seen.implemented).collect();
    good &= missing.is_empty();
    let count: u64 = forms.values().map(|seen| seen.count).sum();
    let text = format!(
        "  {} forms in {count} instructions of the guest kernel and the corpus, {} not implemented",
        forms.len(),
        missing.len()
    );
    screen.verdict(missing.is_empty(), "forms", &text)?;
    for (form, seen) in missing {
        let (image, address) = seen.first;
        screen.print(&format!("    {form:?}: {image} at {address:#x}\n"))?;
    }
    Ok(good)
}

fn timing(args: &TimingArgs, screen: &mut Screen) -> Result<bool, Failure> {
    let mut good = true;
    let kept = kept(args.check.as_ref())?;
    let mut all: Vec<Validation> = Vec::new();
    let mut machines = timing::machines();
    if let Some(name) = &args.preset {
        let known: Vec<String> = machines.iter().map(|machine| machine.preset.clone()).collect();
        machines.retain(|machine| machine.preset == *name);
        if machines.is_empty() {
            let advice = format!("the presets are {}", known.join(", "));
            return Err(Failure::usage(format!("there is no preset {name}"), &advice));
        }
    }
    for machine in machines {
        let validation = timing::validate(&machine);
        let failures = validation.failures();
        good &= failures.is_empty();
        let text = format!(
            "  {}: {} latencies, {} lines, {} not as stated",
            validation.preset,
            validation.rows.len(),
            validation.lines.len(),
            failures.len()
        );
        screen.verdict(failures.is_empty(), "timing", &text)?;
        for failure in failures {
            screen.print(&format!("    {failure}\n"))?;
        }
        screen.flush()?;
        all.push(validation);
    }
    if args.preset.is_some() {
        return Ok(good);
    }
    let collapse = Collapse::measure(&sim_x86::presets::magny_cours(), &timing::COLLAPSE_CORES);
    let (knee, model) = collapse.knees();
    let near = (knee - model).abs() <= timing::KNEE_TOLERANCE;
    good &= near;
    let text =
        format!("  the lock's collapse begins at {knee} CPUs, by the closed form at {model}");
    screen.verdict(near, "collapse", &text)?;
    if let Some(path) = &args.write {
        for (path, contents) in page(path, &all, &collapse)? {
            std::fs::write(&path, contents).map_err(Failure::write(&path))?;
        }
    }
    for (path, old) in &kept {
        let measured = page(&kept[0].0, &all, &collapse)?;
        let same = measured.iter().any(|(file, contents)| file == path && contents == old);
        good &= same;
        let text = format!("  {}", path.display());
        screen.verdict(same, if same { "up to date" } else { "STALE" }, &text)?;
    }
    Ok(good)
}

/// The files that `--check` names, read before anything is measured.
fn kept(check: Option<&PathBuf>) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let files = check.map(|page| [page.clone(), page.with_file_name(PICTURE)]);
    let read = |path: PathBuf| {
        let contents = std::fs::read(&path).map_err(Failure::read(&path))?;
        Ok((path, contents))
    };
    files.into_iter().flatten().map(read).collect()
}

/// Name of the picture beside the page.
const PICTURE: &str = "lock-collapse.svg";

/// The page that is to be called `path`, and the picture beside it.
fn page(
    path: &Path,
    all: &[Validation],
    collapse: &Collapse,
) -> Result<[(PathBuf, Vec<u8>); 2], Failure> {
    let curve = |name: &str, points: &[(f64, f64)], marked| Curve {
        name: name.to_owned(),
        points: points.to_vec(),
        marked,
    };
    let curves = Curves {
        title: "The collapse of a ticket lock on magny-cours".to_owned(),
        x: "CPUs".to_owned(),
        y: "CPUs that compute".to_owned(),
        curves: vec![
            curve("measured", &collapse.measured, true),
            curve("closed form", &collapse.model, false),
        ],
    };
    let bytes = viz::draw_curves(&curves, &viz::Options::default()).bytes(Format::Svg)?;
    let page = timing::render(all, collapse, PICTURE);
    Ok([(path.to_owned(), page.into_bytes()), (path.with_file_name(PICTURE), bytes)])
}
