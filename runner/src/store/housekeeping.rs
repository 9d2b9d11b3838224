//! Keeping the store within its budget, and whole.
//!
//! Whatever goes from a store is made again when it is wanted: nothing here can lose work but by deleting checkpoints
//! of trainings that wait to go on, so those of running steps stay, and `clear` keeps all of them.

use super::{Record, Store};
use crate::failure::Result;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// Values that no step names go when they are older: a run may be about to name them.
const ORPHANED: Duration = Duration::from_secs(3600);
/// Temporary files and copies of plugins that nobody used for so long go.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// The file that remembers how much is in the store.
const TOTAL: &str = "size.json";
/// Key of the lock of whoever cleans.
const CLEANING: &str = "cleaning";

/// A part of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Room {
    /// Files or, in `scratch`, steps.
    pub count: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What was cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cleaned {
    /// Steps forgotten.
    pub steps: usize,
    /// Values removed.
    pub values: usize,
    /// Unfinished steps whose checkpoints were removed.
    pub unfinished: usize,
    /// Copies of plugins removed.
    pub plugins: usize,
    /// Files that killed processes left.
    pub leftovers: usize,
    /// Steps that stay because graphs have frozen what they gave.
    pub frozen: usize,
    /// Bytes freed.
    pub freed: u64,
    /// Bytes that are left.
    pub left: u64,
}

/// What a check of all values found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Values that are as they were written.
    pub whole: usize,
    /// Values that were not, and are removed.
    pub damaged: Vec<String>,
    /// Steps forgotten because a value or the record itself was damaged or missing.
    pub forgotten: usize,
}

pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) name: String,
    bytes: u64,
    used: SystemTime,
}

impl Item {
    pub(super) fn age(&self) -> Duration {
        self.used.elapsed().unwrap_or_default()
    }
}

/// What can go, the longest unused first.
enum Candidate {
    Step(Vec<String>),
    Unfinished,
    Plugin,
    Quick,
}

impl Store {
    pub(super) fn items(&self, room: &str) -> Vec<Item> {
        let mut items = Vec::new();
        for path in children(&self.root.join(room)) {
            // Plugins and what quick steps gave lie in their room, everything else one folder deeper.
            match room {
                "plugins" | "quick" => items.extend(item(path)),
                _ => items.extend(children(&path).into_iter().filter_map(item)),
            }
        }
        items
    }

