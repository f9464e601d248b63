//! Exact windows: every value of a range decided, and what follows from them.

use super::judge::Court;
use super::odds::Question;
use super::plan::{FORMAT, Parameter, Plan};
use super::results::{Found, Work};
use super::{Written, digest, folder, odds, progress, proofs, results, shard, table, wrong_range};
use crate::args::{JudgeBy, SweepArgs};
use crate::fail::Failure;
use crate::input::{Input, options, pool, reproduce_words};
use crate::out_dir::OutDir;
use crate::screen::Screen;
use crate::{AS_EXPECTED, NOT_AS_EXPECTED, Outcome};
use rayon::ThreadPool;
use scenarios::simulation::RunOptions;
use scenarios::sweep::Param;
use scenarios::windows::{Area, Brute, Cover, Decide, Subject, decider, point};
use sim_core::Hertz;

pub(super) fn sweep(args: &SweepArgs, written: Vec<Written>, screen: &mut Screen) -> Outcome {
    let input = Input::read(&args.subject)?;
    // The clock may be what is swept, but then the values are plain numbers, and it does not
    // matter which clock this is.
    let clock = input.load()?.spec.clock;
    let parameters = parameters(&written, clock)?;
    let params: Vec<Param> = written.into_iter().map(|written| written.param).collect();
    let options = RunOptions { until_decided: !args.full, ..options(&args.subject, clock)? };
    let subject =
        Subject { document: &input.document, files: &input.files, params: &params, options };
    let law = odds::law(args, &parameters)?;
    let plan = plan(args, &input, &subject, parameters, screen)?;
    if let Some(count) = args.plan {
        return table::commands(&plan, count, screen);
    }
    let Some(area) = plan.area() else {
        return Err(Failure::usage(
            "there are more shards than values of the first parameter",
            "take fewer shards",
        ));
    };
    let empty = Cover::new(area)?;
    let dir = OutDir::prepare(&place(args, &plan))?;
    let decider = decider(subject, area.lowest())?;
    let pool = pool(args.jobs)?;
    let cover = complete(empty, &dir, &plan, &*decider, &pool, screen)?;
    let work = work(&cover, &*decider, area)?;
    let proofs = match results::found(&plan, &cover) {
        Found::Windows(windows) => proofs::complete(&dir, &plan, &windows, &*decider, &pool)?,
        Found::Map(_) => proofs::Proofs::new(),
    };
    let found = results::write(&dir, &plan, &cover, &proofs, &work)?;
    if args.parquet {
        found.write_parquet(&dir)?;
    }
    table::tell(&plan, &found, &work, &dir, screen)?;
    // A judge that shares nothing with what it judges, unless a faster one is asked for.
    let brute = Brute(subject);
    let judge: &dyn Decide = match args.judge_by {
        JudgeBy::Run => &brute,
        JudgeBy::Fork => &*decider,
    };
    if let (Some(law), Found::Windows(windows)) = (&law, &found) {
        let (decider, pool, dir) = (judge, &pool, &dir);
        Question { law, table: windows, decider, pool, dir }.answer(args, screen)?;
    }
    let court =
        Court { plan: &plan, cover: &cover, found: &found, decider: judge, pool: &pool, dir: &dir };
    let right = court.judge(args, screen)?;
    screen.flush()?;
    Ok(if right { AS_EXPECTED } else { NOT_AS_EXPECTED })
}

/// The ranges, in cycles of `clock` where they are durations.
fn parameters(written: &[Written], clock: Hertz) -> Result<Vec<Parameter>, Failure> {
    let parameter = |Written { text, param }: &Written| {
        let (lo, hi) = param.range(clock).map_err(|error| wrong_range(text, &error))?;
        let clock_hz = param.is_time().then_some(clock.0);
        Ok(Parameter { path: param.path.clone(), clock_hz, lo, hi })
    };
    let parameters: Vec<Parameter> =
        written.iter().map(parameter).collect::<Result<_, Failure>>()?;
    let again = |(i, parameter): (usize, &Parameter)| {
        parameters[..i].iter().any(|before| before.path == parameter.path)
    };
    if let Some(i) = parameters.iter().enumerate().position(again) {
        return Err(Failure::usage(
            format!("{} is swept twice", parameters[i].path),
            "give each parameter once",
        ));
    }
    Ok(parameters)
}

/// Loads both ends of the range, so that mistakes show before anything is written or run.
fn plan(
    args: &SweepArgs,
    input: &Input,
    subject: &Subject<'_>,
    parameters: Vec<Parameter>,
    screen: &mut Screen,
) -> Result<Plan, Failure> {
    let shard = args.shard.as_ref();
    let shard =
        shard.map(|text| shard::parse(text, |name| std::env::var(name).ok())).transpose()?;
    let ends =
        |pick: fn(&Parameter) -> u64| point(&parameters.iter().map(pick).collect::<Vec<u64>>());
    let first = subject.load(ends(|parameter| parameter.lo))?;
    screen.diagnostics(&first.warnings);
    subject.load(ends(|parameter| parameter.hi))?;
    Ok(Plan {
        format: FORMAT,
        title: first.title.clone(),
        digest: digest(input, &first),
        parameters,
        shard,
        set: args.subject.changes(),
        until: args.subject.until.clone(),
        full: args.full,
        proofs: args.proofs,
        run: reproduce_words(&args.subject),
    })
}

/// The folder of this plan's results.
fn place(args: &SweepArgs, plan: &Plan) -> std::path::PathBuf {
    let folder = folder(args);
    match plan.shard {
        None => folder,
        Some(shard) => folder.join(format!("shard-{}-of-{}", shard.index, shard.count)),
    }
}

/// Completes a cover, going on with what the folder knows.
fn complete(
    mut cover: Cover,
    dir: &OutDir,
    plan: &Plan,
    decider: &dyn Decide,
    pool: &ThreadPool,
    screen: &mut Screen,
) -> Result<Cover, Failure> {
    let mut tiles = super::Tiles::open(dir, plan)?;
    for tile in std::mem::take(&mut tiles.known) {
        cover.add(&tile)?;
    }
    let (all, mut count) = (cover.area().points(), cover.work().0);
    if count > 0 {
        screen.note(&format!("going on with {count} tiles, {} points remain", cover.remaining()));
    }
    let short = |points: u128| u64::try_from(points).unwrap_or(u64::MAX);
    let bar = progress(short(all), "{wide_bar} {percent} % of {len}, {msg}");
    let result = cover.complete(decider, pool, &mut |tile, remaining| {
        tiles.push(tile)?;
        count += 1;
        bar.set_position(short(all - remaining));
        bar.set_message(format!("{count} tiles, {remaining} remain"));
        Ok::<(), Failure>(())
    });
    bar.finish_and_clear();
    result.map(|()| cover)
}

/// What was spent, and what brute force would take: a run from boot to outcome for each point.
fn work(cover: &Cover, decider: &dyn Decide, area: Area) -> Result<Work, Failure> {
    let (runs, cycles) = cover.work();
    let run_cycles = decider.alone(area.lowest())?;
    Ok(Work { runs, cycles, points: area.points(), run_cycles })
}
