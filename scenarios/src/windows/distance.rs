//! How far one value is from another outcome: the cover is expanded from it outwards.
//!
//! A run that went well says nothing about how close it was. Its tile and the tiles next to it do:
//! they end where the outcome changes, to the cycle. Beside that stand the racing pairs of this one
//! run, with the cycles between the two accesses of each.

use super::flip::{Course, Proof, prove};
use super::tile::{Decide, Side, Verdict, point};
use crate::races::{Race, races};
use crate::sweep::SweepError;
use serde::{Deserialize, Serialize};

/// Racing pairs that are told, the closest ones.
const MOST: usize = 16;

/// The closest value of another outcome in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// The value.
    pub value: u64,
    /// How far it is.
    pub distance: u64,
    /// What it leads to; `None`: it is undecided.
    pub verdict: Option<Verdict>,
    /// The pair whose order changes there, if it was looked for.
    pub proof: Option<Proof>,
}

/// Two accesses of the run to one word that nothing orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Racing {
    /// The accesses, in the order of this run.
    pub pair: [Side; 2],
    /// Cycles between them, when they came closest.
    pub gap: u64,
    /// How often accesses of the same instructions raced.
    pub count: usize,
    /// True if their order is what makes the outcome change at the nearest value.
    pub decides: bool,
}

/// Where one value stands among the windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distance {
    /// The parameter.
    pub path: String,
    /// True if values are cycles.
    pub cycles: bool,
    /// The value that was run.
    pub value: u64,
    /// What it leads to; `None`: it is undecided.
    pub verdict: Option<Verdict>,
    /// The least and greatest value up to which another outcome was looked for; values beyond those
    /// that the scenario takes are none.
    pub searched: (u64, u64),
    /// Downwards.
    pub below: Option<Near>,
    /// Upwards.
    pub above: Option<Near>,
    /// Runs that it took.
    pub runs: u64,
    /// Racing pairs, the closest first.
    pub races: Vec<Racing>,
}

impl Distance {
    /// Looks for the closest other outcomes from `value` on within `searched`.
    ///
    /// # Errors
    /// If a run breaks off.
    pub fn of(
        decide: &dyn Decide,
        value: u64,
        mut searched: (u64, u64),
    ) -> Result<Distance, SweepError> {
        let tile = decide.decide(point(&[value]))?;
        let (verdict, (lo, hi)) = (tile.verdict.clone(), tile.interval());
        let mut outwards = Outwards { decide, value, verdict: &verdict, runs: 1 };
        let below = outwards.search(lo.checked_sub(1), &mut searched.0, false)?;
        let above = outwards.search(hi.checked_add(1), &mut searched.1, true)?;
        let runs = outwards.runs;
        let mut distance = Distance {
            path: String::new(),
            cycles: false,
            value,
            verdict,
            searched,
            below,
            above,
            runs,
            races: Vec::new(),
        };
        if let Some(stage) = decide.stage() {
            if let Some(near) = &mut distance.below {
                near.proof = prove(stage, near.value)?;
            }
            if let Some(near) = &mut distance.above {
                near.proof = prove(stage, near.value - 1)?;
            }
            let course = Course::of(stage, value)?;
            let all = races(course.log());
            distance.races =
                all.iter().take(MOST).map(|race| distance.racing(&course, race)).collect();
        }
        Ok(distance)
    }

    /// The closest value of another outcome.
    #[must_use]
    pub fn nearest(&self) -> Option<&Near> {
        self.below.iter().chain(&self.above).min_by_key(|near| near.distance)
    }

    fn racing(&self, course: &Course<'_>, race: &Race) -> Racing {
        let pair = [&race.first, &race.second].map(|access| course.side(access));
        let proof = self.nearest().and_then(|near| near.proof.as_ref());
        let proved = proof.filter(|proof| !proof.flips.is_empty());
        let decides = proved
            .and_then(|proof| proof.pair.as_ref())
            .is_some_and(|[first, second]| pair.contains(first) && pair.contains(second));
        Racing { pair, gap: race.gap(), count: race.count, decides }
    }

