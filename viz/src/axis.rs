//! Axes: from values to places, and where to put the ticks.

use crate::font;
use crate::format::{Clock, number};

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    Linear,
    /// Linear within `threshold` of 0, from there a decade takes as much room as that linear part:
    /// nanoseconds around an event and the minute after it are on one axis.
    SymLog {
        threshold: f64,
    },
}

impl Spread {
    fn bend(self, v: f64) -> f64 {
        match self {
            Spread::Linear => v,
            Spread::SymLog { threshold } => {
                let r = v.abs() / threshold;
                v.signum() * if r <= 1.0 { r } else { 1.0 + r.log10() }
            }
        }
    }

    fn unbend(self, b: f64) -> f64 {
        match self {
            Spread::Linear => b,
            Spread::SymLog { threshold } => {
                let r = b.abs();
                b.signum() * threshold * if r <= 1.0 { r } else { 10f64.powf(r - 1.0) }
            }
        }
    }
}

/// A horizontal axis: values `lo..=hi` at places `left..=right`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) spread: Spread,
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
}

/// A mark on an axis; minor ones have no label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: Option<String>,
}

impl Axis {
    /// An axis that is never empty: `hi` moves up, by 1 or as little as makes a difference, if it
    /// isn't above `lo`.
    pub(crate) fn new(spread: Spread, (lo, hi): (f64, f64), (left, right): (f64, f64)) -> Axis {
        let hi = if hi > lo { hi } else { lo + (lo.abs() * 1e-9).max(1.0) };
        Axis { spread, lo, hi, left, right: right.max(left + 1.0) }
    }

