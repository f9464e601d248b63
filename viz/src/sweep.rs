//! Outcomes over one swept parameter: a strip of bands over the whole range, and lanes, one for
//! each outcome, over the parts where the bands are too narrow to be seen in it.

mod bands;

use crate::Options;
use crate::axis::{Axis, Spread, Tick};
use crate::font;
use crate::format::{Clock, count, plural};
use crate::palette::{Color, Findings, INK, SOFT};
use crate::picture::Picture;
use crate::sheet::{MARGIN, Sheet};
use bands::{Band, Class};
use scenarios::timeline::SweepTable;
use scenarios::windows::Window;

/// Outcomes that get a lane and a note; the rest are counted.
const MOST_CLASSES: usize = 14;

/// A swept parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Its path.
    pub param: String,
    /// Core clock in Hz if its values are cycles.
    pub clock_hz: Option<u64>,
}

impl Swept {
    /// Its name, or what stands for one.
    pub(crate) fn name(&self) -> &str {
        if self.param.is_empty() { "a parameter" } else { &self.param }
    }

    pub(crate) fn clock(&self) -> Option<Clock> {
        self.clock_hz.filter(|hz| *hz > 0).map(Clock::new)
    }
}

/// Draws the outcomes of a sweep over one parameter.
///
/// Each run colours the part of the axis that is nearer to its value than to any other run's.
/// Where bands are too narrow for the whole range, lanes below show those parts enlarged.
#[must_use]
pub fn draw_sweep(table: &SweepTable, options: &Options) -> Picture {
    let swept = Swept { param: table.param.clone(), clock_hz: table.clock_hz };
    let mut sheet = Sheet::new(options, &format!("Outcome over {}", swept.name()));
    let (Some(first), Some(last)) = (table.rows.first(), table.rows.last()) else {
        return sheet.nothing("No run was recorded.");
    };
    let range = (first.value, last.value);
    let (classes, bands) = bands::collect(&table.rows);
    let colors = colors(&classes);
    let of = ("run", "runs");
    let values = table.rows.len() as u64;
    Chart { swept: &swept, range, values, of, classes, bands, colors }.draw(&mut sheet);
    sheet.finish()
}

/// Draws the exact windows of one parameter, as [`draw_sweep`] does.
///
/// `windows` are in ascending order. What is between them is not known yet, and left white.
#[must_use]
pub fn draw_windows(windows: &[Window], swept: &Swept, options: &Options) -> Picture {
    let mut sheet = Sheet::new(options, &format!("Outcome over {}", swept.name()));
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
        return sheet.nothing("No value is decided yet.");
    };
    let range = (first.lo, last.hi);
    let (classes, bands) = bands::of_windows(windows);
    let colors = colors(&classes);
    let of = if swept.clock_hz.is_some() { ("cycle", "cycles") } else { ("value", "values") };
    let values = classes.iter().map(|class| class.values).fold(0, u64::saturating_add);
    Chart { swept, range, values, of, classes, bands, colors }.draw(&mut sheet);
    sheet.finish()
}

/// A colour for each class.
fn colors(classes: &[Class]) -> Vec<Color> {
    let mut findings = Findings::default();
    classes.iter().map(|class| findings.next(&class.finding)).collect()
}

struct Chart<'a> {
    swept: &'a Swept,
    /// First and last value.
    range: (u64, u64),
    /// How many values have an outcome, and what each is called.
    values: u64,
    of: (&'static str, &'static str),
    classes: Vec<Class>,
    bands: Vec<Band>,
    colors: Vec<Color>,
}

