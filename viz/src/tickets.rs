//! The story of a ticket lock: Next and Owner as steps over time, the damage marked, and below a
//! lane for each CPU that took, waited for or served a ticket.

mod lanes;
mod steps;
mod window;

use crate::Options;
use crate::axis::{Axis, Spread};
use crate::font;
use crate::format::{self, Clock, count};
use crate::palette::{DAMAGE, HOLDS, INK, NEXT, OWNER, QUEUE, SOFT, WAITS};
use crate::picture::{Align, Picture};
use crate::sheet::{Dash, Letters, MARGIN, Mark, Sample, Sheet};
use lanes::Lanes;
use scenarios::timeline::{TicketHistory, TicketPoint};
use window::Window;

/// Anomalies that get a number and a note; the rest are counted.
const MOST_NOTES: usize = 8;
/// Tickets that are never served and get a sentence each.
const MOST_STARVED: usize = 4;

/// Draws the history of a ticket lock whose times are cycles of a clock of `clock_hz` Hz (0 if it
/// isn't known: times are then given in cycles).
///
/// If a write broke the lock, the upper panels show the writes around it on a linear axis and a
/// strip at the bottom the whole history on a logarithmic one; else one panel shows it all.
#[must_use]
pub fn draw_tickets(history: &TicketHistory, clock_hz: u64, options: &Options) -> Picture {
    let symbol = if history.symbol.is_empty() { "a lock" } else { &history.symbol };
    let mut sheet = Sheet::new(options, &format!("Tickets of {symbol}"));
    let mut points: Vec<&TicketPoint> = history.points.iter().collect();
    points.sort_by_key(|p| p.at);
    if points.is_empty() && history.waits.is_empty() {
        return sheet.nothing("No write to this lock was recorded.");
    }
    let clock = Clock::new(clock_hz);
    let window = window::choose(&points, &history.waits, options.end, clock);
    Chart { history, points, clock, window, end: options.end }.draw(&mut sheet);
    sheet.finish()
}

struct Chart<'a> {
    history: &'a TicketHistory,
    points: Vec<&'a TicketPoint>,
    clock: Clock,
    window: Window,
    end: Option<u64>,
}

