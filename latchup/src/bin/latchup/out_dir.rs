//! The folder that `--out` names.

use crate::fail::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that results can be written to.
#[derive(Debug)]
pub(crate) struct OutDir(PathBuf);

impl OutDir {
    /// Makes the folder and tries to write to it, so that a run of minutes does not end in
    /// nothing.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(Failure::write(path))?;
        let probe = path.join(format!(".latchup-{}", std::process::id()));
        fs::write(&probe, [])
            .and_then(|()| fs::remove_file(&probe))
            .map_err(Failure::write(path))?;
        Ok(OutDir(path.to_owned()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file as a whole: whoever reads it sees the old one or the new one.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), Failure> {
        let path = self.path(name);
        let part = self.path(&format!(".{name}.part"));
        fs::write(&part, contents).map_err(Failure::write(&part))?;
        fs::rename(&part, &path).map_err(Failure::write(&path))
    }

    /// Removes what an earlier command left under this name, if anything.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::write(&path)(error))
            }
            _ => Ok(()),
        }
    }
}
