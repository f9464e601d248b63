//! Recorded outcomes: what a processor made of the first cases of a seed, as differences from the
//! state that each began with.
//!
//! Numbers are LEB128 unless it says otherwise. The file begins with [`FORMAT`], the seed (8 bytes,
//! little endian) and the number of records. Cases that were not recorded (they leave what a case
//! may touch) are counted before each record.

use crate::{Case, DATA_BYTES, End, Outcome};

/// First bytes of a file.
pub const FORMAT: &[u8; 8] = b"latchup1";

/// Longest run of unchanged bytes that is stored rather than skipped.
const GAP: usize = 2;

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorsError {
    /// It does not begin with [`FORMAT`].
    #[error("this is not a file of recorded outcomes")]
    Format,
    /// It ends too early, or a number in it is impossible.
    #[error("record {0} is damaged")]
    Damaged(u64),
}

/// A recorded outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Number of the case.
    pub index: u64,
    /// [`Case::fingerprint`] of the case that was executed.
    pub fingerprint: u16,
    end: End,
    rip: u64,
    rflags: u64,
    gpr: Vec<(u8, u64)>,
    memory: Vec<(u16, Vec<u8>)>,
}

impl Delta {
    /// What `case` and its masked `outcome` differ in.
    #[must_use]
    pub fn new(case: &Case, outcome: &Outcome) -> Self {
        let changed =
            (0..16_u8).filter(|&n| outcome.gpr[usize::from(n)] != case.gpr[usize::from(n)]);
        Delta {
            index: case.index,
            fingerprint: case.fingerprint(),
            end: outcome.end,
            rip: outcome.rip.wrapping_sub(case.start),
            rflags: outcome.rflags ^ case.rflags,
            gpr: changed.map(|n| (n, outcome.gpr[usize::from(n)])).collect(),
            memory: runs(&case.memory, &outcome.memory),
        }
    }

    /// How the case ended.
    #[must_use]
    pub fn ended(&self) -> End {
        self.end
    }

    /// The outcome that was recorded.
    #[must_use]
    pub fn apply(&self, case: &Case) -> Outcome {
        let mut outcome = Outcome {
            end: self.end,
            rip: self.rip.wrapping_add(case.start),
            gpr: case.gpr,
            rflags: self.rflags ^ case.rflags,
            memory: case.memory.clone(),
        };
        for &(n, value) in &self.gpr {
            outcome.gpr[usize::from(n & 15)] = value;
        }
        for (at, bytes) in &self.memory {
            let at = usize::from(*at);
            if let Some(slot) = outcome.memory.get_mut(at..at + bytes.len()) {
                slot.copy_from_slice(bytes);
            }
        }
        outcome
    }
}

/// Runs of changed bytes.
fn runs(old: &[u8], new: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut runs: Vec<(u16, Vec<u8>)> = Vec::new();
    for at in (0..DATA_BYTES.min(new.len())).filter(|&at| old[at] != new[at]) {
        match runs.last_mut() {
            Some((start, bytes)) if at - usize::from(*start) <= bytes.len() + GAP => {
                let next = usize::from(*start) + bytes.len();
                bytes.extend_from_slice(&new[next..=at]);
            }
            _ => runs.push((at as u16, vec![new[at]])),
        }
    }
    runs
}

/// A file of recorded outcomes, being written or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vectors {
    /// The seed of the generator.
    pub seed: u64,
    /// The records, in ascending order of index.
    pub records: Vec<Delta>,
}

