//! From spans of activity to strips that can be seen.

use super::relative;
use crate::axis::Axis;
use crate::palette::ACTIVITIES;
use scenarios::timeline::{Activity, CpuRow, Span};

/// A stretch of a row in one colour, in CSS pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strip {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) activity: Activity,
}

/// Longest activity of each half pixel (whole pixel if `coarse`), runs joined. Places that no span
/// covers stay blank.
pub(super) fn strips(row: &CpuRow, axis: &Axis, origin: u64, coarse: bool) -> Vec<Strip> {
    let size = if coarse { 1.0 } else { 0.5 };
    let n = ((axis.right - axis.left) / size).ceil().max(1.0) as usize;
    let edge = |i: usize| (axis.left + i as f64 * size).min(axis.right);
    let times: Vec<f64> = (0..=n).map(|i| axis.value(edge(i))).collect();
    let mut shares = vec![[0.0; ACTIVITIES.len()]; n];
    for span in &row.spans {
        add(span, axis, origin, size, &times, &mut shares);
    }
    let mut strips: Vec<Strip> = Vec::new();
    for (i, share) in shares.iter().enumerate() {
        let Some(activity) = longest(share) else { continue };
        let (from, to) = (edge(i), edge(i + 1));
        match strips.last_mut() {
            Some(last) if last.activity == activity && last.to == from => last.to = to,
            _ => strips.push(Strip { from, to, activity }),
        }
    }
    strips
}

fn add(
    span: &Span,
    axis: &Axis,
    origin: u64,
    size: f64,
    times: &[f64],
    shares: &mut [[f64; ACTIVITIES.len()]],
) {
    let (from, until) = (relative(span.from, origin), relative(span.until, origin));
    let kind = ACTIVITIES.iter().position(|a| *a == span.activity).unwrap_or(0);
    if until <= axis.lo || from >= axis.hi || until <= from {
        return;
    }
    let bin = |v: f64| (((axis.x(v) - axis.left) / size) as usize).min(shares.len() - 1);
    // Rounding may put an end one bin off: look at the neighbours too.
    let (first, last) = (bin(from).saturating_sub(1), (bin(until) + 1).min(shares.len() - 1));
    for i in first..=last {
        shares[i][kind] += (until.min(times[i + 1]) - from.max(times[i])).max(0.0);
    }
}

fn longest(share: &[f64; ACTIVITIES.len()]) -> Option<Activity> {
    let mut best: Option<usize> = None;
    for (i, time) in share.iter().enumerate() {
        if *time > 0.0 && best.is_none_or(|b| *time > share[b]) {
            best = Some(i);
        }
    }
    best.map(|i| ACTIVITIES[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Spread;

    fn row(spans: &[(u64, u64, Activity)]) -> CpuRow {
        let span = |&(from, until, activity): &(u64, u64, Activity)| Span { from, until, activity };
        CpuRow { cpu: 0, spans: spans.iter().map(span).collect() }
    }

    fn axis(hi: f64) -> Axis {
        Axis::new(Spread::Linear, (0.0, hi), (0.0, 100.0))
    }

    #[test]
    fn strips_end_where_spans_end() {
        let row = row(&[(0, 40, Activity::User), (40, 100, Activity::Kernel)]);
        let strips = strips(&row, &axis(100.0), 0, false);
        assert_eq!(
            strips,
            [
                Strip { from: 0.0, to: 40.0, activity: Activity::User },
                Strip { from: 40.0, to: 100.0, activity: Activity::Kernel },
            ]
        );
    }

    #[test]
    fn the_longest_activity_of_a_place_wins() {
        // In each 100 cycles 30 are kernel: far below one bin of a million cycles.
        let spans: Vec<_> = (0..10_000)
            .flat_map(|i| {
                let t = i * 100;
                [(t, t + 70, Activity::User), (t + 70, t + 100, Activity::Kernel)]
            })
            .collect();
        let strips = strips(&row(&spans), &axis(1e6), 0, false);
        assert_eq!(strips.len(), 1);
        assert_eq!(strips[0].activity, Activity::User);
    }

    #[test]
    fn gaps_stay_blank_and_odd_spans_are_harmless() {
        let spans = [
            (60, 60, Activity::Nmi),
            (80, 20, Activity::Nmi),
            (500, 900, Activity::Nmi),
            (50, 100, Activity::Idle),
        ];
        let strips = strips(&row(&spans), &axis(100.0), 0, true);
        assert_eq!(strips, [Strip { from: 50.0, to: 100.0, activity: Activity::Idle }]);
    }
}
