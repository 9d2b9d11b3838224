//! The journal: every change on disk at once, so that a crash loses at most a second of work.
//!
//! One file for each graph, next to no other: a line with the text it starts from, then a line for each change. The
//! file is locked while an editor has the graph open, and removed when there is nothing left to recover.

use crate::effect::Entry;
use crate::history::{Change, History};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// What a journal knows beyond the file.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The text with all changes.
    pub text: String,
    /// The text they start from.
    pub base: String,
    /// The changes.
    pub history: History,
}

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Base { path: Option<PathBuf>, text: String },
    Change(Change),
    Undo,
    Redo,
}

/// The journal of the open graph.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    unsynced: bool,
}

/// What came of opening a journal.
#[derive(Debug)]
pub enum Opened {
    /// It is ours; what an earlier session left in it.
    Ours(Box<Journal>, Option<Recovered>),
    /// Another editor has it.
    Taken,
}

impl Journal {
    /// Opens the journal of a graph in `folder`. A graph without a file has a journal for each process; one that was
    /// left behind is taken over.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn open(folder: &Path, graph: Option<&Path>) -> std::io::Result<Opened> {
        std::fs::create_dir_all(folder)?;
        let Some(graph) = graph else {
            for number in 0.. {
                let opened = Self::open_file(folder.join(format!("new-{number}.jsonl")))?;
                if matches!(opened, Opened::Ours(..)) {
                    return Ok(opened);
                }
            }
            return Ok(Opened::Taken);
        };
        Self::open_file(Self::path_for(folder, graph))
    }

    /// The journal of a graph in `folder`.
    pub fn path_for(folder: &Path, graph: &Path) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        graph.hash(&mut hasher);
        let stem = graph.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        folder.join(format!("{stem}-{:016x}.jsonl", hasher.finish()))
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_file(path: PathBuf) -> std::io::Result<Opened> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        // A process that is being started holds copies of our files for a moment.
        for last in [false, false, false, false, true] {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if last => return Ok(Opened::Taken),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        let mut text = String::new();
        // Half a character at the end is what a crash leaves.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        let recovered = replay(&text).filter(|found| !found.history.steps().is_empty());
        let journal = Self {
            file,
            path,
            unsynced: false,
        };
        Ok(Opened::Ours(Box::new(journal), recovered))
    }

    /// Writes a line. A base begins the file anew; `Clean` empties it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, entry: Entry) -> std::io::Result<()> {
        let line = match entry {
            Entry::Base { path, text } => {
                self.empty()?;
                Line::Base { path, text }
            }
            Entry::Change(change) => Line::Change(change),
            Entry::Undo => Line::Undo,
            Entry::Redo => Line::Redo,
            Entry::Clean => return self.empty(),
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.unsynced = true;
        Ok(())
    }

    fn empty(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.unsynced = false;
        Ok(())
    }

    /// Whether something is not on the disk itself yet.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Brings it to the disk itself.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&mut self) -> std::io::Result<()> {
        self.unsynced = false;
        self.file.sync_data()
    }

    /// Lets go of it; one with nothing to recover leaves no file.
    pub fn close(self) {
        if self.file.metadata().is_ok_and(|data| data.len() == 0) {
            // A file that stays is an empty file; the next editor takes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Does all that a journal tells. Stops at the first line that is broken or does not fit.
pub fn replay(text: &str) -> Option<Recovered> {
    let mut lines = text.lines().map_while(|line| serde_json::from_str::<Line>(line).ok());
    let Line::Base { text: base, .. } = lines.next()? else {
        return None;
    };
    let mut now = base.clone();
    let mut history = History::default();
    for line in lines {
        let next = match line {
            Line::Change(change) => {
                let Some(next) = change.apply(&now) else {
                    break;
                };
                history.push(change, &next);
                Some(next)
            }
            Line::Undo => history.undo(&now).map(|(text, _)| text),
            Line::Redo => history.redo(&now).map(|(text, _)| text),
            Line::Base { .. } => None,
        };
        let Some(next) = next else {
            break;
        };
        now = next;
    }
    Some(Recovered {
        text: now,
        base,
        history,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(before: &str, after: &str, merge: Option<String>) -> Option<Change> {
        let (at, old, new) = Change::between(before, after)?;
        Some(Change {
            what: "x".to_owned(),
            at,
            old,
            new,
            time: 0,
            merge,
            node: None,
        })
    }

    proptest! {
        /// Whatever was done, undone and done again: the journal leads to the same text and the same steps.
        #[test]
        fn a_journal_leads_to_the_document(steps in proptest::collection::vec((0u8..5, "[ab\n\u{e9}]{0,8}"), 0..30)) {
            let folder = tempfile::tempdir().unwrap();
            let Opened::Ours(mut journal, None) = Journal::open(folder.path(), Some(Path::new("g.json"))).unwrap() else {
                panic!("a new journal is ours and empty");
            };
            let mut now = "start".to_owned();
            let mut history = History::default();
            journal.write(Entry::Base { path: None, text: now.clone() }).unwrap();
            for (kind, text) in steps {
                match kind {
                    0 => if let Some((before, _)) = history.undo(&now) {
                        journal.write(Entry::Undo).unwrap();
                        now = before;
                    },
                    1 => if let Some((after, _)) = history.redo(&now) {
                        journal.write(Entry::Redo).unwrap();
                        now = after;
                    },
                    2 => history.seal(),
                    _ => {
                        let merge = (kind == 3).then(|| history.merge_word("typing"));
                        if let Some(change) = change(&now, &text, merge) {
                            history.push(change.clone(), &text);
                            journal.write(Entry::Change(change)).unwrap();
                            now = text;
                        }
                    }
                }
            }
            journal.sync().unwrap();
            drop(journal);
            let Opened::Ours(_, found) = Journal::open(folder.path(), Some(Path::new("g.json"))).unwrap() else {
                panic!("nobody has it");
            };
            if let Some(found) = found {
                prop_assert_eq!(found.text, now);
                prop_assert_eq!(found.history.steps(), history.steps());
            } else {
                prop_assert!(history.steps().is_empty());
            }
        }
    }

    #[test]
    fn a_line_that_broke_off_is_left_out() {
        let base = r#"{"base":{"path":null,"text":"a"}}"#;
        let one = serde_json::to_string(&Line::Change(change("a", "ab", None).unwrap())).unwrap();
        let found = replay(&format!("{base}\n{one}\n{}", &one[..20])).unwrap();
        assert_eq!(found.text, "ab");
    }

    #[test]
    fn two_editors_do_not_share_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let graph = Path::new("g.json");
        let first = Journal::open(folder.path(), Some(graph)).unwrap();
        assert!(matches!(
            Journal::open(folder.path(), Some(graph)).unwrap(),
            Opened::Taken
        ));
        let Opened::Ours(journal, _) = first else {
            panic!("the first has it");
        };
        journal.close();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
