//! One CPU's spans in bounded space.

use crate::timeline::{Activity, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Exact spans kept before the origin is known.
const RECENT: usize = 512;
/// Coarse spans kept before those; when there are more, their resolution halves.
const COARSE: usize = 1024;
/// Spans shorter than 1/64 of their distance from the origin are merged.
const RELATIVE: u64 = 64;

/// Merges short spans: a run of them becomes one span of the activity that took most of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Smoother {
    spans: Vec<Span>,
    pending: Option<(u64, u64)>,
    durations: [u64; 7],
}

impl Smoother {
    fn push(&mut self, span: Span, resolution: u64) {
        let length = span.until - span.from;
        if length >= resolution {
            self.flush();
            return self.emit(span);
        }
        let from = self.pending.map_or(span.from, |(from, _)| from);
        self.pending = Some((from, span.until));
        self.durations[span.activity as usize] += length;
        if span.until - from >= resolution {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some((from, until)) = self.pending.take() else { return };
        let most = self.durations.iter().max().copied().unwrap_or(0);
        let longest = ACTIVITIES.iter().find(|a| self.durations[**a as usize] == most);
        self.durations = [0; 7];
        if let Some(activity) = longest {
            self.emit(Span { from, until, activity: *activity });
        }
    }

    fn emit(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if last.activity == span.activity => last.until = span.until,
            _ => self.spans.push(span),
        }
    }
}

const ACTIVITIES: [Activity; 7] = [
    Activity::User,
    Activity::Kernel,
    Activity::SpinIrqsOn,
    Activity::SpinIrqsOff,
    Activity::WaitIpiAck,
    Activity::Idle,
    Activity::Nmi,
];

/// Spans of one CPU, in order and without gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    smooth: Smoother,
    recent: VecDeque<Span>,
    resolution: u64,
    origin: Option<u64>,
}

impl Row {
    /// Appends a span that begins where the last one ended.
    pub(super) fn push(&mut self, span: Span) {
        if span.from >= span.until {
            return;
        }
        if let Some(origin) = self.origin {
            let resolution = span.from.saturating_sub(origin) / RELATIVE;
            return self.smooth.push(span, resolution);
        }
        self.recent.push_back(span);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.smooth.push(oldest, self.resolution);
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        if self.smooth.spans.len() <= COARSE {
            return;
        }
        self.resolution = (self.resolution * 2).max(64);
        let fine = std::mem::take(&mut self.smooth);
        for span in fine.spans {
            self.smooth.push(span, self.resolution);
        }
        // What was pending follows what was emitted.
        if let Some((from, until)) = fine.pending {
            self.smooth.flush();
            self.smooth.pending = Some((from, until));
            self.smooth.durations = fine.durations;
        }
    }

    /// From `at` on, detail falls with the distance from it; what was exact stays so.
    pub(super) fn set_origin(&mut self, at: u64) {
        self.origin = Some(at);
        self.smooth.flush();
        for span in std::mem::take(&mut self.recent) {
            self.smooth.emit(span);
        }
    }

    /// All spans.
    pub(super) fn spans(mut self) -> Vec<Span> {
        self.smooth.flush();
        for span in std::mem::take(&mut self.recent) {
            self.smooth.emit(span);
        }
        self.smooth.spans
    }
}
