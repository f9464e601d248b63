//! HOT: the private caches of one core: L1D, L1I and the L2 that includes both.
//!
//! A set is kept in recency order, most recent first, so that LRU needs no stamps, equal histories
//! give equal state, and the common case (the most recent way hits) is one comparison.

mod footprint;

use crate::ids::LineAddr;
use crate::spec::MemorySpec;
pub use footprint::{FirstLevel, Footprint};
use serde::{Deserialize, Serialize};
use sim_core::CowArray;

/// State of a line in a private cache (MESI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum LineState {
    /// Not present.
    Invalid = 0,
    /// Readable; others may have it too.
    Shared = 1,
    /// Readable and writable; memory is up to date.
    Exclusive = 2,
    /// Readable and writable; memory is stale.
    Modified = 3,
}

impl LineState {
    /// True if the core may write the line.
    #[inline]
    #[must_use]
    pub fn writable(self) -> bool {
        self >= LineState::Exclusive
    }

    fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => LineState::Invalid,
            1 => LineState::Shared,
            2 => LineState::Exclusive,
            _ => LineState::Modified,
        }
    }
}

/// A way: the line's tag shifted left by 2, its state below. 0 is an empty way.
type Way = u64;

/// Line address plus one, so that no line's tag looks like an empty way.
#[inline]
fn tag(line: LineAddr) -> u64 {
    line.0 + 1
}

fn pack(line: LineAddr, state: LineState) -> Way {
    tag(line) << 2 | state as u64
}

fn line_of(way: Way) -> LineAddr {
    LineAddr((way >> 2).wrapping_sub(1))
}

fn position(set: &[Way], line: LineAddr) -> Option<usize> {
    set.iter().position(|&way| way >> 2 == tag(line))
}

/// Empties way `at`; the rest of the set keeps its order.
fn remove(set: &mut [Way], at: usize) {
    for next in at + 1..set.len() {
        set[next - 1] = set[next];
    }
    *set.last_mut().expect("a set has ways") = 0;
}

/// Makes way `at` the most recent one. A loop: sets are too short for a general rotation.
#[inline]
fn to_front(set: &mut [Way], at: usize) {
    let way = set[at];
    for older in (0..at).rev() {
        set[older + 1] = set[older];
    }
    set[0] = way;
}

fn change(set: &mut [Way], at: usize, line: LineAddr, state: LineState) {
    match state {
        LineState::Invalid => remove(set, at),
        state => set[at] = pack(line, state),
    }
}

/// A small set-associative cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Level1Image", into = "Level1Image")]
struct Level1 {
    mask: u64,
    /// The most recent way of each set, side by side: looked at by every access, eight to a line of
    /// the host.
    recent: Vec<Way>,
    /// The other ways, set by set.
    older: Vec<Way>,
    /// Ways of a set but the most recent.
    others: usize,
}

impl Level1 {
    fn new(sets: u32, ways: u32) -> Self {
        assert!(sets.is_power_of_two(), "L1 sets were validated to be a power of two");
        let (sets, others) = (sets as usize, ways as usize - 1);
        let (recent, older) = (vec![0; sets], vec![0; sets * others]);
        Level1 { mask: sets as u64 - 1, recent, older, others }
    }

    #[inline(always)]
    fn index(&self, line: LineAddr) -> usize {
        (line.0 & self.mask) as usize
    }

    /// The most recent way of the set of `line`, and the others.
    fn set(&mut self, line: LineAddr) -> (&mut Way, &mut [Way]) {
        let set = self.index(line);
        (&mut self.recent[set], &mut self.older[set * self.others..][..self.others])
    }

    /// The most recent way of the set of `line`.
    #[inline(always)]
    fn recent(&self, line: LineAddr) -> Way {
        self.recent[self.index(line)]
    }

    /// State of `line`, which becomes the most recent of its set.
    fn touch(&mut self, line: LineAddr) -> LineState {
        let (recent, older) = self.set(line);
        if *recent >> 2 != tag(line) {
            let Some(at) = position(older, line) else { return LineState::Invalid };
            to_front(older, at);
            std::mem::swap(recent, &mut older[0]);
        }
        LineState::from_bits(*recent)
    }

    /// The way that `line` is in.
    fn find(&self, line: LineAddr) -> Option<Way> {
        self.ways_of(self.index(line)).find(|way| way >> 2 == tag(line))
    }

    fn state(&self, line: LineAddr) -> LineState {
        self.find(line).map_or(LineState::Invalid, LineState::from_bits)
    }

