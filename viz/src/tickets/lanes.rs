//! A lane for each CPU: when it waited, had the lock, and wrote the word.

use super::window::Window;
use crate::axis::Axis;
use crate::font;
use crate::palette::{Color, DAMAGE, HOLDS, INK, SOFT, WAITS, WHITE};
use crate::picture::Align;
use crate::sheet::{Letters, MARGIN, Mark, Sheet};
use scenarios::timeline::{TicketPoint, TicketWait, TicketWrite};

/// Lanes drawn at most; CPUs that were never served come first.
const MOST_LANES: usize = 48;
/// Up to so many lanes there is room for the names of functions.
const ROOMY: usize = 10;
/// Up to so many writes, each is marked.
const MOST_MARKS: usize = 160;

/// Bars whose ends are closer than this are drawn as one, in CSS pixels.
const PLACE: f64 = 1.5;

/// What a bar in a lane says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Holds,
    Starved,
}

#[derive(Clone, Debug, PartialEq)]
struct Bar {
    from: u64,
    /// `None`: to the end.
    until: Option<u64>,
    state: State,
    ticket: u16,
}

#[derive(Debug)]
struct Lane<'a> {
    cpu: u32,
    bars: Vec<Bar>,
    writes: Vec<&'a TicketPoint>,
}

/// The lanes of one panel.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    lanes: Vec<Lane<'a>>,
    marks: usize,
    /// CPUs without a lane, for want of room.
    pub(super) left_out: u64,
}

/// The sign of a write.
fn mark(write: TicketWrite) -> Mark {
    match write {
        TicketWrite::Take | TicketWrite::TryTake => Mark::Up,
        TicketWrite::Serve => Mark::Down,
        TicketWrite::Init => Mark::Cross,
        TicketWrite::Other => Mark::Diamond,
    }
}

/// The colour of a sign.
pub(super) fn mark_color(mark: Mark) -> Color {
    if mark == Mark::Cross { DAMAGE } else { INK }
}

impl<'a> Lanes<'a> {
    /// The lanes of the CPUs that had to do with the lock in `window`; points in order of time.
    pub(super) fn new(
        points: &[&'a TicketPoint],
        waits: &[TicketWait],
        window: (u64, u64),
    ) -> Lanes<'a> {
        let inside = |p: &&&TicketPoint| (window.0..=window.1).contains(&p.at);
        let mut cpus: Vec<u32> =
            points.iter().map(|p| p.cpu).chain(waits.iter().map(|w| w.cpu)).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let mut lanes: Vec<Lane<'a>> = Vec::new();
        for cpu in cpus {
            let mut bars = bars(cpu, points, waits);
            bars.retain(|b| b.from <= window.1 && b.until.is_none_or(|t| t >= window.0));
            let writes = points.iter().filter(inside).filter(|p| p.cpu == cpu).copied().collect();
            let lane = Lane { cpu, bars, writes };
            if !(lane.bars.is_empty() && lane.writes.is_empty()) {
                lanes.push(lane);
            }
        }
        let starved = |l: &Lane<'_>| l.bars.iter().any(|b| b.state == State::Starved);
        lanes.sort_by_key(|l| (!starved(l), l.cpu));
        let left_out = lanes.len().saturating_sub(MOST_LANES) as u64;
        lanes.truncate(MOST_LANES);
        lanes.sort_by_key(|l| l.cpu);
        let marks = lanes.iter().map(|l| l.writes.len()).sum();
        Lanes { lanes, marks, left_out }
    }

    fn any(&self, state: State) -> bool {
        self.lanes.iter().flat_map(|l| &l.bars).any(|b| b.state == state)
    }

    pub(super) fn any_hold(&self) -> bool {
        self.any(State::Holds)
    }

    pub(super) fn any_wait(&self) -> bool {
        self.any(State::Waits)
    }

    pub(super) fn any_starved(&self) -> bool {
        self.any(State::Starved)
    }

    /// Whether writes are marked one by one.
    pub(super) fn shows_marks(&self) -> bool {
        self.marks <= MOST_MARKS
    }

    pub(super) fn any_mark(&self, wanted: Mark) -> bool {
        self.lanes.iter().flat_map(|l| &l.writes).any(|p| mark(p.write) == wanted)
    }

    fn lane_height(&self, small: f64) -> f64 {
        match self.lanes.len() {
            0..=ROOMY => small * 2.5,
            11..=24 => small * 1.4,
            _ => small * 1.05,
        }
    }

    /// Height of all lanes.
    pub(super) fn height(&self, small: f64) -> f64 {
        self.lane_height(small) * self.lanes.len() as f64
    }

