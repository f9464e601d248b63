//! From rows of a sweep to bands of one outcome, and to the parts that need enlarging.

use crate::axis::Axis;
use crate::format;
use scenarios::timeline::SweepRow;
use scenarios::windows::Window;

/// A band narrower than this on the whole axis is shown enlarged, in CSS pixels.
const NARROW: f64 = 14.0;
/// Narrow bands closer than this are enlarged together, in CSS pixels.
const TOGETHER: f64 = 60.0;
/// Parts shown enlarged at most.
const MOST_ZOOMS: usize = 2;

/// Runs with the same finding and lock word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Class {
    pub(super) finding: String,
    word: Option<u32>,
    cpus: Vec<u32>,
    /// Least and greatest value.
    pub(super) first: u64,
    pub(super) last: u64,
    /// How many runs, in how many bands.
    pub(super) values: u64,
    pub(super) intervals: u64,
}

impl Class {
    /// The finding and the word.
    pub(super) fn name(&self) -> String {
        match self.word {
            Some(word) => format!("{} 0x{word:08x}", self.finding),
            None => self.finding.clone(),
        }
    }

    /// The finding, the word and the CPUs.
    pub(super) fn full_name(&self) -> String {
        if self.cpus.is_empty() {
            return self.name();
        }
        format!("{} on {}", self.name(), format::cpus(&self.cpus))
    }
}

/// A stretch of the axis with one outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    pub(super) class: usize,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Classes in order of their first value, and bands in order of the axis. Rows must not be empty.
pub(super) fn collect(rows: &[SweepRow]) -> (Vec<Class>, Vec<Band>) {
    let mut rows: Vec<&SweepRow> = rows.iter().collect();
    rows.sort_by_key(|r| r.value);
    let mut classes: Vec<Class> = Vec::new();
    let mut bands: Vec<Band> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let class = class_of(row, &mut classes);
        let (from, to) = cell(&rows, i);
        match bands.last_mut() {
            Some(band) if band.class == class => band.to = to,
            _ => {
                classes[class].intervals += 1;
                bands.push(Band { class, from, to });
            }
        }
    }
    (classes, bands)
}

/// The same from exact windows, which are in ascending order.
pub(super) fn of_windows(windows: &[Window]) -> (Vec<Class>, Vec<Band>) {
    let mut classes: Vec<Class> = Vec::new();
    let mut bands: Vec<Band> = Vec::new();
    for window in windows {
        let verdict = window.verdict.as_ref();
        let row = SweepRow {
            value: window.lo,
            finding: window.finding().to_owned(),
            cpu: verdict.and_then(|verdict| verdict.cpu),
            lock_word: verdict.and_then(|verdict| verdict.lock_word),
        };
        let class = class_of(&row, &mut classes);
        let more = u64::try_from(window.width() - 1).unwrap_or(u64::MAX);
        classes[class].values = classes[class].values.saturating_add(more);
        classes[class].last = window.hi;
        let (from, to) = (window.lo as f64 - 0.5, window.hi as f64 + 0.5);
        match bands.last_mut() {
            Some(band) if band.class == class && band.to == from => band.to = to,
            _ => {
                classes[class].intervals += 1;
                bands.push(Band { class, from, to });
            }
        }
    }
    (classes, bands)
}

fn class_of(row: &SweepRow, classes: &mut Vec<Class>) -> usize {
    let same = |c: &Class| c.finding == row.finding && c.word == row.lock_word;
    let i = classes.iter().position(same).unwrap_or_else(|| {
        classes.push(Class {
            finding: row.finding.clone(),
            word: row.lock_word,
            cpus: Vec::new(),
            first: row.value,
            last: row.value,
            values: 0,
            intervals: 0,
        });
        classes.len() - 1
    });
    let class = &mut classes[i];
    class.values += 1;
    class.last = row.value;
    if let Some(cpu) = row.cpu
        && let Err(place) = class.cpus.binary_search(&cpu)
    {
        class.cpus.insert(place, cpu);
    }
    i
}

/// The part of the axis that is nearest to the value of row `i`.
fn cell(rows: &[&SweepRow], i: usize) -> (f64, f64) {
    let value = |i: usize| rows[i].value as f64;
    let v = value(i);
    let before = i.checked_sub(1).map(|j| (v - value(j)) / 2.0);
    let after = (i + 1 < rows.len()).then(|| (value(i + 1) - v) / 2.0);
    let least = 0.5;
    let low = before.or(after).unwrap_or(least);
    let high = after.or(before).unwrap_or(least);
    (v - low, v + high)
}

/// Ends of the axis.
pub(super) fn extent(bands: &[Band]) -> (f64, f64) {
    let lo = bands.iter().map(|b| b.from).fold(f64::INFINITY, f64::min);
    let hi = bands.iter().map(|b| b.to).fold(f64::NEG_INFINITY, f64::max);
    (lo, hi)
}

