//! The guest image in the tree belongs to the sources beside it.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Sources of the image, as `build.sh` finds them.
fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("c" | "h" | "S" | "lds"))
        || path.file_name().is_some_and(|name| name == "build.sh")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the guest's folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if is_source(&path) {
            found.push(path);
        }
    }
}

#[test]
fn the_image_is_built_from_the_sources_in_the_tree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let mut found = Vec::new();
    sources(&folder, &mut found);
    let mut files: Vec<(String, PathBuf)> = found
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&folder).expect("inside of the folder");
            (relative.to_str().expect("a plain name").replace('\\', "/"), path)
        })
        .collect();
    files.sort();
    let mut hash = Sha256::new();
    for (relative, path) in files {
        hash.update(relative.as_bytes());
        hash.update([0]);
        hash.update(std::fs::read(path).expect("a source"));
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = std::fs::read_to_string(folder.join("guest.elf.sources")).expect("the digest");
    assert_eq!(digest, kept.trim(), "the image is stale: run scenarios/guest/build.sh");
}
