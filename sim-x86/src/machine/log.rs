//! Records on their way to the observer, and the pages whose writes somebody wants to know of.

use crate::core::code::CodeCache;
use crate::ids::{CoreId, DeviceId, LineAddr, PhysAddr};
use crate::tile::Tracker;
use crate::trace::{Actor, Observer, Record, Trace, TraceMask};
use bitvec::vec::BitVec;
use sim_core::Cycle;
use std::sync::Arc;

/// A set of page frames, shared between forks until one of them adds to it.
#[derive(Clone, Debug, Default)]
struct PageSet(Arc<BitVec<u64>>);

impl PageSet {
    fn add(&mut self, addr: PhysAddr) {
        let frame = (addr.0 >> 12) as usize;
        if !self.holds(addr) {
            let bits = Arc::make_mut(&mut self.0);
            if frame >= bits.len() {
                bits.resize(frame + 1, false);
            }
            bits.set(frame, true);
        }
    }

    #[inline]
    fn holds(&self, addr: PhysAddr) -> bool {
        let frame = addr.0 >> 12;
        let word = self.0.as_raw_slice().get((frame >> 6) as usize);
        word.is_some_and(|word| word >> (frame & 63) & 1 != 0)
    }
}

/// Words of a [`LineFilter`].
const FILTER_WORDS: usize = 1024;

/// A set of cache lines by the low bits of their addresses: it may hold more than was added, never
/// less, and takes 8 KB.
#[derive(Clone, Debug)]
struct LineFilter(Box<[u64; FILTER_WORDS]>);

impl LineFilter {
    /// Adds those lines of the frame of `addr` whose bits are set.
    fn add(&mut self, addr: PhysAddr, lines: u64) {
        self.0[(addr.0 >> 12) as usize % FILTER_WORDS] |= lines;
    }

    #[inline(always)]
    fn may_hold(&self, addr: PhysAddr) -> bool {
        self.0[(addr.0 >> 12) as usize % FILTER_WORDS] >> (addr.line().0 & 63) & 1 != 0
    }
}

