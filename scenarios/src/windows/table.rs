//! The windows over one parameter: which values lead to what, and what changes at each edge.

use super::cover::Cover;
use super::flip::{Flip, Proof};
use super::tile::{Side, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Neighbouring values with one verdict, none of which could be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first value.
    pub lo: u64,
    /// The last value.
    pub hi: u64,
    /// What they lead to; `None`: undecided.
    pub verdict: Option<Verdict>,
}

impl Window {
    /// A value that shows what the window leads to: its lowest.
    #[must_use]
    pub fn witness(&self) -> u64 {
        self.lo
    }

    /// Number of values.
    #[must_use]
    pub fn width(&self) -> u128 {
        u128::from(self.hi - self.lo) + 1
    }

    /// The finding; `undecided` if there is none.
    #[must_use]
    pub fn finding(&self) -> &str {
        self.verdict.as_ref().map_or("undecided", |verdict| &verdict.finding)
    }
}

/// Where one window ends and the next begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The last value of the window below.
    pub below: u64,
    /// The first value of the window above.
    pub above: u64,
    /// Two accesses, in their order at `above`, which is another at `below`; `None` if it is not
    /// known.
    pub pair: Option<[Side; 2]>,
    /// How it was proved that their order makes the edge; nothing if it was not.
    pub proved: Vec<Flip>,
}

/// All windows of a range, in ascending order, and the edges between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The windows.
    pub windows: Vec<Window>,
    /// The edges.
    pub edges: Vec<Edge>,
}

impl Table {
    /// What the first (or only) row leads to.
    #[must_use]
    pub fn new(cover: &Cover) -> Self {
        let pieces = cover.rows.first().map(super::pieces::Row::pieces).unwrap_or_default();
        let window = |piece: &super::pieces::Piece| Window {
            lo: piece.lo,
            hi: piece.hi,
            verdict: cover.verdicts[piece.class].clone(),
        };
        let windows: Vec<Window> = pieces.iter().map(window).collect();
        let edge = |two: &[Window]| {
            let (below, above) = (two[0].hi, two[1].lo);
            let pair = cover.lows.get(&above).cloned().flatten();
            (above - below == 1).then_some(Edge { below, above, pair, proved: Vec::new() })
        };
        let edges = windows.windows(2).filter_map(edge).collect();
        Table { windows, edges }
    }

    /// The lowest edges, at most `most`, of which both sides are decided: by index.
    #[must_use]
    pub fn provable(&self, most: usize) -> Vec<usize> {
        let decided = |value| self.verdict(value).flatten().is_some();
        let edges = self.edges.iter().enumerate();
        let provable = edges.filter(|(_, edge)| decided(edge.below) && decided(edge.above));
        provable.map(|(index, _)| index).take(most).collect()
    }

    /// Takes over proved pairs of the lowest `most` edges, by the last value below their edges, in place of those at which
    /// tiles happened to end.
    pub fn prove(&mut self, proofs: &BTreeMap<u64, Proof>, most: usize) {
        for index in self.provable(most) {
            let edge = &mut self.edges[index];
            if let Some(proof) = proofs.get(&edge.below)
                && let Some(pair) = &proof.pair
            {
                edge.pair = Some(pair.clone());
                edge.proved.clone_from(&proof.flips);
            }
        }
    }

    /// What `value` leads to; `None` if it is in no window, `Some(None)` if it is undecided.
    #[must_use]
    pub fn verdict(&self, value: u64) -> Option<Option<&Verdict>> {
        let at = self.windows.partition_point(|window| window.hi < value);
        let window = self.windows.get(at).filter(|window| window.lo <= value)?;
        Some(window.verdict.as_ref())
    }

    /// Values that are undecided.
    #[must_use]
    pub fn undecided(&self) -> u128 {
        let open = self.windows.iter().filter(|window| window.verdict.is_none());
        open.map(Window::width).sum()
    }

    /// The windows as CSV, the same bytes for the same windows.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = "lo,hi,finding,cpu,lock_word,cause,witness\n".to_owned();
        for window in &self.windows {
            let fields = verdict_fields(window.verdict.as_ref());
            let Window { lo, hi, .. } = window;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{lo},{hi},{fields},{}", window.witness());
        }
        text
    }
}

/// `finding,cpu,lock_word,cause`.
pub(super) fn verdict_fields(verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else { return "undecided,,,".to_owned() };
    let cpu = verdict.cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
    let word = verdict.lock_word.map(|word| format!("{word:#010x}")).unwrap_or_default();
    let cause = verdict.cause.as_deref().unwrap_or_default();
    format!("{},{cpu},{word},{cause}", verdict.finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::cover::{Area, CoverError};
    use crate::windows::tile::Tile;
    use crate::windows::toy::{Toy, pool};

    fn table(toy: &Toy, (lo, hi): (u64, u64)) -> Table {
        let mut cover = Cover::new(Area::line(lo, hi)).expect("few rows");
        let mut take = |_: &Tile, _| Ok::<(), CoverError>(());
        cover.complete(toy, &pool(1), &mut take).expect("no errors");
        Table::new(&cover)
    }

    #[test]
    fn windows_have_edges_with_the_pair_that_changes() {
        let table = table(&Toy::line(&[99, 107]), (0, 999));
        let csv = "lo,hi,finding,cpu,lock_word,cause,witness\n\
                   0,99,hard-lockup,18,0x00000000,,0\n\
                   100,107,hard-lockup,18,0x00000001,lock-corrupted,100\n\
                   108,999,ok,,,,108\n";
        assert_eq!(table.csv(), csv);
        let edges: Vec<_> = table.edges.iter().map(|edge| (edge.below, edge.above)).collect();
        assert_eq!(edges, [(99, 100), (107, 108)]);
        let pair = table.edges[0].pair.as_ref().expect("known");
        assert_eq!((pair[0].who.as_str(), pair[1].who.as_str()), ("device", "CPU"));
        assert_eq!(table.undecided(), 0);
        assert_eq!(table.verdict(1_000), None);
    }

    #[test]
    fn the_size_of_tiles_does_not_show() {
        let ends = [5, 6, 7, 50, 300, 301];
        let whole = table(&Toy::line(&ends), (0, 400));
        for reach in [1, 2, 10, 64] {
            assert_eq!(table(&Toy::line(&ends).reaching(reach), (0, 400)), whole);
        }
    }

    #[test]
    fn what_is_undecided_is_said() {
        let toy = Toy::line(&[9]).undecided_at(&[3]);
        let table = table(&toy, (3, 3));
        assert_eq!(table.csv().lines().nth(1), Some("3,3,undecided,,,,3"));
        assert_eq!((table.undecided(), table.verdict(3)), (1, Some(None)));
    }
}
