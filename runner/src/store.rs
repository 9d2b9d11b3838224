//! Results on disk, found by what made them.
//!
//! `steps/KEY` says which values a step gave, `values/CONTENT` holds their bytes under their BLAKE3 hash,
//! `scratch/KEY` belongs to a step while it is unfinished (checkpoints), `written/` remembers which files
//! outside are ours, `pins/` which results graphs have frozen. The folder is the index: nothing is kept open, every file is whole or not there, and
//! deleting anything is always safe.

mod housekeeping;
mod lock;
mod pins;
mod quick;

pub use housekeeping::{Cleaned, Room, Verified};
pub use lock::Lock;

use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What a store may take on disk unless somebody says otherwise.
pub const BUDGET: u64 = 20_000_000_000;
/// A step's last use is written down at most so often.
const FRESH: Duration = Duration::from_secs(3600);

/// The store's folder.
#[derive(Clone)]
pub struct Store {
    root: Arc<Path>,
    budget: u64,
    /// Bytes written since they were last added up.
    written: Arc<AtomicU64>,
    quick: Arc<quick::Quick>,
}

/// What a step gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The node type, for people who look into the folder.
    #[serde(rename = "type")]
    pub ty: String,
    /// One entry for each output port, in order.
    pub outputs: Vec<Output>,
}

/// One output of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Port name.
    pub port: String,
    /// Port type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The value's identity: the hash of its bytes, or of the step when it lives in memory only.
    pub content: String,
    /// Bytes in the store; none when it lives in memory only.
    pub size: Option<u64>,
}

/// Why a stored value cannot be used.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// Which value.
    pub content: String,
    /// What was found.
    pub found: String,
}

impl Store {
    /// Opens a store, making its folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let root = std::path::absolute(&root).unwrap_or(root);
        fs::create_dir_all(&root).map_err(|e| {
            Failure::system(format!("cannot make the store {}: {e}", root.display()))
                .help("name another folder with --store or PARA_STORE")
        })?;
        Ok(Self {
            quick: Arc::new(quick::Quick::new(root.join("quick"))),
            root: root.into(),
            budget: BUDGET,
            written: Arc::default(),
        })
    }

    /// The same store, with another limit on what it takes on disk.
    #[must_use]
    pub fn with_budget(self, budget: u64) -> Self {
        Self { budget, ..self }
    }

    /// What it may take on disk, in bytes.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// The default folder: `$PARA_STORE`, else `para` in the user's cache folder.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn default_root() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("PARA_STORE").filter(|p| !p.is_empty()) {
            return Ok(path.into());
        }
        use etcetera::BaseStrategy;
        let dirs = etcetera::choose_base_strategy().map_err(|_| {
            Failure::user("there is no home folder to keep results in").help("name a folder with --store or PARA_STORE")
        })?;
        Ok(dirs.cache_dir().join("para"))
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, room: &str, name: &str) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + room.len() + name.len() + 5);
        path.push(&self.root);
        path.push(room);
        path.push(&name[..2.min(name.len())]);
        path.push(name);
        path
    }

    /// What the step with this key gave, if all of it is still there.
    pub fn record(&self, key: &str) -> Option<Record> {
        let there = |output: &Output| {
            output.size.is_none_or(|size| {
                self.quick.has(&output.content, size)
                    || fs::metadata(self.path("values", &output.content)).is_ok_and(|found| found.len() == size)
            })
        };
        let whole = |record: &Record| record.outputs.iter().all(there);
        let quick = self
            .quick
            .get(key)
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(record) = quick.filter(whole) {
            return Some(record);
        }
        let path = self.path("steps", key);
        // Most steps that are looked up one by one are not there, and asking costs half of opening.
        fs::metadata(&path).ok()?;
        let bytes = fs::read(&path).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        if !whole(&record) {
            return None;
        }
        touch(&path);
        Some(record)
    }

    /// Remembers what a step gave; its values must be in the store already. What is not `durable` may be lost
    /// when the power fails: it costs milliseconds to make again, less than waiting for the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remember(&self, key: &str, record: &Record, durable: bool) -> Result<()> {
        let bytes = serde_json::to_vec(record).map_err(|e| Failure::system(e.to_string()))?;
        let write = if durable {
            sdk::atomic::write
        } else {
            sdk::atomic::write_fast
        };
        write(&self.path("steps", key), &bytes).map_err(unwritable)
    }

    /// Remembers what a quick step gave, with its values: they are written together with others at the end of the run.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remember_quick(&self, key: &str, record: &Record, values: &[Vec<u8>]) -> Result<()> {
        let bytes = serde_json::to_vec(record).map_err(|e| Failure::system(e.to_string()))?;
        let mut full = self.quick.put(key, false, &bytes);
        for (output, value) in record.outputs.iter().zip(values) {
            full |= self.quick.put(&output.content, true, value);
        }
        if full { self.flush() } else { Ok(()) }
    }

    /// Writes what quick steps gave.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn flush(&self) -> Result<()> {
        let bytes = self.quick.flush().map_err(unwritable)?;
        self.written.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets a step.
    pub fn forget(&self, key: &str) {
        self.quick.forget(key);
        let _ = fs::remove_file(self.path("steps", key));
    }

    /// Keeps a value; gives back its content key.
    ///
    /// # Errors
    /// Those of the file system (a full disk).
    pub fn keep(&self, bytes: &[u8]) -> Result<String> {
        let content = blake3::hash(bytes).to_hex().to_string();
        let path = self.path("values", &content);
        let there = fs::metadata(&path).is_ok_and(|m| m.len() == bytes.len() as u64)
            && fs::read(&path).is_ok_and(|found| found == bytes);
        if there {
            touch(&path);
        } else {
            sdk::atomic::write(&path, bytes).map_err(unwritable)?;
            self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(content)
    }

    /// The bytes of a value, checked against its content key. A damaged value is removed.
    ///
    /// # Errors
    /// [`Damaged`] when it is not there or its bytes differ.
    pub fn read(&self, content: &str) -> std::result::Result<Vec<u8>, Damaged> {
        let path = self.path("values", content);
        if let Some(bytes) = self.quick.get(content) {
            if blake3::hash(&bytes).to_hex().as_str() == content {
                return Ok(bytes);
            }
            self.quick.forget(content);
        }
        let bytes = fs::read(&path).map_err(|e| Damaged {
            content: content.to_owned(),
            found: e.to_string(),
        })?;
        if blake3::hash(&bytes).to_hex().as_str() == content {
            return Ok(bytes);
        }
        let _ = fs::remove_file(&path);
        Err(Damaged {
            content: content.to_owned(),
            found: "other bytes than were written".into(),
        })
    }

    /// The folder of an unfinished step.
    pub fn scratch(&self, key: &str) -> PathBuf {
        self.path("scratch", key)
    }

    /// Removes the folder of a step that is finished.
    pub fn drop_scratch(&self, key: &str) {
        let _ = fs::remove_dir_all(self.scratch(key));
    }

    /// Keeps a copy of the plugin with this build id; gives back where it lies.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep_plugin(&self, build: &str, extension: &str, bytes: &[u8]) -> Result<PathBuf> {
        let name = Path::new(build).with_extension(extension);
        let path = self.root.join("plugins").join(name);
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            sdk::atomic::write(&path, bytes).map_err(unwritable)?;
            self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        } else {
            touch(&path);
        }
        Ok(path)
    }

    fn mark(&self, file: &Path) -> PathBuf {
        let name = blake3::hash(file.as_os_str().as_encoded_bytes()).to_hex().to_string();
        self.path("written", &name)
    }

    /// The hash of what a run with this store last wrote to `file`; empty while it is being written.
    pub fn wrote(&self, file: &Path) -> Option<String> {
        fs::read_to_string(self.mark(file)).ok()
    }

    /// Remembers that `file` is ours, with the hash of its bytes (empty before they are written).
    ///
    /// # Errors
    /// Those of the file system.
    pub fn mark_written(&self, file: &Path, content: &str) -> Result<()> {
        sdk::atomic::write_fast(&self.mark(file), content.as_bytes()).map_err(unwritable)
    }
}

