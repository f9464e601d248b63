//! The C corpus, compiled in six ways.

use scenarios::guest;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use verify::corpus::{self, BUILDS, forms};

#[test]
fn every_program_computes_what_it_does_natively() {
    assert!(corpus::programs() >= 60);
    for build in &BUILDS {
        let ran = corpus::run(build).unwrap_or_else(|error| panic!("{}: {error}", build.name));
        assert_eq!(ran.different, [], "{}", build.name);
        assert_eq!(ran.equal, corpus::programs(), "{}", build.name);
    }
}

#[test]
fn every_form_of_compiled_code_is_implemented() {
    let forms = forms::all(guest::ELF).expect("readable images");
    let missing: Vec<_> = forms.iter().filter(|(_, seen)| !seen.implemented).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(forms.len() > 500, "{} forms", forms.len());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the corpus");
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

#[test]
fn the_images_are_built_from_the_sources_in_the_tree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut sources = vec![folder.join("build.sh")];
    sources.extend(files(&folder.join("run")));
    sources.extend(files(&folder.join("src")));
    sources.sort();
    let mut hash = Sha256::new();
    for path in sources {
        let relative = path.strip_prefix(&folder).expect("inside of the folder");
        hash.update(relative.to_str().expect("a plain name").replace('\\', "/"));
        hash.update([0]);
        hash.update(std::fs::read(&path).expect("a source"));
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = std::fs::read_to_string(folder.join("sources")).expect("the digest");
    assert_eq!(digest, kept.trim(), "the images are stale: run verify/corpus/build.sh");
}
