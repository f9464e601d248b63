//! Which part of a range this process sweeps.

use super::plan::Shard;
use crate::fail::Failure;

const HELP: &str = "write I/N with I from 0 to N-1, `array/N` in a job array (Slurm, HyperQueue), \
                    or `array` in one of Slurm's, which says how many tasks it has";

/// Reads `--shard`; `variable` looks into the environment.
pub(super) fn parse(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Shard, Failure> {
    let wrong = |why: String| Failure::usage(format!("--shard {text}: {why}"), HELP);
    let (index, count) = match text.split_once('/') {
        Some((index, count)) => (index, Some(count.to_owned())),
        None => (text, None),
    };
    let number = |what: &str, text: &str| {
        text.trim().parse::<u64>().map_err(|_| wrong(format!("`{text}` is not {what}")))
    };
    let shard = if index == "array" {
        array(count.as_deref(), variable, number, wrong)?
    } else {
        let count = count.ok_or_else(|| wrong("how many there are is missing".to_owned()))?;
        Shard { index: number("a number", index)?, count: number("a number", &count)? }
    };
    if shard.index >= shard.count {
        return Err(wrong(format!("there is no shard {} of {}", shard.index, shard.count)));
    }
    Ok(shard)
}

/// The shard of a task of a job array.
fn array(
    count: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
    number: impl Fn(&str, &str) -> Result<u64, Failure>,
    wrong: impl Fn(String) -> Failure,
) -> Result<Shard, Failure> {
    let value = |name: &str| variable(name).map(|text| number(name, &text)).transpose();
    if let Some(id) = value("SLURM_ARRAY_TASK_ID")? {
        let first = value("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        let index = id.checked_sub(first);
        let index = index.ok_or_else(|| wrong(format!("task {id} is below the first, {first}")))?;
        let tasks = match count {
            Some(count) => number("a number", count)?,
            None => value("SLURM_ARRAY_TASK_COUNT")?
                .ok_or_else(|| wrong("SLURM_ARRAY_TASK_COUNT is not set".to_owned()))?,
        };
        return Ok(Shard { index, count: tasks });
    }
    let Some(index) = value("HQ_TASK_ID")? else {
        return Err(wrong("neither SLURM_ARRAY_TASK_ID nor HQ_TASK_ID is set".to_owned()));
    };
    let count = count.ok_or_else(|| wrong("HyperQueue does not say how many".to_owned()))?;
    Ok(Shard { index, count: number("a number", count)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str, environment: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let shard = parse(text, variable).map_err(|failure| failure.to_string())?;
        Ok((shard.index, shard.count))
    }

    #[test]
    fn a_shard_is_given_or_comes_from_a_scheduler() {
        assert_eq!(shard("2/7", &[]), Ok((2, 7)));
        let id = ("SLURM_ARRAY_TASK_ID", "9");
        let slurm = [id, ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "7")];
        assert_eq!(shard("array", &slurm), Ok((4, 7)));
        assert_eq!(shard("array/20", &[id]), Ok((9, 20)));
        assert_eq!(shard("array/3", &[("HQ_TASK_ID", "0")]), Ok((0, 3)));
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        let error = |text, environment| shard(text, environment).expect_err(text);
        assert!(error("7/7", &[]).contains("no shard 7 of 7"));
        assert!(error("0/0", &[]).contains("no shard 0 of 0"));
        assert!(error("3", &[]).contains("how many"));
        assert!(error("x/3", &[]).contains("`x` is not a number"));
        assert!(error("array", &[]).contains("HQ_TASK_ID is set"));
        assert!(error("array", &[("HQ_TASK_ID", "1")]).contains("does not say how many"));
        assert!(error("array", &[("SLURM_ARRAY_TASK_ID", "1")]).contains("TASK_COUNT"));
        let below = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_MIN", "2")];
        assert!(error("array/3", &below).contains("below the first"));
    }
}