/// Writes down that a file was used.
fn touch(path: &Path) {
    let old = fs::metadata(path).and_then(|m| m.modified()).ok();
    if old.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FRESH)
        && let Ok(file) = fs::File::options().append(true).open(path)
    {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn unwritable(error: sdk::Error) -> Failure {
    Failure::from(error).help("make room on the disk, or name another folder with --store or PARA_STORE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        (folder, store)
    }

    #[test]
    fn a_record_counts_only_while_its_values_are_there() {
        let (_folder, store) = store();
        let content = store.keep(b"some bytes").unwrap();
        assert_eq!(store.read(&content).unwrap(), b"some bytes");
        let output = Output {
            port: "out".into(),
            ty: "text".into(),
            content: content.clone(),
            size: Some(10),
        };
        let record = Record {
            ty: "text/hello".into(),
            outputs: vec![output],
        };
        let key = "ab".repeat(32);
        store.remember(&key, &record, true).unwrap();
        assert_eq!(store.record(&key), Some(record));

        fs::write(store.path("values", &content), b"some bytez").unwrap();
        assert!(store.read(&content).unwrap_err().found.contains("other bytes"));
        assert_eq!(store.record(&key), None, "the damaged value is gone");
        assert_eq!(store.keep(b"some bytes").unwrap(), content);
        assert!(store.record(&key).is_some(), "and is whole again once written again");
    }

    #[test]
    fn a_damaged_value_of_the_same_length_is_written_over() {
        let (_folder, store) = store();
        let content = store.keep(b"good").unwrap();
        fs::write(store.path("values", &content), b"evil").unwrap();
        store.keep(b"good").unwrap();
        assert_eq!(store.read(&content).unwrap(), b"good");
    }
}
