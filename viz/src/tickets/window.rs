//! Which part of a lock's history is worth a close look.

use crate::axis::Axis;
use crate::format::Clock;
use scenarios::timeline::{TicketPoint, TicketWait, TicketWrite};

/// Writes this close to one that is shown are of the same burst, in seconds.
const BURST_SECONDS: f64 = 2e-6;
/// Writes shown at most before and after the one that matters.
const MOST_BEFORE: usize = 6;
const MOST_AFTER: usize = 8;

/// What a history is about; time is counted from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    /// A write broke the lock.
    Damage,
    /// A ticket was drawn that is never served.
    Starved,
    /// Nothing special: from the first write.
    Whole,
}

impl Focus {
    /// What time is counted from, in words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Focus::Damage => "the damage",
            Focus::Starved => "the ticket was drawn that is never served",
            Focus::Whole => "the first write",
        }
    }
}

/// What the panels show; instants are cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) focus: Focus,
    /// Where time is counted from.
    pub(super) origin: u64,
    /// The part shown on a linear axis.
    pub(super) shown: (u64, u64),
    /// The whole history.
    pub(super) whole: (u64, u64),
    /// Whether the whole history needs a panel of its own.
    pub(super) overview: bool,
}

impl Window {
    /// Cycles from the origin.
    pub(super) fn relative(&self, at: u64) -> f64 {
        if at >= self.origin { (at - self.origin) as f64 } else { -((self.origin - at) as f64) }
    }

    /// The instants on an axis that counts from the origin.
    pub(super) fn values(&self, axis: &Axis) -> (u64, u64) {
        let back = |v: f64| {
            let v = v.round();
            if v >= 0.0 {
                self.origin.saturating_add(v as u64)
            } else {
                self.origin.saturating_sub(-v as u64)
            }
        };
        (back(axis.lo), back(axis.hi))
    }
}

/// The write that did the damage: an initialisation if one is to blame, else the first anomaly.
fn damage(points: &[&TicketPoint]) -> Option<usize> {
    let broke = |p: &&TicketPoint| p.anomaly.is_some();
    let init = points.iter().position(|p| broke(p) && p.write == TicketWrite::Init);
    init.or_else(|| points.iter().position(broke))
}

/// The window onto a history whose points are in order of time, of a run that lasted to `end` if
/// that is known; points or waits must not be empty.
pub(super) fn choose(
    points: &[&TicketPoint],
    waits: &[TicketWait],
    end: Option<u64>,
    clock: Clock,
) -> Window {
    let ends = waits.iter().flat_map(|w| [w.from, w.until.unwrap_or(w.from)]);
    let instants = points.iter().map(|p| p.at).chain(ends);
    let (first, last) = instants.fold((u64::MAX, 0), |(a, b), t| (a.min(t), b.max(t)));
    let starved = || waits.iter().filter(|w| w.until.is_none()).map(|w| w.from);
    let (focus, origin) = match (damage(points), starved().min()) {
        (Some(at), _) => (Focus::Damage, points[at].at),
        (None, Some(from)) => (Focus::Starved, from),
        (None, None) => (Focus::Whole, first),
    };
    if focus == Focus::Whole {
        let whole = padded((first, last), 0.02, 0.02);
        return Window { focus, origin, shown: whole, whole, overview: false };
    }
    let burst = clock.cycles(BURST_SECONDS) as u64;
    let (a, b) = around(points, origin, burst);
    let late = starved().filter(|t| t.saturating_sub(b) <= burst);
    let b = late.fold(b, u64::max);
    // A bar that never ends needs room for what it says.
    let room = if starved().any(|t| t <= b) { 0.4 } else { 0.08 };
    let shown = padded((a, b), 0.08, room);
    let whole = (first.min(shown.0), last.max(end.unwrap_or(0)).max(shown.1));
    let overview = whole.1 - whole.0 > 2 * (shown.1 - shown.0);
    Window { focus, origin, shown: if overview { shown } else { whole }, whole, overview }
}

