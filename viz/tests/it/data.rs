//! Made-up data in the shape of real runs, above all of the mpt2sas lockup: 24 CPUs, a request
//! posted before `init_completion()` on CPU 18, the completion interrupt on CPU 5.

use scenarios::timeline::{
    Activity, CpuRow, Propagation, Span, SweepRow, SweepTable, TicketHistory, TicketPoint,
    TicketWait, TicketWrite, WaitEdge, WaitKind,
};
use scenarios::windows::{Area, Block, Map, Region, Verdict, Window};
use viz::{Options, Picture, Swept, draw_lockup, draw_map, draw_sweep, draw_tickets, draw_windows};

/// Clock of the machine that the data come from.
pub(crate) const CLOCK: u64 = 2_930_000_000;
/// When `init_completion()` zeroed the lock: 1.3 ms.
pub(crate) const DAMAGE: u64 = 3_809_000;
/// The panic, a minute later.
pub(crate) const PANIC: u64 = DAMAGE + 61 * CLOCK;

const LOCK: &str = "mpt2sas_ioc[0].ctl_cmds.done.wait.lock";

/// All sample pictures with their names.
pub(crate) fn pictures(options: &Options) -> Vec<(&'static str, Picture)> {
    let until_panic = Options { end: Some(PANIC), ..options.clone() };
    vec![
        ("tickets-mpt2sas", draw_tickets(&corrupted_lock(), CLOCK, &until_panic)),
        ("tickets-fair", draw_tickets(&fair_lock(24, 400), CLOCK, options)),
        ("tickets-storm", draw_tickets(&broken_storm(), CLOCK, &until_panic)),
        ("tickets-ab-ba", draw_tickets(&never_released(), CLOCK, options)),
        ("tickets-empty", draw_tickets(&TicketHistory::default(), CLOCK, options)),
        ("lockup-mpt2sas", draw_lockup(&mpt2sas_lockup(24), options)),
        ("lockup-256", draw_lockup(&mpt2sas_lockup(256), options)),
        ("lockup-short", draw_lockup(&short_run(), options)),
        ("lockup-empty", draw_lockup(&Propagation::default(), options)),
        ("sweep-mpt2sas", draw_sweep(&latency_sweep(10_000), options)),
        ("sweep-needle", draw_sweep(&needle_sweep(), options)),
        ("sweep-windows", draw_sweep(&two_windows_sweep(), options)),
        ("sweep-coarse", draw_sweep(&coarse_sweep(), options)),
        ("sweep-empty", draw_sweep(&SweepTable::default(), options)),
        ("windows-needle", draw_windows(&needle_windows(), &swept("latency"), options)),
        ("windows-empty", draw_windows(&[], &Swept::default(), options)),
        ("map-band", draw_map(&band_map(40), [&swept("latency"), &Swept::default()], options)),
        ("map-cells", draw_map(&band_map(9_000), [&swept("latency"), &swept("irq")], options)),
        ("map-empty", draw_map(&empty_map(), [&swept("a"), &swept("b")], options)),
    ]
}

fn point(
    at: u64,
    cpu: u32,
    function: &str,
    write: TicketWrite,
    (next, owner): (u16, u16),
) -> TicketPoint {
    TicketPoint { at, cpu, function: function.into(), write, next, owner, anomaly: None }
}

fn broken(mut point: TicketPoint, words: &str) -> TicketPoint {
    point.anomaly = Some(words.into());
    point
}

/// The lock of the post-mortem: one good command 0.8 ms before, then the damage.
pub(crate) fn corrupted_lock() -> TicketHistory {
    use TicketWrite::{Init, Serve, Take};
    let early = DAMAGE - 2_400_000;
    let complete = "complete";
    let wait = "wait_for_common";
    let points = vec![
        point(early, 18, "init_completion", Init, (0, 0)),
        point(early + 300, 18, wait, Take, (1, 0)),
        point(early + 360, 18, wait, Serve, (1, 1)),
        point(early + 52_000, 5, complete, Take, (2, 1)),
        point(early + 52_090, 5, complete, Serve, (2, 2)),
        point(early + 61_000, 18, wait, Take, (3, 2)),
        point(early + 61_060, 18, wait, Serve, (3, 3)),
        point(DAMAGE - 64, 5, complete, Take, (4, 3)),
        broken(
            point(DAMAGE, 18, "init_completion", Init, (0, 0)),
            "Next = Owner = 0 while held by CPU 5 (ticket 3)",
        ),
        broken(
            point(DAMAGE + 71, 5, complete, Serve, (0, 1)),
            "released by CPU 5, which no longer holds it: Owner 1 is past Next 0",
        ),
        broken(
            point(DAMAGE + 168, 18, wait, Take, (1, 1)),
            "drew ticket 0, which can never be served: Owner is already 1",
        ),
    ];
    let wait = |cpu, ticket, from, until| TicketWait { cpu, ticket, from, until };
    let waits = vec![wait(18, 0, DAMAGE + 168, None)];
    TicketHistory { symbol: LOCK.into(), address: 0x18_1061_0960, points, waits, dropped: 0 }
}

