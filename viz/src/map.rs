//! Outcomes over two swept parameters: a coloured plane with both axes.

use crate::Options;
use crate::axis::{Axis, Spread};
use crate::font;
use crate::format::{count, plural};
use crate::palette::{Color, Findings, INK, SOFT};
use crate::picture::Picture;
use crate::sheet::{MARGIN, Sheet};
use crate::sweep::Swept;
use scenarios::windows::{Block, Map, Verdict};

/// More rectangles than this are drawn as cells of one CSS pixel.
const MOST_RECTANGLES: usize = 4_000;
/// Outcomes that get a note; the rest are counted.
const MOST_NOTES: usize = 14;
/// By how much a rectangle reaches below its row, so that no light shines through between rows.
const SEAM: f64 = 0.35;
/// Height of the plane for each pixel of its width.
const RATIO: f64 = 0.7;

/// Draws what every point of a plane leads to: a map of two parameters. `swept` are those along x
/// and y.
///
/// Rare outcomes are drawn over frequent ones and never smaller than a pixel, so that a narrow
/// region stays visible.
#[must_use]
pub fn draw_map(map: &Map, swept: [&Swept; 2], options: &Options) -> Picture {
    let [x, y] = swept.map(Swept::name);
    let mut sheet = Sheet::new(options, &format!("Outcome over {x} and {y}"));
    if map.blocks.is_empty() {
        return sheet.nothing("No point is decided yet.");
    }
    let classes = classes(map);
    let chart = Chart { map, swept, plane: Plane::new(map, &sheet), classes };
    chart.draw(&mut sheet);
    sheet.finish()
}

/// An outcome: its verdict, area and colour.
struct Class<'a> {
    verdict: Option<&'a Verdict>,
    area: u128,
    color: Color,
}

fn classes(map: &Map) -> Vec<Class<'_>> {
    let mut findings = Findings::default();
    let mut color = |verdict: Option<&Verdict>| {
        findings.next(verdict.map_or("undecided", |verdict| &verdict.finding))
    };
    let areas = map.areas().into_iter();
    areas.map(|(verdict, area)| Class { verdict, area, color: color(verdict) }).collect()
}

/// Where points are drawn.
struct Plane {
    x: Axis,
    /// Heights above `bottom`.
    y: Axis,
    bottom: f64,
    top: f64,
}

impl Plane {
    fn new(map: &Map, sheet: &Sheet) -> Self {
        let range = |(lo, hi): (u64, u64)| (lo as f64 - 0.5, hi as f64 + 0.5);
        let size = sheet.small();
        let widest = [map.area.range(1).0, map.area.range(1).1]
            .map(|value| font::width(&count(value), size))
            .into_iter()
            .fold(0.0, f64::max);
        let left = MARGIN + size * 1.6 + widest + 10.0;
        let x = Axis::new(Spread::Linear, range(map.area.first()), (left, sheet.right() - 8.0));
        let height = ((x.right - x.left) * RATIO).round();
        let y = Axis::new(Spread::Linear, range(map.area.range(1)), (0.0, height));
        let top = sheet.y + 6.0;
        Plane { x, y, bottom: top + height, top }
    }

    /// Upper left and lower right corner of a rectangle.
    fn corners(&self, block: &Block) -> [(f64, f64); 2] {
        let [first, second, ..] = block.ranges;
        let left = self.x.x(first.0 as f64 - 0.5);
        let right = self.x.x(first.1 as f64 + 0.5).max(left + 1.0);
        let low = self.y.x(second.0 as f64 - 0.5);
        let high = self.y.x(second.1 as f64 + 0.5).max(low + 1.0);
        [(left, self.bottom - high), (right, self.bottom - low)]
    }
}

struct Chart<'a> {
    map: &'a Map,
    swept: [&'a Swept; 2],
    plane: Plane,
    classes: Vec<Class<'a>>,
}

