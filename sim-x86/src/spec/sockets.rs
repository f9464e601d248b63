//! The same machine with another number of packages.

use super::{MachineSpec, Topology};

/// Links between boards: packages on different ones are this far apart.
const BETWEEN_BOARDS: u8 = 2;

impl MachineSpec {
    /// This machine with `sockets` packages and a CPU in each of their seats. More packages than
    /// it has stand on further boards like its own, two hops away: as node controllers join boards
    /// of two sockets to machines of hundreds of CPUs (SGI UV).
    #[must_use]
    pub fn with_sockets(mut self, sockets: u32) -> Self {
        let board = std::mem::take(&mut self.topology.hops);
        self.topology.hops = hops(&board, sockets as usize);
        self.cores = self.topology.seats();
        self
    }
}

impl Topology {
    /// CPUs in one package.
    #[must_use]
    pub fn cores_per_package(&self) -> u32 {
        self.cores_per_die.saturating_mul(self.dies_per_package)
    }

    /// CPUs that have a place.
    #[must_use]
    pub fn seats(&self) -> u32 {
        self.cores_per_package().saturating_mul(self.hops.len() as u32)
    }
}

/// Hops between `sockets` packages on boards that are wired as `board` says.
fn hops(board: &[Vec<u8>], sockets: usize) -> Vec<Vec<u8>> {
    let size = board.len().max(1);
    let between = |a: usize, b: usize| match (a == b, a / size == b / size) {
        (true, _) => 0,
        (false, true) => board[a % size][b % size],
        (false, false) => BETWEEN_BOARDS,
    };
    (0..sockets).map(|a| (0..sockets).map(|b| between(a, b)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use crate::presets;

    #[test]
    fn a_preset_with_its_own_number_of_sockets_is_the_preset() {
        for &name in presets::names() {
            let preset = presets::preset(name).expect("listed");
            let sockets = preset.topology.hops.len() as u32;
            assert_eq!(preset.clone().with_sockets(sockets), preset, "{name}");
        }
    }

    #[test]
    fn every_preset_takes_any_number_of_sockets() {
        for &name in presets::names() {
            for sockets in [1, 3, 8] {
                let spec = presets::preset(name).expect("listed").with_sockets(sockets);
                assert_eq!(spec.validate(), Ok(()), "{name} of {sockets} sockets");
                assert_eq!(spec.cores, spec.topology.cores_per_package() * sockets, "{name}");
            }
        }
    }

    #[test]
    fn further_boards_are_two_hops_away() {
        let topology = presets::westmere_ep().with_sockets(4).topology;
        assert_eq!(topology.hops, [[0, 1, 2, 2], [1, 0, 2, 2], [2, 2, 0, 1], [2, 2, 1, 0]]);
        // The preset's own diagonals stay.
        let topology = presets::magny_cours().with_sockets(5).topology;
        assert_eq!(topology.hops[0], [0, 1, 1, 2, 2]);
        assert_eq!(topology.hops[4], [2, 2, 2, 2, 0]);
    }
}
