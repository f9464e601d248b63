//! Durations as people write them, and the cycles they become.

use sim_core::Hertz;

/// A duration: `"700cy"`, `"12ns"`, `"1.5us"`, `"1ms"`, `"10s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duration {
    /// Cycles of the core clock.
    Cycles(u64),
    /// Picoseconds.
    Picos(u128),
}

impl Default for Duration {
    fn default() -> Self {
        Duration::Cycles(0)
    }
}

/// The units and the picoseconds of each (0: cycles), longest name first.
const UNITS: [(&str, u128); 5] =
    [("cy", 0), ("ns", 1_000), ("us", 1_000_000), ("ms", 1_000_000_000), ("s", 1_000_000_000_000)];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No digits before the unit.
    #[error("a duration starts with a number")]
    NoNumber,
    /// Digits, but no unit.
    #[error("a duration needs a unit")]
    NoUnit,
    /// A unit that doesn't exist.
    #[error("unknown unit")]
    UnknownUnit,
    /// A fraction of a cycle.
    #[error("cycles are whole numbers")]
    FractionOfCycle,
    /// More than fits.
    #[error("the duration is too long")]
    TooLong,
}

impl DurationError {
    /// What to write instead.
    #[must_use]
    pub fn help(self) -> String {
        match self {
            DurationError::FractionOfCycle => "write ns for fractions: \"0.5ns\"".to_owned(),
            DurationError::TooLong => "the longest duration is 2^64 cycles".to_owned(),
            DurationError::NoNumber | DurationError::NoUnit | DurationError::UnknownUnit => {
                "write a number and a unit out of cy, ns, us, ms, s: \"700cy\", \"1.5us\""
                    .to_owned()
            }
        }
    }
}

impl std::str::FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: String = number.chars().filter(|&c| c != '_').collect();
        if !number.contains(|c: char| c.is_ascii_digit()) {
            return Err(DurationError::NoNumber);
        }
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let unit = if unit == "µs" || unit == "μs" { "us" } else { unit };
        let Some(&(_, picos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit);
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
        if fraction.contains('.') {
            return Err(DurationError::NoNumber);
        }
        let whole: u64 = match whole {
            "" => 0,
            digits => digits.parse().map_err(|_| DurationError::TooLong)?,
        };
        if picos == 0 {
            let fits = fraction.chars().all(|c| c == '0');
            return fits.then_some(Duration::Cycles(whole)).ok_or(DurationError::FractionOfCycle);
        }
        Ok(Duration::Picos(u128::from(whole) * picos + fraction_of(fraction, picos)))
    }
}

/// `0.digits` of `unit`, rounded down.
fn fraction_of(digits: &str, unit: u128) -> u128 {
    digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .scan(unit, |place, digit| {
            *place /= 10;
            Some(*place * u128::from(digit - b'0'))
        })
        .sum()
}

impl Duration {
    /// Cycles at `clock`, rounded to the nearest.
    #[must_use]
    pub fn cycles(self, clock: Hertz) -> u64 {
        const PICOS_PER_SECOND: u128 = 1_000_000_000_000;
        match self {
            Duration::Cycles(cycles) => cycles,
            Duration::Picos(picos) => {
                let exact = picos.saturating_mul(u128::from(clock.0));
                let rounded = exact.saturating_add(PICOS_PER_SECOND / 2) / PICOS_PER_SECOND;
                u64::try_from(rounded).unwrap_or(u64::MAX)
            }
        }
    }

    /// Nanoseconds, rounded to the nearest; cycles are taken at `clock`.
    #[must_use]
    pub fn nanos(self, clock: Hertz) -> u64 {
        let nanos = match self {
            Duration::Picos(picos) => picos.saturating_add(500) / 1_000,
            Duration::Cycles(cycles) => {
                let clock = u128::from(clock.0.max(1));
                (u128::from(cycles) * 1_000_000_000 + clock / 2) / clock
            }
        };
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// True for no time at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Duration::Cycles(0) | Duration::Picos(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Duration, DurationError>) {
        assert_eq!(text.parse::<Duration>(), expect, "{text}");
    }

    #[test]
    fn every_unit_is_read_exactly() {
        check("700cy", Ok(Duration::Cycles(700)));
        check("12ns", Ok(Duration::Picos(12_000)));
        check("1.5us", Ok(Duration::Picos(1_500_000)));
        check("2.5 µs", Ok(Duration::Picos(2_500_000)));
        check("1ms", Ok(Duration::Picos(1_000_000_000)));
        check("1_0s", Ok(Duration::Picos(10_000_000_000_000)));
        check(".25ns", Ok(Duration::Picos(250)));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_the_reason() {
        check("", Err(DurationError::NoNumber));
        check("us", Err(DurationError::NoNumber));
        check("7", Err(DurationError::NoUnit));
        check("7sec", Err(DurationError::UnknownUnit));
        check("7 m s", Err(DurationError::UnknownUnit));
        check("1.5cy", Err(DurationError::FractionOfCycle));
        check("1.2.3ns", Err(DurationError::NoNumber));
        check("99999999999999999999s", Err(DurationError::TooLong));
    }

    #[test]
    fn time_becomes_the_nearest_cycle_and_back() {
        let clock = Hertz(2_930_000_000);
        assert_eq!(Duration::Picos(1_000).cycles(clock), 3);
        assert_eq!(Duration::Picos(60_000_000_000_000).cycles(clock), 175_800_000_000);
        assert_eq!(Duration::Picos(u128::MAX).cycles(clock), u64::MAX);
        assert_eq!(Duration::Cycles(293).nanos(clock), 100);
        assert_eq!(Duration::Cycles(5).cycles(clock), 5);
    }
}
