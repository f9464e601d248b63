//! Writes `expected.json` for a folder of litmus tests, as the model computes it:
//! `cargo run -p litmus --example expected -- litmus/catalog`

use litmus::expected::Entry;
use litmus::{model, parse};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("name the folder of tests")?);
    let mut files = Vec::new();
    find(&folder, &mut files)?;
    files.sort();
    let lines: Result<Vec<String>, Box<dyn Error>> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&folder)?.display().to_string();
            let test = parse::parse(&path, &fs::read_to_string(file)?)?;
            let states = model::allowed(&test, 10_000_000)?.into_iter().collect();
            let entry = Entry { path, observed: test.observed_names(), states };
            Ok(serde_json::to_string(&entry)?)
        })
        .collect();
    fs::write(folder.join("expected.json"), format!("[\n{}\n]\n", lines?.join(",\n")))?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "litmus") {
            files.push(path);
        }
    }
    Ok(())
}
