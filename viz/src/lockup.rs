//! How a lockup spread: a row for each CPU, coloured by what it does, and arrows from those who
//! wait to those they wait for, at the time the wait began.

mod bins;
mod waits;

use crate::axis::{Axis, Spread, Tick};
use crate::font;
use crate::format::{self, Clock};
use crate::palette::{ACTIVITIES, DAMAGE, INK, SOFT, WHITE, activity, activity_name};
use crate::picture::{Align, Picture};
use crate::sheet::{Letters, MARGIN, Mark, Sample, Sheet};
use crate::{Options, lockup::waits::Group};
use bins::Strip;
use scenarios::timeline::{CpuRow, Propagation, WaitEdge, WaitKind};

/// Groups of waits that get a number and a note; the rest are counted.
const MOST_NOTES: usize = 12;
/// Arrows of one group at most; in a larger one only the first is drawn, the others are dots.
const MOST_ARROWS: usize = 48;
/// Lines of mark labels above the rows; marks beyond them stay without a label.
const MOST_LABEL_LINES: usize = 6;
/// The axis is linear this close to its origin, in seconds: a few hops of a cache line.
const LINEAR_SECONDS: f64 = 100e-9;

/// Draws how a lockup spread.
///
/// Time is relative to the damage ([`Propagation::origin`], else the start), linear within 100 ns
/// of it and logarithmic beyond, so that the race and the minute until the panic are both seen.
/// Where a place on the axis covers several activities, it shows the one that took longest.
#[must_use]
pub fn draw_lockup(propagation: &Propagation, options: &Options) -> Picture {
    let mut sheet = Sheet::new(options, "How the lockup spread");
    if propagation.cpus.is_empty() {
        return sheet.nothing("No CPU was recorded.");
    }
    Chart::new(propagation, sheet.width, sheet.small()).draw(&mut sheet);
    sheet.finish()
}

/// A point worth a label above the rows.
struct Flag {
    at: f64,
    row: Option<usize>,
    text: String,
}

/// The place of a flag's label: its line and ends, and whether it is pinned to the right margin
/// instead of standing at its flag.
struct Place {
    line: usize,
    start: f64,
    end: f64,
    pinned: bool,
}

struct Chart<'a> {
    data: &'a Propagation,
    rows: Vec<&'a CpuRow>,
    /// What is seen of each row.
    strips: Vec<Vec<Strip>>,
    clock: Clock,
    origin: u64,
    axis: Axis,
    groups: Vec<Group<'a>>,
    row_height: f64,
    top: f64,
}

