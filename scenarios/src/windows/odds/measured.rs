//! Measured latencies, read from a CSV file.

use super::Law;
use crate::units::{Duration, DurationError};
use sim_core::Hertz;
use thiserror::Error;

/// Why a file has no latencies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MeasuredError {
    /// There is no column of this name.
    #[error("there is no column `{0}`")]
    NoColumn(String),
    /// A line has fewer fields than needed.
    #[error("line {line} has too few fields")]
    Short {
        /// Which, from 1.
        line: usize,
    },
    /// A field is not a time.
    #[error("line {line}: `{field}`: {error}")]
    Value {
        /// Which, from 1.
        line: usize,
        /// The field.
        field: String,
        /// What is wrong with it.
        error: DurationError,
    },
    /// No latency at all.
    #[error("the file has no latencies")]
    Empty,
}

/// Units in the names of columns.
const UNITS: [&str; 5] = ["cy", "ns", "us", "ms", "s"];

/// Reads latencies, one to a line: the first field, or that of the column `column`. They have
/// units (`41.2us`), or the column's name ends with one: `latency_us`, `latency (us)`.
///
/// # Errors
/// The first line that is not understood.
pub fn measured(text: &str, column: Option<&str>, clock: Hertz) -> Result<Law, MeasuredError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let header: Vec<&str> = lines.peek().map(|(_, line)| fields(line)).unwrap_or_default();
    let place = match column {
        None => 0,
        Some(name) => header
            .iter()
            .position(|field| *field == name)
            .ok_or_else(|| MeasuredError::NoColumn(name.to_owned()))?,
    };
    let names = header
        .get(place)
        .is_some_and(|field| field.starts_with(|c: char| !c.is_ascii_digit() && c != '.'));
    let unit = if names { unit(header[place]) } else { "" };
    let mut values = Vec::new();
    for (index, line) in lines.skip(usize::from(names)) {
        let line_number = index + 1;
        let all = fields(line);
        let field = all.get(place).ok_or(MeasuredError::Short { line: line_number })?;
        values.push(value(field, unit, line_number)?.cycles(clock));
    }
    if values.is_empty() {
        return Err(MeasuredError::Empty);
    }
    values.sort_unstable();
    Ok(Law::Measured(values))
}

fn fields(line: &str) -> Vec<&str> {
    line.split([',', ';', '\t']).map(|field| field.trim().trim_matches('"')).collect()
}

/// The unit at the end of a column's name, if there is one.
fn unit(name: &str) -> &'static str {
    let last = name.trim_end_matches([')', ']']).rsplit(['_', ' ', '(', '[']).next();
    UNITS.into_iter().find(|unit| last == Some(unit)).unwrap_or("")
}

fn value(field: &str, unit: &str, line: usize) -> Result<Duration, MeasuredError> {
    let with_unit = if field.ends_with(|c: char| c.is_ascii_digit()) {
        format!("{field}{unit}")
    } else {
        field.to_owned()
    };
    let wrong = |error| MeasuredError::Value { line, field: field.to_owned(), error };
    with_unit.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Hertz = Hertz(2_000_000_000);

    fn read(text: &str, column: Option<&str>) -> Result<Vec<u64>, String> {
        match measured(text, column, CLOCK) {
            Ok(Law::Measured(values)) => Ok(values),
            Ok(Law::Drawn(_)) => unreachable!("files are measured"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn units_stand_with_the_value_or_the_column() {
        assert_eq!(read("2us\n1us\n\n700cy\n", None), Ok(vec![700, 2_000, 4_000]));
        assert_eq!(read("latency_us\n2\n1.5\n", None), Ok(vec![3_000, 4_000]));
        assert_eq!(read("n,latency (ns)\n1,100\n2,50\n", Some("latency (ns)")), Ok(vec![100, 200]));
    }

    #[test]
    fn what_is_not_a_latency_is_refused_with_its_line() {
        assert_eq!(read("", None), Err("the file has no latencies".to_owned()));
        assert_eq!(read("latency_us\n", None), Err("the file has no latencies".to_owned()));
        let no_unit = "line 2: `7`: a duration needs a unit";
        assert_eq!(read("1us\n7\n", None), Err(no_unit.to_owned()));
        assert_eq!(read("1us\n", Some("x")), Err("there is no column `x`".to_owned()));
        assert_eq!(read("n,x\n1\n", Some("x")), Err("line 2 has too few fields".to_owned()));
    }
}
