//! The timings under which a test is run: try number and seed decide everything.
//!
//! Tries come in blocks. A block shares an [`Arrangement`]: where variables, threads and cache
//! lines are when the threads start. The first blocks go through the arrangements systematically,
//! later ones are drawn from the seed. Within a block every try has its own [`Perturbation`], from
//! a table of profiles that reaches from bare to delays much longer than any latency, under which
//! every order of loads, commits and locked operations is about as likely as any other.

use crate::program::Test;
use serde::Serialize;
use sim_core::Stream;
use sim_x86::Perturbation;

/// Tries that share an arrangement.
pub const BLOCK: u64 = 32;

/// Vector of the maskable interrupts that strike the threads.
pub const VECTOR: u8 = 0x50;

/// How the variables that the test leaves free lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Each in a line of its own.
    OwnLines,
    /// As many as fit in one line.
    OneLine,
    /// Two to a line.
    Pairs,
    /// Each in a page of its own: with its own home node.
    OwnPages,
}

/// Which packages the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packages {
    /// One die.
    One,
    /// Two packages of one die.
    Two,
    /// Packages of two dies, one or two hops apart.
    Many,
}

/// Where a line is before the threads start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warmth {
    /// In no private cache.
    Nobody,
    /// Exclusive in one CPU's.
    Exclusive(u16),
    /// Modified in one CPU's.
    Modified(u16),
    /// Shared by the CPUs whose bits are set.
    Shared(u32),
}

/// What is where when the threads start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrangement {
    /// How variables lie in memory.
    pub spread: Spread,
    /// The machine.
    pub packages: Packages,
    /// The CPU of each thread.
    pub cpus: Vec<u16>,
    /// By location: where its line is. Empty: nothing is in any cache, not even the code.
    pub warmth: Vec<Warmth>,
}

/// CPUs of the machine for a test: one more than threads, so that a line can be with a bystander.
#[must_use]
pub fn cpus(test: &Test) -> u16 {
    test.threads.len() as u16 + 1
}

const SPREADS: [Spread; 4] = [Spread::OwnLines, Spread::OneLine, Spread::Pairs, Spread::OwnPages];
const PACKAGES: [Packages; 3] = [Packages::One, Packages::Two, Packages::Many];

/// The arrangement of try `number`.
#[must_use]
pub fn arrangement(test: &Test, seed: u64, number: u64) -> Arrangement {
    let block = number / BLOCK;
    let mut stream = Stream::new(seed ^ block.wrapping_mul(0x9e37_79b9_7f4a_7c15), "arrangement");
    let threads = test.threads.len() as u16;
    // Own lines are where most is to be seen: every other block has them.
    let spread =
        if block.is_multiple_of(2) { Spread::OwnLines } else { SPREADS[(block / 2) as usize % 4] };
    let packages = PACKAGES[(block / 3) as usize % 3];
    let cpus = match block % 3 {
        0 => (0..threads).collect(),
        1 => (0..threads).rev().collect(),
        _ => shuffled(threads, &mut stream),
    };
    let all = (1 << (threads + 1)) - 1;
    let any = |stream: &mut Stream| stream.between(0, u64::from(threads)) as u16;
    let warmth = match block % 8 {
        7 => Vec::new(),
        kind => test
            .locations
            .iter()
            .map(|_| match kind {
                0 => Warmth::Shared(all),
                1 => Warmth::Nobody,
                2 => Warmth::Modified(any(&mut stream)),
                _ => match stream.between(0, 3) {
                    0 => Warmth::Nobody,
                    1 => Warmth::Exclusive(any(&mut stream)),
                    2 => Warmth::Modified(any(&mut stream)),
                    _ => Warmth::Shared(stream.between(1, u64::from(all)) as u32),
                },
            })
            .collect(),
    };
    Arrangement { spread, packages, cpus, warmth }
}

