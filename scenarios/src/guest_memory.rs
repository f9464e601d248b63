//! Reading a guest's memory without disturbing it, behind one narrow trait.

/// Memory as the guest's kernel sees it. The machine implements it, and so do small fakes in tests.
pub trait GuestMemory {
    /// Fills `bytes` from linear address `va`; false if any byte of it is not mapped, in which
    /// case the contents of `bytes` are unspecified.
    fn read(&self, va: u64, bytes: &mut [u8]) -> bool;

    /// Little-endian 16-bit value at `va`.
    fn read_u16(&self, va: u64) -> Option<u16> {
        let mut bytes = [0; 2];
        self.read(va, &mut bytes).then(|| u16::from_le_bytes(bytes))
    }

    /// Little-endian 32-bit value at `va`.
    fn read_u32(&self, va: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(va, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    /// Little-endian 64-bit value at `va`.
    fn read_u64(&self, va: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(va, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// Text of at most `max` bytes at `va`, up to the first NUL; bytes outside ASCII become `?`.
    fn read_text(&self, va: u64, max: usize) -> Option<String> {
        let mut bytes = vec![0; max];
        if !self.read(va, &mut bytes) {
            return None;
        }
        let shown = |b: &u8| if (0x20..0x7f).contains(b) { char::from(*b) } else { '?' };
        Some(bytes.iter().take_while(|b| **b != 0).map(shown).collect())
    }
}

/// A guest memory made of a few byte strings, for tests and for images read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseMemory {
    parts: Vec<(u64, Vec<u8>)>,
}

impl SparseMemory {
    /// Puts `bytes` at `va`, over what was there.
    pub fn put(&mut self, va: u64, bytes: &[u8]) {
        for (at, byte) in (va..).zip(bytes) {
            let known = self.parts.iter_mut().find_map(|(start, part)| {
                part.get_mut(usize::try_from(at.checked_sub(*start)?).ok()?)
            });
            match known {
                Some(slot) => *slot = *byte,
                None => self.append(at, *byte),
            }
        }
    }

    /// Puts a little-endian 64-bit value at `va`.
    pub fn put_u64(&mut self, va: u64, value: u64) {
        self.put(va, &value.to_le_bytes());
    }

    fn append(&mut self, at: u64, byte: u8) {
        match self.parts.iter_mut().find(|(start, part)| start + part.len() as u64 == at) {
            Some((_, part)) => part.push(byte),
            None => self.parts.push((at, vec![byte])),
        }
    }

    fn byte(&self, va: u64) -> Option<u8> {
        self.parts.iter().find_map(|(start, part)| {
            part.get(usize::try_from(va.checked_sub(*start)?).ok()?).copied()
        })
    }
}

impl GuestMemory for SparseMemory {
    fn read(&self, va: u64, bytes: &mut [u8]) -> bool {
        for (at, slot) in (va..).zip(bytes) {
            match self.byte(at) {
                Some(byte) => *slot = byte,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_span_parts_and_holes_are_refused() {
        let mut memory = SparseMemory::default();
        memory.put_u64(0x1000, 0x1122_3344_5566_7788);
        memory.put(0x1008, b"swapper\0");
        assert_eq!(memory.read_u32(0x1004), Some(0x1122_3344));
        assert_eq!(memory.read_text(0x1008, 8).as_deref(), Some("swapper"));
        assert_eq!(memory.read_u64(0x100c), None);
        memory.put(0x1000, &[1]);
        assert_eq!(memory.read_u16(0x1000), Some(0x7701));
    }
}