impl Chart<'_> {
    fn draw(&self, sheet: &mut Sheet) {
        if self.map.blocks.len() > MOST_RECTANGLES {
            self.cells(sheet);
        } else {
            for (block, class) in self.in_order() {
                let [from, to] = self.plane.corners(block);
                sheet.rect(from, (to.0, to.1 + SEAM), self.classes[class].color);
            }
        }
        self.axes(sheet);
        self.notes(sheet);
    }

    /// Rectangles with their classes, those of the rarest class last.
    fn in_order(&self) -> Vec<(&Block, usize)> {
        let class = |block: &Block| {
            let verdict = self.map.regions[block.region].verdict.as_ref();
            self.classes.iter().position(|class| class.verdict == verdict).unwrap_or(0)
        };
        let mut all: Vec<(&Block, usize)> =
            self.map.blocks.iter().map(|block| (block, class(block))).collect();
        all.sort_by_key(|(_, class)| std::cmp::Reverse(self.classes[*class].area));
        all
    }

    /// Colours whole cells: as many as the plane has pixels, however many rectangles there are.
    fn cells(&self, sheet: &mut Sheet) {
        let Plane { x, top, bottom, .. } = &self.plane;
        let (width, height) = ((x.right - x.left).ceil(), (bottom - top).ceil());
        let (columns, rows) = (width as usize, height as usize);
        let mut cells: Vec<Option<usize>> = vec![None; columns * rows];
        for (block, class) in self.in_order() {
            let [(left, high), (right, low)] = self.plane.corners(block);
            let span = |from: f64, to: f64, most: usize| {
                let from = (from.floor() as usize).min(most - 1);
                from..(to.ceil() as usize).clamp(from + 1, most)
            };
            for row in span(high - top, low - top, rows) {
                let across = span(left - x.left, right - x.left, columns);
                cells[row * columns..][across].fill(Some(class));
            }
        }
        for (row, line) in cells.chunks(columns).enumerate() {
            let (y, mut column) = (top + row as f64, 0);
            for run in line.chunk_by(|a, b| a == b) {
                let (from, to) = (x.left + column as f64, x.left + (column + run.len()) as f64);
                if let Some(class) = run[0] {
                    sheet.rect((from, y), (to, y + 1.0 + SEAM), self.classes[class].color);
                }
                column += run.len();
            }
        }
    }

    fn axes(&self, sheet: &mut Sheet) {
        let Plane { x, y, bottom, top } = &self.plane;
        let size = sheet.small();
        sheet.line((x.left, *top), (x.left, *bottom), 1.0, SOFT);
        sheet.line((x.right, *top), (x.right, *bottom), 0.6, SOFT);
        sheet.line((x.left, *top), (x.right, *top), 0.6, SOFT);
        for tick in y.number_ticks(1.0, true, size) {
            let height = bottom - y.x(tick.at);
            sheet.line((x.left - 5.0, height), (x.left, height), 0.8, SOFT);
            if let Some(label) = &tick.label {
                sheet.name_of((x.left - 8.0, height), label, INK);
            }
        }
        let below = sheet.x_axis(x, &x.number_ticks(1.0, true, size), *bottom);
        let [across, up] = self.swept.map(title);
        let below = sheet.x_title(x, &across, below);
        let up = font::elide(&up, size, bottom - top);
        sheet.text_upwards((MARGIN + size * 0.6, (top + bottom) / 2.0), &up);
        sheet.y = below + 6.0;
    }

    fn notes(&self, sheet: &mut Sheet) {
        let all = self.map.area.points();
        for class in self.classes.iter().take(MOST_NOTES) {
            let name = class.verdict.map_or_else(|| "undecided".to_owned(), Verdict::name);
            let points = plural(u64::try_from(class.area).unwrap_or(u64::MAX), "point", "points");
            let share = class.area as f64 / all as f64 * 100.0;
            let regions = self.map.regions.iter();
            let regions = regions.filter(|region| region.verdict.as_ref() == class.verdict).count();
            let regions = plural(regions as u64, "region", "regions");
            let note = format!("{name}: {points} ({share:.3} %) in {regions}");
            sheet.swatch_note(class.color, &note);
        }
        let more = self.classes.len().saturating_sub(MOST_NOTES) as u64;
        sheet.left_out(more, "more outcome", "more outcomes");
    }
}

/// The title of an axis.
fn title(swept: &Swept) -> String {
    let unit = if swept.clock_hz.is_some() { " (cycles)" } else { "" };
    format!("{}{unit}", swept.name())
}