    /// What is in the store, by its parts.
    pub fn rooms(&self) -> BTreeMap<&'static str, Room> {
        let rooms = ["steps", "values", "quick", "scratch", "plugins", "written"].map(|name| {
            let items = self.items(name);
            let room = Room {
                count: items.len(),
                bytes: items.iter().map(|item| item.bytes).sum(),
            };
            (name, room)
        });
        rooms.into()
    }

    /// After a run: cleans when what was written since makes the store larger than its budget, and once a day.
    /// Failures are not reported: the store only stays larger.
    pub fn tidy(&self) {
        let _ = self.flush();
        let written = self.written.swap(0, Ordering::Relaxed);
        if written == 0 {
            return;
        }
        let Some(_lock) = self.try_lock(CLEANING) else {
            // Whoever cleans counts what is there.
            return;
        };
        let path = self.root.join(TOTAL);
        let before = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        let started = fs::metadata(&path)
            .and_then(|m| m.created().or_else(|_| m.modified()))
            .ok();
        let today = started
            .and_then(|at| at.elapsed().ok())
            .is_some_and(|age| age < FORGOTTEN);
        let total = match before.map(|before| before + written) {
            Some(total) if total <= self.budget && today => total,
            _ => {
                let _ = fs::remove_file(&path);
                self.clean(self.budget).left
            }
        };
        let _ = fs::write(&path, total.to_string());
    }

    /// Removes what killed processes left, and then what was not used for longest until the rest takes no more than
    /// `budget`. None when another process is cleaning.
    pub fn gc(&self, budget: u64) -> Option<Cleaned> {
        let _lock = self.try_lock(CLEANING)?;
        let cleaned = self.clean(budget);
        let _ = fs::write(self.root.join(TOTAL), cleaned.left.to_string());
        Some(cleaned)
    }

    fn clean(&self, budget: u64) -> Cleaned {
        let mut done = Cleaned::default();
        self.remove_leftovers(&mut done);
        let values = self.items("values");
        let mut users: HashMap<String, usize> = HashMap::new();
        let mut candidates: Vec<(Item, Candidate)> = Vec::new();
        for item in self.items("steps") {
            let record = fs::read(&item.path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
            let stored = record
                .into_iter()
                .flat_map(|record| record.outputs)
                .filter(|output| output.size.is_some());
            let contents: Vec<String> = stored.map(|output| output.content).collect();
            for content in &contents {
                *users.entry(content.clone()).or_default() += 1;
            }
            candidates.push((item, Candidate::Step(contents)));
        }
        let mut sizes: HashMap<String, (PathBuf, u64)> = HashMap::new();
        for item in values {
            if !users.contains_key(&item.name) && item.age() > ORPHANED {
                done.remove(&item);
                done.values += 1;
            } else {
                sizes.insert(item.name, (item.path, item.bytes));
            }
        }
        candidates.extend(
            self.items("scratch")
                .into_iter()
                .map(|item| (item, Candidate::Unfinished)),
        );
        candidates.extend(self.items("plugins").into_iter().map(|item| (item, Candidate::Plugin)));
        candidates.extend(self.items("quick").into_iter().map(|item| (item, Candidate::Quick)));
        let mut total: u64 = candidates.iter().map(|(item, _)| item.bytes).sum();
        total += sizes.values().map(|(_, bytes)| bytes).sum::<u64>();
        candidates.sort_by_key(|(item, _)| item.used);
        let pinned = if total > budget { self.pinned() } else { HashSet::new() };
        // Somewhat below the budget, so that not every run cleans.
        let target = if total > budget { budget / 10 * 9 } else { budget };
        for (item, candidate) in candidates {
            if total <= target {
                break;
            }
            match candidate {
                Candidate::Step(_) if pinned.contains(&item.name) => done.frozen += 1,
                Candidate::Step(contents) => {
                    done.remove(&item);
                    done.steps += 1;
                    total -= item.bytes;
                    for content in contents {
                        let Some(left) = users.get_mut(&content) else { continue };
                        *left -= 1;
                        if let (0, Some((path, bytes))) = (*left, sizes.remove(&content)) {
                            let _ = fs::remove_file(path);
                            done.freed += bytes;
                            done.values += 1;
                            total -= bytes;
                        }
                    }
                }
                Candidate::Quick => {
                    done.remove(&item);
                    done.steps += 1;
                    total -= item.bytes;
                }
                Candidate::Unfinished => {
                    // One that somebody works on stays.
                    if let Some(_lock) = self.try_lock(&item.name) {
                        done.remove(&item);
                        done.unfinished += 1;
                        total -= item.bytes;
                    }
                }
                Candidate::Plugin if item.age() > FORGOTTEN => {
                    done.remove(&item);
                    done.plugins += 1;
                    total -= item.bytes;
                }
                Candidate::Plugin => {}
            }
        }
        done.left = total;
        done
    }

    fn remove_leftovers(&self, done: &mut Cleaned) {
        for room in ["steps", "values", "scratch", "written", "pins"] {
            for folder in children(&self.root.join(room)) {
                let mut files = children(&folder);
                if room == "scratch" {
                    files = files.iter().flat_map(|step| children(step)).collect();
                }
                for path in files {
                    let temporary = path
                        .file_name()
                        .is_some_and(|name| name.as_encoded_bytes().starts_with(b".para-"));
                    if let Some(item) = item(path).filter(|item| temporary && item.age() > FORGOTTEN) {
                        done.remove(&item);
                        done.leftovers += 1;
                    }
                }
            }
        }
        // A lock that nobody holds is one whose holder was killed; taking and dropping it removes the file.
        for item in self.items("locks") {
            if item.name != CLEANING && self.try_lock(&item.name).is_some() {
                done.leftovers += 1;
            }
        }
    }

    /// Reads every value; removes those that are not what was written, and forgets the steps that gave them. `progress`
    /// hears of bytes read and bytes in all.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64)) -> Verified {
        let values = self.items("values");
        let total: u64 = values.iter().map(|item| item.bytes).sum();
        let (mut read, mut found) = (0, Verified::default());
        let (whole, removed) = self.quick.verify();
        (found.whole, found.forgotten) = (whole, removed);
        for item in values.iter().filter(|item| !item.name.starts_with('.')) {
            match self.read(&item.name) {
                Ok(_) => found.whole += 1,
                Err(damaged) => found.damaged.push(damaged.content),
            }
            read += item.bytes;
            progress(read, total);
        }
        for item in self.items("steps").iter().filter(|item| !item.name.starts_with('.')) {
            if self.record(&item.name).is_none() {
                self.forget(&item.name);
                found.forgotten += 1;
            }
        }
        found
    }

    /// Removes all results. Checkpoints of unfinished steps, results that graphs have frozen, and what tells our files from
    /// those of others, stay unless `all`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn clear(&self, all: bool) -> Result<Cleaned> {
        let mut frozen = Cleaned::default();
        let pinned = if all { HashSet::new() } else { self.pinned() };
        if !pinned.is_empty() {
            self.clear_all_but(&pinned, &mut frozen);
        }
        let rooms = self.rooms();
        let count = |room: &str| rooms.get(room).map_or(0, |room| room.count);
        let mut done = Cleaned {
            steps: count("steps"),
            values: count("values"),
            plugins: count("plugins"),
            unfinished: if all { count("scratch") } else { 0 },
            ..Cleaned::default()
        };
        let mut gone = vec!["quick", "plugins", "files.json", TOTAL];
        self.quick.forget_all();
        if pinned.is_empty() {
            gone.extend(["steps", "values"]);
        } else {
            (done.steps, done.values) = (frozen.steps, frozen.values);
            (done.freed, done.frozen) = (frozen.freed, frozen.frozen);
        }
        if all {
            gone.extend(["scratch", "written", "pins"]);
        }
        for name in gone {
            let path = self.root.join(name);
            done.freed += rooms.get(name).map_or(0, |room| room.bytes);
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(sdk::Error::from(e).context(path.display()).into());
                }
                _ => {}
            }
        }
        done.left = self.rooms().values().map(|room| room.bytes).sum();
        Ok(done)
    }
}