    /// Place of a value; values beyond the ends are put at the ends.
    pub(crate) fn x(&self, value: f64) -> f64 {
        let (lo, hi) = (self.spread.bend(self.lo), self.spread.bend(self.hi));
        let share = (self.spread.bend(value) - lo) / (hi - lo);
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Value at a place.
    pub(crate) fn value(&self, x: f64) -> f64 {
        let (lo, hi) = (self.spread.bend(self.lo), self.spread.bend(self.hi));
        let share = (x - self.left) / (self.right - self.left);
        self.spread.unbend(lo + share.clamp(0.0, 1.0) * (hi - lo))
    }

    /// Whether the value lies on the axis.
    pub(crate) fn contains(&self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Ticks in plain numbers of `unit` values each, for a linear axis with letters of `size`.
    pub(crate) fn number_ticks(&self, unit: f64, whole: bool, size: f64) -> Vec<Tick> {
        let (lo, hi) = (self.lo / unit, self.hi / unit);
        let mut n = (self.width() / (size * 3.0)).floor().max(1.0);
        loop {
            let step = nice_step((hi - lo) / n, whole);
            let ticks = multiples(lo, hi, step);
            let labels: Vec<String> = ticks.iter().map(|t| exact(*t, step)).collect();
            let widest = labels.iter().map(|l| font::width(l, size)).fold(0.0, f64::max);
            let apart = step / (hi - lo) * self.width();
            if widest + size * 0.8 <= apart || n <= 1.0 {
                let tick = |(t, label): (f64, String)| Tick { at: t * unit, label: Some(label) };
                return ticks.into_iter().zip(labels).map(tick).collect();
            }
            n -= 1.0;
        }
    }

    /// Ticks of a symmetric logarithmic time axis, labelled with units as far as there is room.
    pub(crate) fn decade_ticks(&self, clock: Clock, size: f64) -> Vec<Tick> {
        let Spread::SymLog { threshold } = self.spread else {
            let (_, unit) = clock.unit(self.lo.abs().max(self.hi.abs()));
            return self.number_ticks(unit, false, size);
        };
        let decades = |sign: f64| (0..20).map(move |e| sign * threshold * 10f64.powi(e));
        let decades: Vec<f64> =
            decades(1.0).chain(decades(-1.0)).filter(|v| self.contains(*v)).collect();
        let labels = [1, 2, 3].map(|stride| self.decade_labels(clock, size, &decades, stride));
        // The closest labels that all have room; beside 0 one may give way.
        let full = labels.iter().find(|l| l.lost == 0).unwrap_or(&labels[2]);
        let mut ticks = full.ticks.clone();
        let plain = |at: f64| Tick { at, label: None };
        ticks.extend(decades.iter().filter(|d| !full.has(**d)).map(|d| plain(*d)));
        let minor = decades.iter().flat_map(|d| (2..10).map(move |m| d * f64::from(m)));
        ticks.extend(minor.filter(|v| self.contains(*v)).map(plain));
        ticks
    }

    /// Labels at 0 and at each decade whose power of ten of a second `stride` divides.
    fn decade_labels(&self, clock: Clock, size: f64, decades: &[f64], stride: i32) -> Labels {
        let power = |v: f64| clock.power(v.abs());
        let wanted = decades.iter().copied().filter(|v| power(*v) % stride == 0);
        let mut labels = Labels { ticks: Vec::new(), taken: Vec::new(), lost: 0 };
        for v in std::iter::once(0.0).chain(wanted).filter(|v| self.contains(*v)) {
            let text = clock.span(v);
            let half = font::width(&text, size) / 2.0 + size * 0.25;
            let (a, b) = (self.x(v) - half, self.x(v) + half);
            match labels.taken.iter().position(|(c, d)| b > *c && a < *d) {
                // Beside 0 a label may be missing: the axis is linear there.
                Some(0) => {}
                Some(_) => labels.lost += 1,
                None => {
                    labels.taken.push((a, b));
                    labels.ticks.push(Tick { at: v, label: Some(text) });
                }
            }
        }
        labels
    }
}

/// Labelled ticks, the places they take, and how many found none.
struct Labels {
    ticks: Vec<Tick>,
    taken: Vec<(f64, f64)>,
    lost: usize,
}

impl Labels {
    fn has(&self, value: f64) -> bool {
        self.ticks.iter().any(|t| t.at == value)
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `raw`; at least 1 if `whole`.
fn nice_step(raw: f64, whole: bool) -> f64 {
    let power = 10f64.powf(raw.max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 5.0].map(|m| m * power).into_iter().find(|s| *s >= raw * 0.999_999);
    let step = step.unwrap_or(10.0 * power);
    if whole { step.max(1.0) } else { step }
}

fn multiples(lo: f64, hi: f64, step: f64) -> Vec<f64> {
    let first = (lo / step - 1e-9).ceil();
    let last = (hi / step + 1e-9).floor();
    let n = (last - first).clamp(-1.0, 200.0) as i64;
    (0..=n).map(|i| (first + i as f64) * step).collect()
}

/// A multiple of `step` with the digits that `step` has.
fn exact(value: f64, step: f64) -> String {
    let digits = value.abs().log10().floor() - step.log10().floor() + 1.0;
    number(value, digits.clamp(1.0, 17.0) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().filter_map(|t| t.label.as_deref()).collect()
    }

    #[test]
    fn a_bent_axis_goes_both_ways() {
        let spread = Spread::SymLog { threshold: 100.0 };
        let axis = Axis::new(spread, (-1e6, 1e11), (10.0, 610.0));
        for v in [-1e6, -345.0, -100.0, -3.0, 0.0, 50.0, 100.0, 1e4, 7e10] {
            assert!((axis.value(axis.x(v)) - v).abs() <= v.abs() * 1e-6 + 1e-6, "{v}");
        }
        assert!(axis.x(1.0) > axis.x(0.0));
        assert_eq!(axis.x(1e12), 610.0);
        assert_eq!(axis.x(f64::from(i32::MIN)), 10.0);
    }

    #[test]
    fn an_empty_range_still_makes_an_axis() {
        let axis = Axis::new(Spread::Linear, (5.0, 5.0), (0.0, 0.0));
        assert!(axis.x(5.0).is_finite());
        assert!(!axis.number_ticks(1.0, true, 12.0).is_empty());
    }

    #[test]
    fn number_ticks_are_round_and_apart() {
        let axis = Axis::new(Spread::Linear, (0.0, 1_000_000.0), (0.0, 500.0));
        let ticks = axis.number_ticks(1.0, true, 14.0);
        assert_eq!(labels(&ticks).first(), Some(&"0"));
        assert_eq!(labels(&ticks).last(), Some(&"1,000,000"));
        let narrow = Axis::new(Spread::Linear, (140.0, 148.0), (0.0, 500.0));
        assert_eq!(
            labels(&narrow.number_ticks(1.0, true, 14.0)),
            ["140", "141", "142", "143", "144", "145", "146", "147", "148"]
        );
    }

    #[test]
    fn decades_from_nanoseconds_to_a_minute_are_labelled_without_overlap() {
        let clock = Clock::new(1_000_000_000);
        let spread = Spread::SymLog { threshold: 100.0 };
        let axis = Axis::new(spread, (-1e6, 60e9), (60.0, 620.0));
        let ticks = axis.decade_ticks(clock, 13.0);
        let found = labels(&ticks);
        // Every second decade: all of them would not fit.
        let wanted = ["0", "1 µs", "100 µs", "10 ms", "1 s", "−1 µs", "−100 µs"];
        assert_eq!(found, wanted);
        let mut spans: Vec<(f64, f64)> = ticks
            .iter()
            .filter_map(|t| t.label.as_ref().map(|l| (axis.x(t.at), font::width(l, 13.0) / 2.0)))
            .map(|(x, half)| (x - half, x + half))
            .collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(spans.windows(2).all(|w| w[0].1 < w[1].0));
    }
}
