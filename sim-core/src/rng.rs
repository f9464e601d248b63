//! Named random streams: the only source of chance in a run.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// One component's own random stream, a pure function of (seed, name): adding a component, or
/// drawing more from one, never changes what another draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    rng: ChaCha8Rng,
}

impl Stream {
    /// The stream called `name` under `seed`.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a folds the name into ChaCha's 64-bit stream number; the seed keys the cipher.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let number = name.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        Stream { rng }
    }

    /// A uniformly distributed word.
    pub fn word(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `lo..=hi`; `lo` if the range is empty. Unbiased (rejection).
    pub fn between(&mut self, lo: u64, hi: u64) -> u64 {
        let Some(span) = hi.checked_sub(lo) else { return lo };
        let Some(size) = span.checked_add(1) else { return self.word() };
        let limit = u64::MAX - (u64::MAX % size + 1) % size;
        loop {
            let word = self.word();
            if word <= limit {
                return lo + word % size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let draw = |seed, name: &str| Stream::new(seed, name).word();
        assert_eq!(draw(1, "ioc0"), draw(1, "ioc0"));
        assert_ne!(draw(1, "ioc0"), draw(1, "eth0"));
        assert_ne!(draw(1, "ioc0"), draw(2, "ioc0"));
    }

    #[test]
    fn between_covers_its_range_and_nothing_else() {
        let mut stream = Stream::new(7, "die");
        let mut seen = [0u32; 6];
        for _ in 0..6_000 {
            seen[usize::try_from(stream.between(1, 6) - 1).expect("1..=6")] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1_200).contains(&n)), "{seen:?}");
        assert_eq!(stream.between(9, 9), 9);
    }

    #[test]
    fn unit_is_below_one() {
        let mut stream = Stream::new(3, "u");
        let mean = (0..10_000).map(|_| stream.unit()).inspect(|&u| assert!(u < 1.0)).sum::<f64>();
        assert!((mean / 10_000.0 - 0.5).abs() < 0.02);
    }
}