/// First and last write of the burst around the write at `origin`.
fn around(points: &[&TicketPoint], origin: u64, burst: u64) -> (u64, u64) {
    let at = points.partition_point(|p| p.at < origin);
    let mut a = origin;
    for point in points[..at].iter().rev().take(MOST_BEFORE) {
        if a - point.at > burst {
            break;
        }
        a = point.at;
    }
    let (mut b, mut sound) = (origin, 0);
    // Writes that break the lock further don't count up to a limit: the damage is shown whole.
    for point in points[at..].iter().take(4 * MOST_AFTER) {
        if point.at - b > burst || sound > MOST_AFTER {
            break;
        }
        sound += usize::from(point.anomaly.is_none());
        b = point.at;
    }
    (a, b)
}

/// The span with shares of it added as room before and after.
fn padded((a, b): (u64, u64), before: f64, after: f64) -> (u64, u64) {
    let room = |share: f64| (((b - a) as f64 * share) as u64).max(10);
    (a.saturating_sub(room(before)), b.saturating_add(room(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u64, write: TicketWrite, anomaly: bool) -> TicketPoint {
        let anomaly = anomaly.then(|| "broken".to_owned());
        TicketPoint { at, cpu: 0, function: "f".into(), write, next: 0, owner: 0, anomaly }
    }

    fn window(points: &[TicketPoint], waits: &[TicketWait], end: Option<u64>) -> Window {
        let points: Vec<&TicketPoint> = points.iter().collect();
        choose(&points, waits, end, Clock::new(1_000_000_000))
    }

    #[test]
    fn the_initialisation_is_the_damage_even_if_another_write_was_odd_first() {
        let points = [
            point(100, TicketWrite::Other, true),
            point(200, TicketWrite::Init, true),
            point(300, TicketWrite::Serve, true),
        ];
        let window = window(&points, &[], None);
        assert_eq!((window.focus, window.origin), (Focus::Damage, 200));
    }

    #[test]
    fn the_burst_is_shown_and_the_minute_is_overview() {
        let points = [
            point(1_000, TicketWrite::Take, false),
            point(1_000_000_000, TicketWrite::Take, false),
            point(1_000_000_050, TicketWrite::Init, true),
            point(1_000_000_080, TicketWrite::Serve, true),
        ];
        let window = window(&points, &[], Some(61_000_000_000));
        assert!(window.overview);
        assert!(window.shown.0 < 1_000_000_000 && window.shown.1 < 1_000_000_200);
        assert!(window.whole.0 <= 1_000 && window.whole.1 >= 61_000_000_000);
    }

    #[test]
    fn a_sound_history_is_shown_whole_from_its_first_write() {
        let points = [point(500, TicketWrite::Take, false), point(900, TicketWrite::Serve, false)];
        let window = window(&points, &[], Some(10_000_000_000));
        assert_eq!((window.focus, window.origin, window.overview), (Focus::Whole, 500, false));
        assert!(window.shown.1 >= 900 && window.shown.1 < 2_000);
    }

    #[test]
    fn a_ticket_that_is_never_served_is_the_focus() {
        let points =
            [point(500, TicketWrite::Take, false), point(8_000_000, TicketWrite::Take, false)];
        let wait = TicketWait { cpu: 1, ticket: 1, from: 8_000_000, until: None };
        let window = window(&points, &[wait], None);
        assert_eq!((window.focus, window.origin), (Focus::Starved, 8_000_000));
        assert!(window.overview && window.shown.0 > 7_000_000);
    }

    #[test]
    fn waits_alone_make_a_window() {
        let wait = TicketWait { cpu: 1, ticket: 0, from: 10, until: None };
        let window = window(&[], &[wait], None);
        assert!(window.shown.0 <= 10 && window.shown.1 > 10);
    }
}
