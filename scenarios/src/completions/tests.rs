use super::*;

const WAITER: u32 = 18;
const COMPLETER: u32 = 5;

/// A completion and the lock operations around it.
struct Story {
    state: CompletionState,
    at: u64,
}

impl Story {
    fn new() -> Self {
        let word = CompletionWord {
            name: "x".into(),
            va: 0,
            done: PhysAddr(0),
            lock: "x.wait.lock".into(),
            initial: 0,
        };
        Story { state: CompletionState::new(word), at: 0 }
    }

    fn lock(&mut self, cpu: u32) {
        self.at += 10;
        let kind = TicketWrite::Take;
        let effect = Effect { kind, granted: Some(cpu), released: None, broke: false };
        self.state.lock_written(&effect, self.at);
    }

    fn unlock(&mut self, cpu: u32) {
        self.at += 10;
        let kind = TicketWrite::Serve;
        let effect = Effect { kind, granted: None, released: Some(cpu), broke: false };
        self.state.lock_written(&effect, self.at);
    }

    fn store(&mut self, cpu: u32, value: u32) {
        self.at += 10;
        let rip = u64::from(cpu);
        self.state.written(DoneWrite { at: self.at, cpu, rip, value }, None);
    }

    fn complete(&mut self) {
        self.lock(COMPLETER);
        self.store(COMPLETER, self.state.value() + 1);
        self.unlock(COMPLETER);
    }

    /// A wait's critical section that finds nothing.
    fn look(&mut self) {
        self.lock(WAITER);
        self.unlock(WAITER);
    }

    fn consume(&mut self) {
        self.lock(WAITER);
        self.store(WAITER, self.state.value() - 1);
        self.unlock(WAITER);
    }

    fn faults(&self) -> Vec<WaitFault> {
        self.state.anomalies().iter().map(|anomaly| anomaly.kind).collect()
    }
}

#[test]
fn a_completion_before_or_during_the_sleep_is_fine() {
    let mut story = Story::new();
    story.store(WAITER, 0);
    story.complete();
    story.consume();
    story.store(WAITER, 0);
    story.look();
    story.complete();
    story.consume();
    assert_eq!(story.faults(), []);
    assert_eq!(story.state.sections().collect::<Vec<_>>(), [(5, 5), (18, 18)]);
}

#[test]
fn an_erased_completion_is_lost_from_the_moment_its_waiter_sleeps() {
    let mut story = Story::new();
    story.complete();
    story.store(WAITER, 0);
    assert!(!story.state.is_hopeless());
    story.look();
    assert!(story.state.is_hopeless());
    let open = &story.state.anomalies()[0];
    assert_eq!((open.kind, open.until), (WaitFault::Lost, None));
    story.at += 1000;
    story.look();
    let lost = &story.state.anomalies()[0];
    assert_eq!(lost.kind, WaitFault::Lost);
    assert_eq!((lost.cpu, lost.completed.unwrap().cpu), (WAITER, COMPLETER));
    assert_eq!(lost.erased.unwrap().cpu, WAITER);
    assert!(lost.until.unwrap() - lost.from > 1000);
    assert!(!story.state.is_hopeless());
}

#[test]
fn an_old_completion_may_be_erased_when_a_new_one_comes() {
    let mut story = Story::new();
    story.complete();
    story.store(WAITER, 0);
    story.complete();
    story.consume();
    assert_eq!(story.faults(), []);
}

#[test]
fn a_wait_that_nobody_completes_times_out() {
    let mut story = Story::new();
    story.store(WAITER, 0);
    story.look();
    assert_eq!(story.faults(), []);
    story.look();
    assert_eq!(story.faults(), [WaitFault::TimedOut]);
}

#[test]
fn a_completion_older_than_the_request_is_stale() {
    let mut story = Story::new();
    story.complete();
    let requested = Some(story.at + 5);
    story.lock(WAITER);
    story.at += 10;
    let write = DoneWrite { at: story.at, cpu: WAITER, rip: 0, value: 0 };
    story.state.written(write, requested);
    story.unlock(WAITER);
    assert_eq!(story.faults(), [WaitFault::Stale]);
}

#[test]
fn a_broken_lock_does_not_confuse_completer_and_waiter() {
    let mut story = Story::new();
    story.lock(COMPLETER);
    story.store(COMPLETER, 1);
    story.store(WAITER, 0);
    story.lock(WAITER);
    story.unlock(COMPLETER);
    story.unlock(WAITER);
    let open = &story.state.anomalies()[0];
    assert_eq!((open.kind, open.cpu), (WaitFault::Lost, WAITER));
}
