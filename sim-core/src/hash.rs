//! Hashes of what happened (trace) and of what is (state): the proof of determinism.

use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// Mixes one word into a running 64-bit state (the finaliser of `SplitMix64`, Steele et al. 2014,
/// over the sum of state and word). Not cryptographic; every input bit reaches every output bit.
fn mix(state: u64, word: u64) -> u64 {
    let mut z = state.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hash of one source's events in order. Each core and device keeps its own, so that a host which
/// computes cores in another order gets the same hashes; [`TraceHash::combine`] joins them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceHash(u64);

impl TraceHash {
    /// Adds one word.
    pub fn add(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    /// The hash of all sources together, in their order.
    #[must_use]
    pub fn combine(parts: impl IntoIterator<Item = TraceHash>) -> u64 {
        parts.into_iter().fold(0, |state, part| mix(state, part.0))
    }
}

/// A [`Hasher`] whose result is the same on every host and in every build.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateHash(u64);

impl Hasher for StateHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ chunk.len() as u64, u64::from_le_bytes(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_matters_within_a_source() {
        let hash = |words: &[u64]| {
            let mut h = TraceHash::default();
            words.iter().for_each(|&w| h.add(w));
            h
        };
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[0]), hash(&[]));
        let (a, b) = (hash(&[1]), hash(&[2]));
        assert_ne!(TraceHash::combine([a, b]), TraceHash::combine([b, a]));
    }

    #[test]
    fn state_hash_sees_length() {
        let hash = |bytes: &[u8]| {
            let mut h = StateHash::default();
            h.write(bytes);
            h.finish()
        };
        assert_ne!(hash(&[0]), hash(&[0, 0]));
        assert_eq!(hash(b"latchup"), hash(b"latchup"));
    }
}
