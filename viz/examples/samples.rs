//! Writes every kind of picture of made-up data to a folder:
//! `cargo run -p viz --example samples -- DIR`.

use std::error::Error;
use std::path::Path;
use viz::{Format, Options, Picture};

#[path = "../tests/it/data.rs"]
mod data;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: samples DIR")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for (name, picture) in data::pictures(&Options::default()) {
        write(folder, name, &picture)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, picture: &Picture) -> Result<(), Box<dyn Error>> {
    for format in [Format::Svg, Format::Png] {
        let file = folder.join(name).with_extension(format.extension());
        std::fs::write(file, picture.bytes(format)?)?;
    }
    Ok(())
}
