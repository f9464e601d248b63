//! What must be seen in the pictures, and that nothing odd breaks them.

use crate::data;
use scenarios::timeline::{
    Activity, CpuRow, Propagation, Span, SweepRow, SweepTable, TicketHistory, TicketPoint,
    TicketWait, TicketWrite, WaitEdge, WaitKind,
};
use viz::{
    Format, Options, Picture, Swept, VizError, draw_lockup, draw_map, draw_sweep, draw_tickets,
    draw_windows,
};

/// Texts of an SVG in order of drawing, with their positions in user units.
fn texts(svg: &str) -> Vec<(f64, f64, String)> {
    let number = |tag: &str, name: &str| -> f64 {
        let from = tag.find(&format!(" {name}=\"")).expect("attribute") + name.len() + 3;
        let text = &tag[from..];
        text[..text.find('"').expect("quote")].parse().expect("number")
    };
    svg.split("<text")
        .skip(1)
        .map(|part| {
            let (tag, rest) = part.split_once(">\n").expect("tag");
            let content = rest.split("\n</text>").next().expect("text");
            (number(tag, "x"), number(tag, "y"), content.to_owned())
        })
        .collect()
}

fn svg_of(picture: &Picture) -> String {
    picture.svg().expect("SVG")
}

fn words(picture: &Picture) -> String {
    let words: Vec<String> = texts(&svg_of(picture)).into_iter().map(|t| t.2).collect();
    words.join("\n")
}

#[track_caller]
fn assert_says(picture: &Picture, wanted: &[&str]) {
    let words = words(picture).replace('\n', " ");
    for text in wanted {
        assert!(words.contains(text), "{text:?} is not in: {words}");
    }
}

#[test]
fn the_broken_lock_tells_who_did_what() {
    let options = Options { end: Some(data::PANIC), ..Options::default() };
    let picture = draw_tickets(&data::corrupted_lock(), data::CLOCK, &options);
    assert_says(
        &picture,
        &[
            "Tickets of mpt2sas_ioc[0].ctl_cmds.done.wait.lock",
            "cycle 3,809,000: init_completion on CPU 18: Next = Owner = 0 while held by CPU 5",
            "ticket 0: never served",
            "61 s until the end of the run",
            "time since the damage (ns)",
            "word 0x00010001 (Next 1, Owner 1)",
        ],
    );
}

#[test]
fn many_that_are_never_served_are_told_in_one_sentence() {
    let picture = draw_tickets(&data::broken_storm(), data::CLOCK, &Options::default());
    let sentence = "Never served: 23 tickets of CPUs 0–11, 13–23, the first since cycle 1,406,456";
    assert_says(&picture, &[sentence, "initialised while 23 CPUs wait for it"]);
}

#[test]
fn two_windows_far_apart_are_both_enlarged() {
    let picture = draw_sweep(&data::two_windows_sweep(), &Options::default());
    assert_says(&picture, &["20,050", "150,010", "7 runs in 2 intervals"]);
}

#[test]
fn exact_windows_look_like_the_sweep_of_every_value() {
    let windows =
        draw_windows(&data::needle_windows(), &data::swept("latency"), &Options::default());
    assert_says(
        &windows,
        &["Outcome over latency", "417,300", "8 cycles", "1,000,000 cycles from"],
    );
    // The same but for the title and the word for a value.
    let sweep = draw_sweep(&data::needle_sweep(), &Options::default());
    let places = |picture: &Picture| texts(&svg_of(picture)).len();
    assert_eq!(places(&windows), places(&sweep));
    assert_says(&draw_windows(&[], &Swept::default(), &Options::default()), &["No value"]);
}

#[test]
fn a_map_says_what_its_colours_are_and_stays_small() {
    let draw = |rows| {
        let swept = [&data::swept("latency"), &Swept::default()];
        draw_map(&data::band_map(rows), swept, &Options::default())
    };
    assert_says(
        &draw(40),
        &["Outcome over latency and a parameter", "latency (cycles)", "120 points", "in 2 regions"],
    );
    let many = svg_of(&draw(9_000));
    assert!(many.len() < 400_000, "{} bytes", many.len());
    // The band is three values wide in 27,000, and still there.
    assert!(many.to_lowercase().contains("#d04a12"), "the colour of a lockup is missing");
}

