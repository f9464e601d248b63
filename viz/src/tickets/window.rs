//! Which part of a lock's history is worth a close look.

use crate::axis::Axis;
use crate::format::Clock;
use scenarios::timeline::{TicketPoint, TicketWait, TicketWrite};

/// Writes this close to one that is shown are of the same burst, in seconds.
const BURST_SECONDS: f64 = 2e-6;
/// Writes shown at most before and after those that broke the lock.
const MOST_BEFORE: usize = 6;
const MOST_AFTER: usize = 8;

/// What the panels show; instants are cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Where time is counted from.
    pub(super) origin: u64,
    /// Whether the origin is a write that broke the lock.
    pub(super) damage: bool,
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

/// The window onto a history whose points are in order of time; points or waits must not be empty.
pub(super) fn choose(points: &[&TicketPoint], waits: &[TicketWait], clock: Clock) -> Window {
    let instants = points
        .iter()
        .map(|p| p.at)
        .chain(waits.iter().flat_map(|w| [w.from, w.until.unwrap_or(w.from)]));
    let (first, last) = instants.fold((u64::MAX, 0), |(a, b), t| (a.min(t), b.max(t)));
    let whole = padded((first.min(last), last), 0.02, first.min(last));
    let Some(at) = damage(points) else {
        return Window { origin: first, damage: false, shown: whole, whole, overview: false };
    };
    let burst = clock.cycles(BURST_SECONDS) as u64;
    let (a, b) = around(points, at, burst);
    let reach = |t: u64| t.saturating_sub(points[b].at) <= burst;
    let starved = waits.iter().filter(|w| w.until.is_none() && reach(w.from)).map(|w| w.from);
    let end = starved.fold(points[b].at, u64::max);
    let start = points[a].at;
    let shown = padded((start, end), 0.08, 0);
    let overview = whole.1 - whole.0 > 2 * (shown.1 - shown.0);
    let shown = if overview { shown } else { whole };
    Window { origin: points[at].at, damage: true, shown, whole, overview }
}

/// First and last write of the burst around the damage.
fn around(points: &[&TicketPoint], at: usize, burst: u64) -> (usize, usize) {
    let close = |i: usize| points[i + 1].at - points[i].at <= burst;
    let mut a = at;
    while a > 0 && at - a < MOST_BEFORE && close(a - 1) {
        a -= 1;
    }
    let mut b = at;
    let mut after = 0;
    while b + 1 < points.len() && after < MOST_AFTER && close(b) {
        b += 1;
        // Writes that break the lock further don't count: the damage is shown whole.
        after += usize::from(points[b].anomaly.is_none());
        if b - at > 4 * MOST_AFTER {
            break;
        }
    }
    (a, b)
}

/// The span with some room on both sides, not before `least`.
fn padded((a, b): (u64, u64), share: f64, least: u64) -> (u64, u64) {
    let room = (((b - a) as f64 * share) as u64).max(10);
    (a.saturating_sub(room).max(least), b.saturating_add(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u64, write: TicketWrite, anomaly: bool) -> TicketPoint {
        let anomaly = anomaly.then(|| "broken".to_owned());
        TicketPoint { at, cpu: 0, function: "f".into(), write, next: 0, owner: 0, anomaly }
    }

    fn clock() -> Clock {
        Clock::new(1_000_000_000)
    }

    #[test]
    fn the_initialisation_is_the_damage_even_if_another_write_was_odd_first() {
        let points = [
            point(100, TicketWrite::Other, true),
            point(200, TicketWrite::Init, true),
            point(300, TicketWrite::Serve, true),
        ];
        let window = choose(&points.iter().collect::<Vec<_>>(), &[], clock());
        assert!(window.damage);
        assert_eq!(window.origin, 200);
    }

    #[test]
    fn the_burst_is_shown_and_the_minute_is_overview() {
        let points = [
            point(1_000, TicketWrite::Take, false),
            point(1_000_000_000, TicketWrite::Take, false),
            point(1_000_000_050, TicketWrite::Init, true),
            point(1_000_000_080, TicketWrite::Serve, true),
            point(61_000_000_000, TicketWrite::Take, false),
        ];
        let window = choose(&points.iter().collect::<Vec<_>>(), &[], clock());
        assert!(window.overview);
        assert!(window.shown.0 < 1_000_000_000 && window.shown.1 < 1_000_000_200);
        assert!(window.whole.0 <= 1_000 && window.whole.1 >= 61_000_000_000);
    }

    #[test]
    fn a_sound_history_is_shown_whole_from_its_first_write() {
        let points = [point(500, TicketWrite::Take, false), point(900, TicketWrite::Serve, false)];
        let window = choose(&points.iter().collect::<Vec<_>>(), &[], clock());
        assert!(!window.damage && !window.overview);
        assert_eq!(window.origin, 500);
        assert!(window.shown.1 >= 900);
    }

    #[test]
    fn waits_alone_make_a_window() {
        let wait = TicketWait { cpu: 1, ticket: 0, from: 10, until: None };
        let window = choose(&[], &[wait], clock());
        assert!(window.shown.0 <= 10 && window.shown.1 > 10);
    }
}