    /// Changes the state of a present line in place; removes it for `Invalid`.
    fn set_state(&mut self, line: LineAddr, state: LineState) {
        let (recent, older) = self.set(line);
        if *recent >> 2 != tag(line) {
            if let Some(at) = position(older, line) {
                change(older, at, line, state);
            }
        } else if state != LineState::Invalid {
            *recent = pack(line, state);
        } else {
            *recent = older.first().copied().unwrap_or(0);
            if !older.is_empty() {
                remove(older, 0);
            }
        }
    }

    /// Puts `line` first in its set; returns what fell out.
    fn insert(&mut self, line: LineAddr, state: LineState) -> Option<(LineAddr, LineState)> {
        let (recent, older) = self.set(line);
        let mut out = std::mem::replace(recent, pack(line, state));
        if !older.is_empty() {
            to_front(older, older.len() - 1);
            out = std::mem::replace(&mut older[0], out);
        }
        (out != 0).then(|| (line_of(out), LineState::from_bits(out)))
    }

    /// The ways of a set but the most recent.
    fn older_of(&self, set: usize) -> &[Way] {
        &self.older[set * self.others..][..self.others]
    }

    /// The ways of a set, the most recent first.
    fn ways_of(&self, set: usize) -> impl Iterator<Item = Way> + '_ {
        std::iter::once(self.recent[set]).chain(self.older_of(set).iter().copied())
    }

    /// All ways, set by set.
    fn ways(&self) -> impl Iterator<Item = Way> + '_ {
        (0..self.recent.len()).flat_map(|set| self.ways_of(set))
    }

    fn lines(&self) -> impl Iterator<Item = (LineAddr, LineState)> + '_ {
        let present = self.ways().filter(|&way| way != 0);
        present.map(|way| (line_of(way), LineState::from_bits(way)))
    }
}

/// A [`Level1`] as it is written down: all ways in one list.
#[derive(Serialize, Deserialize)]
struct Level1Image {
    mask: u64,
    ways: usize,
    entries: Vec<Way>,
}

impl From<Level1> for Level1Image {
    fn from(cache: Level1) -> Self {
        let entries = cache.ways().collect();
        Level1Image { mask: cache.mask, ways: cache.others + 1, entries }
    }
}

impl From<Level1Image> for Level1 {
    fn from(image: Level1Image) -> Self {
        let ways = image.ways.max(1);
        let (mut recent, mut older) = (Vec::new(), Vec::new());
        for set in image.entries.chunks(ways) {
            recent.push(set[0]);
            older.extend(&set[1..]);
        }
        Level1 { mask: image.mask, recent, older, others: ways - 1 }
    }
}

/// Elements per copy-on-write chunk of an L2.
const L2_CHUNK: usize = 256;

/// The private L2: larger, so copy-on-write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Level2 {
    mask: u64,
    ways: usize,
    entries: CowArray<Way, L2_CHUNK>,
}

impl Level2 {
    fn new(sets: u32, ways: u32) -> Self {
        assert!(sets.is_power_of_two(), "L2 sets were validated to be a power of two");
        assert!(L2_CHUNK.is_multiple_of(ways as usize), "L2 ways were validated to divide 256");
        let entries = CowArray::new((sets * ways) as usize);
        Level2 { mask: u64::from(sets) - 1, ways: ways as usize, entries }
    }

    fn place(&self, line: LineAddr) -> (usize, usize) {
        let first = (line.0 & self.mask) as usize * self.ways;
        (first / L2_CHUNK, first % L2_CHUNK)
    }

    fn set(&self, line: LineAddr) -> &[Way] {
        let (chunk, first) = self.place(line);
        &self.entries.chunk(chunk)[first..first + self.ways]
    }

    fn set_mut(&mut self, line: LineAddr) -> &mut [Way] {
        let (chunk, first) = self.place(line);
        let ways = self.ways;
        &mut self.entries.chunk_mut(chunk)[first..first + ways]
    }

    fn find(&self, line: LineAddr) -> Option<usize> {
        position(self.set(line), line)
    }

    fn state(&self, line: LineAddr) -> LineState {
        self.find(line).map_or(LineState::Invalid, |at| LineState::from_bits(self.set(line)[at]))
    }

    fn touch(&mut self, line: LineAddr) -> LineState {
        match self.find(line) {
            Some(0) => LineState::from_bits(self.set(line)[0]),
            Some(at) => {
                let set = self.set_mut(line);
                to_front(set, at);
                LineState::from_bits(set[0])
            }
            None => LineState::Invalid,
        }
    }

    /// Changes the state of a line that is present.
    fn set_state(&mut self, line: LineAddr, state: LineState) {
        let set = self.set_mut(line);
        if let Some(at) = position(set, line) {
            change(set, at, line, state);
        }
    }

