//! Images held against each other, their expectations and their records.

use crate::image::{Image, at};
use std::collections::BTreeMap;

/// What an image left behind: its words that are not 0, by address, in hexadecimal.
pub type Record = BTreeMap<String, String>;

/// The words of a memory region from [`at::LOG`] on that are not 0.
#[must_use]
pub fn record(region: &[u8]) -> Record {
    let words = region
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    (at::LOG..)
        .step_by(8)
        .zip(words)
        .filter(|(_, word)| *word != 0)
        .map(|(addr, word)| (format!("{addr:x}"), format!("{word:x}")))
        .collect()
}

/// Names of the words of a log entry.
const FIELDS: [&str; 8] = ["vector", "error", "rip", "cs", "rflags", "rsp", "ss", "cr2"];

/// What a word of the region is.
fn name(addr: u64) -> String {
    if addr >= at::RESULTS {
        return format!("result {}", (addr - at::RESULTS) / 8);
    }
    let (cpu, offset) = ((addr - at::LOG) >> 16, (addr - at::LOG) & 0xffff);
    if offset < 64 {
        return format!("cpu {cpu} log length");
    }
    format!("cpu {cpu} entry {} {}", offset / 64 - 1, FIELDS[(offset / 8 % 8) as usize])
}

/// The words in which two records differ; `left` and `right` are who made them.
#[must_use]
pub fn differences(left: (&str, &Record), right: (&str, &Record)) -> Vec<String> {
    let zero = "0".to_owned();
    let mut addresses: Vec<&String> = left.1.keys().chain(right.1.keys()).collect();
    addresses.sort();
    addresses.dedup();
    let get = |record: &Record, addr: &String| record.get(addr).unwrap_or(&zero).clone();
    addresses
        .into_iter()
        .map(|addr| (addr, get(left.1, addr), get(right.1, addr)))
        .filter(|(_, a, b)| a != b)
        .map(|(addr, a, b)| {
            let what = u64::from_str_radix(addr, 16).map_or_else(|_| addr.clone(), name);
            format!("{what}: {} {a}, {} {b}", left.0, right.0)
        })
        .collect()
}

/// What is wrong with what latchup made of `image`, if `expected` is what it should have made.
#[must_use]
pub fn judge(image: &Image, who: &str, expected: &Record) -> Vec<String> {
    match crate::bare::run(image) {
        Ok(region) => {
            let mut wrong = image.disappointments(&region);
            wrong.extend(differences((who, expected), ("latchup", &record(&region))));
            wrong
        }
        Err(stop) => vec![format!("latchup stopped: {stop:?}")],
    }
}