/// A set of byte ranges, sorted and disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds the `len` bytes at `addr`.
    pub fn add(&mut self, addr: PhysAddr, len: u64) {
        self.0.push((addr.0, addr.0 + len));
        self.0.sort_unstable();
        self.0.dedup_by(|next, kept| {
            let joined = next.0 <= kept.1;
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
    }

    /// True if any of the `len` bytes at `addr` is in the set.
    #[must_use]
    pub fn touch(&self, addr: PhysAddr, len: u64) -> bool {
        let after = self.0.partition_point(|&(first, _)| first < addr.0 + len);
        after > 0 && self.0[after - 1].1 > addr.0
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

/// What observers want, and the records of the current window. Derived: it never changes a result.
#[derive(Clone, Debug)]
pub struct TraceLog {
    mask: TraceMask,
    records: Vec<Record>,
    /// Words whose reads and writes are reported.
    watched: Ranges,
    /// Words whose writes stop the run.
    stops: Ranges,
    /// Lines with watched words or stop words, and all lines of frames with decoded code.
    filter: LineFilter,
    /// Counts what was added to the filter.
    edition: u64,
    /// Frames with decoded code.
    code: PageSet,
    /// Writes that may have hit decoded code.
    code_writes: Vec<PhysAddr>,
    /// Per core: in user mode, as far as the observer was told.
    user: Vec<bool>,
    /// What finds the tile of this run, if it is tracked.
    pub tracker: Option<Box<Tracker>>,
}

impl TraceLog {
    /// For a machine of `cores` CPUs; nothing is wanted yet.
    #[must_use]
    pub fn new(cores: u32) -> Self {
        TraceLog {
            mask: TraceMask::default(),
            records: Vec::new(),
            watched: Ranges::default(),
            stops: Ranges::default(),
            filter: LineFilter(Box::new([0; FILTER_WORDS])),
            edition: 0,
            code: PageSet::default(),
            code_writes: Vec::new(),
            user: vec![false; cores as usize],
            tracker: None,
        }
    }

    /// Takes over what the observer of a run wants.
    pub fn begin(&mut self, mask: TraceMask) {
        self.mask = mask;
    }

    /// Reports reads and writes of the `len` bytes at `addr` from now on.
    pub fn watch(&mut self, addr: PhysAddr, len: u64) {
        self.watched.add(addr, len);
        self.add_to_filter(addr, len);
    }

    /// Sets the words whose writes stop the run.
    pub fn set_stops(&mut self, stops: Ranges) {
        for (first, end) in stops.iter() {
            self.add_to_filter(PhysAddr(first), end - first);
        }
        self.stops = stops;
    }

    /// A number that changes whenever more lines are watched.
    #[must_use]
    pub fn watch_edition(&self) -> u64 {
        self.edition
    }

    fn add_to_filter(&mut self, addr: PhysAddr, len: u64) {
        self.edition += 1;
        for line in addr.line().0..=PhysAddr(addr.0 + len - 1).line().0 {
            self.filter.add(LineAddr(line).base(), 1 << (line & 63));
        }
    }

    /// Instructions of the page at `addr` (and of those that run over into the next) are decoded.
    pub fn watch_code(&mut self, addr: PhysAddr) {
        for addr in [addr, PhysAddr(addr.0 + 4096)] {
            self.edition += u64::from(!self.code.holds(addr));
            self.filter.add(addr, u64::MAX);
            self.code.add(addr);
        }
    }

    /// True if a write to the line of `addr` may interest anybody. HOT.
    #[inline(always)]
    #[must_use]
    pub fn watches(&self, addr: PhysAddr) -> bool {
        self.filter.may_hold(addr)
    }

    /// True if the observer wants writes and watches this word.
    #[must_use]
    pub fn watches_word(&self, addr: PhysAddr, size: u8) -> bool {
        (self.mask.writes || self.mask.reads) && self.watched.touch(addr, u64::from(size))
    }

    /// True if a write to this word stops the run.
    #[must_use]
    pub fn stops_at(&self, addr: PhysAddr, size: u8) -> bool {
        self.stops.touch(addr, u64::from(size))
    }

    /// True if the observer wants [`Trace::Read`].
    #[inline]
    #[must_use]
    pub fn wants_reads(&self) -> bool {
        self.mask.reads
    }

    /// True if the observer wants [`Trace::Retire`].
    #[inline]
    #[must_use]
    pub fn wants_retire(&self) -> bool {
        self.mask.retire
    }

    /// True if the observer wants control transfers.
    #[inline]
    #[must_use]
    pub fn wants_control(&self) -> bool {
        self.mask.control
    }

    /// Notes which ring a core is in; true if that is news.
    pub fn user_mode(&mut self, core: CoreId, user: bool) -> bool {
        std::mem::replace(&mut self.user[core.index()], user) != user
    }

    /// Records what a core did, if it is of a wanted kind.
    pub fn core(&mut self, at: Cycle, core: CoreId, what: Trace) {
        self.push(at, Actor::Core(core), what);
    }

    /// Records a control transfer of a core.
    pub fn core_control(&mut self, at: Cycle, core: CoreId, what: Trace) {
        if self.mask.control {
            self.push(at, Actor::Core(core), what);
        }
    }

    /// Records what a device did.
    pub fn device(&mut self, at: Cycle, device: DeviceId, what: Trace) {
        self.push(at, Actor::Device(device), what);
    }

    fn push(&mut self, at: Cycle, actor: Actor, what: Trace) {
        let wanted = match what {
            Trace::Write { .. } => self.mask.writes,
            Trace::Read { .. } => self.mask.reads,
            Trace::Enter { .. } | Trace::Leave { .. } | Trace::Halt | Trace::Wake => {
                self.mask.control
            }
            Trace::Ipi { .. }
            | Trace::Arrive { .. }
            | Trace::DeviceWrite { .. }
            | Trace::DeviceInterrupt { .. }
            | Trace::DeviceRequest { .. }
            | Trace::DeviceReply { .. } => self.mask.messages,
            Trace::Console(_) => self.mask.console,
            Trace::Retire { .. } => self.mask.retire,
        };
        if wanted {
            self.records.push(Record { at, actor, what });
        }
    }

    /// Hands the records before `until` to the observer, in order of (cycle, actor, order within
    /// the actor). Everything before the end of a window is complete.
    pub fn deliver(&mut self, until: Cycle, observer: &mut dyn Observer) {
        if self.records.is_empty() {
            return;
        }
        self.records.sort_by_key(|record| (record.at, record.actor));
        let ready = self.records.partition_point(|record| record.at < until);
        for record in self.records.drain(..ready) {
            observer.on(&record);
        }
    }

    /// True if enough records wait to be worth handing over.
    #[inline]
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.records.len() >= 1024
    }

    /// A watched page was written: decoded instructions there may be stale. True if so.
    pub fn code_written(&mut self, addr: PhysAddr) -> bool {
        let code = self.code.holds(addr);
        if code {
            self.code_writes.push(addr);
        }
        code
    }

    /// True if [`TraceLog::forget_code`] has something to do. HOT.
    #[inline]
    #[must_use]
    pub fn code_dirty(&self) -> bool {
        !self.code_writes.is_empty()
    }

    /// Drops decoded instructions that were written over.
    pub fn forget_code(&mut self, code: &mut CodeCache) {
        for addr in self.code_writes.drain(..) {
            code.forget(addr, 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_find() {
        let mut ranges = Ranges::default();
        ranges.add(PhysAddr(100), 4);
        ranges.add(PhysAddr(104), 4);
        ranges.add(PhysAddr(200), 1);
        assert_eq!(ranges.0, [(100, 108), (200, 201)]);
        assert!(ranges.touch(PhysAddr(96), 5));
        assert!(!ranges.touch(PhysAddr(96), 4));
        assert!(ranges.touch(PhysAddr(107), 1));
        assert!(!ranges.touch(PhysAddr(108), 92));
        assert!(ranges.touch(PhysAddr(108), 93));
    }
}