    /// Gives `line` this state and makes it the most recent of its set: whether it was present, and
    /// what fell out if it was not.
    fn fill(&mut self, line: LineAddr, state: LineState) -> (bool, Option<(LineAddr, LineState)>) {
        let set = self.set_mut(line);
        let found = position(set, line);
        to_front(set, found.unwrap_or(set.len() - 1));
        let old = std::mem::replace(&mut set[0], pack(line, state));
        let fell_out = found.is_none() && old != 0;
        (found.is_some(), fell_out.then(|| (line_of(old), LineState::from_bits(old))))
    }
}

/// Where an access was satisfied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// L1 (data or instruction).
    L1,
    /// L2.
    L2,
    /// Not in this core: ask the home agent.
    Miss,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The line was here, modified.
    Modified,
    /// The line was here, clean.
    Clean,
    /// It was not here (silently evicted before).
    Absent,
}

/// The private caches of one core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrivateCaches {
    l1d: Level1,
    l1i: Level1,
    l2: Level2,
    /// See [`PrivateCaches::insertions`].
    #[serde(skip)]
    insertions: Insertions,
}

/// See [`PrivateCaches::insertions`]. It has no part in what a state is, nor in how it is written.
#[derive(Clone, Copy, Default)]
struct Insertions(u64);

impl std::fmt::Debug for Insertions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Insertions")
    }
}

impl PartialEq for PrivateCaches {
    fn eq(&self, other: &Self) -> bool {
        (&self.l1d, &self.l1i, &self.l2) == (&other.l1d, &other.l1i, &other.l2)
    }
}

impl PrivateCaches {
    /// Empty caches of the sizes in `spec`.
    #[must_use]
    pub fn new(spec: &MemorySpec) -> Self {
        PrivateCaches {
            l1d: Level1::new(spec.l1d_sets, spec.l1d_ways),
            l1i: Level1::new(spec.l1i_sets, spec.l1i_ways),
            l2: Level2::new(spec.l2_sets, spec.l2_ways),
            insertions: Insertions::default(),
        }
    }

    /// True if `line` is in the most recent way of its set of L1D: a read hits and changes nothing.
    /// HOT: two loads and a comparison.
    #[inline(always)]
    #[must_use]
    pub fn is_recent(&self, line: LineAddr) -> bool {
        self.l1d.recent(line) >> 2 == tag(line)
    }

    /// True if `line` is in the most recent way of its set of L1I: a fetch hits and changes nothing.
    #[inline]
    #[must_use]
    pub fn is_recent_code(&self, line: LineAddr) -> bool {
        self.l1i.recent(line) >> 2 == tag(line)
    }

    /// [`PrivateCaches::is_recent`] and writable. HOT.
    #[inline(always)]
    #[must_use]
    pub fn is_recently_owned(&self, line: LineAddr) -> bool {
        let way = self.l1d.recent(line);
        way == pack(line, LineState::Modified) || way == pack(line, LineState::Exclusive)
    }

    /// Looks `line` up for a data read.
    #[inline]
    pub fn read(&mut self, line: LineAddr) -> Level {
        if self.is_recent(line) { Level::L1 } else { self.read_older(line) }
    }

    #[inline(never)]
    fn read_older(&mut self, line: LineAddr) -> Level {
        if self.l1d.touch(line) != LineState::Invalid {
            return Level::L1;
        }
        match self.l2.touch(line) {
            LineState::Invalid => Level::Miss,
            state => {
                self.insert_l1d(line, state);
                Level::L2
            }
        }
    }

    /// True if `line` is in L1I, where it becomes the most recent of its set. HOT.
    #[inline]
    pub fn fetch_l1(&mut self, line: LineAddr) -> bool {
        self.l1i.recent(line) >> 2 == tag(line) || self.l1i.touch(line) != LineState::Invalid
    }

    /// Looks `line` up for an instruction fetch.
    #[inline]
    pub fn fetch(&mut self, line: LineAddr) -> Level {
        if self.l1i.touch(line) != LineState::Invalid {
            return Level::L1;
        }
        if self.l2.touch(line) == LineState::Invalid {
            return Level::Miss;
        }
        self.l1i.insert(line, LineState::Shared);
        Level::L2
    }

    /// State of `line` in this core.
    #[inline]
    #[must_use]
    pub fn state(&self, line: LineAddr) -> LineState {
        let recent = self.l1d.recent(line);
        if recent >> 2 == tag(line) {
            return LineState::from_bits(recent);
        }
        self.state_older(line)
    }

    #[inline(never)]
    fn state_older(&self, line: LineAddr) -> LineState {
        // A line is never dirtier in L2 than in L1D, but may be in L2 only.
        match self.l1d.state(line) {
            LineState::Invalid => self.l2.state(line),
            state => state,
        }
    }

