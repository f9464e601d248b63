//! What a stretch of code that only hits L1 does to the order of recency there: recorded once, then
//! compared and applied as a whole.

use super::{Level1, LineState, PrivateCaches, Way, tag};
use crate::ids::LineAddr;

/// L1D and L1I as they were when a recording began.
#[derive(Clone, Debug)]
pub struct FirstLevel {
    l1d: Level1,
    l1i: Level1,
}

/// A set that has to be in one order, and what becomes of it.
#[derive(Clone, Debug)]
struct WholeSet {
    set: usize,
    before: Box<[Way]>,
    after: Box<[Way]>,
}

/// The sets of one cache.
#[derive(Clone, Debug, Default)]
struct Sets {
    /// Sets of which the most recent way only is touched, and that way.
    recent: Box<[(u32, Way)]>,
    /// Sets of which others are touched too.
    whole: Box<[WholeSet]>,
}

impl Sets {
    fn between(before: &Level1, after: &Level1, lines: &[LineAddr]) -> Self {
        let (mut only, mut whole) = (Vec::new(), Vec::new());
        let mut touched: Vec<usize> = lines.iter().map(|&line| before.index(line)).collect();
        touched.sort_unstable();
        touched.dedup();
        for set in touched {
            let recent = before.recent[set];
            let only_recent = after.ways_of(set).eq(before.ways_of(set))
                && lines.iter().all(|&line| before.index(line) != set || recent >> 2 == tag(line));
            if only_recent {
                only.push((set as u32, recent));
            } else {
                let ways = |cache: &Level1| cache.ways_of(set).collect();
                whole.push(WholeSet { set, before: ways(before), after: ways(after) });
            }
        }
        Sets { recent: only.into(), whole: whole.into() }
    }

    /// HOT: a comparison for each line.
    #[inline]
    fn fit(&self, cache: &Level1) -> bool {
        self.recent.iter().all(|&(set, way)| cache.recent.get(set as usize) == Some(&way))
            && self.whole.iter().all(|whole| {
                cache.recent[whole.set] == whole.before[0]
                    && *cache.older_of(whole.set) == whole.before[1..]
            })
    }

    fn apply(&self, cache: &mut Level1) {
        for WholeSet { set, after, .. } in &self.whole {
            cache.recent[*set] = after[0];
            cache.older[set * cache.others..][..cache.others].copy_from_slice(&after[1..]);
        }
    }
}

/// What a stretch of code needs of L1, and what it leaves there.
#[derive(Clone, Debug)]
pub struct Footprint {
    data: Sets,
    code: Sets,
}

impl Footprint {
    /// True if the stretch would do now what it did when it was recorded.
    #[inline]
    #[must_use]
    pub fn fits(&self, caches: &PrivateCaches) -> bool {
        self.data.fit(&caches.l1d) && self.code.fit(&caches.l1i)
    }

    /// Does it. The footprint has to fit.
    pub fn apply(&self, caches: &mut PrivateCaches) {
        self.data.apply(&mut caches.l1d);
        self.code.apply(&mut caches.l1i);
    }
}

impl PrivateCaches {
    /// What [`PrivateCaches::footprint`] compares with later.
    #[must_use]
    pub fn first_level(&self) -> FirstLevel {
        FirstLevel { l1d: self.l1d.clone(), l1i: self.l1i.clone() }
    }

    /// The footprint of what happened since `before`: hits in L1 only, of `data` and of `code`.
    #[must_use]
    pub fn footprint(
        &self,
        before: &FirstLevel,
        data: &[LineAddr],
        code: &[LineAddr],
    ) -> Footprint {
        Footprint {
            data: Sets::between(&before.l1d, &self.l1d, data),
            code: Sets::between(&before.l1i, &self.l1i, code),
        }
    }

    /// State of `line` in L1D.
    #[must_use]
    pub fn l1_state(&self, line: LineAddr) -> LineState {
        self.l1d.state(line)
    }

    /// True if `line` is in L1I.
    #[must_use]
    pub fn holds_code(&self, line: LineAddr) -> bool {
        self.l1i.find(line).is_some()
    }
}
