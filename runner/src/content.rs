//! What is in the files that a graph names: a step's key holds their content, never their path or age.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A file that changed less than this before it was hashed may change once more within the same tick of the file
/// system's clock (2 s on FAT), and look the same: its hash is not remembered.
const TICK: Duration = Duration::from_secs(3);

/// How often reading asks whether it may go on: after so many bytes of a file, or files of a folder.
const BLOCK: usize = 1 << 20;
const FILES: usize = 64;

/// How far the reading of a file or folder is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files read.
    pub files: u64,
    /// Files in all, as far as they are found.
    pub of_files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes in all, as far as they are found.
    pub of_bytes: u64,
}

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
        self.of_watched(path, &mut |_| true)
    }

    /// As [`of`](Self::of); `go_on` hears how far it is, and may end it.
    ///
    /// # Errors
    /// When something cannot be read; of kind [`io::ErrorKind::Interrupted`] when it was ended.
    pub fn of_watched(&self, path: &Path, go_on: &mut dyn FnMut(Amount) -> bool) -> io::Result<String> {
        self.of_at(path, SystemTime::now(), go_on)
    }

    /// As [`of_watched`](Self::of_watched), with the time at which it is asked.
    fn of_at(&self, path: &Path, now: SystemTime, go_on: &mut dyn FnMut(Amount) -> bool) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            let mut reading = Reading::of(1, metadata.len(), go_on);
            return self.file(path, now, &mut reading);
        }
        // From here on an error is about a file inside, and names it.
        let named = |file: &Path, e: io::Error| match e.kind() {
            io::ErrorKind::Interrupted => e,
            _ => io::Error::other(format!("{}: {e}", file.display())),
        };
        let files = list(path, go_on)?;
        let mut reading = Reading::of(files.len() as u64, files.iter().map(|(_, size)| size).sum(), go_on);
        let mut tree = blake3::Hasher::new();
        for (file, _) in files {
            let name = file.strip_prefix(path).unwrap_or(&file);
            tree.update(name.as_os_str().as_encoded_bytes());
            tree.update(b"\0");
            let content = self.file(&file, now, &mut reading).map_err(|e| named(&file, e))?;
            tree.update(content.as_bytes());
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
        Ok(list(path, &mut |_| true)?.into_iter().map(|(_, size)| size).sum())
    }

    /// The files of a folder that [`of`](Self::of) reads, in order.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(list(folder, &mut |_| true)?.into_iter().map(|(file, _)| file).collect())
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

    fn file(&self, path: &Path, now: SystemTime, reading: &mut Reading<'_>) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is neither a file nor a folder"));
        }
        let stamp = Stamp::of(&metadata)?;
        if let Some(memo) = self.memo().get(path).filter(|memo| memo.stamp == stamp) {
            reading.done.files += 1;
            reading.done.bytes += metadata.len();
            reading.look()?;
            return Ok(memo.content.clone());
        }
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        loop {
            let read = (&mut file).take(BLOCK as u64).read_to_end(&mut reading.block)?;
            hasher.update(&reading.block);
            reading.block.clear();
            reading.done.bytes += read as u64;
            reading.look()?;
            if read == 0 {
                break;
            }
        }
        reading.done.files += 1;
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

/// The reading of a file or folder.
struct Reading<'a> {
    done: Amount,
    go_on: &'a mut dyn FnMut(Amount) -> bool,
    block: Vec<u8>,
}

impl<'a> Reading<'a> {
    fn of(of_files: u64, of_bytes: u64, go_on: &'a mut dyn FnMut(Amount) -> bool) -> Self {
        Self {
            done: Amount {
                of_files,
                of_bytes,
                ..Amount::default()
            },
            go_on,
            block: Vec::new(),
        }
    }

    fn look(&mut self) -> io::Result<()> {
        may(self.go_on, self.done)
    }
}

fn may(go_on: &mut dyn FnMut(Amount) -> bool, done: Amount) -> io::Result<()> {
    match go_on(done) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::Interrupted, "stopped")),
    }
}

