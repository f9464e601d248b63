//! A set of states that numbers them in the order in which they came.

/// The packed states, and where each of them is. Whole states are kept: two are never taken for
/// one.
#[derive(Debug)]
pub(crate) struct Table {
    states: Vec<u128>,
    /// Open addressing: the number of a state plus 1, or 0; above it half of the state's hash, so
    /// that other states are seldom looked at. A power of two of them.
    slots: Vec<u64>,
}

/// The least number of slots.
const LEAST: usize = 1 << 12;

impl Table {
    pub(crate) fn new() -> Self {
        Table { states: Vec::new(), slots: vec![0; LEAST] }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn get(&self, index: u32) -> u128 {
        self.states[index as usize]
    }

    /// The number of a state.
    pub(crate) fn find(&self, state: u128) -> Option<u32> {
        self.slot(state).1
    }

    /// Its slot and number, or the slot in which to put it.
    fn slot(&self, state: u128) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let hash = mix(state);
        let mut at = hash as usize & mask;
        loop {
            let (found, half) = (self.slots[at] as u32, self.slots[at] >> 32);
            if found == 0 {
                return (at, None);
            }
            if half == hash >> 32 && self.states[found as usize - 1] == state {
                return (at, Some(found - 1));
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a state; its number if it is new.
    pub(crate) fn insert(&mut self, state: u128) -> Option<u32> {
        let (at, None) = self.slot(state) else { return None };
        let number = u32::try_from(self.states.len()).expect("fewer than 2^32 states");
        self.slots[at] = u64::from(number + 1) | mix(state) >> 32 << 32;
        self.states.push(state);
        if self.states.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        Some(number)
    }

    fn grow(&mut self) {
        let count = self.slots.len() * 2;
        // The old ones go first: both together would be half as much again.
        self.slots = Vec::new();
        self.slots = vec![0; count];
        for (number, &state) in (1..).zip(&self.states) {
            let hash = mix(state);
            let mut at = hash as usize & (count - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (count - 1);
            }
            self.slots[at] = number | hash >> 32 << 32;
        }
    }
}

/// Spreads the bits of a state.
fn mix(state: u128) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let low = (state as u64 ^ (state >> 64) as u64 ^ ODD).wrapping_mul(ODD);
    let both = (low ^ low >> 29).wrapping_add((state >> 64) as u64).wrapping_mul(ODD);
    both ^ both >> 32
}