    /// Draws the lanes from `top` down.
    pub(super) fn draw(&self, sheet: &mut Sheet, axis: &Axis, top: f64, window: &Window) {
        let small = sheet.small();
        let height = self.lane_height(small);
        let bottom = top + self.height(small);
        for (i, lane) in self.lanes.iter().enumerate() {
            let y = top + i as f64 * height;
            if i % 2 == 1 {
                sheet.rect((axis.left, y), (axis.right, y + height), SOFT.faded(0.06));
            }
            self.draw_lane(sheet, axis, lane, (y, height), window);
        }
        if !self.lanes.is_empty() {
            sheet.line((axis.left, top), (axis.left, bottom), 1.0, SOFT);
            sheet.text_upwards((MARGIN + small * 0.5, (top + bottom) / 2.0), "CPU");
        }
    }

    fn draw_lane(
        &self,
        sheet: &mut Sheet,
        axis: &Axis,
        lane: &Lane<'_>,
        (y, height): (f64, f64),
        window: &Window,
    ) {
        let small = sheet.small();
        let roomy = self.lanes.len() <= ROOMY;
        let middle = if roomy { y + height - small * 0.8 } else { y + height / 2.0 };
        let half = if roomy { small * 0.5 } else { height * 0.34 };
        sheet.name_of((axis.left - 5.0, middle), &lane.cpu.to_string(), INK);
        for bar in seen(&lane.bars, axis, window) {
            draw_bar(sheet, axis, bar, (middle, half), window);
            if roomy || bar.state == State::Starved {
                draw_ticket(sheet, axis, bar, (middle, half), window);
            }
        }
        if !self.shows_marks() {
            return;
        }
        let mut free = axis.left;
        for point in &lane.writes {
            let x = axis.x(window.relative(point.at));
            let sign = mark(point.write);
            sheet.mark((x, middle), sign, half * 0.95, mark_color(sign));
            if roomy && !point.function.is_empty() {
                free = name(sheet, axis, point, (x, y + small * 0.75), free);
            }
        }
    }
}

/// Writes the name of a function above its mark, if it fits; gives the place that is free next.
fn name(sheet: &mut Sheet, axis: &Axis, point: &TicketPoint, (x, y): (f64, f64), free: f64) -> f64 {
    let size = sheet.small() * 0.9;
    let text = font::clean(&point.function);
    let width = font::width(&text, size);
    let ideal = (x - width / 2.0).min(axis.right - width);
    let left = ideal.max(free);
    if left > x + 2.0 || left + width > axis.right + 1.0 {
        return free;
    }
    let middle = left + width / 2.0;
    let half = font::set_width(&text, size) / 2.0;
    sheet.rect((middle - half, y - size * 0.5), (middle + half, y + size * 0.4), WHITE.faded(0.85));
    sheet.text((middle, y), &text, Letters { size, align: Align::Middle, color: INK });
    left + width + size * 0.7
}

/// Left and right end of a bar on the sheet; one of no length is still seen.
fn extent(axis: &Axis, bar: &Bar, window: &Window) -> (f64, f64) {
    let x = |t: u64| axis.x(window.relative(t));
    let from = x(bar.from);
    (from, bar.until.map_or(axis.right, x).max(from + 1.0))
}

/// The bars without those that lie in the same place as one before them in the same state.
fn seen<'a>(bars: &'a [Bar], axis: &Axis, window: &Window) -> Vec<&'a Bar> {
    let mut kept: Vec<&Bar> = Vec::new();
    let mut ends = [(f64::NEG_INFINITY, f64::NEG_INFINITY); 3];
    for bar in bars {
        let (from, to) = extent(axis, bar, window);
        let end = &mut ends[bar.state as usize];
        if from - end.0 >= PLACE || to - end.1 >= PLACE {
            *end = (from, to);
            kept.push(bar);
        }
    }
    kept
}

fn draw_bar(sheet: &mut Sheet, axis: &Axis, bar: &Bar, (y, half): (f64, f64), window: &Window) {
    let (from, to) = extent(axis, bar, window);
    let color = match bar.state {
        State::Waits => WAITS,
        State::Holds => HOLDS,
        State::Starved => DAMAGE,
    };
    sheet.rect((from, y - half), (to, y + half), color);
    if bar.state == State::Starved {
        let tip = to + half * 1.3;
        sheet.polygon(&[(to, y - half * 1.4), (tip, y), (to, y + half * 1.4)], color);
    }
}

