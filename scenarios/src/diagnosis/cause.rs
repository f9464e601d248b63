//! What lies under a finding: a broken lock, a deadlock, a completion that went astray.

use super::{CompletionReport, Evidence, FindingKind, Link, Message};
use crate::completions::{WaitAnomaly, WaitFault};
use crate::locks::{Anomaly, AnomalyKind, DEVICE, LockReport, next_of, owner_of};
use crate::timeline::{WaitEdge, WaitKind};
use crate::waits::WaitGraph;

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) kind: FindingKind,
    /// CPU that suffers.
    pub(super) cpu: Option<u32>,
    /// Name of the lock or completion.
    pub(super) object: Option<String>,
    /// Name of the lock.
    pub(super) lock: Option<String>,
    /// In sentences.
    pub(super) summary: String,
    /// Its steps.
    pub(super) links: Vec<Link>,
    /// CPU from which it spread.
    pub(super) root: Option<u32>,
    /// True if it does not pass by itself.
    pub(super) is_permanent: bool,
}

/// Finds the cause, if the histories show one.
pub(super) fn find(evidence: &Evidence<'_>) -> Option<Cause> {
    let hopeless = |lock: &&LockReport| lock.waiters.iter().any(|waiter| waiter.never);
    if let Some(lock) = evidence.locks.iter().find(hopeless) {
        return Some(corrupted(evidence, lock));
    }
    if let Some(deadlock) = deadlock(evidence) {
        return Some(deadlock);
    }
    if let Some(lock) = evidence.locks.iter().find(|lock| lock.is_past_next()) {
        return Some(corrupted(evidence, lock));
    }
    let stray = |kind: WaitFault| move |anomaly: &&WaitAnomaly| anomaly.kind == kind;
    for kind in [WaitFault::Lost, WaitFault::Stale, WaitFault::TimedOut] {
        let found = evidence.completions.iter().find_map(|completion| {
            Some((completion, completion.anomalies.iter().find(stray(kind))?))
        });
        if let Some((completion, anomaly)) = found {
            return Some(astray(evidence, completion, anomaly));
        }
    }
    let broken = evidence.locks.iter().filter(|lock| !lock.anomalies.is_empty());
    let first = broken.min_by_key(|lock| lock.anomalies[0].at);
    first.map(|lock| corrupted(evidence, lock))
}

/// The cause of a fault, if the histories show one: what was broken before it, or a completion
/// that the faulting CPU used before anything had initialised it.
pub(super) fn of_fault(evidence: &Evidence<'_>, oops: &Message) -> Option<Cause> {
    let held = |completion: &CompletionReport| {
        let lock = evidence.locks.iter().find(|lock| lock.symbol == completion.lock)?;
        lock.holder.clone().filter(|holder| Some(holder.cpu) == oops.cpu)
    };
    let raw = |completion: &&CompletionReport| {
        completion.initialised.as_ref().is_none_or(|site| site.at > oops.at)
    };
    let found = evidence.completions.iter().filter(raw).find_map(|raw| Some((raw, held(raw)?)));
    let Some((completion, holder)) = found else {
        let before = |link: &Link| link.at_cycle <= oops.at;
        return find(evidence).filter(|cause| cause.links.iter().all(before));
    };
    let section = completion.sections.iter().find(|(cpu, _)| *cpu == holder.cpu);
    let function = section.map_or(&holder.function, |(_, function)| function);
    let (cpu, name) = (holder.cpu, &completion.symbol);
    let text = format!("{function} on CPU {cpu} used {name}, which nothing had initialised yet");
    let link = Link::without_code(holder.since, Some(cpu), function.clone(), text.clone());
    Some(Cause {
        kind: FindingKind::Fault,
        cpu: Some(cpu),
        object: Some(name.clone()),
        lock: Some(completion.lock.clone()),
        summary: text,
        links: vec![link],
        root: None,
        is_permanent: true,
    })
}

/// The functions by which a CPU used a lock, as a reader would call them.
struct Roles<'a> {
    evidence: &'a Evidence<'a>,
    completion: Option<&'a CompletionReport>,
}

impl<'a> Roles<'a> {
    fn new(evidence: &'a Evidence<'a>, lock: &LockReport) -> Self {
        let guards = |completion: &&CompletionReport| completion.lock == lock.symbol;
        Roles { evidence, completion: evidence.completions.iter().find(guards) }
    }

    /// What `cpu` was doing inside the lock: the function that changes what the lock guards, if
    /// that is known, else the one that took the lock.
    fn section(&self, cpu: u32, rip: u64) -> String {
        let known = self
            .completion
            .and_then(|completion| completion.sections.iter().find(|(owner, _)| *owner == cpu));
        known.map_or_else(|| self.evidence.names.function(rip), |(_, function)| function.clone())
    }

    /// Who initialised the lock: the initialisation of what it is part of, if that came just
    /// before on the same CPU.
    fn initialiser(&self, cpu: u32, at: u64, rip: u64) -> String {
        let outer = self.completion.and_then(|completion| completion.initialiser(cpu, at));
        outer.map_or_else(|| self.evidence.names.source_function(rip), str::to_owned)
    }
}