impl Chart<'_> {
    fn draw(&self, sheet: &mut Sheet) {
        let (left, right) = (MARGIN + 2.0, sheet.right() - 2.0);
        let whole = Axis::new(Spread::Linear, bands::extent(&self.bands), (left, right));
        let zooms = bands::zooms(&self.bands, &whole);
        self.runs(sheet);
        let zooms = if zooms.is_empty() {
            vec![(whole.lo, whole.hi)]
        } else {
            self.strip(sheet, &whole, &zooms);
            zooms
        };
        let enlarged = zooms != [(whole.lo, whole.hi)];
        self.lanes(sheet, &whole, &zooms, enlarged);
        self.notes(sheet);
    }

    fn runs(&self, sheet: &mut Sheet) {
        let (lo, hi) = self.range;
        let runs = plural(self.values, self.of.0, self.of.1);
        let text = match self.clock() {
            None => format!("{runs} from {} to {}", count(lo), count(hi)),
            Some(clock) => format!(
                "{runs} from {} to {} cycles ({} to {})",
                count(lo),
                count(hi),
                clock.span(lo as f64),
                clock.span(hi as f64)
            ),
        };
        sheet.paragraph(&text, sheet.small(), SOFT);
    }

    fn ticks(&self, axis: &Axis, size: f64) -> Vec<Tick> {
        axis.number_ticks(1.0, true, size)
    }

    /// The strip over the whole range, and the lines from it to the lanes of its parts.
    fn strip(&self, sheet: &mut Sheet, whole: &Axis, zooms: &[(f64, f64)]) {
        let size = sheet.small();
        let top = sheet.y + size * 1.2 + 14.0;
        let bottom = top + sheet.size * 1.7;
        // Rare outcomes last, so that they stay visible.
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.sort_by_key(|c| std::cmp::Reverse(self.classes[*c].values));
        for class in order {
            for band in self.bands.iter().filter(|b| b.class == class) {
                let (a, b) = (whole.x(band.from), whole.x(band.to));
                sheet.rect((a, top), (b.max(a + 1.5), bottom), self.colors[class]);
            }
        }
        sheet.line((whole.left, bottom), (whole.right, bottom), 0.8, SOFT);
        for side in [whole.left, whole.right] {
            sheet.line((side, top), (side, bottom), 0.8, SOFT);
        }
        sheet.x_axis_above(whole, &self.ticks(whole, size), top);
        let lanes_top = bottom + sheet.size * 2.2;
        for (zoom, panel) in zooms.iter().zip(self.panels(sheet, zooms)) {
            for (value, x) in [(zoom.0, panel.left), (zoom.1, panel.right)] {
                let start = whole.x(value);
                sheet.line((start, top), (start, bottom + 5.0), 0.8, INK);
                sheet.line((start, bottom + 5.0), (x, lanes_top), 0.8, SOFT);
            }
        }
        sheet.y = lanes_top;
    }

    /// The axes of the lanes.
    fn panels(&self, sheet: &Sheet, zooms: &[(f64, f64)]) -> Vec<Axis> {
        let size = sheet.small();
        let widest = self.classes.iter().map(|c| font::width(&c.name(), size)).fold(0.0, f64::max);
        let left = MARGIN + widest.min(sheet.width * 0.4) + 8.0;
        let gap = size * 2.0;
        let n = zooms.len() as f64;
        let width = (sheet.right() - 6.0 - left - gap * (n - 1.0)) / n;
        let panel = |(i, zoom): (usize, &(f64, f64))| {
            let start = left + i as f64 * (width + gap);
            Axis::new(Spread::Linear, *zoom, (start, start + width))
        };
        zooms.iter().enumerate().map(panel).collect()
    }

    fn lanes(&self, sheet: &mut Sheet, whole: &Axis, zooms: &[(f64, f64)], enlarged: bool) {
        let size = sheet.small();
        let height = size * 1.7;
        let top = sheet.y + if enlarged { 0.0 } else { 8.0 };
        let shown = self.classes.len().min(MOST_CLASSES);
        let bottom = top + height * shown as f64;
        let panels = self.panels(sheet, zooms);
        for (i, class) in self.classes.iter().take(shown).enumerate() {
            let y = top + (i as f64 + 0.5) * height;
            let name = font::elide(&class.name(), size, panels[0].left - MARGIN - 6.0);
            sheet.name_of((panels[0].left - 7.0, y), &name, INK);
        }
        let mut below = bottom;
        for panel in &panels {
            let ticks = self.ticks(panel, size);
            sheet.grid(panel, &ticks, top, bottom);
            for band in self.bands.iter().filter(|b| b.class < shown) {
                if band.to <= panel.lo || band.from >= panel.hi {
                    continue;
                }
                let y = top + band.class as f64 * height;
                let (a, b) = (panel.x(band.from), panel.x(band.to));
                sheet.rect(
                    (a, y + 2.0),
                    (b.max(a + 1.0), y + height - 2.0),
                    self.colors[band.class],
                );
            }
            sheet.line((panel.left, top), (panel.right, top), 0.8, SOFT.faded(0.5));
            sheet.line((panel.left, top), (panel.left, bottom), 0.8, SOFT.faded(0.5));
            below = sheet.x_axis(panel, &ticks, bottom);
        }
        sheet.y = self.axis_names(sheet, whole, &panels, bottom, below);
    }

    /// Names the axis, and adds one in units of time if the parameter is a time; gives the height
    /// below.
    fn axis_names(
        &self,
        sheet: &mut Sheet,
        whole: &Axis,
        panels: &[Axis],
        top: f64,
        y: f64,
    ) -> f64 {
        let size = sheet.small();
        let Some(clock) = self.clock() else {
            let right = panels[panels.len() - 1].right;
            return sheet.x_title(&Axis { right, ..panels[0] }, self.swept.name(), y) + 4.0;
        };
        let names = panels[0].left - 7.0 - size;
        sheet.name_of((names, top + 7.0 + size * 0.55), "cycles", SOFT);
        let (unit, length) = clock.unit(panels.iter().map(|p| p.hi).fold(whole.lo, f64::max));
        sheet.name_of((names, y + 10.0 + size * 0.55), unit, SOFT);
        let mut below = y;
        for panel in panels {
            below = sheet.x_axis(panel, &panel.number_ticks(length, false, size), y + 3.0);
        }
        below + 4.0
    }

    fn clock(&self) -> Option<Clock> {
        self.swept.clock()
    }

    /// The intervals in numbers.
    fn notes(&self, sheet: &mut Sheet) {
        sheet.y += 2.0;
        for (class, color) in self.classes.iter().zip(&self.colors).take(MOST_CLASSES) {
            let text = self.note(class);
            sheet.swatch_note(*color, &text);
        }
        let more = self.classes.len().saturating_sub(MOST_CLASSES) as u64;
        sheet.left_out(more, "more outcome", "more outcomes");
    }

    fn note(&self, class: &Class) -> String {
        let mut text = format!("{}: {}", class.full_name(), count(class.first));
        if class.last > class.first {
            text += &format!("–{}", count(class.last));
        }
        if let Some(clock) = self.clock() {
            let (a, b) = (clock.span(class.first as f64), clock.span(class.last as f64));
            text += &if a == b { format!(" ({a})") } else { format!(" ({a} to {b})") };
        }
        text += &format!(", {}", plural(class.values, self.of.0, self.of.1));
        if class.intervals > 1 {
            text += &format!(" in {} intervals", count(class.intervals));
        }
        text
    }
}