/// A contended lock that serves all in order.
pub(crate) fn fair_lock(cpus: u32, rounds: u16) -> TicketHistory {
    use TicketWrite::{Serve, Take};
    let mut history = TicketHistory { symbol: "demo.lock".into(), ..TicketHistory::default() };
    let (hold, gap) = (240, 35);
    let served = |ticket: u64| 1_000_000 + ticket * (hold + gap);
    let tickets = u64::from(rounds);
    for ticket in 0..tickets {
        let cpu = (ticket % u64::from(cpus)) as u32;
        let drawn = served(ticket.saturating_sub(u64::from(cpus) - 1)) + u64::from(cpu % 7);
        let at = served(ticket);
        let until = Some(at.max(drawn));
        history.waits.push(TicketWait { cpu, ticket: ticket as u16, from: drawn, until });
        history.points.push(point(drawn, cpu, "_spin_lock", Take, (0, 0)));
        history.points.push(point(at.max(drawn) + hold, cpu, "_spin_unlock", Serve, (0, 0)));
    }
    history.points.sort_by_key(|p| p.at);
    let (mut next, mut owner) = (0, 0);
    for point in &mut history.points {
        match point.write {
            Take => next += 1,
            _ => owner += 1,
        }
        (point.next, point.owner) = (next, owner);
    }
    history
}

/// A contended lock that is initialised under way: all who draw a ticket later wait for ever.
pub(crate) fn broken_storm() -> TicketHistory {
    let mut history = fair_lock(24, 3_000);
    let damage = 1_000_000 + 1_500 * 275 + 100;
    history.points.retain(|p| p.at < damage);
    history.waits.retain(|w| w.from < damage);
    for wait in &mut history.waits {
        wait.until = wait.until.filter(|t| *t < damage);
    }
    history.points.push(broken(
        point(damage, 23, "spin_lock_init", TicketWrite::Init, (0, 0)),
        "initialised while 23 CPUs wait for it",
    ));
    for (i, cpu) in (0..6).enumerate() {
        let drawn = i as u16;
        let at = damage + 400 + 90 * i as u64;
        history.points.push(point(at, cpu + 20, "_spin_lock", TicketWrite::Take, (drawn + 1, 0)));
    }
    history
}

/// One lock of a deadlock: taken and waited for, never released.
pub(crate) fn never_released() -> TicketHistory {
    use TicketWrite::Take;
    let wait = |cpu, ticket, from, until| TicketWait { cpu, ticket, from, until };
    TicketHistory {
        symbol: "lock_a".into(),
        points: vec![
            point(10_000, 0, "_spin_lock", Take, (1, 0)),
            point(10_700, 1, "_spin_lock", Take, (2, 0)),
        ],
        waits: vec![wait(0, 0, 10_000, Some(10_000)), wait(1, 1, 10_700, None)],
        ..TicketHistory::default()
    }
}

/// User and kernel in turns until `until`, with a tick each millisecond.
fn busy(cpu: u32, from: u64, until: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut t = from;
    let tick = CLOCK / 1000;
    while t < until {
        let work = (tick - 8_000).min(until - t);
        spans.push(Span { from: t, until: t + work, activity: Activity::User });
        t += work;
        let end = (t + 8_000 + u64::from(cpu) * 3).min(until);
        if end > t {
            spans.push(Span { from: t, until: end, activity: Activity::Kernel });
        }
        t = end;
    }
    spans
}

