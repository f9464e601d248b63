//! The sheet a picture is drawn on: text, lines and the furniture that all pictures share.

use crate::axis::{Axis, Tick};
use crate::font;
use crate::palette::{Color, DAMAGE, GRID, INK, SOFT, WHITE};
use crate::picture::{Align, Picture, Shape};
use crate::{Options, format};

/// Space around everything, in CSS pixels.
pub(crate) const MARGIN: f64 = 10.0;

/// How much lower than the middle of small letters a digit's middle must be set, in ems.
const DIGIT_DROP: f64 = 0.09;

/// Where text goes and how it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letters {
    pub(crate) size: f64,
    pub(crate) align: Align,
    pub(crate) color: Color,
}

/// How a line is broken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
    Sparse,
}

/// A sample in a legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sample {
    Box(Color),
    Line(Color, Dash),
    Mark(Mark, Color),
}

/// Small signs at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Up,
    Down,
    Cross,
    Diamond,
}

/// Shapes under construction.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) width: f64,
    /// Where the next block starts, from the top.
    pub(crate) y: f64,
    /// Size of ordinary letters.
    pub(crate) size: f64,
    title: String,
    png_scale: u32,
    shapes: Vec<Shape>,
}

impl Sheet {
    /// An empty sheet with the title on it.
    pub(crate) fn new(options: &Options, title: &str) -> Sheet {
        let size = if options.text_size.is_finite() { options.text_size } else { 16.0 };
        let mut sheet = Sheet {
            width: f64::from(options.width.clamp(480, 4000)),
            y: MARGIN,
            size: size.clamp(8.0, 40.0),
            title: font::clean(options.title.as_deref().unwrap_or(title)),
            png_scale: options.png_scale.clamp(1, 6),
            shapes: Vec::new(),
        };
        let title = sheet.title.clone();
        sheet.paragraph(&title, sheet.size * 1.1, INK);
        sheet.y += sheet.size * 0.2;
        sheet
    }

    /// Size of secondary letters.
    pub(crate) fn small(&self) -> f64 {
        self.size * 0.82
    }

    /// Right end of the drawing.
    pub(crate) fn right(&self) -> f64 {
        self.width - MARGIN
    }

    pub(crate) fn finish(self) -> Picture {
        Picture {
            width: self.width.round() as u32,
            height: (self.y + MARGIN).ceil().max(1.0) as u32,
            title: self.title,
            png_scale: self.png_scale,
            shapes: self.shapes,
        }
    }