/// Writes which ticket a bar is about, if there is room in it.
fn draw_ticket(sheet: &mut Sheet, axis: &Axis, bar: &Bar, (y, half): (f64, f64), window: &Window) {
    let (from, to) = extent(axis, bar, window);
    let size = (half * 1.7).min(sheet.small() * 0.9);
    let ticket = format!("ticket {}", bar.ticket);
    let (words, color) = match bar.state {
        State::Starved => (vec![format!("{ticket}: never served"), "never served".into()], WHITE),
        State::Waits => (vec![ticket, bar.ticket.to_string()], INK),
        State::Holds => (vec![ticket, bar.ticket.to_string()], WHITE),
    };
    // Clear of the mark of the write at its start.
    let start = from + half * 1.4;
    if let Some(text) = words.iter().find(|w| start + font::width(w, size) + 3.0 <= to) {
        sheet.text((start, y), text, Letters { size, align: Align::Left, color });
    }
}

/// When a CPU waited for and had the lock, as it must have thought.
fn bars(cpu: u32, points: &[&TicketPoint], waits: &[TicketWait]) -> Vec<Bar> {
    let mut bars = Vec::new();
    let released = |from: u64| {
        let serve =
            |p: &&&TicketPoint| p.cpu == cpu && p.write == TicketWrite::Serve && p.at >= from;
        points[points.partition_point(|p| p.at < from)..].iter().find(serve).map(|p| p.at)
    };
    for wait in waits.iter().filter(|w| w.cpu == cpu) {
        let (from, ticket) = (wait.from, wait.ticket);
        let Some(served) = wait.until else {
            bars.push(Bar { from, until: None, state: State::Starved, ticket });
            continue;
        };
        if served > from {
            bars.push(Bar { from, until: Some(served), state: State::Waits, ticket });
        }
        bars.push(Bar { from: served, until: released(served), state: State::Holds, ticket });
    }
    for point in points.iter().filter(|p| p.cpu == cpu) {
        let took = matches!(point.write, TicketWrite::Take | TicketWrite::TryTake);
        let ticket = point.next.wrapping_sub(1);
        let told = waits.iter().any(|w| w.cpu == cpu && w.from == point.at);
        if took && ticket == point.owner && !told {
            let until = released(point.at + 1);
            bars.push(Bar { from: point.at, until, state: State::Holds, ticket });
        }
    }
    bars.sort_by_key(|b| b.from);
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u64, cpu: u32, write: TicketWrite, next: u16, owner: u16) -> TicketPoint {
        TicketPoint { at, cpu, function: "f".into(), write, next, owner, anomaly: None }
    }

    #[test]
    fn a_cpu_waits_then_has_the_lock_until_it_serves() {
        let points = [
            point(10, 0, TicketWrite::Take, 1, 0),
            point(12, 1, TicketWrite::Take, 2, 0),
            point(30, 0, TicketWrite::Serve, 2, 1),
            point(50, 1, TicketWrite::Serve, 2, 2),
        ];
        let points: Vec<&TicketPoint> = points.iter().collect();
        let waits = [TicketWait { cpu: 1, ticket: 1, from: 12, until: Some(33) }];
        let of = |cpu| bars(cpu, &points, &waits);
        let holds = |from, until, ticket| Bar { from, until, state: State::Holds, ticket };
        assert_eq!(of(0), [holds(10, Some(30), 0)]);
        let wait = Bar { from: 12, until: Some(33), state: State::Waits, ticket: 1 };
        assert_eq!(of(1), [wait, holds(33, Some(50), 1)]);
    }

    #[test]
    fn a_ticket_that_is_never_served_has_no_end() {
        let take = point(10, 18, TicketWrite::Take, 1, 1);
        let waits = [TicketWait { cpu: 18, ticket: 0, from: 10, until: None }];
        let lanes = Lanes::new(&[&take], &waits, (0, 100));
        assert!(lanes.any_starved() && !lanes.any_hold() && !lanes.any_wait());
        assert_eq!(lanes.lanes[0].bars[0].until, None);
    }

    #[test]
    fn only_cpus_of_the_window_get_a_lane_and_not_too_many() {
        let points: Vec<TicketPoint> =
            (0..100).map(|i| point(u64::from(i), i, TicketWrite::Take, 1, 0)).collect();
        let points: Vec<&TicketPoint> = points.iter().collect();
        let waits = [TicketWait { cpu: 99, ticket: 0, from: 99, until: None }];
        let lanes = Lanes::new(&points, &waits, (0, 200));
        assert_eq!(lanes.lanes.len(), MOST_LANES);
        assert_eq!(lanes.left_out, 52);
        assert_eq!(lanes.lanes.last().map(|l| l.cpu), Some(99));
    }
}
