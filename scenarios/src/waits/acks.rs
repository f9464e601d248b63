//! CPU masks in which the targets of an IPI clear their bits to acknowledge it.

use serde::{Deserialize, Serialize};
use sim_x86::ids::PhysAddr;

/// A mask of CPUs that have not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckMask {
    /// Its name, e.g. `flush_state[3].flush_cpumask`.
    pub name: String,
    /// Physical address of its first 64-bit word.
    pub addr: PhysAddr,
    /// Number of words in use: one per 64 CPUs.
    pub words: u32,
}

/// What is known of one mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckState {
    mask: AckMask,
    bits: Vec<u64>,
    raised: Option<(u64, u32)>,
}

impl AckState {
    /// An empty mask.
    #[must_use]
    pub fn new(mask: AckMask) -> Self {
        AckState { bits: vec![0; mask.words as usize], mask, raised: None }
    }

    /// The mask watched.
    #[must_use]
    pub fn mask(&self) -> &AckMask {
        &self.mask
    }

    /// Cycle at which the mask was last set, and the CPU that waits for it to become empty.
    #[must_use]
    pub fn raised(&self) -> Option<(u64, u32)> {
        self.raised
    }

    /// CPUs whose bits are set.
    #[must_use]
    pub fn missing(&self) -> Vec<u32> {
        let bits = self.bits.iter().zip(0_u32..).flat_map(|(word, index)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
        });
        bits.collect()
    }

    /// The word at `index` as it was before a write that covers it in part.
    #[must_use]
    pub fn word(&self, index: usize) -> u64 {
        self.bits.get(index).copied().unwrap_or(0)
    }

    /// Takes note of a write. Returns the CPU that begins (`true`) or ends (`false`) its wait.
    /// A plain store sets the mask; the locked ones are acknowledgements.
    pub fn written(
        &mut self,
        at: u64,
        cpu: u32,
        index: usize,
        value: u64,
        locked: bool,
    ) -> Option<(u32, bool)> {
        *self.bits.get_mut(index)? = value;
        let empty = self.bits.iter().all(|word| *word == 0);
        if empty {
            return self.raised.take().map(|(_, sender)| (sender, false));
        }
        if locked || self.raised.is_some() {
            return None;
        }
        self.raised = Some((at, cpu));
        Some((cpu, true))
    }
}