/// Parts of the axis where bands are too narrow to be seen, with some room around them; the ones
/// with the most bands if there are too many. None if enlarging would gain little.
pub(super) fn zooms(bands: &[Band], whole: &Axis) -> Vec<(f64, f64)> {
    let scale = (whole.right - whole.left) / (whole.hi - whole.lo);
    let mut clusters: Vec<(f64, f64, usize)> = Vec::new();
    for band in bands.iter().filter(|b| (b.to - b.from) * scale < NARROW) {
        match clusters.last_mut() {
            Some((_, to, n)) if (band.from - *to) * scale < TOGETHER => {
                (*to, *n) = (band.to, *n + 1);
            }
            _ => clusters.push((band.from, band.to, 1)),
        }
    }
    clusters.sort_by_key(|c| std::cmp::Reverse(c.2));
    clusters.truncate(MOST_ZOOMS);
    clusters.sort_by(|a, b| a.0.total_cmp(&b.0));
    let widened = |(from, to, _): (f64, f64, usize)| {
        let room = ((to - from) * 0.35).max(3.0);
        ((from - room).max(whole.lo), (to + room).min(whole.hi))
    };
    let zooms: Vec<(f64, f64)> = clusters.into_iter().map(widened).collect();
    let covered: f64 = zooms.iter().map(|(a, b)| b - a).sum();
    if covered > 0.5 * (whole.hi - whole.lo) { Vec::new() } else { zooms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Spread;
    use scenarios::windows::Verdict;

    fn row(value: u64, finding: &str, lock_word: Option<u32>) -> SweepRow {
        SweepRow { value, finding: finding.into(), cpu: lock_word.map(|_| 18), lock_word }
    }

    fn axis(bands: &[Band]) -> Axis {
        Axis::new(Spread::Linear, extent(bands), (0.0, 600.0))
    }

    #[test]
    fn neighbours_with_one_outcome_are_one_band() {
        let rows = [
            row(0, "lost-completion", None),
            row(1, "lost-completion", None),
            row(2, "hard-lockup", Some(0x1_0001)),
            row(3, "hard-lockup", Some(0x1_0004)),
            row(4, "hard-lockup", Some(0x1_0001)),
            row(5, "ok", None),
        ];
        let (classes, bands) = collect(&rows);
        assert_eq!(bands.len(), 5);
        assert_eq!(bands[0], Band { class: 0, from: -0.5, to: 1.5 });
        assert_eq!(classes[1].name(), "hard-lockup 0x00010001");
        assert_eq!((classes[1].first, classes[1].last, classes[1].intervals), (2, 4, 2));
        assert!(classes[1].full_name().contains("on CPU 18"));
        assert!(bands.windows(2).all(|w| w[0].to == w[1].from));
    }

    #[test]
    fn windows_make_the_bands_of_their_rows() {
        let outcome = |v: u64| if (30..38).contains(&v) { "hard-lockup" } else { "ok" };
        let rows: Vec<_> = (5..=60).map(|v| row(v, outcome(v), None)).collect();
        let window = |(lo, hi): (u64, u64)| Window {
            lo,
            hi,
            verdict: Some(Verdict {
                finding: outcome(lo).into(),
                cpu: None,
                lock_word: None,
                cause: None,
            }),
        };
        let windows = [(5, 29), (30, 37), (38, 60)].map(window);
        assert_eq!(of_windows(&windows), collect(&rows));
    }

    #[test]
    fn eight_cycles_in_a_million_are_enlarged() {
        let outcome = |v| if (700..708).contains(&v) { "hard-lockup" } else { "ok" };
        let rows: Vec<_> = (0..1_000_000).map(|v| row(v, outcome(v), None)).collect();
        let (_, bands) = collect(&rows);
        assert_eq!(bands.len(), 3);
        let zooms = zooms(&bands, &axis(&bands));
        // The first 700 values are a narrow band themselves: 0.4 of 600 pixels.
        assert_eq!(zooms.len(), 1);
        assert!(zooms[0].0 <= 0.0 && zooms[0].1 > 708.0 && zooms[0].1 < 1_200.0);
    }

    #[test]
    fn what_alternates_everywhere_is_not_enlarged() {
        let outcome = |v| if v % 2 == 0 { "ok" } else { "fault" };
        let rows: Vec<_> = (0..1_000).map(|v| row(v, outcome(v), None)).collect();
        let (_, bands) = collect(&rows);
        assert_eq!(zooms(&bands, &axis(&bands)), []);
    }

    #[test]
    fn one_run_and_equal_values_are_harmless() {
        let (_, bands) = collect(&[row(7, "ok", None)]);
        assert_eq!(extent(&bands), (6.5, 7.5));
        let (_, bands) = collect(&[row(7, "ok", None), row(7, "fault", None)]);
        assert_eq!(extent(&bands), (7.0, 7.0));
    }
}