impl Chart<'_> {
    fn draw(&self, sheet: &mut Sheet) {
        let most = self.points.iter().map(|p| p.next.max(p.owner)).max().unwrap_or(0);
        let cpus = self.points.iter().map(|p| p.cpu);
        let last = cpus.chain(self.history.waits.iter().map(|w| w.cpu)).max().unwrap_or(0);
        let widest = [count(u64::from(most)), last.to_string()]
            .iter()
            .map(|name| font::width(name, sheet.small()))
            .fold(0.0, f64::max);
        let ends = (MARGIN + sheet.small() * 1.6 + widest, sheet.right() - sheet.small() * 1.2);
        let (lo, hi) = self.window.shown;
        let (lo, hi) = (self.window.relative(lo), self.window.relative(hi));
        let axis = Axis::new(Spread::Linear, (lo, hi), ends);
        let lanes = Lanes::new(&self.points, &self.history.waits, self.window.shown);
        self.legend(sheet, &lanes);
        let (unit, length) = self.clock.unit(lo.abs().max(hi.abs()));
        let ticks = axis.number_ticks(length, self.clock == Clock::new(0), sheet.small());
        let badges = self.anomalies().next().map_or(0.0, |_| 2.0 * sheet.badge_radius());
        let top = sheet.y + 6.0 + badges;
        let middle = top + sheet.size * 9.0;
        let bottom = middle + 6.0 + lanes.height(sheet.small());
        sheet.grid(&axis, &ticks, top, bottom);
        self.draw_damage(sheet, &axis, top, bottom);
        self.draw_steps(sheet, &axis, (top, middle));
        lanes.draw(sheet, &axis, middle + 6.0, &self.window);
        sheet.y = sheet.x_axis(&axis, &ticks, bottom);
        let since = self.window.focus.name();
        sheet.y = sheet.x_title(&axis, &format!("time since {since} ({unit})"), sheet.y) + 4.0;
        if self.window.overview {
            self.overview(sheet, ends);
        }
        self.notes(sheet, &lanes);
    }

    fn legend(&self, sheet: &mut Sheet, lanes: &Lanes) {
        let mut entries = vec![
            (Sample::Line(NEXT, Dash::Solid), "Next"),
            (Sample::Line(OWNER, Dash::Solid), "Owner"),
        ];
        if self.points.iter().any(|p| p.next > p.owner) {
            entries.push((Sample::Box(QUEUE), "holder and queue"));
        }
        if self.points.iter().any(|p| p.owner > p.next) {
            entries.push((Sample::Box(DAMAGE.faded(0.3)), "Owner past Next"));
        }
        for (present, color, name) in [
            (lanes.any_hold(), HOLDS, "has the lock"),
            (lanes.any_wait(), WAITS, "waits"),
            (lanes.any_starved(), DAMAGE, "never served"),
        ] {
            if present {
                entries.push((Sample::Box(color), name));
            }
        }
        if lanes.shows_marks() {
            for (mark, name) in
                [(Mark::Up, "takes"), (Mark::Down, "serves"), (Mark::Cross, "initialises")]
            {
                if lanes.any_mark(mark) {
                    entries.push((Sample::Mark(mark, lanes::mark_color(mark)), name));
                }
            }
        }
        sheet.legend(&entries);
    }

    /// The panel of steps.
    fn draw_steps(&self, sheet: &mut Sheet, axis: &Axis, (top, bottom): (f64, f64)) {
        let range = steps::range(&self.points, self.window.values(axis));
        let scale = steps::Scale::new(range, top, bottom);
        scale.draw_axis(sheet, axis);
        let of = |f: fn(&TicketPoint) -> u16| {
            let pairs = self.points.iter().map(|p| (self.window.relative(p.at), f(p)));
            steps::trace(pairs, axis, scale)
        };
        let (next, owner) = (of(|p| p.next), of(|p| p.owner));
        steps::fill_between(sheet, &owner, &next, QUEUE);
        steps::fill_between(sheet, &next, &owner, DAMAGE.faded(0.3));
        // Owner runs inside of Next where they are equal.
        steps::draw(sheet, &next, if next.len() > 100 { 3.0 } else { 4.2 }, NEXT);
        steps::draw(sheet, &owner, 1.8, OWNER);
        sheet.line((axis.left, bottom), (axis.right, bottom), 1.0, SOFT);
        sheet.line((axis.left, top), (axis.left, bottom), 1.0, SOFT);
        sheet.text_upwards((MARGIN + sheet.small() * 0.5, (top + bottom) / 2.0), "ticket");
    }

    fn anomalies(&self) -> impl Iterator<Item = &TicketPoint> {
        self.points.iter().copied().filter(|p| p.anomaly.is_some())
    }

    /// A line, a number and the culprit at each write that broke the lock.
    fn draw_damage(&self, sheet: &mut Sheet, axis: &Axis, top: f64, bottom: f64) {
        let r = sheet.badge_radius();
        let inside = |p: &&TicketPoint| axis.contains(self.window.relative(p.at));
        let broken: Vec<_> = self.anomalies().take(MOST_NOTES).collect();
        let (mut free, mut places) = (axis.left, Vec::new());
        for (i, point) in broken.iter().copied().enumerate().filter(|(_, p)| inside(p)) {
            let x = axis.x(self.window.relative(point.at));
            sheet.dashed(
                (x, top - 3.0),
                (x, bottom),
                if i == 0 { 1.6 } else { 0.9 },
                DAMAGE,
                Dash::Dashed,
            );
            let place = x.max(free);
            sheet.line((x, top - 3.0), (place, top - 3.0), 0.9, DAMAGE);
            sheet.badge((place, top - 3.0 - r), i + 1, DAMAGE);
            free = place + 2.0 * r + 2.0;
            places.push((place, point));
        }
        self.name_damage(sheet, &places, top - 3.0 - r);
    }

    /// Names who did the damage beside its number, right or left of it, where there is room.
    fn name_damage(&self, sheet: &mut Sheet, places: &[(f64, &TicketPoint)], y: f64) {
        let size = sheet.small();
        let gap = sheet.badge_radius() + 4.0;
        let mut free = MARGIN;
        for (i, (place, point)) in places.iter().enumerate() {
            let end = places.get(i + 1).map_or(sheet.right(), |next| next.0 - gap);
            let cpu = format!("CPU {}", point.cpu);
            let forms = [format!("{} on {cpu}", point.function), point.function.clone(), cpu];
            let place_of = |text: String| {
                let width = font::width(&text, size);
                if place + gap + width <= end {
                    Some((place + gap, text, Align::Left))
                } else if free + width <= place - gap {
                    Some((place - gap, text, Align::Right))
                } else {
                    None
                }
            };
            let Some((at, text, align)) = forms.into_iter().find_map(place_of) else { continue };
            sheet.text((at, y), &text, Letters { size, align, color: DAMAGE });
            free = if align == Align::Left { at + font::width(&text, size) } else { place + gap };
        }
    }

    /// The whole history on a logarithmic axis, with the part that the panels above show.
    fn overview(&self, sheet: &mut Sheet, ends: (f64, f64)) {
        let (lo, hi) = self.window.whole;
        let (lo, hi) = (self.window.relative(lo), self.window.relative(hi));
        let (from, to) = self.window.shown;
        let (from, to) = (self.window.relative(from), self.window.relative(to));
        let threshold = self.clock.decade(to.abs().max(from.abs()));
        let axis = Axis::new(Spread::SymLog { threshold }, (lo, hi), ends);
        let ticks = axis.decade_ticks(self.clock, sheet.small());
        let top = sheet.y + 8.0;
        let bottom = top + sheet.size * 4.5;
        let shade = (axis.x(from), axis.x(to));
        sheet.rect((shade.0, top), (shade.1, bottom), SOFT.faded(0.16));
        sheet.grid(&axis, &ticks, top, bottom);
        sheet.damage_line(axis.x(0.0), top, bottom);
        self.draw_steps(sheet, &axis, (top, bottom));
        sheet.y = sheet.x_axis(&axis, &ticks, bottom);
        let title = format!(
            "whole history (logarithmic beyond ±{}; shaded: shown above)",
            self.clock.span(threshold)
        );
        sheet.y = sheet.x_title(&axis, &title, sheet.y) + 4.0;
    }

    fn notes(&self, sheet: &mut Sheet, lanes: &Lanes) {
        let anomalies: Vec<_> = self.anomalies().collect();
        for (i, point) in anomalies.iter().take(MOST_NOTES).enumerate() {
            let cycle = count(point.at);
            let text = match self.window.relative(point.at) {
                0.0 => format!("cycle {cycle}: {}", anomaly(point)),
                at => format!("{}, cycle {cycle}: {}", self.clock.offset(at), anomaly(point)),
            };
            sheet.note(i + 1, &text, DAMAGE);
        }
        let more = anomalies.len().saturating_sub(MOST_NOTES) as u64;
        sheet.left_out(more, "more write that broke the lock", "more writes that broke the lock");
        sheet.left_out(
            lanes.left_out,
            "CPU more that used the lock",
            "CPUs more that used the lock",
        );
        sheet.left_out(
            self.history.dropped,
            "write in between that was not recorded",
            "writes in between that were not recorded",
        );
        sheet.y += 2.0;
        self.starved(sheet);
        if let Some(last) = self.points.last() {
            let word = u32::from(last.next) << 16 | u32::from(last.owner);
            let text =
                format!("At the end: word 0x{word:08x} (Next {}, Owner {})", last.next, last.owner);
            sheet.paragraph(&text, sheet.small(), INK);
        }
    }

    /// The tickets that are never served: each, or all in one sentence if they are many.
    fn starved(&self, sheet: &mut Sheet) {
        let starved: Vec<_> = self.history.waits.iter().filter(|w| w.until.is_none()).collect();
        let Some(first) = starved.iter().map(|w| w.from).min() else { return };
        let size = sheet.small();
        if starved.len() > MOST_STARVED {
            let mut cpus: Vec<u32> = starved.iter().map(|w| w.cpu).collect();
            cpus.sort_unstable();
            cpus.dedup();
            let (n, cpus) = (starved.len() as u64, format::cpus(&cpus));
            let text = format!(
                "Never served: {} tickets of {cpus}, the first since {}",
                count(n),
                self.since(first)
            );
            return sheet.paragraph(&text, size, INK);
        }
        for wait in starved {
            let since = self.since(wait.from);
            let text =
                format!("Never served: CPU {}, ticket {}, since {since}", wait.cpu, wait.ticket);
            sheet.paragraph(&text, size, INK);
        }
    }

    /// An instant, and how long before the end of the run it is, if that is known.
    fn since(&self, at: u64) -> String {
        let cycle = format!("cycle {}", count(at));
        match self.end.filter(|end| *end > at) {
            None => cycle,
            Some(end) => {
                let length = self.clock.span((end - at) as f64);
                format!("{cycle} ({length} until the end of the run)")
            }
        }
    }
}

/// What a write did wrong, with who did it.
fn anomaly(point: &TicketPoint) -> String {
    let text = point.anomaly.as_deref().unwrap_or_default();
    let named = !point.function.is_empty() && text.starts_with(&point.function);
    match (named, point.function.as_str()) {
        (true, _) => text.to_owned(),
        (false, "") => format!("CPU {}: {text}", point.cpu),
        (false, function) => format!("{function} on CPU {}: {text}", point.cpu),
    }
}
