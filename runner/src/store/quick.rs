//! Results that take less time to make than a file takes to write: kept together, one file for a run.
//!
//! A graph of thousands of small nodes would otherwise spend its time waiting for the disk. What a killed process had not
//! written yet is lost, and made again in no time.
//!
//! A file holds entries sorted by their hash: records under the key of their step, values under their content. It is
//! read whole, once, and looked up by bisection.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

const MAGIC: &[u8; 8] = b"PARAQCK1";
/// Magic and number of entries.
const HEAD: usize = 16;
/// Hash, offset (u64) and length (u32; the highest bit marks values) of an entry.
const ENTRY: usize = 32 + 8 + 4;
const VALUE: u32 = 1 << 31;
/// So many files are put together into one.
const FILES: usize = 8;
/// Files that are put together keep the newest up to this many bytes, since all of them are in memory.
const MOST: usize = 128 << 20;
/// Bytes that wait to be written at most.
const PENDING: usize = 64 << 20;

type Hash = [u8; 32];

/// Small results of quick steps.
pub(super) struct Quick {
    folder: PathBuf,
    most: usize,
    /// Read when first asked for.
    files: RwLock<Option<Vec<Arc<Segment>>>>,
    pending: Mutex<Pending>,
}

/// Entries are found by the beginning of their hash, which is as good as any hash of it.
#[derive(Default)]
struct Beginning(u64);

impl Hasher for Beginning {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(beginning) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*beginning);
        }
    }
    fn write_usize(&mut self, _length: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
struct Pending {
    entries: HashMap<Hash, Entry, BuildHasherDefault<Beginning>>,
    bytes: usize,
}

struct Entry {
    is_value: bool,
    bytes: Box<[u8]>,
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    count: usize,
}

fn hash(text: &str) -> Option<Hash> {
    blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes())
}

impl Segment {
    fn read(path: PathBuf) -> Option<Self> {
        let bytes = fs::read(&path).ok()?;
        Self::of(path, bytes)
    }

    /// The file of these bytes, unless its head is damaged.
    fn of(path: PathBuf, bytes: Vec<u8>) -> Option<Self> {
        let count = bytes
            .strip_prefix(MAGIC)?
            .get(..8)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)?;
        let count = usize::try_from(count).ok()?;
        bytes.get(HEAD..HEAD.checked_add(count.checked_mul(ENTRY)?)?)?;
        Some(Self { path, bytes, count })
    }

    fn hash(&self, index: usize) -> &[u8] {
        &self.bytes[HEAD + index * ENTRY..][..32]
    }

    /// The entry at an index; none when the file is damaged there.
    fn entry(&self, index: usize) -> Option<(bool, &[u8])> {
        let rest = &self.bytes[HEAD + index * ENTRY + 32..][..12];
        let offset = usize::try_from(u64::from_le_bytes(rest[..8].try_into().ok()?)).ok()?;
        let length = u32::from_le_bytes(rest[8..].try_into().ok()?);
        let end = offset.checked_add((length & !VALUE) as usize)?;
        Some((length & VALUE != 0, self.bytes.get(offset..end)?))
    }

    fn find(&self, wanted: &Hash) -> Option<&[u8]> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.hash(middle).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.entry(middle).map(|(_, bytes)| bytes),
            }
        }
        None
    }

    fn entries(&self) -> impl Iterator<Item = (Hash, Option<(bool, &[u8])>)> {
        (0..self.count).filter_map(|index| Some((self.hash(index).try_into().ok()?, self.entry(index))))
    }
}

impl Quick {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            most: MOST,
            files: RwLock::default(),
            pending: Mutex::default(),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the files that are there, reading them if nobody has.
    fn with_files<R>(&self, work: impl FnOnce(&[Arc<Segment>]) -> R) -> R {
        if let Some(files) = &*self.files.read().unwrap_or_else(PoisonError::into_inner) {
            return work(files);
        }
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        work(files.get_or_insert_with(|| {
            let mut paths: Vec<PathBuf> = paths(&self.folder);
            paths.sort();
            paths.into_iter().filter_map(Segment::read).map(Arc::new).collect()
        }))
    }