#[test]
fn the_lockup_tells_the_order_of_spreading() {
    let picture = draw_lockup(&data::mpt2sas_lockup(24), &Options::default());
    assert_says(
        &picture,
        &[
            "+57.3 ns: CPU 18 waits for ticket lock mpt2sas_ioc[0].ctl_cmds.done.wait.lock",
            "nobody: nothing can end this wait",
            "CPU 3 waits for IPI acknowledgement (TLB flush, slot 3) → CPU 18",
            "CPU 19 waits for ticket lock flush_state[3].tlbstate_lock → CPU 3",
            "CPUs 0–2, 4–17, 20–23 wait for ticket lock kernel_flag → CPU 18",
            "panic: hard LOCKUP on cpu 18 (+61 s)",
            "request posted to ioc0 (−785 ns)",
            "damage done",
        ],
    );
    let words = words(&picture);
    assert!(!words.contains("NMI"), "no NMI lasts long enough to be seen");
    for label in ["0", "1 µs", "1 s"] {
        assert!(words.lines().any(|l| l == label), "no tick {label}");
    }
}

#[test]
fn the_sweep_names_every_lock_word_and_its_interval() {
    let picture = draw_sweep(&data::latency_sweep(10_000), &Options::default());
    assert_says(
        &picture,
        &[
            "10,000 runs from 0 to 9,999 cycles (0 to 3.41 µs)",
            "lost-completion: 0–612",
            "hard-lockup 0x00010001 on CPU 18: 613–689 (209 ns to 235 ns), 61 runs in 2 intervals",
            "hard-lockup 0x00010004 on CPU 18: 669–677",
            "hard-lockup 0x00020002 on CPU 18: 678–684",
            "ok: 690–9,999",
        ],
    );
}

#[test]
fn eight_cycles_in_a_million_have_a_labelled_axis() {
    let picture = draw_sweep(&data::needle_sweep(), &Options::default());
    assert_says(&picture, &["417,300", "417,305", "417,300–417,307"]);
}

#[test]
fn the_same_data_give_the_same_bytes() {
    let draw = || data::pictures(&Options::default());
    for ((name, a), (_, b)) in draw().into_iter().zip(draw()) {
        assert_eq!(a, b, "{name}");
        assert_eq!(svg_of(&a), svg_of(&b), "{name}");
    }
    let picture = draw_tickets(&data::corrupted_lock(), data::CLOCK, &Options::default());
    assert_eq!(picture.png().expect("PNG"), picture.png().expect("PNG"));
}

#[test]
fn an_svg_is_one_well_formed_element_in_pixels() {
    let mut history = data::corrupted_lock();
    history.symbol = "a<b>&\"c\"\u{7}".into();
    let picture = draw_tickets(&history, data::CLOCK, &Options::default());
    let (width, height) = picture.size();
    let svg = svg_of(&picture);
    let head =
        format!("<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width}0 {height}0\"");
    assert!(svg.starts_with(&head), "{}", &svg[..120]);
    assert!(svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("Tickets of a&lt;b&gt;&amp;"));
    assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
    assert_eq!(svg.matches("<svg").count(), 1);
}

#[test]
fn a_png_has_the_pixels_that_were_asked_for() {
    let options = Options { width: 500, png_scale: 2, ..Options::default() };
    let picture = draw_lockup(&data::short_run(), &options);
    let bytes = picture.bytes(Format::Png).expect("PNG");
    let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
    let mut reader = decoder.read_info().expect("header");
    let (width, height) = picture.size();
    assert_eq!((reader.info().width, reader.info().height), (2 * width, 2 * height));
    let mut pixels = vec![0; reader.output_buffer_size().expect("size")];
    reader.next_frame(&mut pixels).expect("pixels");
    let dark = pixels.chunks(3).filter(|p| p.iter().all(|c| *c < 60)).count();
    let paper = pixels.chunks(3).filter(|p| **p == [255; 3]).count();
    assert!(dark > 1_000, "CPU 1 ends in a black bar and there is text: {dark}");
    assert!(paper > pixels.len() / 3 / 4, "most of the picture is paper: {paper}");
}

#[test]
fn everything_is_inside_the_picture() {
    for width in [480, 640, 1200] {
        let options = Options { width, ..Options::default() };
        for (name, picture) in data::pictures(&options) {
            let (w, h) = picture.size();
            for (x, y, text) in texts(&svg_of(&picture)) {
                let inside =
                    x >= 0.0 && y >= 0.0 && x <= f64::from(w) * 10.0 && y <= f64::from(h) * 10.0;
                assert!(inside, "{name} at {width}: {text:?} at {x}, {y} of {w} x {h}");
            }
        }
    }
}

#[test]
fn a_png_beyond_all_measure_is_refused() {
    let options = Options { width: 4_000, png_scale: 6, ..Options::default() };
    let picture = draw_lockup(&data::mpt2sas_lockup(256), &options);
    assert!(matches!(picture.png(), Err(VizError::TooLarge { width: 24_000, .. })));
    assert!(picture.svg().is_ok());
}