impl Vectors {
    /// The file's bytes, not compressed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = FORMAT.to_vec();
        out.extend_from_slice(&self.seed.to_le_bytes());
        number(&mut out, self.records.len() as u64);
        let mut next = 0;
        for record in &self.records {
            number(&mut out, record.index - next);
            next = record.index + 1;
            write(&mut out, record);
        }
        out
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// It is no such file, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorsError> {
        let rest = bytes.strip_prefix(FORMAT).ok_or(VectorsError::Format)?;
        let mut reader = Reader(rest);
        let head = |reader: &mut Reader<'_>| Some((reader.word()?, reader.number()?));
        let (seed, count) = head(&mut reader).ok_or(VectorsError::Damaged(0))?;
        let mut records = Vec::new();
        let mut next = 0;
        for n in 0..count {
            let record = read(&mut reader, next).ok_or(VectorsError::Damaged(n))?;
            next = record.index + 1;
            records.push(record);
        }
        Ok(Vectors { seed, records })
    }
}

fn write(out: &mut Vec<u8>, record: &Delta) {
    out.extend_from_slice(&record.fingerprint.to_le_bytes());
    match record.end {
        End::Ran => out.push(0xff),
        End::Fault { vector, error, address } => {
            out.push(vector);
            number(out, error.into());
            number(out, address);
        }
    }
    // Small distances of either sign become small numbers.
    number(out, record.rip << 1 ^ (record.rip as i64 >> 63) as u64);
    number(out, record.rflags);
    let set = record.gpr.iter().fold(0, |set, (n, _)| set | 1_u64 << n);
    number(out, set);
    for (_, value) in &record.gpr {
        out.extend_from_slice(&value.to_le_bytes());
    }
    number(out, record.memory.len() as u64);
    for (at, bytes) in &record.memory {
        number(out, u64::from(*at));
        number(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn read(reader: &mut Reader<'_>, next: u64) -> Option<Delta> {
    let index = next.checked_add(reader.number()?)?;
    let fingerprint = u16::from_le_bytes(reader.take(2)?.try_into().ok()?);
    let end = match reader.take(1)?[0] {
        0xff => End::Ran,
        vector => End::Fault { vector, error: reader.number()? as u16, address: reader.number()? },
    };
    let zigzag = reader.number()?;
    let rip = zigzag >> 1 ^ (zigzag & 1).wrapping_neg();
    let rflags = reader.number()?;
    let set = reader.number()?;
    let mut gpr = Vec::new();
    for n in (0..16_u8).filter(|n| set >> n & 1 != 0) {
        gpr.push((n, reader.word()?));
    }
    let mut memory = Vec::new();
    for _ in 0..reader.number()? {
        let at = u16::try_from(reader.number()?).ok()?;
        let length = usize::try_from(reader.number()?).ok()?;
        memory.push((at, reader.take(length)?.to_vec()));
    }
    Some(Delta { index, fingerprint, end, rip, rflags, gpr, memory })
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, is_supported};

    fn changed(case: &Case) -> Outcome {
        let mut memory = case.memory.clone();
        memory[7] ^= 1;
        memory[9] ^= 1;
        memory[DATA_BYTES - 1] ^= 0x80;
        let mut gpr = case.gpr;
        gpr[15] = !gpr[15];
        let end = End::Fault { vector: 14, error: 6, address: 0xffff_8000_0000_0000 };
        Outcome { end, rip: case.start - 3, gpr, rflags: case.rflags ^ 1, memory }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut generator = Generator::new(7, is_supported);
        let mut vectors = Vectors { seed: 7, records: Vec::new() };
        for index in [0, 1, 5] {
            let case = generator.case(index).clone();
            vectors.records.push(Delta::new(&case, &changed(&case)));
        }
        assert_eq!(Vectors::from_bytes(&vectors.to_bytes()), Ok(vectors.clone()));
        let case = generator.case(5).clone();
        assert_eq!(vectors.records[2].apply(&case), changed(&case));
    }

    #[test]
    fn a_cut_file_is_refused() {
        let mut generator = Generator::new(7, is_supported);
        let case = generator.case(0).clone();
        let vectors = Vectors { seed: 7, records: vec![Delta::new(&case, &changed(&case))] };
        let bytes = vectors.to_bytes();
        for length in 0..bytes.len() {
            assert!(Vectors::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
    }
}
