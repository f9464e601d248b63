//! Curves over a common axis: measured points beside a model.

use crate::Options;
use crate::axis::{Axis, Spread, Tick};
use crate::font;
use crate::palette::{self, Color, INK, SOFT};
use crate::picture::{Align, Picture};
use crate::sheet::{Dash, Letters, MARGIN, Mark, Sample, Sheet};

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by ascending first coordinate.
    pub points: Vec<(f64, f64)>,
    /// True if its points are marked: they were measured.
    pub marked: bool,
}

/// Curves that share their axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// Title of the picture.
    pub title: String,
    /// What the horizontal axis counts.
    pub x: String,
    /// What the vertical axis counts.
    pub y: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// Colours of curves, in their order.
const COLORS: [Color; 3] = [palette::NEXT, palette::DAMAGE, palette::OWNER];

/// Draws curves over one pair of axes that begin at 0.
#[must_use]
pub fn draw_curves(curves: &Curves, options: &Options) -> Picture {
    let mut sheet = Sheet::new(options, &curves.title);
    let points = || curves.curves.iter().flat_map(|curve| curve.points.iter().copied());
    let usable = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    if points().filter(usable).count() < 2 {
        return sheet.nothing("There are no points to draw.");
    }
    let most = |pick: fn((f64, f64)) -> f64| points().filter(usable).map(pick).fold(1.0, f64::max);
    let size = sheet.small();
    let (top, left) = (sheet.y + size * 2.2, MARGIN + size * 3.0);
    let height = (sheet.width * 0.5).round();
    let x = Axis::new(Spread::Linear, (0.0, most(|p| p.0)), (left, sheet.right() - 6.0));
    // The vertical axis is a horizontal one that is turned.
    let y = Axis::new(Spread::Linear, (0.0, most(|p| p.1) * 1.05), (0.0, height));
    let bottom = top + height;
    let letters = Letters { size, align: Align::Left, color: SOFT };
    sheet.text((MARGIN, top - size), &font::clean(&curves.y), letters);
    let ticks = x.number_ticks(1.0, true, size);
    sheet.grid(&x, &ticks, top, bottom);
    for Tick { at, label } in y.number_ticks(1.0, false, size) {
        let place = bottom - y.x(at);
        sheet.line((left - 4.0, place), (x.right, place), 0.5, SOFT.faded(0.35));
        sheet.name_of((left - 7.0, place), &label.unwrap_or_default(), INK);
    }
    for (n, curve) in curves.curves.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        let place = |&(a, b): &(f64, f64)| (x.x(a), bottom - y.x(b));
        let places: Vec<(f64, f64)> =
            curve.points.iter().filter(|p| usable(p)).map(place).collect();
        for pair in places.windows(2) {
            sheet.line(pair[0], pair[1], 1.6, color);
        }
        if curve.marked {
            places.iter().for_each(|&at| sheet.mark(at, Mark::Diamond, size * 0.22, color));
        }
    }
    let below = sheet.x_axis(&x, &ticks, bottom);
    sheet.y = sheet.x_title(&x, &curves.x, below);
    let line = |n: usize| Sample::Line(COLORS[n % COLORS.len()], Dash::Solid);
    let named = curves.curves.iter().enumerate().map(|(n, curve)| (line(n), curve.name.as_str()));
    let legend: Vec<(Sample, &str)> = named.collect();
    sheet.legend(&legend);
    sheet.finish()
}
