//! Predecoded instructions, per physical page. Derived state: it can be dropped at any time.

use crate::exec::{Access, Stall};
use crate::ids::{LINE_BYTES, PhysAddr};
use crate::mem::ram::{PAGE_BYTES, Ram};
use crate::op::{Decoded, MAX_INSTRUCTION_BYTES, Op, place};
use crate::spec::InstructionCosts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Index value: not decoded yet.
const UNKNOWN: u16 = 0;
/// Index value: a device wants to be told before this instruction executes.
const TRIGGER: u16 = u16::MAX;

/// Offset of an instruction that was forgotten, or of none.
const STALE: u16 = u16::MAX;

/// The instructions of one page, in the order in which they were first executed. Straight code
/// stands in a row there: `place::SMOOTH` tells that the next one may be executed without a look
/// at the index, the page or the line.
#[derive(Clone, Debug)]
pub struct CodePage {
    /// By byte offset: position in `ops` plus 1.
    index: [u16; PAGE_BYTES],
    ops: Vec<Op>,
    /// Byte offset of the instruction that `ops` ends with; [`STALE`] if it was forgotten.
    last: u16,
}

impl CodePage {
    /// Position of the decoded instruction at byte `offset`; one beyond all others if it
    /// is not there or something watches it. HOT.
    #[inline(always)]
    pub(crate) fn position(&self, offset: usize) -> usize {
        // UNKNOWN and TRIGGER become positions beyond any instruction.
        usize::from(self.index[offset % PAGE_BYTES].wrapping_sub(1))
    }

    /// The instructions from `position` on. HOT.
    #[inline(always)]
    pub(crate) fn from(&self, position: usize) -> &[Op] {
        self.ops.get(position..).unwrap_or_default()
    }

    fn empty() -> Self {
        CodePage { index: [UNKNOWN; PAGE_BYTES], ops: Vec::new(), last: STALE }
    }

    /// Takes the instruction at byte `offset`.
    fn add(&mut self, offset: usize, op: Op) {
        let line = |byte: usize| byte as u64 / LINE_BYTES;
        let end = offset + op.length() as usize - 1;
        let crosses = line(offset) != line(end);
        if let Some(before) = self.ops.last_mut() {
            let adjacent = usize::from(self.last) + before.length() as usize == offset;
            if adjacent && !crosses && line(usize::from(self.last)) == line(offset) {
                before.place |= place::SMOOTH;
            }
        }
        let place = if crosses { place::CROSSES } else { 0 };
        self.ops.push(Op { place, ..op });
        self.last = offset as u16;
        self.index[offset] = self.ops.len() as u16;
    }

    /// Forgets the instruction at byte `offset`, if there is one.
    fn forget(&mut self, offset: usize) {
        let position = self.position(offset);
        self.index[offset] = UNKNOWN;
        if position < self.ops.len() {
            // Whatever led on to it has to look for it from now on.
            if let Some(before) = position.checked_sub(1) {
                self.ops[before].place &= !place::SMOOTH;
            }
            if usize::from(self.last) == offset {
                self.last = STALE;
            }
        }
    }
}

/// What is known about the instruction at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Decoded.
    Op(Op),
    /// Decoded; triggers watch it.
    Triggering(Op),
}

/// All predecoded pages of a machine.
#[derive(Clone, Debug, Default)]
pub struct CodeCache {
    pages: Vec<Arc<CodePage>>,
    by_frame: BTreeMap<u64, usize>,
    /// Counts the instructions that were forgotten.
    edition: u64,
}

impl CodeCache {
    /// Handle of the page at frame `frame`, for [`CodeCache::lookup`].
    pub fn page(&mut self, frame: u64) -> usize {
        if let Some(&page) = self.by_frame.get(&frame) {
            return page;
        }
        self.pages.push(Arc::new(CodePage::empty()));
        self.by_frame.insert(frame, self.pages.len() - 1);
        self.pages.len() - 1
    }

    /// A number that changes whenever instructions are forgotten.
    #[inline]
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// The instructions of a page.
    #[inline]
    pub(crate) fn code(&self, page: usize) -> Option<&CodePage> {
        self.pages.get(page).map(|page| &**page)
    }

    /// The decoded instruction at `offset` of a page, if it is there and nothing watches it. HOT.
    #[inline]
    #[must_use]
    pub fn lookup(&self, page: usize, offset: usize) -> Option<&Op> {
        let page = &self.pages[page];
        page.from(page.position(offset)).first()
    }

    /// Decodes the instruction at `rip`, which lies at `addr` on `page`. If it is `watched`, it
    /// comes here each time it is executed.
    ///
    /// # Errors
    /// [`Stall::Unimplemented`] if the machine does not know the instruction.
    pub fn decode(
        &mut self,
        page: usize,
        addr: PhysAddr,
        rip: u64,
        ram: &Ram,
        costs: &InstructionCosts,
        watched: bool,
    ) -> Access<Lookup> {
        let mut bytes = [0u8; MAX_INSTRUCTION_BYTES];
        ram.read_bytes(addr, &mut bytes);
        let op = match Op::decode(&bytes, rip, costs) {
            Decoded::Op(op) => op,
            Decoded::NeedMore => return Err(Stall::Unimplemented),
        };
        let offset = addr.0 as usize % PAGE_BYTES;
        let code = Arc::make_mut(&mut self.pages[page]);
        if watched {
            code.index[offset] = TRIGGER;
            return Ok(Lookup::Triggering(op));
        }
        if code.ops.len() + 1 >= usize::from(TRIGGER) {
            // Rewritten over and over: start afresh.
            *code = CodePage::empty();
        }
        code.add(offset, op);
        Ok(Lookup::Op(op))
    }

    /// Forgets the instructions that overlap the `len` bytes at `addr`.
    pub fn forget(&mut self, addr: PhysAddr, len: u64) {
        for at in addr.0.saturating_sub(MAX_INSTRUCTION_BYTES as u64 - 1)..addr.0 + len {
            let Some(&page) = self.by_frame.get(&(at >> 12)) else { continue };
            let offset = at as usize % PAGE_BYTES;
            if self.pages[page].index[offset] != UNKNOWN {
                self.edition += 1;
                Arc::make_mut(&mut self.pages[page]).forget(offset);
            }
        }
    }

    /// Host bytes of all pages.
    #[must_use]
    pub fn host_bytes(&self) -> usize {
        let page = |page: &Arc<CodePage>| PAGE_BYTES * 2 + page.ops.capacity() * size_of::<Op>();
        self.pages.iter().map(page).sum()
    }
}