/// The files below a folder with their sizes, by name.
fn list(folder: &Path, go_on: &mut dyn FnMut(Amount) -> bool) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files: Vec<(PathBuf, u64)> = Vec::new();
    let mut found = Amount::default();
    // With each folder the places that links were followed from on the way to it.
    let mut open = vec![(folder.to_owned(), 0, Vec::new())];
    while let Some((folder, depth, from)) = open.pop() {
        if depth > 32 {
            return Err(io::Error::other(format!(
                "{} is nested more than 32 folders deep",
                folder.display()
            )));
        }
        may(go_on, found)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().ends_with(b".md") {
                continue;
            }
            let path = entry.path();
            // A dangling link is found out when it is hashed.
            let metadata = fs::metadata(&path).ok();
            if metadata.as_ref().is_some_and(Metadata::is_dir) {
                let mut from = from.clone();
                if entry.file_type()?.is_symlink() {
                    from.push(followed(&folder, &path, &from)?);
                }
                open.push((path, depth + 1, from));
            } else {
                let size = metadata.map_or(0, |metadata| metadata.len());
                (found.of_files, found.of_bytes) = (found.of_files + 1, found.of_bytes + size);
                files.push((path, size));
                if files.len().is_multiple_of(FILES) {
                    may(go_on, found)?;
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Where the link at `path` in `folder` really lies; it must not lead to a folder that one came through.
fn followed(folder: &Path, path: &Path, from: &[PathBuf]) -> io::Result<PathBuf> {
    let (here, target) = (fs::canonicalize(folder)?, fs::canonicalize(path)?);
    let held = from.iter().chain([&here]).any(|place| place.starts_with(&target));
    match held {
        true => Err(io::Error::other(format!(
            "{} is a link to {}, which holds it: such a folder has no end; take the link out",
            path.display(),
            target.display()
        ))),
        false => Ok(here),
    }
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
        assert_eq!(contents.of_at(&tree, later(), &mut |_| true).unwrap(), first, "touched");
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
        fresh.of_at(&file, later(), &mut |_| true).unwrap();
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

    #[test]
    fn long_reading_is_heard_of_and_ends_when_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("model");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("a"), vec![1; 3 * BLOCK + 5]).unwrap();
        fs::write(tree.join("b"), "b").unwrap();
        let contents = Contents::default();
        let mut heard = Vec::new();
        let watched = contents.of_watched(&tree, &mut |amount| {
            heard.push(amount);
            true
        });
        assert_eq!(watched.unwrap(), contents.of(&tree).unwrap());
        let bytes = (3 * BLOCK + 6) as u64;
        assert!(heard.len() >= 6, "{heard:?}");
        assert!(heard.is_sorted_by_key(|amount| amount.bytes));
        let last = Amount {
            files: 1,
            of_files: 2,
            bytes,
            of_bytes: bytes,
        };
        assert_eq!(heard.last(), Some(&last));
        let mut asked = 0;
        let ended = contents.of_watched(&tree, &mut |amount| {
            asked += 1;
            amount.bytes < BLOCK as u64
        });
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(asked < heard.len());
    }

    #[test]
    #[cfg(unix)]
    fn folders_without_end_are_refused_and_others_are_read() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let make = |name: &str| fs::create_dir_all(root.join(name)).unwrap();
        let contents = Contents::default();
        let refused = |name: &str, link: &str| {
            let error = contents.of(&root.join(name)).unwrap_err().to_string();
            assert!(error.contains(link) && error.contains("which holds it"), "{error}");
        };
        // To itself, to a folder above, and to one another.
        make("itself");
        symlink(root.join("itself"), root.join("itself/again")).unwrap();
        refused("itself", "itself/again");
        make("above/model/unet");
        symlink("../..", root.join("above/model/unet/up")).unwrap();
        refused("above/model", "unet/up");
        make("one");
        make("other");
        symlink(root.join("other"), root.join("one/to")).unwrap();
        symlink(root.join("one"), root.join("other/back")).unwrap();
        refused("one", "one/to/back");
        // Twice the same folder is no circle, nor is a link to a neighbour.
        make("good/unet");
        fs::write(root.join("good/unet/weights"), "w").unwrap();
        symlink("unet", root.join("good/ema")).unwrap();
        symlink(root.join("good/unet/weights"), root.join("good/file")).unwrap();
        let files = Contents::files(&root.join("good")).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["good/ema/weights", "good/file", "good/unet/weights"]);
        assert!(contents.of(&root.join("good")).is_ok());
    }
}