    /// Looks `line` up for a write: if it is writable it becomes Modified in L1D. HOT.
    #[inline(always)]
    pub fn write(&mut self, line: LineAddr) -> bool {
        self.l1d.recent(line) == pack(line, LineState::Modified) || self.write_older(line)
    }

    #[inline(never)]
    fn write_older(&mut self, line: LineAddr) -> bool {
        match self.l1d.touch(line) {
            LineState::Modified => true,
            LineState::Exclusive => {
                self.l1d.set_state(line, LineState::Modified);
                true
            }
            LineState::Shared => false,
            LineState::Invalid => {
                let writable = self.l2.state(line).writable();
                if writable {
                    self.l2.touch(line);
                    self.insert_l1d(line, LineState::Modified);
                }
                writable
            }
        }
    }

    /// How often lines came into L1D, or may have become writable. Derived: it decides what is tried
    /// in vain, never what happens.
    #[inline]
    #[must_use]
    pub fn insertions(&self) -> u64 {
        self.insertions.0
    }

    /// True if `line` is not in L1D and may not be written: [`PrivateCaches::write`] changes nothing.
    #[must_use]
    pub fn is_away(&self, line: LineAddr) -> bool {
        self.l1d.find(line).is_none() && !self.l2.state(line).writable()
    }

    fn insert_l1d(&mut self, line: LineAddr, state: LineState) {
        self.insertions.0 += 1;
        if let Some((victim, LineState::Modified)) = self.l1d.insert(line, state) {
            self.l2.set_state(victim, LineState::Modified);
        }
    }

    /// Takes a line that the home agent granted. Returns an evicted line and whether it was dirty.
    pub fn fill(
        &mut self,
        line: LineAddr,
        state: LineState,
        instruction: bool,
    ) -> Option<(LineAddr, bool)> {
        self.insertions.0 += 1;
        let (present, victim) = self.l2.fill(line, state);
        let evicted = victim.map(|(victim, in_l2)| {
            let dirty = in_l2.max(self.l1d.state(victim)) == LineState::Modified;
            self.l1d.set_state(victim, LineState::Invalid);
            self.l1i.set_state(victim, LineState::Invalid);
            (victim, dirty)
        });
        // What is not in L2 is in no L1.
        if instruction {
            if !present || self.l1i.find(line).is_none() {
                self.l1i.insert(line, LineState::Shared);
            }
        } else if present && self.l1d.touch(line) != LineState::Invalid {
            self.l1d.set_state(line, state);
        } else {
            self.insert_l1d(line, state);
        }
        evicted
    }

    /// Answers a probe: the line is downgraded to `keep` (Shared or Invalid).
    pub fn probe(&mut self, line: LineAddr, keep: LineState) -> Probed {
        let found = match self.state(line) {
            LineState::Invalid => return Probed::Absent,
            LineState::Modified => Probed::Modified,
            LineState::Shared | LineState::Exclusive => Probed::Clean,
        };
        self.l1d.set_state(line, keep);
        self.l2.set_state(line, keep);
        if keep == LineState::Invalid {
            self.l1i.set_state(line, LineState::Invalid);
        }
        found
    }

    /// Makes clones cheap (see [`CowArray::freeze`]).
    pub fn freeze(&mut self) {
        self.l2.entries.freeze();
    }

    /// Every line held, with its state.
    pub fn lines(&self) -> impl Iterator<Item = (LineAddr, LineState)> + '_ {
        let l2 = self.l2.entries.written().flat_map(|chunk| self.l2.entries.chunk(chunk).iter());
        l2.filter(|&&way| way != 0).map(|&way| (line_of(way), self.state(line_of(way))))
    }

    /// What is in L1D, L1I and L2, each set's most recent line first.
    #[must_use]
    pub fn contents(&self) -> [Vec<(LineAddr, LineState)>; 3] {
        let l2 = self.l2.entries.written().flat_map(|chunk| self.l2.entries.chunk(chunk).iter());
        let l2 = l2.filter(|&&way| way != 0);
        let l2 = l2.map(|&way| (line_of(way), LineState::from_bits(way)));
        [self.l1d.lines().collect(), self.l1i.lines().collect(), l2.collect()]
    }

    /// Lines in an L1 that are missing in L2: none, if inclusion holds.
    #[must_use]
    pub fn not_included(&self) -> Vec<LineAddr> {
        let l1 = self.l1d.lines().chain(self.l1i.lines());
        l1.map(|(line, _)| line).filter(|&line| self.l2.find(line).is_none()).collect()
    }
}