impl<'a> Chart<'a> {
    fn new(data: &'a Propagation, width: f64, small: f64) -> Chart<'a> {
        let clock = Clock::new(data.clock_hz);
        let origin = data.origin.unwrap_or(data.start);
        let mut rows: Vec<&CpuRow> = data.cpus.iter().collect();
        rows.sort_by_key(|r| r.cpu);
        let threshold = clock.cycles(LINEAR_SECONDS);
        let (lo, hi) = (relative(data.start, origin), relative(data.end, origin));
        let spread =
            if hi - lo > 20.0 * threshold { Spread::SymLog { threshold } } else { Spread::Linear };
        let widest = rows.last().map_or(0.0, |r| font::width(&r.cpu.to_string(), small));
        let left = MARGIN + small * 1.4 + widest + 6.0;
        let row_height = match rows.len() {
            0..=32 => small * 1.25,
            33..=64 => small * 0.8,
            65..=128 => 5.0,
            _ => 3.0,
        };
        let axis = Axis::new(spread, (lo, hi), (left, width - MARGIN - small));
        let coarse = rows.len() > 64;
        Chart {
            data,
            clock,
            origin,
            axis,
            strips: rows.iter().map(|r| bins::strips(r, &axis, origin, coarse)).collect(),
            groups: waits::groups(&data.edges),
            rows,
            row_height,
            top: 0.0,
        }
    }

    fn draw(mut self, sheet: &mut Sheet) {
        self.legend(sheet);
        let flags = self.flags();
        let labels = self.place_flags(&flags, sheet.small());
        let lines = labels.iter().flatten().map(|l| l.line + 1).max().unwrap_or(0);
        let band = sheet.y;
        self.top = band + lines as f64 * sheet.small() * 1.35 + 6.0;
        let bottom = self.top + self.row_height * self.rows.len() as f64;
        let ticks = self.axis.decade_ticks(self.clock, sheet.small());
        self.draw_rows(sheet, &ticks, bottom);
        self.draw_row_labels(sheet, bottom);
        if self.data.origin.is_some() {
            sheet.damage_line(self.axis.x(0.0), self.top - 4.0, bottom);
        }
        self.draw_waits(sheet);
        self.draw_flags(sheet, &flags, &labels, band);
        sheet.y = sheet.x_axis(&self.axis, &ticks, bottom);
        sheet.y = sheet.x_title(&self.axis, &self.axis_title(), sheet.y) + 4.0;
        self.notes(sheet);
    }

    fn axis_title(&self) -> String {
        let since = if self.data.origin.is_some() { "the damage" } else { "the start" };
        match self.axis.spread {
            Spread::SymLog { threshold } => {
                let linear = self.clock.span(threshold);
                format!("time since {since} (logarithmic beyond ±{linear})")
            }
            Spread::Linear => {
                let (unit, _) = self.clock.unit(self.axis.lo.abs().max(self.axis.hi.abs()));
                format!("time since {since} ({unit})")
            }
        }
    }

    fn legend(&self, sheet: &mut Sheet) {
        let seen = |a| self.strips.iter().flatten().any(|s| s.activity == a);
        let mut entries: Vec<(Sample, &str)> = ACTIVITIES
            .into_iter()
            .filter(|a| seen(*a))
            .map(|a| (Sample::Box(activity(a)), activity_name(a)))
            .collect();
        for kind in waits::kinds(&self.groups) {
            entries.push((Sample::Line(INK, waits::dash(kind)), waits::legend_name(kind)));
        }
        if self.data.edges.iter().any(|e| e.culprit.is_none()) {
            entries.push((Sample::Mark(Mark::Cross, DAMAGE), "waits for nobody"));
        }
        sheet.legend(&entries);
    }

    fn row_of(&self, cpu: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&cpu, |r| r.cpu).ok()
    }

    fn middle(&self, row: usize) -> f64 {
        self.top + (row as f64 + 0.5) * self.row_height
    }

    fn draw_rows(&self, sheet: &mut Sheet, ticks: &[Tick], bottom: f64) {
        sheet.grid(&self.axis, ticks, self.top, bottom);
        let gap = if self.row_height > 6.0 { 1.0 } else { 0.0 };
        for (i, strips) in self.strips.iter().enumerate() {
            let y = self.top + i as f64 * self.row_height;
            for strip in strips {
                let color = activity(strip.activity);
                sheet.rect((strip.from, y + gap), (strip.to, y + self.row_height - gap), color);
            }
        }
    }

    /// CPU numbers; the culprits first, then as many others as there is room for.
    fn draw_row_labels(&self, sheet: &mut Sheet, bottom: f64) {
        let size = sheet.small();
        let culprits: Vec<u32> = self.data.edges.iter().filter_map(|e| e.culprit).collect();
        let every = [1, 2, 4, 8, 16, 32, 64];
        let room = |n: &usize| *n as f64 * self.row_height >= size * 1.05;
        let every = every.into_iter().find(room).unwrap_or(128);
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.retain(|i| i % every == 0 || culprits.contains(&self.rows[*i].cpu));
        order.sort_by_key(|i| (!culprits.contains(&self.rows[*i].cpu), *i));
        let mut taken: Vec<f64> = Vec::new();
        for i in order {
            let y = self.middle(i);
            if taken.iter().any(|t| (t - y).abs() < size) {
                continue;
            }
            taken.push(y);
            let cpu = self.rows[i].cpu;
            let color = if culprits.contains(&cpu) { DAMAGE } else { INK };
            sheet.name_of((self.axis.left - 5.0, y), &cpu.to_string(), color);
        }
        sheet.text_upwards((MARGIN + size * 0.5, (self.top + bottom) / 2.0), "CPU");
    }

