//! What is in the files that a graph names: a step's key holds their content, never their path or age.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// Hashes of files, remembered by path, size and time of change, so that a 7 GB model is read once.
#[derive(Default)]
pub struct Contents {
    memo: Mutex<HashMap<PathBuf, Memo>>,
    file: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Memo {
    size: u64,
    changed: u128,
    content: String,
}

impl Contents {
    /// Remembers hashes in `file`.
    pub fn at(file: PathBuf) -> Self {
        let memo = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            memo: Mutex::new(memo),
            file: Some(file),
        }
    }

    /// The hash of a file's bytes, or of a folder's tree: names relative to it, in order. Hidden files and
    /// documentation (`*.md`) do not count.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn of(&self, path: &Path) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return self.file(path, &metadata);
        }
        // From here on an error is about a file inside, and names it.
        let named = |file: &Path, e: io::Error| io::Error::other(format!("{}: {e}", file.display()));
        let files = Self::files(path)?;
        let mut tree = blake3::Hasher::new();
        for file in files {
            let name = file.strip_prefix(path).unwrap_or(&file);
            tree.update(name.as_os_str().as_encoded_bytes());
            tree.update(b"\0");
            let metadata = fs::metadata(&file).map_err(|e| named(&file, e))?;
            tree.update(self.file(&file, &metadata).map_err(|e| named(&file, e))?.as_bytes());
        }
        Ok(tree.finalize().to_hex().to_string())
    }

    /// How many bytes [`of`](Self::of) reads of a file or folder.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn size(path: &Path) -> io::Result<u64> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(metadata.len());
        }
        Self::files(path)?
            .iter()
            .map(|file| fs::metadata(file).map(|metadata| metadata.len()))
            .sum()
    }

    /// The files of a folder that [`of`](Self::of) reads, in order.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        files.sort();
        Ok(files)
    }

    /// Files whose content was seen to be this, wherever it was; they may have changed since.
    pub fn seen(&self, content: &str) -> Vec<PathBuf> {
        let memo = self.memo.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut paths: Vec<PathBuf> = memo
            .iter()
            .filter(|(_, memo)| memo.content == content)
            .map(|(path, _)| path.clone())
            .collect();
        paths.sort();
        paths
    }

    fn file(&self, path: &Path, metadata: &Metadata) -> io::Result<String> {
        if !metadata.is_file() {
            return Err(io::Error::other("it is neither a file nor a folder"));
        }
        let modified = metadata.modified()?;
        let size = metadata.len();
        let changed = changed(metadata, modified);
        let memo = self
            .memo
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(memo) = memo.filter(|memo| memo.size == size && memo.changed == changed) {
            return Ok(memo.content);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        let content = hasher.finalize().to_hex().to_string();
        // A file that changed a moment ago may change again within the clock's tick, unnoticed: do not remember it.
        let settled = SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age > Duration::from_secs(2));
        if settled {
            let memo = Memo {
                size,
                changed,
                content: content.clone(),
            };
            self.memo
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .insert(path.to_owned(), memo);
        }
        Ok(content)
    }

    /// Writes the memory down. Losing it costs time, never correctness, so failures are not reported.
    pub fn save(&self) {
        let Some(file) = &self.file else { return };
        let mut memo = self
            .memo
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        memo.retain(|path, _| path.exists());
        let before: Option<HashMap<PathBuf, Memo>> = fs::read(file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if before.as_ref() != Some(&memo)
            && let Ok(bytes) = serde_json::to_vec(&memo)
        {
            let _ = sdk::atomic::write(file, &bytes);
        }
    }
}

/// Time of the last change of content, and of the entry itself where the system tells (`mv` keeps the former).
fn changed(metadata: &Metadata, modified: SystemTime) -> u128 {
    let since = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let entry = (metadata.ctime() as u128)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(metadata.ctime_nsec() as u128);
        since
            .wrapping_mul(31)
            .wrapping_add(entry)
            .wrapping_mul(31)
            .wrapping_add(u128::from(metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        since
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        if depth > 32 {
            return Err(io::Error::other(format!(
                "{} is nested more than 32 folders deep",
                folder.display()
            )));
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().ends_with(b".md") {
                continue;
            }
            let path = entry.path();
            // A dangling link is found out when it is hashed.
            if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                open.push((path, depth + 1));
            } else {
                files.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_and_age_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents::at(folder.path().join(".memo.json"));
        let (tree, file) = (folder.path().join("model"), folder.path().join("model/unet/a.bin"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "one").unwrap();
        let first = contents.of(&tree).unwrap();
        let old = SystemTime::now() - Duration::from_secs(100);
        File::open(&file).unwrap().set_modified(old).unwrap();
        assert_eq!(contents.of(&tree).unwrap(), first, "touched");
        contents.save();
        let again = Contents::at(folder.path().join(".memo.json"));
        assert_eq!(
            again.memo.lock().unwrap().len(),
            1,
            "the hash of a settled file is remembered"
        );
        assert_eq!(again.of(&tree).unwrap(), first);

        // Same size, same modification time: still noticed, by the entry's own time.
        fs::write(&file, "two").unwrap();
        File::open(&file).unwrap().set_modified(old).unwrap();
        assert_ne!(again.of(&tree).unwrap(), first, "other bytes");
        fs::write(&file, "one").unwrap();
        assert_eq!(again.of(&tree).unwrap(), first, "the same bytes again");
        fs::rename(&file, folder.path().join("model/unet/b.bin")).unwrap();
        assert_ne!(
            again.of(&tree).unwrap(),
            first,
            "a renamed file in a folder is another folder"
        );
    }
}