/// From `from` to the panic in one activity, with an NMI each 0.9 s and the last one for good.
fn stuck(spans: &mut Vec<Span>, from: u64, activity: Activity) {
    let mut t = from;
    let period = 2_147_483_647;
    while t + period < PANIC {
        spans.push(Span { from: t, until: t + period - 4_000, activity });
        spans.push(Span { from: t + period - 4_000, until: t + period, activity: Activity::Nmi });
        t += period;
    }
    spans.push(Span { from: t, until: PANIC, activity });
    spans.push(Span { from: PANIC, until: PANIC + 300_000, activity: Activity::Nmi });
}

/// How the lockup spread over `count` CPUs (at least 24).
pub(crate) fn mpt2sas_lockup(count: u32) -> Propagation {
    let start = DAMAGE - 2_700_000;
    let edge = |since, waiter, culprit, kind, object: &str| WaitEdge {
        since,
        waiter,
        culprit,
        kind,
        object: object.into(),
    };
    let mut edges = Vec::new();
    let mut cpus = Vec::new();
    for cpu in 0..count {
        // Pseudo-random, but the same each time: when this CPU wants the BKL.
        let later = u64::from(cpu).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let (since, activity) = match cpu {
            18 => (DAMAGE + 168, Activity::SpinIrqsOff),
            3 => (DAMAGE + 2_050_000, Activity::WaitIpiAck),
            19 => (DAMAGE + 2_930_000, Activity::SpinIrqsOn),
            _ => (DAMAGE + 3_100_000 + later * later / 4_000, Activity::SpinIrqsOn),
        };
        let mut spans = busy(cpu, start, since.min(DAMAGE - 60_000));
        if cpu == 5 {
            let irq = DAMAGE - 2_000;
            spans.push(Span { from: DAMAGE - 60_000, until: irq, activity: Activity::Idle });
            spans.push(Span { from: irq, until: DAMAGE + 900, activity: Activity::Kernel });
            spans.extend(busy(cpu, DAMAGE + 900, since));
        } else {
            let kernel = if cpu == 18 { Activity::Kernel } else { Activity::User };
            spans.push(Span {
                from: DAMAGE - 60_000,
                until: since.min(DAMAGE + 168),
                activity: kernel,
            });
            spans.extend(busy(cpu, DAMAGE + 168, since));
        }
        stuck(&mut spans, since, activity);
        cpus.push(CpuRow { cpu, spans });
        edges.push(match cpu {
            18 => edge(since, 18, None, WaitKind::TicketLock, LOCK),
            3 => edge(since, 3, Some(18), WaitKind::IpiAck, "TLB flush, slot 3"),
            19 => edge(since, 19, Some(3), WaitKind::TicketLock, "flush_state[3].tlbstate_lock"),
            _ => edge(since, cpu, Some(18), WaitKind::TicketLock, "kernel_flag"),
        });
    }
    edges.sort_by_key(|e| e.since);
    let marks = vec![
        (DAMAGE - 2_300, 18, "request posted to ioc0".into()),
        (PANIC, 18, "panic: hard LOCKUP on cpu 18".into()),
    ];
    let (origin, end) = (Some(DAMAGE), PANIC + 300_000);
    Propagation { clock_hz: CLOCK, start, end, origin, cpus, edges, marks }
}

/// Two CPUs that work for a microsecond and wait for nobody.
pub(crate) fn short_run() -> Propagation {
    let span = |from, until, activity| Span { from, until, activity };
    let row = |cpu, spans| CpuRow { cpu, spans };
    Propagation {
        clock_hz: CLOCK,
        start: 100,
        end: 2_900,
        origin: None,
        cpus: vec![
            row(0, vec![span(100, 1_500, Activity::Kernel), span(1_500, 2_900, Activity::Idle)]),
            row(1, vec![span(100, 2_100, Activity::User), span(2_100, 2_900, Activity::Nmi)]),
        ],
        edges: Vec::new(),
        marks: vec![(1_500, 0, "halts".into())],
    }
}

fn row(value: u64, finding: &str, word: Option<u32>) -> SweepRow {
    SweepRow { value, finding: finding.into(), cpu: word.map(|_| 18), lock_word: word }
}

