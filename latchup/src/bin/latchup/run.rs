//! `latchup run`.

mod distance;

use crate::args::RunArgs;
use crate::fail::Failure;
use crate::input::{Input, options, reproduce};
use crate::out_dir::OutDir;
use crate::pictures::{TIMELINE, Timeline};
use crate::screen::Screen;
use crate::{AS_EXPECTED, NOT_AS_EXPECTED, Outcome};
use scenarios::diagnosis::StopReason;
use scenarios::expect::judge;
use scenarios::investigate::Investigation;
use scenarios::report::Report;
use scenarios::retrace::retrace;
use scenarios::simulation::Simulation;
use sim_x86::trace::{Observer, Record, Trace, TraceMask};
use std::io;
use std::time::Instant;

/// Exit status of a bare-metal program that was stopped by a time limit, as `timeout` has it.
const PROGRAM_TIMED_OUT: u8 = 124;
/// Exit status of a bare-metal program that ended without writing to the exit port.
const PROGRAM_FAILED: u8 = 125;

/// Prints the guest's console as it goes.
struct LiveConsole<'a> {
    screen: &'a mut Screen,
    /// Where the console goes: nowhere under `--json`.
    on: bool,
    result: io::Result<()>,
}

impl Observer for LiveConsole<'_> {
    fn wants(&self) -> TraceMask {
        TraceMask { console: self.on, ..TraceMask::default() }
    }

    fn on(&mut self, record: &Record) {
        if let Trace::Console(byte) = record.what
            && self.on
            && self.result.is_ok()
        {
            self.result = self.screen.print_bytes(&[byte]);
        }
    }
}

/// A finished run.
struct Finished {
    simulation: Simulation,
    stop: StopReason,
    investigation: Investigation,
    report: Report,
}

pub(crate) fn run(args: &RunArgs, screen: &mut Screen) -> Outcome {
    let input = Input::read(&args.subject)?;
    let loaded = input.load()?;
    screen.diagnostics(&loaded.warnings);
    let options = options(&args.subject, loaded.spec.clock)?;
    let out = args.out.as_deref().map(OutDir::prepare).transpose()?;

    let started = Instant::now();
    let mut simulation = Simulation::new(loaded)?;
    let mut console = LiveConsole { screen, on: !args.json, result: Ok(()) };
    simulation.boot(options.speed)?;
    let booted = simulation.fork();
    let stop = simulation.run_observed(&options, &mut console)?;
    console.result?;
    let mut investigation = simulation.investigate(&stop);
    retrace(&booted, options.speed, &mut investigation.diagnosis);
    let mut report = simulation.report(&stop, &investigation);
    report.host_seconds = started.elapsed().as_secs_f64();
    report.reproduce = reproduce(&args.subject);
    report.scenario.file = Some(input.file.to_string_lossy().into_owned());
    let path = args.distance.as_deref();
    report.distance =
        path.map(|path| distance::measure(args, path, &input, &options)).transpose()?;

    let finished = Finished { simulation, stop, investigation, report };
    if let Some(out) = &out {
        finished.write(out)?;
    }
    if args.json {
        screen.print(&finished.report.to_json())?;
        screen.print("\n")?;
    }
    let status = if input.program {
        finished.end_program(args, screen)?
    } else {
        finished.end_scenario(args, screen)?
    };
    screen.flush()?;
    Ok(status)
}

impl Finished {
    fn write(&self, out: &OutDir) -> Result<(), Failure> {
        out.write("report.json", self.report.to_json() + "\n")?;
        out.write("report.txt", self.report.to_text())?;
        out.write("console.log", self.simulation.machine().console())?;
        let timeline = Timeline::new(&self.investigation);
        out.write(TIMELINE, serde_json::to_string(&timeline)? + "\n")?;
        timeline.draw(out, viz::Format::Svg, &viz::Options::default())?;
        Ok(())
    }

    /// Prints the report and holds the run to what the scenario expects.
    fn end_scenario(&self, args: &RunArgs, screen: &mut Screen) -> Outcome {
        if !args.json {
            let console = self.simulation.machine().console();
            let gap = if console.is_empty() || console.ends_with(b"\n") { "\n" } else { "\n\n" };
            screen.print(gap)?;
            screen.print(&self.report.to_text())?;
        }
        let Some(expect) = &self.simulation.loaded().expect else { return Ok(AS_EXPECTED) };
        let wrong = judge(expect, &self.report, &self.simulation);
        screen.flush()?;
        for reason in &wrong {
            screen.note(&format!("not as expected: {reason}"));
        }
        Ok(if wrong.is_empty() { AS_EXPECTED } else { NOT_AS_EXPECTED })
    }

    /// The exit status of a bare-metal program; tells what went wrong if it has none.
    fn end_program(&self, args: &RunArgs, screen: &mut Screen) -> Outcome {
        screen.flush()?;
        let status = match &self.stop {
            StopReason::Exit(code) => return Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            StopReason::Deadline => PROGRAM_TIMED_OUT,
            _ => PROGRAM_FAILED,
        };
        if !args.json {
            screen.note(&self.report.to_text());
        }
        Ok(status)
    }
}
