//! Waits of the same sort, told together.

use crate::sheet::Dash;
use scenarios::timeline::{WaitEdge, WaitKind};

/// Waits of one kind for the same object and CPU, oldest first.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) kind: WaitKind,
    pub(super) culprit: Option<u32>,
    pub(super) object: &'a str,
    pub(super) edges: Vec<&'a WaitEdge>,
}

/// The groups, by the time their first wait began.
pub(super) fn groups(edges: &[WaitEdge]) -> Vec<Group<'_>> {
    let mut sorted: Vec<&WaitEdge> = edges.iter().collect();
    sorted.sort_by_key(|e| (e.since, e.waiter));
    let mut groups: Vec<Group<'_>> = Vec::new();
    for edge in sorted {
        let same = |g: &&mut Group<'_>| {
            g.kind == edge.kind && g.culprit == edge.culprit && g.object == edge.object
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.edges.push(edge),
            None => groups.push(Group {
                kind: edge.kind,
                culprit: edge.culprit,
                object: &edge.object,
                edges: vec![edge],
            }),
        }
    }
    groups
}

/// The kinds that are drawn as arrows, each once.
pub(super) fn kinds(groups: &[Group<'_>]) -> Vec<WaitKind> {
    let mut kinds: Vec<WaitKind> =
        groups.iter().filter(|g| g.culprit.is_some()).map(|g| g.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// How an arrow of this kind is drawn.
pub(super) fn dash(kind: WaitKind) -> Dash {
    match kind {
        WaitKind::TicketLock => Dash::Solid,
        WaitKind::IpiAck => Dash::Dashed,
        WaitKind::Completion => Dash::Dotted,
        WaitKind::RunQueue => Dash::Sparse,
    }
}

/// Name of a kind in the legend.
pub(super) fn legend_name(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::TicketLock => "waits for lock held by",
        WaitKind::IpiAck => "waits for IPI ack of",
        WaitKind::Completion => "waits for completion by",
        WaitKind::RunQueue => "waits for its turn after",
    }
}

/// Name of a kind before the object that is waited for.
pub(super) fn note_name(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::TicketLock => "ticket lock",
        WaitKind::IpiAck => "IPI acknowledgement",
        WaitKind::Completion => "completion",
        WaitKind::RunQueue => "run queue",
    }
}

/// Least distance of two upright lines that share rows, in CSS pixels.
const APART: f64 = 6.0;

/// Keeps upright lines of different groups apart; those of one group may share a trunk.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    taken: Vec<(usize, f64, usize, usize)>,
}

impl Lanes {
    /// A place near `x` for a line of `group` over `rows`, no further right than `right`.
    pub(super) fn place(
        &mut self,
        group: usize,
        x: f64,
        (a, b): (usize, usize),
        right: f64,
    ) -> f64 {
        let (a, b) = (a.min(b), a.max(b));
        let trunk = self.taken.iter().find(|(g, t, ..)| *g == group && (t - x).abs() < APART / 2.0);
        let mut place = trunk.map_or(x, |t| t.1);
        if trunk.is_none() {
            let step = if x + 2.0 * APART > right { -APART } else { APART };
            let clash = |place: f64| {
                self.taken.iter().any(|(g, t, c, d)| {
                    *g != group && (t - place).abs() < APART && *c <= b && a <= *d
                })
            };
            for _ in 0..8 {
                if !clash(place) {
                    break;
                }
                place += step;
            }
        }
        self.taken.push((group, place, a, b));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(since: u64, waiter: u32, culprit: Option<u32>, object: &str) -> WaitEdge {
        let kind = WaitKind::TicketLock;
        WaitEdge { since, waiter, culprit, kind, object: object.into() }
    }

    #[test]
    fn waits_for_the_same_are_one_group_in_order_of_time() {
        let edges = [
            edge(30, 2, Some(18), "kernel_flag"),
            edge(10, 18, None, "wait.lock"),
            edge(20, 1, Some(18), "kernel_flag"),
        ];
        let groups = groups(&edges);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].object, "wait.lock");
        let waiters: Vec<u32> = groups[1].edges.iter().map(|e| e.waiter).collect();
        assert_eq!(waiters, [1, 2]);
        assert_eq!(kinds(&groups), [WaitKind::TicketLock]);
    }

    #[test]
    fn lines_of_different_groups_do_not_cover_each_other() {
        let mut lanes = Lanes::default();
        let a = lanes.place(0, 100.0, (0, 9), 500.0);
        let trunk = lanes.place(0, 101.0, (1, 9), 500.0);
        let b = lanes.place(1, 100.0, (3, 5), 500.0);
        let elsewhere = lanes.place(2, 100.0, (20, 30), 500.0);
        assert_eq!((a, trunk, elsewhere), (100.0, 100.0, 100.0));
        assert!((b - a).abs() >= APART);
        assert!(lanes.place(3, 499.0, (0, 0), 500.0) <= 500.0);
    }
}