    pub(crate) fn rect(&mut self, from: (f64, f64), to: (f64, f64), color: Color) {
        self.shapes.push(Shape::Rect { from, to, color });
    }

    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], color: Color) {
        self.shapes.push(Shape::Polygon { points: points.to_vec(), color });
    }

    pub(crate) fn disc(&mut self, at: (f64, f64), radius: f64, color: Color) {
        self.shapes.push(Shape::Disc { at, radius, color });
    }

    /// Text by the middle of its small letters.
    pub(crate) fn text(&mut self, at: (f64, f64), text: &str, letters: Letters) {
        let text = font::clean(text);
        if !text.trim().is_empty() {
            let Letters { size, align, color } = letters;
            self.shapes.push(Shape::Text { at, text, size, align, upwards: false, color });
        }
    }

    /// A number or name that ends at `at`, to the left of what it names.
    pub(crate) fn name_of(&mut self, at: (f64, f64), text: &str, color: Color) {
        let size = self.small();
        // Digits are higher than small letters: their middle is lower on the line.
        let digits = text.chars().all(|c| c.is_ascii_digit() || c == ',');
        let y = at.1 + if digits { size * DIGIT_DROP } else { 0.0 };
        self.text((at.0, y), text, Letters { size, align: Align::Right, color });
    }

    /// Text that reads upwards, by its middle.
    pub(crate) fn text_upwards(&mut self, at: (f64, f64), text: &str) {
        let (size, color) = (self.small(), SOFT);
        let text = font::clean(text);
        let align = Align::Middle;
        self.shapes.push(Shape::Text { at, text, size, align, upwards: true, color });
    }

    /// A straight line.
    pub(crate) fn line(&mut self, a: (f64, f64), b: (f64, f64), width: f64, color: Color) {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let h = width / 2.0;
        if dx == 0.0 || dy == 0.0 {
            let from = (a.0.min(b.0) - h, a.1.min(b.1) - h);
            let to = (a.0.max(b.0) + h, a.1.max(b.1) + h);
            return self.rect(from, to, color);
        }
        let length = dx.hypot(dy);
        let (nx, ny) = (-dy / length * h, dx / length * h);
        let corners = [
            (a.0 + nx, a.1 + ny),
            (b.0 + nx, b.1 + ny),
            (b.0 - nx, b.1 - ny),
            (a.0 - nx, a.1 - ny),
        ];
        self.polygon(&corners, color);
    }

    /// A straight line that may be broken up.
    pub(crate) fn dashed(
        &mut self,
        a: (f64, f64),
        b: (f64, f64),
        width: f64,
        color: Color,
        dash: Dash,
    ) {
        let (on, off) = match dash {
            Dash::Solid => return self.line(a, b, width, color),
            Dash::Dashed => (width * 3.0 + 2.0, width + 2.5),
            Dash::Dotted => (0.01, width * 1.5 + 1.5),
            Dash::Sparse => (width * 3.0 + 2.0, width * 4.0 + 4.0),
        };
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let at = |d: f64| {
            let share = (d / length).min(1.0);
            (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share)
        };
        let mut d = 0.0;
        while d < length {
            self.line(at(d), at(d + on), width, color);
            d += on + off;
        }
    }

    /// A number in a ring, by its middle.
    pub(crate) fn badge(&mut self, at: (f64, f64), n: usize, color: Color) {
        let r = self.badge_radius();
        self.disc(at, r, color);
        self.disc(at, r - 1.3, WHITE);
        let letters = Letters { size: self.small() * 0.86, align: Align::Middle, color };
        self.text((at.0, at.1 + letters.size * DIGIT_DROP), &n.to_string(), letters);
    }

    pub(crate) fn badge_radius(&self) -> f64 {
        self.small() * 0.62
    }

    /// A small sign.
    pub(crate) fn mark(&mut self, (x, y): (f64, f64), mark: Mark, r: f64, color: Color) {
        match mark {
            Mark::Up => {
                self.polygon(&[(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)], color);
            }
            Mark::Down => {
                self.polygon(&[(x, y + r), (x + r, y - r * 0.8), (x - r, y - r * 0.8)], color);
            }
            Mark::Diamond => self.polygon(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)], color),
            Mark::Cross => {
                let r = r * 0.85;
                self.line((x - r, y - r), (x + r, y + r), r * 0.55, color);
                self.line((x - r, y + r), (x + r, y - r), r * 0.55, color);
            }
        }
    }

    /// Wrapped text over the whole width; moves down.
    pub(crate) fn paragraph(&mut self, text: &str, size: f64, color: Color) {
        let left = MARGIN;
        self.block(left, text, size, color);
    }

    /// Wrapped text from `left` to the right end; moves down.
    fn block(&mut self, left: f64, text: &str, size: f64, color: Color) {
        let letters = Letters { size, align: Align::Left, color };
        for line in font::wrap(text, size, self.right() - left) {
            self.y += size * 1.3;
            self.text((left, self.y - size * 0.55), &line, letters);
        }
    }

    /// A numbered note under a picture; moves down.
    pub(crate) fn note(&mut self, n: usize, text: &str, color: Color) {
        let r = self.badge_radius();
        let size = self.small();
        self.y += 2.0;
        let top = self.y;
        self.block(MARGIN + 2.0 * r + 6.0, text, size, INK);
        self.badge((MARGIN + r, top + size * 0.75), n, color);
    }

    /// A note under a picture that explains a colour; moves down.
    pub(crate) fn swatch_note(&mut self, color: Color, text: &str) {
        let size = self.small();
        self.y += 2.0;
        let top = self.y;
        self.sample(Sample::Box(color), (MARGIN, top + size * 0.75), size * 1.5);
        self.block(MARGIN + size * 1.5 + 6.0, text, size, INK);
    }

    /// A paragraph in small letters that stands for a picture without data.
    pub(crate) fn nothing(mut self, text: &str) -> Picture {
        let size = self.size;
        self.y += size;
        self.paragraph(text, size, SOFT);
        self.y += size;
        self.finish()
    }

    /// A legend in as many lines as it takes; moves down.
    pub(crate) fn legend(&mut self, entries: &[(Sample, &str)]) {
        let size = self.small();
        let sample = size * 1.5;
        let height = size * 1.4;
        let mut x = MARGIN;
        self.y += height;
        for (shape, name) in entries {
            let width = sample + 5.0 + font::width(name, size) + size * 1.1;
            if x > MARGIN && x + width - size > self.right() {
                x = MARGIN;
                self.y += height;
            }
            let y = self.y - height / 2.0;
            self.sample(*shape, (x, y), sample);
            let letters = Letters { size, align: Align::Left, color: INK };
            self.text((x + sample + 5.0, y), name, letters);
            x += width;
        }
        self.y += size * 0.4;
    }

    fn sample(&mut self, sample: Sample, (x, y): (f64, f64), width: f64) {
        match sample {
            Sample::Box(color) => {
                let h = self.small() * 0.42;
                self.rect((x - 0.5, y - h - 0.5), (x + width + 0.5, y + h + 0.5), SOFT.faded(0.35));
                self.rect((x, y - h), (x + width, y + h), WHITE);
                self.rect((x, y - h), (x + width, y + h), color);
            }
            Sample::Line(color, dash) => self.dashed((x, y), (x + width, y), 1.8, color, dash),
            Sample::Mark(mark, color) => {
                self.mark((x + width / 2.0, y), mark, self.small() * 0.36, color);
            }
        }
    }

    /// An axis at the height `y` with its labels below; gives the height below them.
    pub(crate) fn x_axis(&mut self, axis: &Axis, ticks: &[Tick], y: f64) -> f64 {
        self.line((axis.left, y), (axis.right, y), 1.0, SOFT);
        self.ticks(axis, ticks, y, 1.0);
        y + 7.0 + self.small() * 1.2
    }

    /// An axis with its labels above.
    pub(crate) fn x_axis_above(&mut self, axis: &Axis, ticks: &[Tick], y: f64) {
        self.line((axis.left, y), (axis.right, y), 1.0, SOFT);
        self.ticks(axis, ticks, y, -1.0);
    }

    fn ticks(&mut self, axis: &Axis, ticks: &[Tick], y: f64, down: f64) {
        let size = self.small();
        for tick in ticks {
            let x = axis.x(tick.at);
            let length = if tick.label.is_some() { 5.0 } else { 2.5 };
            self.line((x, y), (x, y + down * length), 0.8, SOFT);
            if let Some(label) = &tick.label {
                let half = font::width(label, size) / 2.0;
                let middle = x.clamp(2.0 + half, (self.width - 2.0 - half).max(2.0 + half));
                let letters = Letters { size, align: Align::Middle, color: INK };
                self.text((middle, y + down * (7.0 + size * 0.55)), label, letters);
            }
        }
    }

    /// The title of an axis, centred under it; gives the height below.
    pub(crate) fn x_title(&mut self, axis: &Axis, title: &str, y: f64) -> f64 {
        let size = self.small();
        let room = self.right() - MARGIN;
        let title = font::elide(&font::clean(title), size, room);
        let half = font::width(&title, size) / 2.0;
        let (least, most) = (MARGIN + half, self.right() - half);
        let middle = ((axis.left + axis.right) / 2.0).clamp(least.min(most), most.max(least));
        let letters = Letters { size, align: Align::Middle, color: SOFT };
        self.text((middle, y + size * 0.6), &title, letters);
        y + size * 1.3
    }

    /// Faint vertical lines at the labelled ticks.
    pub(crate) fn grid(&mut self, axis: &Axis, ticks: &[Tick], top: f64, bottom: f64) {
        for tick in ticks.iter().filter(|t| t.label.is_some()) {
            let x = axis.x(tick.at);
            self.line((x, top), (x, bottom), 0.6, GRID);
        }
    }

    /// The vertical line at the moment of the damage.
    pub(crate) fn damage_line(&mut self, x: f64, top: f64, bottom: f64) {
        self.dashed((x, top), (x, bottom), 1.6, DAMAGE, Dash::Dashed);
    }

    /// A closing line that tells how much isn't shown, if anything.
    pub(crate) fn left_out(&mut self, n: u64, one: &str, many: &str) {
        if n > 0 {
            let size = self.small();
            let text = format!("… and {}", format::plural(n, one, many));
            self.paragraph(&text, size, SOFT);
        }
    }
}
