use super::*;

fn edge(since: u64, waiter: u32, culprit: Option<u32>, kind: WaitKind) -> WaitEdge {
    let object = format!("object{waiter}");
    WaitEdge { since, waiter, culprit, kind, object }
}

/// The lockup of the post-mortem: CPU 18 waits for nobody's lock, CPU 3 for its acknowledgement,
/// CPU 19 for CPU 3, CPU 0 for the lock that CPU 18 holds.
fn lockup() -> Vec<WaitEdge> {
    vec![
        edge(100, 18, None, WaitKind::TicketLock),
        edge(200, 3, Some(18), WaitKind::IpiAck),
        edge(300, 0, Some(18), WaitKind::TicketLock),
        edge(400, 19, Some(3), WaitKind::TicketLock),
        edge(500, 7, Some(8), WaitKind::TicketLock),
    ]
}

#[test]
fn a_lockup_spreads_from_the_cpu_that_waits_for_nobody() {
    let edges = lockup();
    let graph = WaitGraph::new(&edges, [18]);
    assert_eq!(graph.root(), Some(18));
    assert_eq!(graph.deadlocks().len(), 0);
    let caught: Vec<u32> = graph.spread(18).iter().map(|edge| edge.waiter).collect();
    assert_eq!(caught, [3, 0, 19], "CPU 7 waits for something else");
}

#[test]
fn a_circle_is_a_deadlock_and_starts_with_its_oldest_wait() {
    let edges = [
        edge(5, 1, Some(2), WaitKind::TicketLock),
        edge(10, 2, Some(3), WaitKind::TicketLock),
        edge(20, 3, Some(1), WaitKind::TicketLock),
        edge(30, 9, Some(1), WaitKind::TicketLock),
    ];
    let graph = WaitGraph::new(&edges, []);
    let circles = graph.deadlocks();
    assert_eq!(circles.len(), 1);
    let waiters: Vec<u32> = circles[0].iter().map(|edge| edge.waiter).collect();
    assert_eq!(waiters, [1, 2, 3]);
    assert_eq!(graph.root(), Some(1));
}

#[test]
fn a_cpu_that_waits_for_itself_is_a_deadlock() {
    let edges = [edge(5, 4, Some(4), WaitKind::TicketLock)];
    let graph = WaitGraph::new(&edges, []);
    assert_eq!(graph.deadlocks(), [vec![&edges[0]]]);
}

#[test]
fn acknowledgements_come_unless_interrupts_are_off() {
    let edges = [edge(5, 1, Some(2), WaitKind::IpiAck), edge(10, 2, Some(1), WaitKind::TicketLock)];
    assert_eq!(WaitGraph::new(&edges, []).deadlocks().len(), 0, "CPU 2 answers and goes on");
    assert_eq!(WaitGraph::new(&edges, [2]).deadlocks().len(), 1);
}

#[test]
fn without_a_culprit_the_root_is_whom_most_wait_for() {
    let edges = [
        edge(5, 1, Some(2), WaitKind::TicketLock),
        edge(6, 3, Some(4), WaitKind::TicketLock),
        edge(7, 5, Some(1), WaitKind::TicketLock),
    ];
    assert_eq!(WaitGraph::new(&edges, []).root(), Some(2));
    assert_eq!(WaitGraph::new(&[], []).root(), None);
}

#[test]
fn a_mask_is_raised_by_a_plain_store_and_cleared_by_locked_ones() {
    let mask = AckMask { name: "m".into(), addr: sim_x86::ids::PhysAddr(0), words: 2 };
    let mut state = AckState::new(mask);
    assert_eq!(state.written(10, 3, 0, 1 << 18 | 1 << 5, false), Some((3, true)));
    assert_eq!(state.written(11, 3, 1, 1, false), None, "the second word of the same mask");
    assert_eq!(state.missing(), [5, 18, 64]);
    assert_eq!(state.written(20, 5, 0, 1 << 18, true), None);
    assert_eq!(state.raised(), Some((10, 3)));
    let edges = cpu_waits(&[], std::slice::from_ref(&state));
    let culprits: Vec<Option<u32>> = edges.iter().map(|edge| edge.culprit).collect();
    assert_eq!(culprits, [Some(18), Some(64)]);
    state.written(30, 64, 1, 0, true);
    assert_eq!(state.written(40, 18, 0, 0, true), Some((3, false)));
    assert_eq!(state.raised(), None);
    assert_eq!(state.written(50, 3, 7, 1, false), None, "no such word");
}