fn table(clock_hz: Option<u64>, rows: Vec<SweepRow>) -> SweepTable {
    SweepTable { param: "devices.ioc0.firmware_latency".into(), clock_hz, rows }
}

/// The firmware latency in steps of a cycle up to `end`: lost completion, corrupted lock, correct.
pub(crate) fn latency_sweep(end: u64) -> SweepTable {
    let outcome = |v| match v {
        0..=612 => row(v, "lost-completion", None),
        613..=668 => row(v, "hard-lockup", Some(0x0001_0001)),
        669..=677 => row(v, "hard-lockup", Some(0x0001_0004)),
        678..=684 => row(v, "hard-lockup", Some(0x0002_0002)),
        685..=689 => row(v, "hard-lockup", Some(0x0001_0001)),
        _ => row(v, "ok", None),
    };
    table(Some(CLOCK), (0..end).map(outcome).collect())
}

/// Eight failing cycles in a million.
pub(crate) fn needle_sweep() -> SweepTable {
    let outcome = |v| match v {
        417_300..=417_307 => row(v, "hard-lockup", Some(0x0001_0001)),
        _ => row(v, "ok", None),
    };
    table(Some(CLOCK), (0..1_000_000).map(outcome).collect())
}

/// Two narrow windows far from each other, one of them split.
pub(crate) fn swept(param: &str) -> Swept {
    Swept { param: param.into(), clock_hz: Some(CLOCK) }
}

fn verdict(finding: &str, lock_word: Option<u32>) -> Option<Verdict> {
    let cpu = lock_word.map(|_| 18);
    Some(Verdict { finding: finding.into(), cpu, lock_word, cause: None })
}

/// The same as [`needle_sweep`], as exact windows.
pub(crate) fn needle_windows() -> Vec<Window> {
    let window = |lo, hi, verdict| Window { lo, hi, verdict };
    vec![
        window(0, 417_299, verdict("ok", None)),
        window(417_300, 417_307, verdict("hard-lockup", Some(0x0001_0001))),
        window(417_308, 999_999, verdict("ok", None)),
    ]
}

/// A plane with `rows` rows and a narrow band from corner to corner in it.
pub(crate) fn band_map(rows: u64) -> Map {
    let (width, mut blocks, mut areas) = (rows * 3, Vec::new(), [0; 3]);
    for row in 0..rows {
        let band = (row * 3, row * 3 + 2);
        let mut put = |lo: u64, hi: u64, region: usize| {
            if lo <= hi {
                blocks.push(Block { ranges: [(lo, hi), (row, row), (0, 0), (0, 0)], region });
                areas[region] += u128::from(hi - lo + 1);
            }
        };
        if row > 0 {
            put(0, band.0 - 1, 0);
        }
        put(band.0, band.1, 1);
        put(band.1 + 1, width, 2);
    }
    let region = |(i, area): (usize, u128)| Region {
        verdict: if i == 1 {
            verdict("hard-lockup", Some(0x0001_0001))
        } else {
            verdict("ok", None)
        },
        area,
        ranges: [(0, width), (0, rows - 1), (0, 0), (0, 0)],
        witness: [0; 4],
    };
    let regions = areas.into_iter().enumerate().map(region).collect();
    Map { area: Area::new(&[(0, width), (0, rows - 1)]), blocks, regions }
}

fn empty_map() -> Map {
    Map { area: Area::line(0, 0), blocks: Vec::new(), regions: Vec::new() }
}

pub(crate) fn two_windows_sweep() -> SweepTable {
    let outcome = |v| match v {
        20_000..=20_039 => row(v, "lost-completion", None),
        20_040..=20_051 => row(v, "hard-lockup", Some(0x0001_0001)),
        150_000..=150_003 | 150_010..=150_012 => row(v, "soft-lockup", None),
        _ => row(v, "ok", None),
    };
    table(Some(CLOCK), (0..200_000).map(outcome).collect())
}

/// Few runs over a plain number, of many kinds.
pub(crate) fn coarse_sweep() -> SweepTable {
    let kinds = ["ok", "ok", "soft-lockup", "hung-task", "fault", "data-race", "ok", "deadlock"];
    let rows = kinds.iter().zip(0..).map(|(kind, i)| row(2 + 4 * i, kind, None)).collect();
    SweepTable { param: "tasks.3.repeat".into(), clock_hz: None, rows }
}