    fn look<R>(&self, name: &str, found: impl Fn(&[u8]) -> R) -> Option<R> {
        let hash = hash(name)?;
        if let Some(entry) = self.pending().entries.get(&hash) {
            return Some(found(&entry.bytes));
        }
        // The newest first.
        self.with_files(|files| files.iter().rev().find_map(|file| file.find(&hash)).map(found))
    }

    /// The bytes under a step's key or a value's content.
    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.look(name, <[u8]>::to_vec)
    }

    /// Whether there is a value of that size.
    pub(super) fn has(&self, content: &str, size: u64) -> bool {
        self.look(content, |bytes| bytes.len() as u64 == size).unwrap_or(false)
    }

    /// Adds an entry; gives back whether it is time to write.
    pub(super) fn put(&self, name: &str, is_value: bool, bytes: &[u8]) -> bool {
        let Some(hash) = hash(name) else { return false };
        let mut pending = self.pending();
        pending.bytes += ENTRY + bytes.len();
        let bytes = bytes.into();
        pending.entries.insert(hash, Entry { is_value, bytes });
        pending.bytes > PENDING
    }

    /// Removes an entry, with the file that it is in: what else is there is made again.
    pub(super) fn forget(&self, name: &str) {
        let Some(hash) = hash(name) else { return };
        self.pending().entries.remove(&hash);
        self.drop_files(|file| file.find(&hash).is_some());
    }

    fn drop_files(&self, which: impl Fn(&Segment) -> bool) -> usize {
        self.with_files(|_| ());
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = files.as_mut() else { return 0 };
        let before = files.len();
        files.retain(|file| {
            let gone = which(file);
            if gone {
                let _ = fs::remove_file(&file.path);
            }
            !gone
        });
        before - files.len()
    }

    /// Writes what waits; gives back how many bytes. When there are many files, they become one, without those of them
    /// that are too much.
    ///
    /// The disk is not waited for: what a power failure takes is made again sooner than the disk would have answered.
    pub(super) fn flush(&self) -> sdk::Result<u64> {
        let pending = std::mem::take(&mut *self.pending());
        if pending.entries.is_empty() {
            return Ok(0);
        }
        let mut entries: Vec<(Hash, bool, &[u8])> = pending
            .entries
            .iter()
            .map(|(hash, entry)| (*hash, entry.is_value, &*entry.bytes))
            .collect();
        let old: Vec<Arc<Segment>> = self.with_files(<[_]>::to_vec);
        let merged = old.len() + 1 >= FILES;
        if merged {
            let known = |hash: &Hash| pending.entries.contains_key(hash);
            let mut bytes = pending.bytes;
            let newest = old.iter().rev().take_while(|file| {
                bytes += file.bytes.len();
                bytes <= self.most
            });
            let rest = newest.flat_map(|file| file.entries());
            entries.extend(rest.filter(|(hash, _)| !known(hash)).filter_map(|(hash, entry)| {
                let (is_value, bytes) = entry?;
                Some((hash, is_value, bytes))
            }));
        }
        let bytes = laid_out(entries);
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let path = self
            .folder
            .join(format!("{:020}-{}", since.as_nanos(), std::process::id()));
        sdk::atomic::write_fast(&path, &bytes)?;
        let size = bytes.len() as u64;
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let files = files.get_or_insert_default();
        if merged {
            for file in files.drain(..) {
                let _ = fs::remove_file(&file.path);
            }
        }
        files.extend(Segment::of(path, bytes).map(Arc::new));
        Ok(size)
    }

    /// Removes files in which a value is not what was written; gives back values that are whole, and files removed.
    pub(super) fn verify(&self) -> (usize, usize) {
        let whole = |file: &Segment| {
            let mut values = 0;
            for (hash, entry) in file.entries() {
                match entry {
                    Some((true, bytes)) if *blake3::hash(bytes).as_bytes() != hash => return None,
                    Some((is_value, _)) => values += usize::from(is_value),
                    None => return None,
                }
            }
            Some(values)
        };
        let removed = self.drop_files(|file| whole(file).is_none());
        (
            self.with_files(|files| files.iter().filter_map(|file| whole(file)).sum()),
            removed,
        )
    }

    /// Forgets everything in memory, when the files were removed.
    pub(super) fn forget_all(&self) {
        *self.pending() = Pending::default();
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Entries as a file.
fn laid_out(mut entries: Vec<(Hash, bool, &[u8])>) -> Vec<u8> {
    entries.sort_unstable_by_key(|(hash, _, _)| *hash);
    entries.dedup_by_key(|(hash, _, _)| *hash);
    let mut offset = HEAD + entries.len() * ENTRY;
    let total = offset + entries.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>();
    let mut file = Vec::with_capacity(total);
    file.extend(MAGIC);
    file.extend((entries.len() as u64).to_le_bytes());
    for (hash, is_value, bytes) in &entries {
        file.extend(hash);
        file.extend((offset as u64).to_le_bytes());
        let mark = if *is_value { VALUE } else { 0 };
        file.extend((bytes.len() as u32 | mark).to_le_bytes());
        offset += bytes.len();
    }
    entries.iter().for_each(|(_, _, bytes)| file.extend(*bytes));
    file
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
    };
    entries.map(|entry| entry.path()).filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> String {
        blake3::hash(bytes).to_hex().to_string()
    }

    #[test]
    fn entries_survive_the_process_and_files_are_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let quick = Quick::new(folder.path().to_owned());
        for run in 0..20u8 {
            for i in 0..50u8 {
                quick.put(&name(&[run, i]), true, &[run, i]);
            }
            assert_eq!(quick.get(&name(&[run, 7])), Some(vec![run, 7]), "before it is written");
            quick.flush().unwrap();
            assert!(paths(folder.path()).len() < FILES);
        }
        let again = Quick::new(folder.path().to_owned());
        for run in 0..20u8 {
            assert!(again.has(&name(&[run, 49]), 2) && !again.has(&name(&[run, 49]), 3));
        }
        assert_eq!(again.get(&name(b"other")), None);
        assert_eq!(again.get("no hash"), None);
        assert_eq!(again.verify(), (1000, 0));
    }

    #[test]
    fn what_is_kept_in_memory_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut quick = Quick::new(folder.path().to_owned());
        quick.most = 5000;
        for run in 0..100u8 {
            quick.put(&name(&[run]), true, &[run; 1000]);
            quick.flush().unwrap();
            let held: usize = quick.with_files(|files| files.iter().map(|file| file.bytes.len()).sum());
            assert!(held < 5000 + FILES * 1100, "{held} bytes after run {run}");
            assert!(quick.has(&name(&[run]), 1000), "the newest stay");
        }
        assert!(!quick.has(&name(&[0]), 1000), "the oldest go");
    }

    #[test]
    fn damaged_files_are_ignored_or_found() {
        let folder = tempfile::tempdir().unwrap();
        let quick = Quick::new(folder.path().to_owned());
        quick.put(&name(b"value"), true, b"value");
        quick.put(&name(b"key"), false, b"record");
        quick.flush().unwrap();
        let file = paths(folder.path()).pop().unwrap();
        let bytes = fs::read(&file).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&file, &bytes[..cut]).unwrap();
            let again = Quick::new(folder.path().to_owned());
            let _ = (again.get(&name(b"value")), again.get(&name(b"key")));
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x55;
            fs::write(&file, &other).unwrap();
            let again = Quick::new(folder.path().to_owned());
            let found = again.get(&name(b"value"));
            let (whole, removed) = again.verify();
            if found.as_deref() == Some(b"evil!") || (found.is_some() && found.as_deref() != Some(b"value")) {
                assert_eq!((whole, removed), (0, 1), "byte {at}");
            }
        }
    }
}
