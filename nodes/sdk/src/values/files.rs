//! Files that a node wrote.

use crate::{Port, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Files that a node wrote, with what was in them: the step is done only while they are still so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// In the order they were written.
    pub items: Vec<FileEntry>,
}

/// One written file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Absolute path.
    pub path: PathBuf,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
}

impl Files {
    /// Writes a file atomically and remembers it.
    ///
    /// # Errors
    /// Those of the file system, naming the file.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        crate::atomic::write(path, bytes)?;
        self.items.push(FileEntry {
            path: path.to_owned(),
            blake3: blake3::hash(bytes).to_hex().to_string(),
        });
        Ok(())
    }
}

impl Port for Files {
    const NAME: &'static str = "files";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(serde_json::to_vec(self)?))
    }
    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
