//! Tells which files changed, a moment after they did: editors and linkers touch a file several times.

use crate::failure::{Failure, Result};
use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file has to stay as it is before its change is told.
const QUIET: Duration = Duration::from_millis(50);

/// A watch on files and folders; it ends when it is dropped.
pub struct Watch {
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

impl Watch {
    /// Tells `changed` which files were written, made, renamed or removed, on a thread of its own.
    ///
    /// # Errors
    /// When the system cannot watch files.
    pub fn new(changed: impl Fn(BTreeSet<PathBuf>) + Send + 'static) -> Result<Self> {
        let debouncer = new_debouncer(QUIET, None, move |events: DebounceEventResult| {
            let events = events.unwrap_or_default().into_iter();
            // Reading is no change, and neither is the closing of a file that was only read.
            let events = events.filter(|event| !matches!(event.kind, EventKind::Access(_)));
            let paths: BTreeSet<PathBuf> = events.flat_map(|event| event.event.paths).collect();
            if !paths.is_empty() {
                changed(paths);
            }
        });
        Ok(Self {
            debouncer: debouncer.map_err(|e| unable(&e))?,
        })
    }

    /// Watches a folder and all below it, or a file by the folder it lies in (a file that is replaced is another one).
    ///
    /// # Errors
    /// When it is not there or the system's limit is reached.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        if path.is_dir() {
            self.watch(path, RecursiveMode::Recursive)
        } else {
            self.add_flat(path.parent().unwrap_or(path))
        }
    }

    /// Watches a folder, and nothing below it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_flat(&mut self, folder: &Path) -> Result<()> {
        self.watch(folder, RecursiveMode::NonRecursive)
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<()> {
        let watched = self.debouncer.watch(path, mode);
        watched.map_err(|e| unable(&e).help(format!("{} is not watched", path.display())))
    }
}

fn unable(error: &notify_debouncer_full::notify::Error) -> Failure {
    Failure::system(format!("cannot watch for changes: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_is_a_change_and_reading_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let file = root.join("graph.json");
        std::fs::write(&file, "one").unwrap();
        let (tell, told) = crossbeam_channel::unbounded();
        let mut watch = Watch::new(move |paths| drop(tell.send(paths))).unwrap();
        watch.add(&file).unwrap();
        std::fs::read(&file).unwrap();
        // As editors save: another file takes its place.
        std::fs::write(root.join(".draft"), "two").unwrap();
        std::fs::rename(root.join(".draft"), &file).unwrap();
        let mut seen = BTreeSet::new();
        while !seen.contains(&file) {
            seen.extend(told.recv_timeout(Duration::from_secs(20)).unwrap());
        }
        std::fs::read(&file).unwrap();
        assert!(told.recv_timeout(3 * QUIET).is_err(), "reading is no change");
    }
}
