//! RAM: sparse copy-on-write pages, little-endian.

use crate::ids::PhysAddr;
use serde::{Deserialize, Serialize};
use sim_core::CowArray;

/// Bytes in a page.
pub const PAGE_BYTES: usize = 4096;

/// The machine's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ram {
    pages: CowArray<u8, PAGE_BYTES>,
}

impl Ram {
    /// `bytes` of zeroed memory; pages take host memory once written.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Ram { pages: CowArray::new(usize::try_from(bytes).expect("RAM fits the host's addresses")) }
    }

    /// True if the `len` bytes at `addr` lie in RAM.
    #[inline]
    #[must_use]
    pub fn contains(&self, addr: PhysAddr, len: u64) -> bool {
        addr.0 + len <= self.pages.len() as u64
    }

    /// Reads `len` ≤ 8 bytes, zero-extended. HOT.
    #[inline(always)]
    #[must_use]
    pub fn read(&self, addr: PhysAddr, len: u64) -> u64 {
        let (page, at) = split(addr);
        match self.pages.chunk(page).get(at..at + 8) {
            Some(word) => word_of(word) & mask(len),
            None => self.read_at_end(addr, len),
        }
    }

    /// A read from the last bytes of a page.
    #[cold]
    #[inline(never)]
    fn read_at_end(&self, addr: PhysAddr, len: u64) -> u64 {
        let mut word = [0u8; 8];
        self.read_bytes(addr, &mut word[..len as usize]);
        u64::from_le_bytes(word)
    }

    /// Writes the low `len` ≤ 8 bytes of `value`. HOT.
    #[inline]
    pub fn write(&mut self, addr: PhysAddr, len: u64, value: u64) {
        let (page, at) = split(addr);
        if at + 8 > PAGE_BYTES {
            return self.write_bytes(addr, &value.to_le_bytes()[..len as usize]);
        }
        // Eight bytes at once, whatever the length: no loop over bytes.
        let word = &mut self.pages.chunk_mut(page)[at..at + 8];
        let new = word_of(word) & !mask(len) | value & mask(len);
        word.copy_from_slice(&new.to_le_bytes());
    }

    /// Writes the low `len` ≤ 8 bytes of `value`, unless they lie there; gives the bits that it
    /// changes. HOT: a store becomes visible.
    #[inline(always)]
    pub fn replace(&mut self, addr: PhysAddr, len: u64, value: u64) -> u64 {
        let (page, at) = split(addr);
        if let Some(word) = self.pages.own_chunk(page).and_then(|own| own.get_mut(at..at + 8)) {
            let before = word_of(word);
            let change = (before ^ value) & mask(len);
            if change != 0 {
                word.copy_from_slice(&(before ^ change).to_le_bytes());
            }
            return change;
        }
        self.replace_shared(addr, len, value)
    }

    /// On a page that is shared with clones, or at its end.
    #[cold]
    #[inline(never)]
    fn replace_shared(&mut self, addr: PhysAddr, len: u64, value: u64) -> u64 {
        let change = self.read(addr, len) ^ value & mask(len);
        if change != 0 {
            self.write(addr, len, value);
        }
        change
    }

    /// The bytes of a page.
    #[inline]
    #[must_use]
    pub fn page(&self, number: usize) -> &[u8; PAGE_BYTES] {
        self.pages.chunk(number)
    }

    /// The bytes of a page for writing, unless clones share it.
    #[inline]
    pub fn own_page(&mut self, number: usize) -> Option<&mut [u8; PAGE_BYTES]> {
        self.pages.own_chunk(number)
    }

    /// Reads any number of bytes; bytes outside RAM read as 0xff.
    pub fn read_bytes(&self, addr: PhysAddr, bytes: &mut [u8]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            let addr = PhysAddr(addr.0 + i as u64);
            let (page, at) = split(addr);
            *byte = if self.contains(addr, 1) { self.pages.chunk(page)[at] } else { 0xff };
        }
    }

    /// Writes any number of bytes; bytes outside RAM are dropped.
    pub fn write_bytes(&mut self, addr: PhysAddr, bytes: &[u8]) {
        let mut addr = addr;
        let mut rest = bytes;
        while !rest.is_empty() && self.contains(addr, 1) {
            let (page, at) = split(addr);
            let here = rest.len().min(PAGE_BYTES - at);
            self.pages.chunk_mut(page)[at..at + here].copy_from_slice(&rest[..here]);
            addr = PhysAddr(addr.0 + here as u64);
            rest = &rest[here..];
        }
    }

    /// Makes clones cheap (see [`CowArray::freeze`]).
    pub fn freeze(&mut self) {
        self.pages.freeze();
    }

    /// Host bytes held by written pages.
    #[must_use]
    pub fn host_bytes(&self) -> usize {
        self.pages.bytes()
    }
}

/// The low `len` ≤ 8 bytes of a word.
#[inline(always)]
fn mask(len: u64) -> u64 {
    u64::MAX >> (64 - 8 * len)
}

#[inline(always)]
fn word_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

#[inline(always)]
fn split(addr: PhysAddr) -> (usize, usize) {
    ((addr.0 / PAGE_BYTES as u64) as usize, (addr.0 % PAGE_BYTES as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cross_pages() {
        let mut ram = Ram::new(3 * PAGE_BYTES as u64);
        let addr = PhysAddr(PAGE_BYTES as u64 - 3);
        ram.write(addr, 8, 0x1122_3344_5566_7788);
        assert_eq!(ram.read(addr, 8), 0x1122_3344_5566_7788);
        assert_eq!(ram.read(PhysAddr(addr.0 + 3), 2), 0x4455);
        ram.write(PhysAddr(8), 4, 0xffff_ffff_0000_0001);
        assert_eq!(ram.read(PhysAddr(8), 8), 1);
    }

    #[test]
    fn outside_reads_as_ones() {
        let mut ram = Ram::new(PAGE_BYTES as u64);
        ram.write_bytes(PhysAddr(PAGE_BYTES as u64 - 1), &[1, 2]);
        let mut bytes = [0; 2];
        ram.read_bytes(PhysAddr(PAGE_BYTES as u64 - 1), &mut bytes);
        assert_eq!(bytes, [1, 0xff]);
    }
}