    /// The section that `latchup run --distance` prints.
    #[must_use]
    pub fn to_text(&self) -> String {
        let unit = if self.cycles { " cycles" } else { "" };
        let name = |verdict: Option<&Verdict>| {
            verdict.map_or_else(|| "undecided".to_owned(), Verdict::name)
        };
        let (path, value) = (&self.path, self.value);
        let mut text =
            format!("Distance\n  {path} = {value}{unit}: {}\n", name(self.verdict.as_ref()));
        if let Some(near) = self.nearest() {
            let Near { distance, verdict, .. } = near;
            let verdict = name(verdict.as_ref());
            text += &format!("  this run is {distance}{unit} from {verdict}\n");
        }
        let (lo, hi) = self.searched;
        for (near, way, end) in [(&self.below, "downwards", lo), (&self.above, "upwards", hi)] {
            match near {
                None => text += &format!("  {way}: the same as far as {end}{unit}\n"),
                Some(near) => {
                    let verdict = name(near.verdict.as_ref());
                    text += &format!(
                        "  {way}: {verdict} from {} on, {} away\n",
                        near.value, near.distance
                    );
                    text += &proof_text(near);
                }
            }
        }
        if !self.races.is_empty() {
            text += "  Accesses that nothing orders, and the cycles between them\n";
        }
        for Racing { pair: [first, second], gap, count, decides } in &self.races {
            let mark = if *decides { " (their order decides)" } else { "" };
            let often = if *count > 1 { format!(" ({count} times)") } else { String::new() };
            let side = |side: &Side| format!("{}: {}", side.who, side.what);
            text += &format!("  {gap:>12}  {}, then {}{often}{mark}\n", side(first), side(second));
        }
        text
    }
}

fn proof_text(near: &Near) -> String {
    let Some(Proof { below, pair: Some([first, second]), flips }) = &near.proof else {
        return "    which order of accesses makes the edge is not proved\n".to_owned();
    };
    let side = |side: &Side| format!("{}: {}", side.who, side.what);
    let mut text = format!(
        "    because up to {below} {} comes before {}, and above it after\n",
        side(second),
        side(first)
    );
    for flip in flips {
        text += &format!(
            "    proved: at {}, {} held up there for {} cycles turns order and outcome\n",
            flip.at, flip.delayed, flip.cycles
        );
    }
    text
}

/// A search for another outcome.
struct Outwards<'a> {
    decide: &'a dyn Decide,
    value: u64,
    verdict: &'a Option<Verdict>,
    runs: u64,
}

impl Outwards<'_> {
    /// Tiles one after the other from `next` to `end`, which becomes the last value that the
    /// scenario takes if it refuses one before.
    fn search(
        &mut self,
        mut next: Option<u64>,
        end: &mut u64,
        up: bool,
    ) -> Result<Option<Near>, SweepError> {
        while let Some(at) = next.filter(|at| if up { at <= end } else { at >= end }) {
            let tile = match self.decide.decide(point(&[at])) {
                Err(SweepError::Refused(_)) => {
                    *end = if up { at - 1 } else { at + 1 };
                    break;
                }
                result => result?,
            };
            self.runs += 1;
            if tile.verdict != *self.verdict {
                let (distance, verdict) = (at.abs_diff(self.value), tile.verdict);
                return Ok(Some(Near { value: at, distance, verdict, proof: None }));
            }
            let (lo, hi) = tile.interval();
            next = if up { hi.checked_add(1) } else { lo.checked_sub(1) };
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::toy::Toy;

    #[test]
    fn the_distance_is_that_to_the_next_window() {
        for reach in [0, 1, 3, 40] {
            let toy = Toy::line(&[99, 107, 500]).reaching(reach);
            for value in [0_u64, 99, 100, 103, 107, 108, 300, 500, 501, 900] {
                let distance = Distance::of(&toy, value, (0, 1_000)).expect("no errors");
                let below = [501, 108, 100].into_iter().find(|&start| start <= value);
                let above = [99, 107, 500].into_iter().find(|&end| value <= end);
                let found = distance.below.as_ref().map(|near| (near.value, near.distance));
                assert_eq!(found, below.map(|start| (start - 1, value + 1 - start)), "{value}");
                let found = distance.above.as_ref().map(|near| (near.value, near.distance));
                assert_eq!(found, above.map(|end| (end + 1, end + 1 - value)), "{value}");
                let nearest = distance.nearest().map(|near| near.distance);
                let [a, b] = [&distance.below, &distance.above]
                    .map(|near| near.as_ref().map_or(u64::MAX, |near| near.distance));
                assert_eq!(nearest, Some(a.min(b)));
            }
        }
    }

    #[test]
    fn beyond_the_range_nothing_is_said() {
        let toy = Toy::line(&[99, 107]).reaching(2);
        let distance = Distance::of(&toy, 300, (200, 1_000)).expect("no errors");
        assert_eq!((&distance.below, &distance.above), (&None, &None));
        assert!(distance.to_text().contains("downwards: the same as far as 200"));
        let distance = Distance::of(&toy, 300, (107, 1_000)).expect("no errors");
        assert_eq!(distance.below.map(|near| near.distance), Some(193));
    }
}
