//! The wait-for graph of CPUs: deadlocks, the root of a lockup, and how it spread.

use crate::timeline::{WaitEdge, WaitKind};
use std::collections::{BTreeMap, BTreeSet};

/// Who waits for whom, as a graph.
#[derive(Clone, Debug)]
pub struct WaitGraph<'a> {
    edges: &'a [WaitEdge],
    /// CPUs that cannot take maskable interrupts, and so acknowledge nothing.
    deaf: BTreeSet<u32>,
}

impl<'a> WaitGraph<'a> {
    /// The graph of these edges; `deaf` are the CPUs with interrupts disabled.
    #[must_use]
    pub fn new(edges: &'a [WaitEdge], deaf: impl IntoIterator<Item = u32>) -> Self {
        WaitGraph { edges, deaf: deaf.into_iter().collect() }
    }

    /// True if the edge cannot go away by itself: an acknowledgement comes from any CPU that
    /// still takes interrupts, whatever else it waits for.
    fn lasts(&self, edge: &WaitEdge) -> bool {
        match (edge.kind, edge.culprit) {
            (WaitKind::IpiAck, Some(cpu)) => self.deaf.contains(&cpu),
            _ => true,
        }
    }

    fn culprits(&self, cpu: u32) -> impl Iterator<Item = u32> {
        self.edges
            .iter()
            .filter(move |edge| edge.waiter == cpu && self.lasts(edge))
            .filter_map(|edge| edge.culprit)
    }

    /// CPUs that `cpu` waits for, directly or through others.
    fn reach(&self, cpu: u32) -> BTreeSet<u32> {
        let mut reached = BTreeSet::new();
        let mut open = vec![cpu];
        while let Some(at) = open.pop() {
            open.extend(self.culprits(at).filter(|next| reached.insert(*next)));
        }
        reached
    }

    /// Circles of CPUs each of which waits for the next: every one of them for ever. A circle
    /// begins with its oldest wait.
    #[must_use]
    pub fn deadlocks(&self) -> Vec<Vec<&'a WaitEdge>> {
        let mut found: Vec<Vec<&WaitEdge>> = Vec::new();
        let mut known = BTreeSet::new();
        for edge in self.edges.iter().filter(|edge| self.lasts(edge)) {
            let closes = edge
                .culprit
                .is_some_and(|cpu| cpu == edge.waiter || self.reach(cpu).contains(&edge.waiter));
            if !closes || known.contains(&edge.waiter) {
                continue;
            }
            let circle = self.circle(edge);
            known.extend(circle.iter().map(|edge| edge.waiter));
            found.push(circle);
        }
        found
    }

    /// The circle through `first`, which is known to be in one: shortest way back.
    fn circle(&self, first: &'a WaitEdge) -> Vec<&'a WaitEdge> {
        let Some(start) = first.culprit else { return Vec::new() };
        let mut came: BTreeMap<u32, &WaitEdge> = BTreeMap::new();
        let mut open = std::collections::VecDeque::from([start]);
        while let Some(at) = open.pop_front() {
            for edge in self.edges.iter().filter(|e| e.waiter == at && self.lasts(e)) {
                if let Some(next) = edge.culprit
                    && next != start
                    && !came.contains_key(&next)
                {
                    came.insert(next, edge);
                    open.push_back(next);
                }
            }
        }
        let mut circle = vec![first];
        let mut at = first.waiter;
        while at != start {
            let Some(edge) = came.get(&at) else { break };
            circle.push(edge);
            at = edge.waiter;
        }
        circle[1..].reverse();
        circle
    }

    /// The CPU where a lockup began: one that waits for what nobody can give, else a member of a
    /// deadlock, else the one for which most others wait while it waits for nobody.
    #[must_use]
    pub fn root(&self) -> Option<u32> {
        let hopeless = self.edges.iter().find(|edge| edge.culprit.is_none());
        if let Some(edge) = hopeless {
            return Some(edge.waiter);
        }
        if let Some(circle) = self.deadlocks().first() {
            return circle.first().map(|edge| edge.waiter);
        }
        let waiters: BTreeSet<u32> = self.edges.iter().map(|edge| edge.waiter).collect();
        let mut followers: BTreeMap<u32, usize> = BTreeMap::new();
        for waiter in &waiters {
            for culprit in self.reach(*waiter) {
                *followers.entry(culprit).or_default() += 1;
            }
        }
        let free = followers.into_iter().filter(|(cpu, _)| !waiters.contains(cpu));
        free.max_by_key(|(cpu, count)| (*count, u32::MAX - cpu)).map(|(cpu, _)| cpu)
    }

    /// The edges by which a lockup of `root` spread to others, in order of time: those whose
    /// waiter waits for it, directly or through others, but is not in a circle with it.
    #[must_use]
    pub fn spread(&self, root: u32) -> Vec<&'a WaitEdge> {
        let circle = self.reach(root);
        let caught = |edge: &&WaitEdge| {
            edge.waiter != root
                && !circle.contains(&edge.waiter)
                && self.lasts(edge)
                && edge.culprit.is_some_and(|cpu| cpu == root || self.reach(cpu).contains(&root))
        };
        self.edges.iter().filter(caught).collect()
    }
}