impl Store {
    /// Removes all records but these, and all values but theirs.
    fn clear_all_but(&self, pinned: &HashSet<String>, done: &mut Cleaned) {
        let mut stay = HashSet::new();
        for item in self.items("steps") {
            if pinned.contains(&item.name) {
                let record = self.record(&item.name);
                stay.extend(
                    record
                        .into_iter()
                        .flat_map(|record| record.outputs)
                        .map(|output| output.content),
                );
                done.frozen += 1;
            } else {
                done.remove(&item);
                done.steps += 1;
            }
        }
        for item in self.items("values").iter().filter(|item| !stay.contains(&item.name)) {
            done.remove(item);
            done.values += 1;
        }
    }
}

impl Cleaned {
    fn remove(&mut self, item: &Item) {
        let removed = match item.path.is_dir() {
            true => fs::remove_dir_all(&item.path),
            false => fs::remove_file(&item.path),
        };
        if removed.is_ok() {
            self.freed += item.bytes;
        }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// A file, or a folder of files (checkpoints), with its size and last use.
fn item(path: PathBuf) -> Option<Item> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let files = if path.is_dir() {
        children(&path)
    } else {
        vec![path.clone()]
    };
    let (mut bytes, mut used) = (0, fs::metadata(&path).ok()?.modified().ok()?);
    for metadata in files.iter().filter_map(|file| fs::metadata(file).ok()) {
        bytes += metadata.len();
        used = used.max(metadata.modified().unwrap_or(used));
    }
    Some(Item {
        path,
        name,
        bytes,
        used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Output;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        (folder, store)
    }

    /// Remembers a step that gave this value, last used so many hours ago.
    fn step(store: &Store, name: u8, value: &[u8], hours: u64) -> String {
        let content = store.keep(value).unwrap();
        let output = Output {
            port: "out".into(),
            ty: "text".into(),
            content: content.clone(),
            size: Some(value.len() as u64),
        };
        let record = Record {
            ty: "t/n".into(),
            outputs: vec![output],
        };
        let key = format!("{name:02x}").repeat(32);
        store.remember(&key, &record, true).unwrap();
        for path in [store.path("steps", &key), store.path("values", &content)] {
            age(&path, hours);
        }
        key
    }

    fn age(path: &Path, hours: u64) {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    }

    #[test]
    fn the_longest_unused_goes_first_and_shared_values_stay() {
        let (_folder, store) = store();
        let old = step(&store, 1, &[1; 4000], 30);
        let shared_old = step(&store, 2, &[2; 4000], 20);
        let shared_new = step(&store, 3, &[2; 4000], 10);
        let used = step(&store, 4, &[4; 4000], 40);
        assert!(store.record(&used).is_some(), "a look-up is a use");
        let cleaned = store.gc(9_300).unwrap();
        assert_eq!((cleaned.steps, cleaned.values), (2, 1), "{cleaned:?}");
        assert!(store.record(&old).is_none() && store.record(&shared_old).is_none());
        assert!(store.record(&shared_new).is_some() && store.record(&used).is_some());
        assert!(cleaned.left <= 8370 && cleaned.left > 8000, "{cleaned:?}");
        assert_eq!(store.gc(9_300).unwrap().steps, 0);
    }

    #[test]
    fn what_runs_and_what_is_young_stays() {
        let (_folder, store) = store();
        store.keep(b"about to be named").unwrap();
        let orphan = store.keep(b"nobody's").unwrap();
        age(&store.path("values", &orphan), 2);
        let (running, killed) = ("aa".repeat(32), "bb".repeat(32));
        for key in [&running, &killed] {
            fs::create_dir_all(store.scratch(key)).unwrap();
            fs::write(store.scratch(key).join("000000005.checkpoint"), [0; 1000]).unwrap();
        }
        let _lock = store.try_lock(&running).unwrap();
        fs::create_dir_all(store.root().join("locks/cc")).unwrap();
        fs::write(store.root().join("locks/cc").join("cc".repeat(32)), "").unwrap();
        let left = store.path("values", &orphan).with_file_name(".para-xyz");
        fs::write(&left, "half").unwrap();
        age(&left, 30);
        let cleaned = store.gc(0).unwrap();
        assert_eq!(
            (cleaned.values, cleaned.unfinished, cleaned.leftovers),
            (1, 1, 2),
            "{cleaned:?}"
        );
        assert!(store.scratch(&running).exists() && !store.scratch(&killed).exists());
        assert_eq!(store.rooms()["values"].count, 1);
    }

    #[test]
    fn runs_keep_the_store_within_its_budget() {
        let (_folder, store) = store();
        let store = store.with_budget(50_000);
        for name in 0..100 {
            step(&store, name, &[name; 2000], u64::from(200 - name));
            store.tidy();
            let rooms = store.rooms();
            let all: u64 = rooms.values().map(|room| room.bytes).sum();
            assert!(all <= 53_000, "{all}");
        }
        assert!(store.record(&"63".repeat(32)).is_some(), "the last is there");
        assert!(store.rooms()["steps"].count >= 15);
    }

    #[test]
    fn damage_is_found_and_cleared() {
        let (_folder, store) = store();
        let (good, bad) = (step(&store, 1, b"good", 0), step(&store, 2, b"bad", 0));
        fs::write(store.path("values", blake3::hash(b"bad").to_hex().as_str()), b"bat").unwrap();
        fs::write(store.path("steps", &"ff".repeat(32)), "{").unwrap_or_else(|_| {
            fs::create_dir_all(store.path("steps", &"ff".repeat(32)).parent().unwrap()).unwrap();
            fs::write(store.path("steps", &"ff".repeat(32)), "{").unwrap();
        });
        let mut last = (0, 0);
        let found = store.verify(|done, total| last = (done, total));
        assert_eq!((found.whole, found.damaged.len(), found.forgotten), (1, 1, 2));
        assert_eq!(last.0, last.1);
        assert!(store.record(&good).is_some() && store.record(&bad).is_none());
        fs::create_dir_all(store.scratch(&good)).unwrap();
        assert_eq!(store.clear(false).unwrap().steps, 1);
        assert!(store.record(&good).is_none() && store.scratch(&good).exists());
        store.clear(true).unwrap();
        assert!(!store.scratch(&good).exists());
    }
}
