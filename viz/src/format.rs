//! Numbers as a reader wants them: times with units, counts with separators, lists of CPUs.

/// Units of time and their size in seconds, smallest first.
const UNITS: [(&str, f64); 4] = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];

/// A span of time and how it is written: seconds if the clock is known, else cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clock {
    /// Cycles per second, if known and not 0.
    hz: Option<f64>,
}

impl Clock {
    pub(crate) fn new(hz: u64) -> Clock {
        Clock { hz: (hz > 0).then_some(hz as f64) }
    }

    /// Cycles in `seconds`; a clock that isn't known counts as 1 GHz.
    pub(crate) fn cycles(self, seconds: f64) -> f64 {
        seconds * self.hz.unwrap_or(1e9)
    }

    /// The unit in which `cycles` is written with one to three digits before the point, and how
    /// many cycles it is.
    pub(crate) fn unit(self, cycles: f64) -> (&'static str, f64) {
        let Some(hz) = self.hz else { return ("cycles", 1.0) };
        let seconds = cycles.abs() / hz;
        let fitting = UNITS.iter().rev().find(|(_, size)| seconds >= size * 0.9995);
        let (name, size) = fitting.unwrap_or(&UNITS[0]);
        (name, size * hz)
    }

    /// The power of ten of seconds (or of cycles) next below `cycles`.
    pub(crate) fn decade(self, cycles: f64) -> f64 {
        let second = self.hz.unwrap_or(1.0);
        10f64.powf((cycles.max(1.0) / second).log10().floor()) * second
    }

    /// The power of ten of seconds (or of cycles) nearest to `cycles`.
    pub(crate) fn power(self, cycles: f64) -> i32 {
        (cycles / self.hz.unwrap_or(1.0)).log10().round() as i32
    }

    /// A length of time to three digits, e.g. `1.31 ms`.
    pub(crate) fn span(self, cycles: f64) -> String {
        if cycles == 0.0 {
            return "0".into();
        }
        let (unit, size) = self.unit(cycles);
        let digits = if self.hz.is_some() { 3 } else { 12 };
        format!("{} {unit}", number(cycles / size, digits))
    }

    /// A time relative to an origin, e.g. `+1.31 ms`.
    pub(crate) fn offset(self, cycles: f64) -> String {
        let plus = if cycles > 0.0 { "+" } else { "" };
        format!("{plus}{}", self.span(cycles))
    }
}

/// `value` to `digits` digits, without trailing zeros; whole parts in groups of three.
pub(crate) fn number(value: f64, digits: i32) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (digits - 1 - magnitude).clamp(0, 12) as usize;
    let mut text = format!("{:.decimals$}", value.abs());
    if text.contains('.') {
        text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let sign = if value < 0.0 && text != "0" { "−" } else { "" };
    format!("{sign}{}{fraction}", grouped(whole))
}

/// A count in groups of three digits.
pub(crate) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `one` for 1, else the count and `many`.
pub(crate) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// CPU numbers (ascending, each once) with runs shortened: `CPU 3`, `CPUs 0–2, 7`.
pub(crate) fn cpus(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &n in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let run = |(a, b): &(u32, u32)| match b - a {
        0 => a.to_string(),
        1 => format!("{a}, {b}"),
        _ => format!("{a}–{b}"),
    };
    let list: Vec<String> = runs.iter().map(run).collect();
    format!("CPU{} {}", if numbers.len() == 1 { "" } else { "s" }, list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_get_the_unit_that_reads_best() {
        let clock = Clock::new(2_000_000_000);
        assert_eq!(clock.span(0.0), "0");
        assert_eq!(clock.span(1.0), "0.5 ns");
        assert_eq!(clock.span(200.0), "100 ns");
        assert_eq!(clock.span(2_620_000.0), "1.31 ms");
        assert_eq!(clock.span(120e9), "60 s");
        assert_eq!(clock.span(1.9999999e9), "1 s");
        assert_eq!(clock.offset(-200.0), "−100 ns");
        assert_eq!(clock.offset(80.0), "+40 ns");
        assert_eq!(Clock::new(0).span(1234.0), "1,234 cycles");
        assert!((clock.decade(250.0) - 200.0).abs() < 1e-6);
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number(1_000_000.0, 3), "1,000,000");
        assert_eq!(number(0.25, 3), "0.25");
        assert_eq!(number(-1.5, 3), "−1.5");
        assert_eq!(number(0.0, 3), "0");
        assert_eq!(number(99.96, 3), "100");
        assert_eq!(count(12_345), "12,345");
    }

    #[test]
    fn runs_of_cpus_are_short() {
        assert_eq!(cpus(&[18]), "CPU 18");
        assert_eq!(cpus(&[0, 1, 2, 4, 5, 9]), "CPUs 0–2, 4, 5, 9");
    }
}
