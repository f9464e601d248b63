//! How a lockup spread from CPU to CPU, in words.

use super::{Evidence, Link};
use crate::timeline::{WaitEdge, WaitKind};
use crate::waits::WaitGraph;

/// Waiters told one by one; more of them behind the same culprit are told together.
const ALONE: usize = 2;

/// The steps by which others came to wait for `root`, in order of time.
pub(super) fn links(evidence: &Evidence<'_>, root: Option<u32>) -> Vec<Link> {
    let Some(root) = root else { return Vec::new() };
    let graph = WaitGraph::new(&evidence.waits.edges, evidence.deaf.iter().copied());
    let mut groups: Vec<Vec<&WaitEdge>> = Vec::new();
    for edge in graph.spread(root) {
        let alike = |group: &&mut Vec<&WaitEdge>| {
            group[0].culprit == edge.culprit
                && group[0].object == edge.object
                && group[0].kind == edge.kind
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(edge),
            None => groups.push(vec![edge]),
        }
    }
    let mut links = Vec::new();
    for group in groups {
        if group.len() <= ALONE {
            links.extend(group.iter().map(|edge| link(evidence, &[edge])));
        } else {
            links.push(link(evidence, &group));
        }
    }
    links
}

fn link(evidence: &Evidence<'_>, group: &[&WaitEdge]) -> Link {
    let first = group[0];
    let waiters: Vec<String> = group.iter().map(|edge| edge.waiter.to_string()).collect();
    let (who, verb) = match group.len() {
        1 => (format!("CPU {}", waiters[0]), "waits"),
        _ => (format!("CPUs {}", waiters.join(", ")), "wait"),
    };
    let culprit = first.culprit.map_or_else(|| "nobody".to_owned(), |cpu| format!("CPU {cpu}"));
    let what = match first.kind {
        WaitKind::IpiAck => {
            format!("for {culprit} to acknowledge an IPI ({}), which it cannot", first.object)
        }
        WaitKind::TicketLock => format!("for {}, which {culprit} holds", first.object),
        WaitKind::Completion => format!("for {}, which {culprit} is to complete", first.object),
        WaitKind::RunQueue => format!("for its turn on {culprit}"),
    };
    let text = match group {
        [_] => format!("{who} {verb} {what}"),
        [.., last] => format!("{who} {verb} {what} (the last since cycle {})", last.since),
        [] => String::new(),
    };
    let lock = evidence.locks.iter().find(|lock| lock.symbol == first.object);
    let waiter = lock.and_then(|lock| lock.waiters.iter().find(|w| w.cpu == first.waiter));
    let function = waiter.map(|waiter| waiter.function.clone()).unwrap_or_default();
    Link::without_code(first.since, Some(first.waiter), function, text)
}
