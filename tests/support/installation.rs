//! A copy of the built files, as a release puts them side by side, so that tests may damage some.

use super::plugin;
use super::workspace::target;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    /// `para`, the shared libraries and all node crates.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = ["para", "libsdk.so", "libdiffusion.so"].map(|name| target().join(name));
        for file in shared.into_iter().chain(plugin::all()) {
            let name = file.file_name().unwrap();
            std::fs::copy(&file, folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn para(&self) -> PathBuf {
        self.folder.path().join("para")
    }
}
