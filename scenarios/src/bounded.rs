//! A list that keeps its beginning, what surrounds the interesting places, and its end.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How much of a list is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Entries kept from the beginning.
    pub head: usize,
    /// Entries kept from the end, and before an interesting place.
    pub recent: usize,
    /// Entries kept after an interesting place.
    pub after: usize,
    /// Interesting places that are honoured.
    pub places: usize,
}

impl Default for Bounds {
    /// Enough for a picture of each lock, at most 130 KiB each.
    fn default() -> Self {
        Bounds { head: 512, recent: 128, after: 512, places: 4 }
    }
}

/// A list of bounded length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundedList<T> {
    bounds: Bounds,
    kept: Vec<T>,
    recent: VecDeque<T>,
    /// Entries still to be kept because of an interesting place.
    after: usize,
    places: usize,
    dropped: u64,
}

impl<T> BoundedList<T> {
    /// An empty list.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let after = bounds.head;
        let (kept, recent) = (Vec::new(), VecDeque::new());
        BoundedList { bounds, kept, recent, after, places: 0, dropped: 0 }
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: T) {
        if self.after > 0 {
            self.after -= 1;
            self.kept.push(entry);
            return;
        }
        self.recent.push_back(entry);
        if self.recent.len() > self.bounds.recent {
            self.recent.pop_front();
            self.dropped += 1;
        }
    }

    /// Marks the end of the list as an interesting place: what came just before stays, and what
    /// comes just after will.
    pub fn mark(&mut self) {
        if self.places < self.bounds.places {
            self.places += 1;
            self.kept.extend(self.recent.drain(..));
            self.after = self.after.max(self.bounds.after);
        }
    }

    /// The newest entry, for changing it.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.recent.back_mut().or(self.kept.last_mut())
    }

    /// What was kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter().chain(&self.recent)
    }

    /// Number of entries that were not kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_the_marked_place_and_the_end_stay() {
        let mut list = BoundedList::new(Bounds { head: 2, recent: 2, after: 3, places: 1 });
        for n in 0..100 {
            list.push(n);
            if n == 50 || n == 60 {
                list.mark();
            }
        }
        let kept: Vec<i32> = list.iter().copied().collect();
        assert_eq!(kept, [0, 1, 49, 50, 51, 52, 53, 98, 99], "the second mark is one too many");
        assert_eq!(list.dropped() as usize, 100 - kept.len());
    }
}