    fn draw_waits(&self, sheet: &mut Sheet) {
        let mut lanes = waits::Lanes::default();
        let mut badges = Vec::new();
        for (n, group) in self.groups.iter().enumerate() {
            let mut first = true;
            for edge in &group.edges {
                let Some(from) = self.row_of(edge.waiter) else { continue };
                let to = edge.culprit.and_then(|c| self.row_of(c)).filter(|to| *to != from);
                let x = self.axis.x(relative(edge.since, self.origin));
                if first || group.edges.len() <= MOST_ARROWS {
                    let rows = (from, to.unwrap_or(from));
                    let lane = lanes.place(n, x, rows, self.axis.right);
                    self.draw_wait(sheet, edge, (x, lane), from, to);
                } else {
                    sheet.disc((x, self.middle(from)), self.dot(), INK);
                }
                if first && n < MOST_NOTES {
                    badges.push((n + 1, x, self.middle(from)));
                }
                first = false;
            }
        }
        self.draw_badges(sheet, &badges);
    }

    /// The numbers of the groups beside their first dots, apart from each other.
    fn draw_badges(&self, sheet: &mut Sheet, dots: &[(usize, f64, f64)]) {
        let r = sheet.badge_radius();
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for &(n, x, y) in dots {
            let step = if x - 2.0 * r - 8.0 > self.axis.left { -1.0 } else { 1.0 };
            let mut place = x + step * (r + 6.0);
            for _ in 0..MOST_NOTES {
                let near = |t: &(f64, f64)| (t.0 - place).hypot(t.1 - y) < 2.0 * r;
                match taken.iter().find(|t| near(t)) {
                    Some(other) => place = other.0 + step * (2.0 * r + 1.0),
                    None => break,
                }
            }
            taken.push((place, y));
            sheet.badge((place, y), n, INK);
        }
    }

    fn dot(&self) -> f64 {
        (self.row_height * 0.28).clamp(1.5, 4.0)
    }

    /// A dot where the wait began and an arrow in its lane, or a cross if there is no culprit.
    fn draw_wait(
        &self,
        sheet: &mut Sheet,
        edge: &WaitEdge,
        (x, lane): (f64, f64),
        from: usize,
        to: Option<usize>,
    ) {
        let (y, r) = (self.middle(from), self.dot());
        let Some(to) = to else {
            let color = if edge.culprit.is_none() { DAMAGE } else { INK };
            sheet.disc((x, y), r + 3.0, WHITE);
            return sheet.mark((x, y), Mark::Cross, r + 1.5, color);
        };
        let tip = self.middle(to);
        let head = (self.row_height * 0.55).clamp(3.0, 8.0) * (tip - y).signum();
        let end = tip - head * 0.8;
        sheet.line((lane, y), (lane, end), 3.4, WHITE.faded(0.75));
        sheet.line((x, y), (lane, y), 1.3, INK);
        sheet.dashed((lane, y), (lane, end), 1.3, INK, waits::dash(edge.kind));
        sheet.disc((x, y), r + 0.9, WHITE);
        sheet.disc((x, y), r, INK);
        let mut arrow = |halo: f64, color| {
            let wide = head.abs() * 0.55 + halo;
            let (tip, base) = (tip + halo * head.signum(), tip - head - halo * head.signum());
            sheet.polygon(&[(lane, tip), (lane + wide, base), (lane - wide, base)], color);
        };
        arrow(1.2, WHITE);
        arrow(0.0, INK);
    }

    fn flags(&self) -> Vec<Flag> {
        let mark = |(at, cpu, text): &(u64, u32, String)| Flag {
            at: relative(*at, self.origin),
            row: self.row_of(*cpu),
            text: format!("{text} ({})", self.clock.offset(relative(*at, self.origin))),
        };
        let mut flags: Vec<Flag> = self.data.marks.iter().map(mark).collect();
        if self.data.origin.is_some() {
            flags.push(Flag { at: 0.0, row: None, text: "damage done".into() });
        }
        flags.sort_by(|a, b| a.at.total_cmp(&b.at));
        flags
    }

