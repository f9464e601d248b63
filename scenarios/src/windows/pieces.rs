//! What is known along one line of values: stretches of one class each.

/// The class of values that were run without an answer.
pub(super) const UNDECIDED: usize = 0;

/// Neighbouring values of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) lo: u64,
    pub(super) hi: u64,
    pub(super) class: usize,
}

/// The first value that is said to be of two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) value: u64,
    pub(super) known: usize,
}

/// Pieces in ascending order, apart from each other, as few as possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pieces: Vec<Piece>,
}

impl Row {
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Adds a piece; gives how many of its values were not known before. What was undecided may
    /// become decided, and stays so.
    pub(super) fn put(&mut self, piece: Piece) -> Result<u128, Clash> {
        let from = self.pieces.partition_point(|p| p.hi.saturating_add(1) < piece.lo);
        let len = self.pieces[from..].partition_point(|p| p.lo <= piece.hi.saturating_add(1));
        let (mut merged, mut fresh) = (Merged::default(), 0);
        // What of `piece` still has to be placed.
        let mut rest = Some((piece.lo, piece.hi));
        for old in &self.pieces[from..from + len] {
            if let Some((lo, hi)) = rest.filter(|&(lo, _)| lo < old.lo) {
                let end = hi.min(old.lo - 1);
                merged.push(Piece { lo, hi: end, ..piece });
                fresh += width(lo, end);
                rest = (end < hi).then_some((end + 1, hi));
            }
            let Some((lo, hi)) = rest.filter(|&(lo, _)| lo <= old.hi) else {
                merged.push(*old);
                continue;
            };
            let class = match (old.class, piece.class) {
                (known, new) if known == new || new == UNDECIDED => known,
                (UNDECIDED, new) => new,
                (known, _) => return Err(Clash { value: lo, known }),
            };
            let end = hi.min(old.hi);
            merged.push_between(*old, lo, end, class);
            rest = (end < hi).then(|| (end + 1, hi));
        }
        if let Some((lo, hi)) = rest {
            merged.push(Piece { lo, hi, ..piece });
            fresh += width(lo, hi);
        }
        self.pieces.splice(from..from + len, merged.pieces);
        Ok(fresh)
    }

    /// The stretches of `lo..=hi` that nothing is known about.
    pub(super) fn gaps(&self, (lo, hi): (u64, u64)) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = Some(lo);
        for piece in &self.pieces {
            if let Some(start) = next.filter(|&start| start < piece.lo) {
                gaps.push((start, hi.min(piece.lo - 1)));
            }
            next = piece.hi.checked_add(1);
        }
        gaps.extend(next.filter(|&start| start <= hi).map(|start| (start, hi)));
        gaps
    }

    /// The class of `value`; `None` if nothing is known about it.
    pub(super) fn class(&self, value: u64) -> Option<usize> {
        let at = self.pieces.partition_point(|piece| piece.hi < value);
        self.pieces.get(at).filter(|piece| piece.lo <= value).map(|piece| piece.class)
    }
}

/// Values from `lo` to `hi`.
pub(super) fn width(lo: u64, hi: u64) -> u128 {
    u128::from(hi - lo) + 1
}

/// Pieces in which neighbours differ.
#[derive(Default)]
struct Merged {
    pieces: Vec<Piece>,
}

impl Merged {
    fn push(&mut self, piece: Piece) {
        match self.pieces.last_mut() {
            Some(last) if last.class == piece.class && last.hi.checked_add(1) == Some(piece.lo) => {
                last.hi = piece.hi;
            }
            _ => self.pieces.push(piece),
        }
    }

    /// Adds `old`, with `lo..=hi` of it being of another class now.
    fn push_between(&mut self, old: Piece, lo: u64, hi: u64, class: usize) {
        if old.lo < lo {
            self.push(Piece { hi: lo - 1, ..old });
        }
        self.push(Piece { lo, hi, class });
        if hi < old.hi {
            self.push(Piece { lo: hi + 1, ..old });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pieces: &[(u64, u64, usize)]) -> Row {
        let mut row = Row::default();
        for &(lo, hi, class) in pieces {
            row.put(Piece { lo, hi, class }).expect("no clash");
        }
        row
    }

    fn list(row: &Row) -> Vec<(u64, u64, usize)> {
        row.pieces().iter().map(|p| (p.lo, p.hi, p.class)).collect()
    }

    #[test]
    fn neighbours_of_one_class_merge_in_any_order() {
        let expected = [(0, 9, 1), (10, 14, 2), (15, 20, 1)];
        assert_eq!(list(&row(&[(0, 4, 1), (5, 9, 1), (15, 20, 1), (10, 14, 2)])), expected);
        assert_eq!(list(&row(&[(10, 12, 2), (15, 20, 1), (0, 9, 1), (11, 14, 2)])), expected);
        assert_eq!(list(&row(&[(0, u64::MAX, 1), (3, 5, 1)])), [(0, u64::MAX, 1)]);
    }

    #[test]
    fn the_values_that_are_new_are_counted() {
        let mut row = row(&[(5, 9, 1), (20, 29, 1)]);
        assert_eq!(row.put(Piece { lo: 0, hi: 24, class: 1 }), Ok(5 + 10));
        assert_eq!(row.put(Piece { lo: 0, hi: 29, class: 1 }), Ok(0));
        assert_eq!(list(&row), [(0, 29, 1)]);
        assert_eq!(Row::default().put(Piece { lo: 0, hi: u64::MAX, class: 1 }), Ok(1 << 64));
    }

    #[test]
    fn a_decision_wins_over_none() {
        assert_eq!(list(&row(&[(0, 9, 0), (3, 4, 1)])), [(0, 2, 0), (3, 4, 1), (5, 9, 0)]);
        assert_eq!(list(&row(&[(3, 4, 1), (0, 9, 0)])), [(0, 2, 0), (3, 4, 1), (5, 9, 0)]);
        let mut known = row(&[(0, 9, 0), (3, 4, 1)]);
        let clash = known.put(Piece { lo: 0, hi: 9, class: 2 });
        assert_eq!(clash, Err(Clash { value: 3, known: 1 }));
    }

    #[test]
    fn gaps_are_what_is_not_known() {
        let row = row(&[(5, 9, 1), (20, 29, 0)]);
        assert_eq!(row.gaps((0, 40)), [(0, 4), (10, 19), (30, 40)]);
        assert_eq!(row.gaps((5, 29)), [(10, 19)]);
        assert_eq!((row.class(9), row.class(10), row.class(20)), (Some(1), None, Some(0)));
        assert!(self::row(&[(0, u64::MAX, 1)]).gaps((0, u64::MAX)).is_empty());
    }
}