fn any_write(at: u64, write: TicketWrite, next: u16, owner: u16) -> TicketPoint {
    let (cpu, function, anomaly) = (u32::MAX, String::new(), Some(String::new()));
    TicketPoint { at, cpu, function, write, next, owner, anomaly }
}

#[test]
fn odd_histories_are_drawn() {
    let ends = [0, 1, u64::MAX / 2, u64::MAX];
    let writes = [TicketWrite::Take, TicketWrite::Init, TicketWrite::Other, TicketWrite::TryTake];
    let points: Vec<_> =
        ends.iter().zip(writes).map(|(t, w)| any_write(*t, w, u16::MAX, 0)).collect();
    let wait = |from, until| TicketWait { cpu: 7, ticket: u16::MAX, from, until };
    let waits = vec![wait(u64::MAX, None), wait(5, Some(2)), wait(0, Some(u64::MAX))];
    for points in [points, Vec::new()] {
        let history = TicketHistory { points, waits: waits.clone(), ..TicketHistory::default() };
        for (clock, end) in [(0, None), (1, Some(0)), (u64::MAX, Some(u64::MAX))] {
            let options = Options { end, ..Options::default() };
            let picture = draw_tickets(&history, clock, &options);
            assert_says(&picture, &["Never served: CPU 7, ticket 65535"]);
        }
    }
}

#[test]
fn thousands_of_writes_stay_a_small_file() {
    let picture = draw_tickets(&data::fair_lock(24, 20_000), data::CLOCK, &Options::default());
    let dense = svg_of(&picture).len();
    assert!(dense < 3_000_000, "{dense} bytes");
    assert_says(&picture, &["20,000"]);
}

#[test]
fn odd_lockups_are_drawn() {
    let span = |from, until| Span { from, until, activity: Activity::Nmi };
    let edge = |waiter, culprit| WaitEdge {
        since: u64::MAX,
        waiter,
        culprit,
        kind: WaitKind::RunQueue,
        object: String::new(),
    };
    let row = |cpu| CpuRow { cpu, spans: vec![span(9, 3), span(0, u64::MAX)] };
    let propagation = Propagation {
        clock_hz: 0,
        start: u64::MAX,
        end: 0,
        origin: Some(u64::MAX / 2),
        cpus: vec![row(u32::MAX), row(0), row(0)],
        edges: vec![edge(0, Some(0)), edge(0, Some(99)), edge(98, None), edge(0, Some(u32::MAX))],
        marks: vec![(0, 98, "elsewhere".into()), (u64::MAX, 0, "x".repeat(500))],
    };
    let picture = draw_lockup(&propagation, &Options::default());
    assert_says(&picture, &["run queue"]);
    let none = Propagation { cpus: vec![CpuRow::default()], ..Propagation::default() };
    assert_says(&draw_lockup(&none, &Options::default()), &["No CPU waited"]);
}

#[test]
fn many_marks_find_a_place_or_go_without_a_label() {
    let mut propagation = data::mpt2sas_lockup(24);
    propagation.marks = (0..200).map(|i| (data::PANIC, i % 24, format!("mark {i}"))).collect();
    let words = words(&draw_lockup(&propagation, &Options::default()));
    let labelled = words.lines().filter(|l| l.starts_with("mark ")).count();
    assert!((1..=6).contains(&labelled), "{labelled}");
}

#[test]
fn odd_sweeps_are_drawn() {
    let row = |value, finding: &str| SweepRow {
        value,
        finding: finding.into(),
        cpu: None,
        lock_word: None,
    };
    let rows = vec![row(u64::MAX, "ok"), row(0, ""), row(5, "new-kind"), row(5, "ok")];
    for clock_hz in [None, Some(0), Some(1), Some(u64::MAX)] {
        let table = SweepTable { param: String::new(), clock_hz, rows: rows.clone() };
        assert_says(&draw_sweep(&table, &Options::default()), &["4 runs", "new-kind"]);
    }
    let many = (0..100).map(|v| row(v, &format!("kind-{v}"))).collect();
    let table = SweepTable { param: "p".into(), clock_hz: None, rows: many };
    assert_says(&draw_sweep(&table, &Options::default()), &["86 more outcomes"]);
}

#[test]
fn odd_options_are_held_to_what_can_be_drawn() {
    for (width, text_size, png_scale) in [(0, 0.0, 0), (100_000, f64::NAN, 99), (640, 1e9, 1)] {
        let title = Some("a title of one's own".to_owned());
        let options = Options { width, text_size, png_scale, title, end: None };
        let picture = draw_sweep(&data::coarse_sweep(), &options);
        assert_says(&picture, &["title of one&apos;s"]);
        assert!((480..=4_000).contains(&picture.size().0));
    }
}