/// The CPUs `0..=threads` in random order, one too many dropped.
fn shuffled(threads: u16, stream: &mut Stream) -> Vec<u16> {
    let mut cpus: Vec<u16> = (0..=threads).collect();
    for i in (1..cpus.len()).rev() {
        cpus.swap(i, stream.between(0, i as u64) as usize);
    }
    cpus.truncate(usize::from(threads));
    cpus
}

/// Greatest delays of one profile.
#[derive(Clone, Copy, Debug)]
struct Profile {
    skew: u32,
    instruction: u32,
    store: u32,
    miss: u32,
    /// As [`Perturbation::one_in`] and [`Perturbation::uneven`].
    one_in: u32,
    uneven: u32,
    interrupts: bool,
    nmis: bool,
}

const fn short(skew: u32, instruction: u32, store: u32, miss: u32) -> Profile {
    let (interrupts, nmis) = (false, false);
    Profile { skew, instruction, store, miss, one_in: 1, uneven: 0, interrupts, nmis }
}

const fn struck(profile: Profile, interrupts: bool, nmis: bool) -> Profile {
    Profile { interrupts, nmis, ..profile }
}

/// In units of [`LONG`].
const fn long(skew: u32, instruction: u32, store: u32, one_in: u32, uneven: u32) -> Profile {
    let profile = short(skew * LONG, instruction * LONG, store * LONG, 0);
    Profile { one_in, uneven, ..profile }
}

/// Longer than any latency of the machine.
const LONG: u32 = 3_000;

/// The profiles of a block, one for each of its tries.
const PROFILES: [Profile; BLOCK as usize] = [
    // Nothing but skew, within the latencies of the machine.
    short(0, 0, 0, 0),
    short(60, 0, 0, 0),
    short(600, 0, 0, 0),
    // One kind of delay at a time, and all together.
    short(300, 200, 0, 0),
    short(300, 0, 300, 0),
    short(300, 0, 0, 500),
    short(600, 200, 600, 400),
    // Interrupts and NMIs.
    struck(short(400, 0, 0, 0), true, false),
    struck(short(400, 100, 400, 0), false, true),
    struck(long(4, 2, 2, 1, 0), true, true),
    // Much longer than any latency: the order of events is what the draws make it. Where delays
    // strike only some events, the others follow in bursts; rare states show best then.
    long(8, 16, 8, 4, 0),
    long(8, 16, 4, 3, 0),
    long(8, 16, 16, 3, 0),
    long(8, 8, 2, 2, 0),
    long(8, 16, 8, 4, 0),
    long(8, 16, 4, 3, 0),
    long(8, 16, 16, 3, 0),
    long(8, 8, 2, 2, 0),
    long(8, 16, 8, 4, 0),
    long(8, 16, 4, 3, 0),
    long(8, 16, 16, 3, 0),
    long(8, 8, 2, 2, 0),
    long(8, 16, 3, 4, 0),
    long(8, 16, 3, 4, 0),
    long(8, 12, 4, 3, 0),
    long(8, 12, 4, 3, 0),
    long(10, 20, 7, 5, 0),
    long(8, 8, 8, 2, 0),
    long(4, 8, 4, 2, 0),
    long(4, 4, 4, 1, 0),
    long(8, 8, 8, 1, 4),
    long(16, 16, 16, 2, 4),
];

/// One in so many instructions is struck.
const STRIKES: u32 = 8;

/// The perturbation of try `number`.
#[must_use]
pub fn perturbation(seed: u64, number: u64) -> Perturbation {
    let profile = PROFILES[(number % BLOCK) as usize];
    Perturbation {
        seed: seed.wrapping_mul(0xd134_2543_de82_ef95) ^ number,
        start_skew: profile.skew,
        instruction: profile.instruction,
        store_drain: profile.store,
        miss: profile.miss,
        one_in: profile.one_in,
        uneven: profile.uneven,
        interrupt_every: if profile.interrupts { STRIKES } else { 0 },
        vector: VECTOR,
        nmi_every: if profile.nmis { STRIKES } else { 0 },
    }
}