fn cpu_name(cpu: u32) -> String {
    if cpu == DEVICE { "a device".to_owned() } else { format!("CPU {cpu}") }
}

fn corrupted(evidence: &Evidence<'_>, lock: &LockReport) -> Cause {
    let roles = Roles::new(evidence, lock);
    let mut links = Vec::new();
    let mut told: Vec<(u32, u64)> = Vec::new();
    let hopeless = lock.waiters.iter().find(|waiter| waiter.never);
    for anomaly in chain_of(lock) {
        if let Some(link) = acquisition(evidence, &roles, lock, anomaly, &mut told) {
            links.push(link);
        }
        let text = step(&roles, lock, anomaly);
        links.push(Link::at(&evidence.names, anomaly.at, anomaly.cpu, anomaly.rip, text));
    }
    if hopeless.is_some() && lock.holder.is_none() {
        let text = format!(
            "nobody holds {}: no task or CPU will ever release it (word {:#010x})",
            lock.symbol, lock.word
        );
        let at_cycle = links.last().map_or(evidence.end, |link| link.at_cycle);
        links.push(Link::without_code(at_cycle, None, String::new(), text));
    }
    let summary = links.iter().map(|link| link.text.as_str()).collect::<Vec<_>>().join("; ");
    Cause {
        kind: FindingKind::LockCorrupted,
        cpu: hopeless.map(|waiter| waiter.cpu).or(lock.anomalies.first().map(|a| a.cpu)),
        object: Some(lock.symbol.clone()),
        lock: Some(lock.symbol.clone()),
        summary,
        links,
        root: hopeless.map(|waiter| waiter.cpu),
        is_permanent: hopeless.is_some() || lock.is_past_next(),
    }
}

/// Anomalies of one breakage: from the last first cause on.
fn chain_of(lock: &LockReport) -> &[Anomaly] {
    let begins = |anomaly: &Anomaly| {
        matches!(
            anomaly.kind,
            AnomalyKind::ReinitialisedWhileHeld | AnomalyKind::OverwrittenWhileHeld
        )
    };
    let first = lock.anomalies.iter().rposition(begins).unwrap_or(0);
    &lock.anomalies[first..]
}

/// How the victim of an anomaly had got the lock, unless that has been told.
fn acquisition(
    evidence: &Evidence<'_>,
    roles: &Roles<'_>,
    lock: &LockReport,
    anomaly: &Anomaly,
    told: &mut Vec<(u32, u64)>,
) -> Option<Link> {
    let victim = anomaly.victim.filter(|_| anomaly.kind != AnomalyKind::NeverServed)?;
    if told.contains(&(victim.cpu, victim.taken)) {
        return None;
    }
    told.push((victim.cpu, victim.taken));
    let section = roles.section(victim.cpu, victim.rip);
    let who = cpu_name(victim.cpu);
    let text = format!("{section} on {who} took {} with ticket {}", lock.symbol, victim.number);
    Some(Link::at(&evidence.names, victim.taken, victim.cpu, victim.rip, text))
}

/// An anomaly in a sentence.
fn step(roles: &Roles<'_>, lock: &LockReport, anomaly: &Anomaly) -> String {
    let (name, who) = (&lock.symbol, cpu_name(anomaly.cpu));
    let (next, owner) = (next_of(anomaly.after), owner_of(anomaly.after));
    let function = roles.evidence.names.function(anomaly.rip);
    let victim = anomaly.victim.map(|victim| {
        let section = roles.section(victim.cpu, victim.rip);
        let state = if victim.granted.is_some() { "held it" } else { "waited for it" };
        let who = cpu_name(victim.cpu);
        (format!("{section} on {who} {state} (ticket {})", victim.number), victim)
    });
    let held = victim.as_ref().map_or_else(String::new, |(words, _)| format!(" while {words}"));
    match anomaly.kind {
        AnomalyKind::ReinitialisedWhileHeld => {
            let initialiser = roles.initialiser(anomaly.cpu, anomaly.at, anomaly.rip);
            format!("{initialiser} on {who} zeroed {name}{held}")
        }
        AnomalyKind::OverwrittenWhileHeld => {
            format!("{function} on {who} wrote {:#010x} over {name}{held}", anomaly.after)
        }
        AnomalyKind::MutualExclusionBroken => {
            format!("{name} let in {who} (Owner {owner}){held}: mutual exclusion is broken")
        }
        AnomalyKind::ReleasedByNonHolder => {
            format!("{function} on {who} released {name}, which it did not hold: Owner is {owner}")
        }
        AnomalyKind::OverlappedRelease => format!(
            "the unlock by {who} stored Owner {owner}, one more than it had read before the word \
             was changed under it"
        ),
        AnomalyKind::OwnerPastNext => {
            format!("the unlock by {who} made Owner {owner} with Next {next}: Owner is past Next")
        }
        AnomalyKind::NeverServed => victim.map_or_else(String::new, |(_, victim)| {
            let (who, number) = (cpu_name(victim.cpu), victim.number);
            format!("{who} drew ticket {number}, but Owner is {owner}: it can never be served")
        }),
    }
}