    /// Where each flag's label goes; `None` for those without room.
    fn place_flags(&self, flags: &[Flag], size: f64) -> Vec<Option<Place>> {
        let right = self.axis.right + size;
        let mut ends = [f64::NEG_INFINITY; MOST_LABEL_LINES];
        let place = |flag: &Flag| {
            let width = font::width(&font::clean(&flag.text), size);
            let at = self.axis.x(flag.at) + 5.0;
            let pinned = at + width > right;
            let start = if pinned { (right - width).max(MARGIN) } else { at };
            let line = ends.iter().position(|end| start > end + 8.0)?;
            ends[line] = start + width;
            Some(Place { line, start, end: start + width, pinned })
        };
        flags.iter().map(place).collect()
    }

    fn draw_flags(&self, sheet: &mut Sheet, flags: &[Flag], labels: &[Option<Place>], band: f64) {
        let size = sheet.small();
        for (flag, label) in flags.iter().zip(labels) {
            let x = self.axis.x(flag.at);
            let color = if flag.row.is_none() { DAMAGE } else { INK };
            let end = flag.row.map_or(self.top, |row| self.middle(row));
            if let Some(label) = label {
                let y = band + (label.line as f64 + 0.5) * size * 1.35;
                let start = if label.pinned { y + size * 0.6 } else { y - size * 0.4 };
                sheet.line((x, start), (x, end), 0.9, color.faded(0.7));
                // Half a pixel more than measured: sums of fractions are not exact.
                let text = font::elide(&flag.text, size, label.end - label.start + 0.5);
                let (at, align) = match label.pinned {
                    true => (label.end, Align::Right),
                    false => (label.start, Align::Left),
                };
                sheet.text((at, y), &text, Letters { size, align, color });
            }
            if flag.row.is_some() {
                sheet.mark((x, end), Mark::Diamond, 6.0, WHITE);
                sheet.mark((x, end), Mark::Diamond, 4.6, INK);
            }
        }
    }

    /// What the numbers mean: who waits since when for whom and what.
    fn notes(&self, sheet: &mut Sheet) {
        if self.groups.is_empty() {
            let size = sheet.small();
            sheet.paragraph("No CPU waited for another at the end.", size, SOFT);
        }
        for (n, group) in self.groups.iter().take(MOST_NOTES).enumerate() {
            let text = self.note(group);
            let color = if group.culprit.is_none() { DAMAGE } else { INK };
            sheet.note(n + 1, &text, color);
        }
        let more = self.groups.len().saturating_sub(MOST_NOTES) as u64;
        sheet.left_out(more, "more group of waits", "more groups of waits");
    }

    fn note(&self, group: &Group<'_>) -> String {
        let at = |e: &WaitEdge| self.clock.offset(relative(e.since, self.origin));
        let mut waiters: Vec<u32> = group.edges.iter().map(|e| e.waiter).collect();
        waiters.sort_unstable();
        waiters.dedup();
        let since = match &group.edges[..] {
            [only] => at(only),
            [first, .., last] => {
                let (a, b) = (at(first), at(last));
                if a == b { a } else { format!("{a} to {b}") }
            }
            [] => String::new(),
        };
        let whom = match group.culprit {
            Some(cpu) => format!("CPU {cpu}"),
            None => "nobody: nothing can end this wait".into(),
        };
        let (who, kind) = (format::cpus(&waiters), waits::note_name(group.kind));
        let verb = if waiters.len() == 1 { "waits" } else { "wait" };
        let object = match group.kind {
            WaitKind::IpiAck => format!("({})", group.object),
            _ => group.object.to_owned(),
        };
        format!("{since}: {who} {verb} for {kind} {object} → {whom}")
    }
}

/// Cycles from `origin` to `at`.
fn relative(at: u64, origin: u64) -> f64 {
    if at >= origin { (at - origin) as f64 } else { -((origin - at) as f64) }
}
