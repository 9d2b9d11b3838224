//! What is in the files that a graph names: a step's key holds their content, never their path or age.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A file that changed less than this before it was hashed may change once more within the same tick of the file
/// system's clock (2 s on FAT), and look the same: its hash is not remembered.
const TICK: Duration = Duration::from_secs(3);

/// Hashes of files, remembered by path and [`Stamp`], so that a 7 GB model is read once.
#[derive(Default)]
pub struct Contents {
    memo: Mutex<HashMap<PathBuf, Memo>>,
    file: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Memo {
    stamp: Stamp,
    content: String,
}

/// What the file system says of a file: any change of its bytes changes one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    /// Nanoseconds since 1970 of the last change of content, as far as the user left it alone.
    modified: i128,
    /// Nanoseconds since 1970 of the last change of anything, which nobody can set (`mv` and `cp -p` keep the former);
    /// where the system does not tell, the former.
    changed: i128,
    /// Which file it is, and on which disk.
    place: (u64, u64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        let modified = nanoseconds(metadata.modified()?);
        #[cfg(unix)]
        let (changed, place) = {
            use std::os::unix::fs::MetadataExt;
            let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
            (changed, (metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let (changed, place) = (modified, (0, 0));
        Ok(Self {
            size: metadata.len(),
            modified,
            changed,
            place,
        })
    }

    /// Whether a change after `now` must give another stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        nanoseconds(now) - self.changed > TICK.as_nanos() as i128
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
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
        self.of_at(path, SystemTime::now())
    }

    /// As [`of`](Self::of), with the time at which it is asked.
    fn of_at(&self, path: &Path, now: SystemTime) -> io::Result<String> {
        if !fs::metadata(path)?.is_dir() {
            return self.file(path, now);
        }
        // From here on an error is about a file inside, and names it.
        let named = |file: &Path, e: io::Error| io::Error::other(format!("{}: {e}", file.display()));
        let files = Self::files(path)?;
        let mut tree = blake3::Hasher::new();
        for file in files {
            let name = file.strip_prefix(path).unwrap_or(&file);
            tree.update(name.as_os_str().as_encoded_bytes());
            tree.update(b"\0");
            tree.update(self.file(&file, now).map_err(|e| named(&file, e))?.as_bytes());
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
        let mut paths: Vec<PathBuf> = self
            .memo()
            .iter()
            .filter(|(_, memo)| memo.content == content)
            .map(|(path, _)| path.clone())
            .collect();
        paths.sort();
        paths
    }

    fn memo(&self) -> MutexGuard<'_, HashMap<PathBuf, Memo>> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &Path, now: SystemTime) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is neither a file nor a folder"));
        }
        let stamp = Stamp::of(&metadata)?;
        if let Some(memo) = self.memo().get(path).filter(|memo| memo.stamp == stamp) {
            return Ok(memo.content.clone());
        }
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file)?;
        let content = hasher.finalize().to_hex().to_string();
        // What was read is the file of this stamp only if nothing changed meanwhile.
        let unchanged = Stamp::of(&file.metadata()?)? == stamp;
        if unchanged && stamp.is_settled(now) {
            let content = content.clone();
            self.memo().insert(path.to_owned(), Memo { stamp, content });
        }
        Ok(content)
    }

    /// Writes the memory down. Losing it costs time, never correctness, so failures are not reported.
    pub fn save(&self) {
        let Some(file) = &self.file else { return };
        let mut memo = self.memo().clone();
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
    use std::fs::FileTimes;

    /// Long after anything that a test wrote.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(100)
    }

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
        assert_eq!(contents.of_at(&tree, later()).unwrap(), first, "touched");
        contents.save();
        let again = Contents::at(folder.path().join(".memo.json"));
        assert_eq!(again.memo().len(), 1, "the hash of a settled file is remembered");
        assert_eq!(again.of(&tree).unwrap(), first);
        fs::rename(&file, folder.path().join("model/unet/b.bin")).unwrap();
        assert_ne!(
            again.of(&tree).unwrap(),
            first,
            "a renamed file in a folder is another folder"
        );
    }

    #[test]
    fn a_replacement_of_the_same_size_and_age_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, new) = (folder.path().join("lora"), folder.path().join("new"));
        let contents = Contents::default();
        let old = FileTimes::new()
            .set_accessed(SystemTime::UNIX_EPOCH)
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        let write = |path: &Path, text: &str| {
            fs::write(path, text).unwrap();
            File::open(path).unwrap().set_times(old).unwrap();
        };
        let of = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
        // Written in place, and moved over it, and asked for within the clock's tick.
        for round in 0..100 {
            let text = format!("{round:03}");
            match round % 2 {
                0 => write(&file, &text),
                _ => {
                    write(&new, &text);
                    fs::rename(&new, &file).unwrap();
                }
            }
            assert_eq!(contents.of(&file).unwrap(), of(&text), "round {round}");
        }
        // Whatever its age says, a file that changed just now is not trusted.
        write(&file, "new");
        let fresh = Contents::default();
        fresh.of(&file).unwrap();
        assert!(fresh.memo().is_empty(), "another change may come within the tick");
        fresh.of_at(&file, later()).unwrap();
        assert_eq!(fresh.memo().len(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn every_part_of_a_stamp_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "one").unwrap();
        let stamp = Stamp::of(&fs::metadata(&file).unwrap()).unwrap();
        let others = [
            Stamp { size: 4, ..stamp },
            Stamp {
                modified: stamp.modified + 1,
                ..stamp
            },
            Stamp {
                changed: stamp.changed + 1,
                ..stamp
            },
            Stamp {
                place: (stamp.place.0 + 1, stamp.place.1),
                ..stamp
            },
            Stamp {
                place: (stamp.place.0, stamp.place.1 + 1),
                ..stamp
            },
        ];
        for other in others {
            let contents = Contents::default();
            let memo = Memo {
                stamp: other,
                content: "stale".into(),
            };
            contents.memo().insert(file.clone(), memo);
            assert_ne!(contents.of(&file).unwrap(), "stale", "{other:?}");
        }
        let memo = Memo {
            stamp,
            content: "known".into(),
        };
        let contents = Contents::default();
        contents.memo().insert(file.clone(), memo);
        assert_eq!(contents.of(&file).unwrap(), "known");
    }
}
