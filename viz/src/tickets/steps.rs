//! Lines that go up and down in steps.

use crate::axis::Axis;
use crate::format::count;
use crate::palette::{Color, GRID, INK};
use crate::sheet::Sheet;
use scenarios::timeline::TicketPoint;

/// Least and greatest ticket that is shown.
pub(super) fn range(points: &[&TicketPoint], (from, to): (u64, u64)) -> (u16, u16) {
    let inside = |p: &&&TicketPoint| (from..=to).contains(&p.at);
    // The value before the window is seen at its left edge.
    let before = points.iter().rev().find(|p| p.at < from);
    let seen = points.iter().filter(inside).chain(before);
    let values = seen.flat_map(|p| [p.next, p.owner]);
    let (lo, hi) = values.fold((u16::MAX, 0), |(a, b), v| (a.min(v), b.max(v)));
    (lo.min(hi), hi)
}

/// From tickets to heights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    lo: f64,
    hi: f64,
    top: f64,
    bottom: f64,
}

impl Scale {
    pub(super) fn new((lo, hi): (u16, u16), top: f64, bottom: f64) -> Scale {
        let (lo, hi) = (f64::from(lo), f64::from(hi).max(f64::from(lo) + 1.0));
        Scale { lo, hi, top: top + 6.0, bottom: bottom - 6.0 }
    }

    fn y(&self, ticket: u16) -> f64 {
        let share = (f64::from(ticket) - self.lo) / (self.hi - self.lo);
        self.bottom - share * (self.bottom - self.top)
    }

    /// Ticket numbers on the left and faint lines across.
    pub(super) fn draw_axis(&self, sheet: &mut Sheet, axis: &Axis) {
        let room = ((self.bottom - self.top) / (sheet.small() * 1.5)).floor().max(1.0);
        let raw = ((self.hi - self.lo) / room).max(1.0);
        let power = 10f64.powf(raw.log10().floor());
        let fits = |s: &f64| *s >= raw * 0.999;
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(fits).unwrap_or(raw) as u32;
        let first = (self.lo as u32).div_ceil(step) * step;
        for ticket in (first..=self.hi as u32).step_by(step as usize) {
            let Ok(value) = u16::try_from(ticket) else { break };
            let y = self.y(value);
            sheet.line((axis.left, y), (axis.right, y), 0.6, GRID);
            sheet.name_of((axis.left - 5.0, y), &count(u64::from(ticket)), INK);
        }
    }
}

/// A level of a step line, in CSS pixels: `y` from `from` to `to`, reaching `high` to `low` where
/// several writes fall on one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    from: f64,
    to: f64,
    y: f64,
    high: f64,
    low: f64,
}

/// Width of the places in which writes are drawn as one, in CSS pixels.
const PLACE: f64 = 0.5;

/// The step line through values in order of time. Before the first value there is no line.
pub(super) fn trace(
    values: impl Iterator<Item = (f64, u16)>,
    axis: &Axis,
    scale: Scale,
) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for (at, value) in values {
        if at > axis.hi {
            break;
        }
        let (x, y) = (axis.x(at), scale.y(value));
        match levels.last_mut() {
            Some(last) if x - last.from < PLACE => {
                (last.y, last.high, last.low) = (y, last.high.min(y), last.low.max(y));
                if at < axis.lo {
                    // What happened left of the panel isn't seen.
                    (last.high, last.low) = (y, y);
                }
            }
            last => {
                if let Some(last) = last {
                    last.to = x;
                }
                levels.push(Level { from: x, to: x, y, high: y, low: y });
            }
        }
    }
    if let Some(last) = levels.last_mut() {
        last.to = axis.right;
    }
    levels
}

/// Draws a step line.
pub(super) fn draw(sheet: &mut Sheet, levels: &[Level], width: f64, color: Color) {
    let mut before: Option<f64> = None;
    for level in levels {
        let start = before.unwrap_or(level.y);
        let (high, low) = (level.high.min(start), level.low.max(start));
        if low > high {
            sheet.line((level.from, high), (level.from, low), width, color);
        }
        sheet.line((level.from, level.y), (level.to, level.y), width, color);
        before = Some(level.y);
    }
}

/// Fills where `upper` (a smaller height on the sheet) is above `lower`.
pub(super) fn fill_between(sheet: &mut Sheet, lower: &[Level], upper: &[Level], color: Color) {
    let (mut i, mut j) = (0, 0);
    while i < lower.len() && j < upper.len() {
        let (a, b) = (lower[i], upper[j]);
        let (from, to) = (a.from.max(b.from), a.to.min(b.to));
        if to > from && b.y < a.y {
            sheet.rect((from, b.y), (to, a.y), color);
        }
        if a.to <= b.to {
            i += 1;
        } else {
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Spread;

    fn axis() -> Axis {
        Axis::new(Spread::Linear, (0.0, 100.0), (0.0, 100.0))
    }

    fn scale() -> Scale {
        Scale::new((0, 10), 0.0, 112.0)
    }

    #[test]
    fn a_level_lasts_until_the_next_write() {
        let levels = trace([(10.0, 0), (40.0, 5)].into_iter(), &axis(), scale());
        let ends: Vec<_> = levels.iter().map(|l| (l.from, l.to, l.y)).collect();
        assert_eq!(ends, [(10.0, 40.0, 106.0), (40.0, 100.0, 56.0)]);
    }

    #[test]
    fn a_burst_on_one_place_is_one_level_with_its_extremes() {
        let burst = (0..1000u16).map(|i| (50.0 + f64::from(i) * 1e-4, i % 11));
        let levels = trace(burst, &axis(), scale());
        assert_eq!(levels.len(), 1);
        assert_eq!((levels[0].high, levels[0].low), (6.0, 106.0));
    }

    #[test]
    fn values_before_the_panel_enter_at_its_edge() {
        let levels = trace([(-50.0, 3), (-20.0, 7), (60.0, 8)].into_iter(), &axis(), scale());
        assert_eq!(levels.len(), 2);
        assert_eq!((levels[0].from, levels[0].high, levels[0].low), (0.0, 36.0, 36.0));
    }

    #[test]
    fn the_range_knows_what_enters_from_the_left() {
        let point = |at, next, owner| TicketPoint {
            at,
            cpu: 0,
            function: String::new(),
            write: scenarios::timeline::TicketWrite::Other,
            next,
            owner,
            anomaly: None,
        };
        let points = [point(1, 9, 9), point(5, 3, 3), point(20, 0, 0), point(90, 50, 50)];
        let points: Vec<&TicketPoint> = points.iter().collect();
        assert_eq!(range(&points, (10, 30)), (0, 3));
        assert_eq!(range(&[], (10, 30)), (0, 0));
    }
}
