use super::*;
use sim_x86::trace::Entry;

fn enter(entry: Entry, from_user: bool) -> Trace {
    Trace::Enter { entry, rip: 0, from_user }
}

fn leave(to_user: bool) -> Trace {
    Trace::Leave { rip: 0, to_user }
}

fn spans(fold: &PropagationFold, end: u64) -> Vec<(u64, u64, Activity)> {
    let propagation = fold.finish(1_000_000_000, 0, end, Vec::new());
    propagation.cpus[0].spans.iter().map(|s| (s.from, s.until, s.activity)).collect()
}

#[test]
fn activities_follow_the_strongest_condition() {
    let mut fold = PropagationFold::new(1);
    fold.control(10, 0, &leave(true));
    fold.control(20, 0, &enter(Entry::Syscall, true));
    fold.spin(30, 0, 7, true);
    fold.control(40, 0, &enter(Entry::Nmi, false));
    fold.control(45, 0, &leave(false));
    fold.served(50, 0, 7);
    fold.await_acks(60, 0, true);
    fold.await_acks(70, 0, false);
    fold.control(80, 0, &Trace::Halt);
    fold.control(90, 0, &Trace::Wake);
    assert_eq!(
        spans(&fold, 100),
        [
            (0, 10, Activity::Kernel),
            (10, 20, Activity::User),
            (20, 30, Activity::Kernel),
            (30, 40, Activity::SpinIrqsOff),
            (40, 45, Activity::Nmi),
            (45, 50, Activity::SpinIrqsOff),
            (50, 60, Activity::Kernel),
            (60, 70, Activity::WaitIpiAck),
            (70, 80, Activity::Kernel),
            (80, 90, Activity::Idle),
            (90, 100, Activity::Kernel),
        ]
    );
}

#[test]
fn an_interrupt_during_a_spin_shows_that_they_are_enabled() {
    let mut fold = PropagationFold::new(1);
    fold.spin(10, 0, 7, true);
    fold.control(20, 0, &enter(Entry::Interrupt(0xf3), false));
    fold.control(25, 0, &leave(false));
    assert_eq!(
        spans(&fold, 40),
        [
            (0, 10, Activity::Kernel),
            (10, 20, Activity::SpinIrqsOff),
            (20, 40, Activity::SpinIrqsOn)
        ]
    );
    fold.settle(0, true);
    assert_eq!(spans(&fold, 40)[1], (10, 40, Activity::SpinIrqsOff));
}

/// A minute of ticks: idle but for a microsecond in each millisecond.
fn ticks(fold: &mut PropagationFold, from: u64, count: u64) {
    for tick in 0..count {
        let at = from + tick * 1_000_000;
        fold.control(at, 0, &Trace::Wake);
        fold.control(at + 1_000, 0, &Trace::Halt);
    }
}

#[test]
fn a_minute_of_ticks_stays_small_and_exact_near_the_origin() {
    let mut fold = PropagationFold::new(1);
    ticks(&mut fold, 1_000_000, 10_000);
    let origin = 10_000_500_000;
    fold.set_origin(origin);
    ticks(&mut fold, 10_001_000_000, 50_000);
    let spans = spans(&fold, 60_001_000_000);
    assert!(spans.len() < 4_000, "{} spans", spans.len());
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].2 != pair[1].2));
    assert_eq!((spans[0].0, spans.last().unwrap().1), (0, 60_001_000_000));
    let exact = |span: &&(u64, u64, Activity)| span.0.abs_diff(origin) < 5_000_000;
    for (from, until, activity) in spans.iter().filter(exact) {
        if *activity == Activity::Kernel {
            assert_eq!(until - from, 1_000, "ticks near the origin keep their length");
        }
    }
}

#[test]
fn what_came_before_the_epoch_is_cut_off() {
    let mut fold = PropagationFold::new(1);
    fold.control(10, 0, &Trace::Halt);
    let row = &fold.finish(1, 20, 30, Vec::new()).cpus[0];
    assert_eq!(row.spans, [Span { from: 20, until: 30, activity: Activity::Idle }]);
}
