//! States as bytes: equal for states that behave alike.

use super::{Down, Setup, System, Up};
use crate::protocol::system::core_side::{CoreSide, Pending};
use sha2::{Digest, Sha256};
use sim_x86::event::Want;
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::mem::cache::LineState;
use sim_x86::mem::home::Requester;
use sim_x86::mem::l3::L3Entry;

/// A mirror image: what cores and lines are called in it.
struct Mirror {
    cores: Vec<u8>,
    lines: Vec<u8>,
}

impl Setup {
    /// Mirror images under which the protocol is the same: cores of the first die and lines may
    /// change places. (Lines may not if an operation treats them in order.)
    fn mirrors(&self) -> Vec<Mirror> {
        let cores: Vec<u8> = (0..self.cores as u8).collect();
        let lines: Vec<u8> = (0..self.lines as u8).collect();
        let mut all_cores = vec![cores.clone()];
        if self.cores > 2 {
            let mut swapped = cores;
            swapped.swap(0, 1);
            all_cores.push(swapped);
        }
        let mut all_lines = vec![lines.clone()];
        if self.lines > 1 && !self.issues.contains(&super::Issue::SplitRmw) {
            let mut swapped = lines;
            swapped.swap(0, 1);
            all_lines.push(swapped);
        }
        let pair = |cores: &Vec<u8>, lines: &Vec<u8>| Mirror {
            cores: cores.clone(),
            lines: lines.clone(),
        };
        all_cores.iter().flat_map(|c| all_lines.iter().map(move |l| pair(c, l))).collect()
    }
}

impl Mirror {
    fn core(&self, core: CoreId) -> u8 {
        self.cores[core.index()]
    }

    fn line(&self, line: LineAddr) -> u8 {
        self.lines[line.0 as usize]
    }

    fn maybe(&self, line: Option<LineAddr>) -> u8 {
        line.map_or(0xff, |line| self.line(line))
    }

    fn requester(&self, requester: Requester) -> [u8; 2] {
        match requester {
            Requester::Core(core, want) => [self.core(core), want as u8],
            Requester::Dma(device) => [0x80, device.0],
        }
    }

    /// Bits of the cores of a die, by their names in the mirror.
    fn sharers(&self, die: usize, per_die: u32, mask: u64) -> u8 {
        let first = die as u32 * per_die;
        let named = |bit: u32| 1 << self.core(CoreId((first + bit) as u16));
        (0..8).filter(|bit| mask & (1 << bit) != 0).map(named).sum()
    }
}

/// Makes keys of states.
pub(crate) struct Keys {
    mirrors: Vec<Mirror>,
    per_die: u32,
    /// The order in which lines were used decides which one is evicted.
    order_counts: bool,
}

/// L1D, L1I and L2 of a core.
type Contents = [Vec<(LineAddr, LineState)>; 3];

impl Keys {
    pub(crate) fn new(setup: &Setup) -> Self {
        Keys {
            mirrors: setup.mirrors(),
            per_die: setup.topology().cores_per_die,
            order_counts: !setup.everything_fits(),
        }
    }

    /// 128 bits of a cryptographic hash of the state, the same for all of its mirror images. That
    /// two of n states share a key has a probability of n²/2¹²⁹.
    pub(crate) fn of(&self, system: &System) -> u128 {
        let contents: Vec<Contents> =
            system.cores.iter().map(|core| core.caches.contents()).collect();
        let entries: Vec<Vec<L3Entry>> =
            system.home.dies().iter().map(|l3| l3.entries().collect()).collect();
        let image = |mirror| self.image(system, &contents, &entries, mirror);
        let least = self.mirrors.iter().map(image).min().expect("there is always the identity");
        let digest = Sha256::digest(&least);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(bytes)
    }

    fn image(
        &self,
        system: &System,
        contents: &[Contents],
        entries: &[Vec<L3Entry>],
        mirror: &Mirror,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        for name in 0..mirror.cores.len() {
            let core = mirror.cores.iter().position(|&called| usize::from(called) == name);
            let core = core.expect("a permutation");
            self.cache_image(&contents[core], mirror, &mut out);
            core_image(&system.cores[core], mirror, &mut out);
        }
        for (die, entries) in entries.iter().enumerate() {
            let mut images: Vec<[u8; 3]> =
                entries.iter().map(|entry| self.entry_image(die, entry, mirror)).collect();
            if !self.order_counts {
                images.sort_unstable();
            }
            out.extend(images.into_iter().flatten());
            out.push(0xfe);
        }
        let mut pending: Vec<Vec<u8>> = Vec::new();
        for transaction in system.home.pending() {
            let mut image = vec![mirror.line(transaction.line), transaction.probes as u8];
            image.push(transaction.grant as u8);
            image.extend(transaction.requester.map_or([0xff; 2], |from| mirror.requester(from)));
            image.extend(transaction.waiting.iter().flat_map(|&next| mirror.requester(next)));
            image.push(0xfe);
            pending.push(image);
        }
        pending.sort_unstable();
        out.extend(pending.into_iter().flatten());
        let mut down: Vec<[u8; 3]> = system.down.iter().map(|&d| down_image(d, mirror)).collect();
        down.sort_unstable();
        out.push(0xfd);
        out.extend(down.into_iter().flatten());
        out
    }

    fn cache_image(&self, contents: &Contents, mirror: &Mirror, out: &mut Vec<u8>) {
        for level in contents {
            let first = out.len();
            out.extend(level.iter().map(|&(line, state)| mirror.line(line) << 2 | state as u8));
            if !self.order_counts {
                out[first..].sort_unstable();
            }
            out.push(0xf0);
        }
    }

    fn entry_image(&self, die: usize, entry: &L3Entry, mirror: &Mirror) -> [u8; 3] {
        let owner = entry.owner().map_or(0, |owner| 1u64 << owner);
        [
            mirror.line(entry.line) << 2 | entry.state as u8,
            mirror.sharers(die, self.per_die, entry.sharers),
            mirror.sharers(die, self.per_die, owner),
        ]
    }
}

fn core_image(core: &CoreSide, mirror: &Mirror, out: &mut Vec<u8>) {
    let wanted = |&(line, want): &(LineAddr, Want)| mirror.line(line) << 2 | want as u8;
    let mut requested: Vec<u8> = core.requested.iter().map(wanted).collect();
    requested.sort_unstable();
    out.extend(requested);
    out.push(0xf1);
    out.extend(core.stores.iter().map(|&line| mirror.line(line)));
    out.push(0xf2);
    if let Some(Pending { issue, line, waits_for, awake }) = core.pending {
        out.extend([issue as u8, mirror.line(line), mirror.maybe(waits_for), u8::from(awake)]);
    }
    out.extend([0xf3, mirror.maybe(core.locked), mirror.maybe(core.split_hold)]);
    out.extend(core.up.iter().map(|&message| match message {
        Up::Request(line, want) => mirror.line(line) << 3 | want as u8,
        Up::WriteBack(line) => mirror.line(line) << 3 | 7,
    }));
    out.push(0xf4);
    let mut old = vec![0; core.old.len()];
    for (line, &is_old) in core.old.iter().enumerate() {
        old[usize::from(mirror.lines[line])] = u8::from(is_old);
    }
    out.extend(old);
}

fn down_image(down: Down, mirror: &Mirror) -> [u8; 3] {
    match down {
        Down::Probe(core, line) => [0, mirror.core(core), mirror.line(line)],
        Down::Fill(core, line) => [1, mirror.core(core), mirror.line(line)],
        Down::Again(core, want, line) => [2 + want as u8, mirror.core(core), mirror.line(line)],
    }
}
