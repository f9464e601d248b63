//! Predecoded instructions, per physical page. Derived state: it can be dropped at any time.

use crate::exec::{Access, Stall};
use crate::ids::PhysAddr;
use crate::mem::ram::{PAGE_BYTES, Ram};
use crate::op::{Decoded, MAX_INSTRUCTION_BYTES, Op};
use crate::spec::InstructionCosts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Index value: not decoded yet.
const UNKNOWN: u16 = 0;
/// Index value: a device wants to be told before this instruction executes.
const TRIGGER: u16 = u16::MAX;

/// Start of an instruction that was forgotten.
const STALE: u16 = u16::MAX;

/// The instructions of one page.
#[derive(Clone, Debug)]
pub struct CodePage {
    /// By byte offset: index into `ops` plus 1.
    index: [u16; PAGE_BYTES],
    ops: Vec<Op>,
    /// Byte offset of each of `ops`; [`STALE`] if it was forgotten.
    starts: Vec<u16>,
}

impl CodePage {
    /// The decoded instruction at byte `offset`, if it is there and nothing watches it. Looks first
    /// where `cursor` points: right behind the last instruction, which is where straight code
    /// goes on; a wrong guess costs one look into the index. HOT.
    #[inline(always)]
    pub(crate) fn next(&self, cursor: &mut usize, offset: usize) -> Option<&Op> {
        if self.starts.get(*cursor).is_none_or(|&start| usize::from(start) != offset) {
            let index = self.index[offset % PAGE_BYTES];
            if index == UNKNOWN || index == TRIGGER {
                return None;
            }
            *cursor = usize::from(index) - 1;
        }
        let op = self.ops.get(*cursor);
        *cursor += 1;
        op
    }

    fn empty() -> Self {
        CodePage { index: [UNKNOWN; PAGE_BYTES], ops: Vec::new(), starts: Vec::new() }
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
    /// Counts how often instructions were forgotten.
    generation: u64,
}

impl CodeCache {
    /// Changes whenever a decoded instruction may no longer be what is in memory.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Handle of the page at frame `frame`, for [`CodeCache::lookup`].
    pub fn page(&mut self, frame: u64) -> usize {
        if let Some(&page) = self.by_frame.get(&frame) {
            return page;
        }
        self.pages.push(Arc::new(CodePage::empty()));
        self.by_frame.insert(frame, self.pages.len() - 1);
        self.pages.len() - 1
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
        let index = page.index[offset % PAGE_BYTES];
        if index == UNKNOWN || index == TRIGGER {
            return None;
        }
        page.ops.get(usize::from(index) - 1)
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
        code.ops.push(op);
        code.starts.push(offset as u16);
        code.index[offset] = code.ops.len() as u16;
        Ok(Lookup::Op(op))
    }

    /// Forgets the instructions that overlap the `len` bytes at `addr`.
    pub fn forget(&mut self, addr: PhysAddr, len: u64) {
        for at in addr.0.saturating_sub(MAX_INSTRUCTION_BYTES as u64 - 1)..addr.0 + len {
            let Some(&page) = self.by_frame.get(&(at >> 12)) else { continue };
            let offset = at as usize % PAGE_BYTES;
            let index = self.pages[page].index[offset];
            if index != UNKNOWN {
                self.generation += 1;
                let code = Arc::make_mut(&mut self.pages[page]);
                code.index[offset] = UNKNOWN;
                if index != TRIGGER {
                    code.starts[usize::from(index) - 1] = STALE;
                }
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