fn deadlock(evidence: &Evidence<'_>) -> Option<Cause> {
    let graph = WaitGraph::new(&evidence.waits.edges, evidence.deaf.iter().copied());
    let circle = graph.deadlocks().into_iter().next()?;
    // Not the oldest wait: who came first does not matter to a deadlock.
    let first = circle.iter().min_by_key(|edge| edge.waiter)?;
    let locks = circle.iter().filter(|edge| edge.kind == WaitKind::TicketLock);
    let links: Vec<Link> = circle.iter().map(|edge| wait_link(evidence, edge)).collect();
    let steps: Vec<&str> = links.iter().map(|link| link.text.as_str()).collect();
    Some(Cause {
        kind: FindingKind::Deadlock,
        cpu: Some(first.waiter),
        object: Some(first.object.clone()),
        lock: locks.min_by_key(|edge| edge.waiter).map(|edge| edge.object.clone()),
        summary: format!("Deadlock: {}", steps.join("; ")),
        root: Some(first.waiter),
        links,
        is_permanent: true,
    })
}

/// An edge of a circle in a sentence.
fn wait_link(evidence: &Evidence<'_>, edge: &WaitEdge) -> Link {
    let lock = evidence.locks.iter().find(|lock| lock.symbol == edge.object);
    let waiter = lock.and_then(|lock| lock.waiters.iter().find(|w| w.cpu == edge.waiter));
    let holder = lock.and_then(|lock| lock.holder.as_ref());
    let culprit = edge.culprit.map_or_else(|| "nobody".to_owned(), cpu_name);
    let same = edge.culprit == Some(edge.waiter);
    let text = match (edge.kind, holder) {
        (WaitKind::TicketLock, Some(holder)) if same => format!(
            "CPU {} waits for {}, which it holds itself since cycle {}",
            edge.waiter, edge.object, holder.since
        ),
        (WaitKind::TicketLock, Some(holder)) => format!(
            "CPU {} waits for {}, which {culprit} holds since cycle {}",
            edge.waiter, edge.object, holder.since
        ),
        (WaitKind::IpiAck, _) => format!(
            "CPU {} waits for {culprit} to acknowledge an IPI ({}), which has interrupts disabled",
            edge.waiter, edge.object
        ),
        _ => format!("CPU {} waits for {} of {culprit}", edge.waiter, edge.object),
    };
    let function = waiter.map(|waiter| waiter.function.clone()).unwrap_or_default();
    Link::without_code(edge.since, Some(edge.waiter), function, text)
}

/// A wait that went wrong.
fn astray(evidence: &Evidence<'_>, completion: &CompletionReport, anomaly: &WaitAnomaly) -> Cause {
    let name = &completion.symbol;
    let names = &evidence.names;
    let mut links = Vec::new();
    if let Some(done) = anomaly.completed {
        let function = names.source_function(done.rip);
        let text = format!("{function} on CPU {} completed {name} (done {})", done.cpu, done.value);
        links.push(Link::at(names, done.at, done.cpu, done.rip, text));
    }
    if let Some(erased) = anomaly.erased {
        let function = names.source_function(erased.rip);
        let text = format!("{function} on CPU {} set done of {name} back to 0", erased.cpu);
        links.push(Link::at(names, erased.at, erased.cpu, erased.rip, text));
    }
    let cpu = anomaly.cpu;
    let slept = anomaly.until.map(|until| evidence.clock.seconds(until - anomaly.from));
    let end = anomaly.until.unwrap_or(anomaly.from);
    let (kind, text) = match (anomaly.kind, slept) {
        (WaitFault::Lost, Some(slept)) => (
            FindingKind::LostCompletion,
            format!("the waiter on CPU {cpu} slept {slept:.6} s in vain: its whole timeout"),
        ),
        (WaitFault::Lost, None) => (
            FindingKind::LostCompletion,
            format!("the waiter on CPU {cpu} goes to sleep for {name}: in vain"),
        ),
        (WaitFault::TimedOut, _) => (
            FindingKind::CommandTimeout,
            format!("the waiter on CPU {cpu} gave up on {name}: nothing completed it in time"),
        ),
        (WaitFault::Stale, _) => (
            FindingKind::CommandTimeout,
            format!(
                "the waiter on CPU {cpu} went on at once: {name} was completed for an older request"
            ),
        ),
    };
    links.push(Link::without_code(end, Some(cpu), String::new(), text));
    let steps: Vec<&str> = links.iter().map(|link| link.text.as_str()).collect();
    Cause {
        kind,
        cpu: Some(cpu),
        object: Some(name.clone()),
        lock: Some(completion.lock.clone()),
        summary: steps.join("; "),
        root: None,
        is_permanent: false,
        links,
    }
}
