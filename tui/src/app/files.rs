//! Files, on a thread of its own: graphs, journals, runs.

use super::{failed, picture};
use crate::effect::Entry;
use crate::event::{Event, FileEvent};
use crate::journal::{Journal, Opened};
use crate::mirror::Line;
use crate::runs::{self, Record};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use etcetera::BaseStrategy;
use protocol::FolderEntry;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Something to do.
pub(super) enum Job {
    List(u64, PathBuf),
    Save {
        sheet: u64,
        path: PathBuf,
        text: String,
        expected: Option<Option<String>>,
    },
    Extract {
        path: PathBuf,
        text: String,
        count: (usize, usize),
    },
    /// A graph, or a new one.
    Open(u64, Option<PathBuf>),
    Journal(u64, Entry),
    Close(u64),
    Keep(Box<Record>),
    KeepPicture(u64, usize, Vec<u8>),
    ReadKept(u64, u64, usize),
    Look {
        sheet: u64,
        path: PathBuf,
        expected: String,
    },
    Runs(Option<PathBuf>),
    TourSeen,
}

/// The thread.
pub(super) struct Files {
    to: Sender<Job>,
    thread: JoinHandle<()>,
    tour: PathBuf,
}

/// Changes are on the disk itself after this long.
const SYNC: Duration = Duration::from_secs(1);

/// The user's home folder.
pub(super) fn home() -> Option<PathBuf> {
    etcetera::home_dir().ok()
}

/// Where the editor keeps what is its own.
fn folder() -> PathBuf {
    let base = etcetera::choose_base_strategy().ok();
    let state = base.map(|base| base.state_dir().unwrap_or_else(|| base.data_dir()));
    state.unwrap_or_else(std::env::temp_dir).join("para")
}

impl Files {
    pub(super) fn start(events: &Sender<Event>) -> Self {
        let (to, jobs) = unbounded();
        let folder = folder();
        let tour = folder.join("tour-seen");
        let worker = Worker {
            events: events.clone(),
            folder,
            journals: HashMap::new(),
        };
        let thread = thread::spawn(move || worker.run(&jobs));
        Self { to, thread, tour }
    }

    pub(super) fn send(&self, job: Job) {
        let _ = self.to.send(job);
    }

    pub(super) fn tour_was_seen(&self) -> bool {
        self.tour.exists()
    }

    /// Waits until everything is written.
    pub(super) fn finish(self) {
        drop(self.to);
        let _ = self.thread.join();
    }
}

struct Worker {
    events: Sender<Event>,
    folder: PathBuf,
    /// By tab.
    journals: HashMap<u64, Journal>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let unsynced = self.journals.values().any(Journal::is_unsynced);
            let job = if unsynced {
                jobs.recv_timeout(SYNC)
            } else {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match job {
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.sync();
        self.journals.into_values().for_each(Journal::close);
    }

    fn say(&self, event: FileEvent) {
        let _ = self.events.send(Event::File(event));
    }

    fn sync(&mut self) {
        for journal in self.journals.values_mut().filter(|journal| journal.is_unsynced()) {
            if let Err(error) = journal.sync() {
                let _ = self.events.send(failed("the journal cannot be kept", &error));
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::List(id, path) => self.say(FileEvent::Folder(id, list(&path))),
            Job::Save {
                sheet,
                path,
                text,
                expected,
            } => self.save(sheet, path, text, expected),
            Job::Extract { path, text, count } => self.extract(&path, &text, count),
            Job::Open(sheet, path) => self.open(sheet, path),
            Job::Close(sheet) => {
                if let Some(mut journal) = self.journals.remove(&sheet) {
                    let _ = journal.write(Entry::Clean);
                    journal.close();
                }
            }
            Job::Journal(sheet, entry) => {
                let moved = match &entry {
                    Entry::Base { path, .. } => path.clone().map(|path| absolute(&path)),
                    _ => None,
                };
                if let Some(path) = moved {
                    self.follow(sheet, &path);
                }
                let journal = self.journals.get_mut(&sheet);
                if let Some(Err(error)) = journal.map(|journal| journal.write(entry)) {
                    let _ = self.events.send(failed("the journal cannot be kept", &error));
                }
            }
            Job::Keep(mut record) => {
                record.file = record.file.map(|file| absolute(&file));
                if let Err(error) = runs::keep(&self.folder.join("runs"), &record) {
                    let _ = self.events.send(failed("the run cannot be kept", &error));
                }
            }
            Job::KeepPicture(began, nth, bytes) => {
                if let Err(error) = runs::keep_picture(&self.folder.join("runs"), began, nth, &bytes) {
                    let _ = self
                        .events
                        .send(failed("the picture of the run cannot be kept", &error));
                }
            }
            Job::ReadKept(key, began, nth) => {
                let bytes = runs::picture(&self.folder.join("runs"), began, nth);
                self.say(FileEvent::Kept(key, bytes));
            }
            Job::Look { sheet, path, expected } => {
                // One that is gone is written again by the next saving.
                let found = std::fs::read_to_string(&path).ok();
                if found.as_ref().is_some_and(|found| *found != expected) {
                    self.say(FileEvent::Changed { sheet, path, found });
                }
            }
            Job::Runs(graph) => {
                let graph = graph.map(|graph| absolute(&graph));
                let found = runs::list(&self.folder.join("runs"), graph.as_deref());
                self.say(FileEvent::Runs(found));
            }
            Job::TourSeen => {
                // One who sees the tour again is not harmed.
                let _ = std::fs::create_dir_all(&self.folder)
                    .and_then(|()| std::fs::write(self.folder.join("tour-seen"), ""));
            }
        }
    }

    fn save(&self, sheet: u64, path: PathBuf, text: String, expected: Option<Option<String>>) {
        if let Some(expected) = expected {
            let there = std::fs::read_to_string(&path).ok();
            let exists = path.exists();
            if (exists || expected.is_some()) && there != expected && there.as_deref() != Some(&text) {
                return self.say(FileEvent::Changed {
                    sheet,
                    path,
                    found: there,
                });
            }
        }
        match write(&path, &text) {
            Ok(()) => self.say(FileEvent::Saved {
                sheet,
                path: absolute(&path),
                text,
            }),
            Err(error) => drop(
                self.events
                    .send(failed(&format!("{} cannot be saved", path.display()), &error)),
            ),
        }
    }

    fn extract(&self, path: &Path, text: &str, count: (usize, usize)) {
        let path = absolute(path);
        let name = path.display().to_string();
        if path.exists() {
            return drop(
                self.events
                    .send(failed(&name, &"there is such a file already; choose another name")),
            );
        }
        match write(&path, text) {
            Ok(()) => self.say(FileEvent::Extracted { path, count }),
            Err(error) => drop(self.events.send(failed(&format!("{name} cannot be written"), &error))),
        }
    }

    fn open(&mut self, sheet: u64, path: Option<PathBuf>) {
        let opened = |path, text, recovered, picture| FileEvent::Opened {
            sheet,
            path,
            text,
            recovered,
            picture,
        };
        let Some(path) = path else {
            let recovered = self.take_journal(sheet, None);
            return self.say(opened(PathBuf::new(), None, recovered, None));
        };
        let path = absolute(&path);
        let text = match std::fs::read(&path) {
            Ok(bytes) if bytes.starts_with(b"\x89PNG") => match picture::open(&path, &bytes) {
                Ok((file, text)) => {
                    self.take_journal(sheet, Some(&file));
                    return self.say(opened(file, None, None, Some(text)));
                }
                Err(why) => return drop(self.events.send(failed(&path.display().to_string(), &why))),
            },
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(_) => {
                    let why = "this is no text; a graph is a JSON file, or a PNG that para saved";
                    return drop(self.events.send(failed(&path.display().to_string(), &why)));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return drop(
                    self.events
                        .send(failed(&format!("{} cannot be read", path.display()), &error)),
                );
            }
        };
        let recovered = self
            .take_journal(sheet, Some(&path))
            .filter(|found| Some(&found.text) != text.as_ref());
        self.say(opened(path, text, recovered, None));
    }

    /// Opens the journal of a graph in place of the one that the tab has.
    fn take_journal(&mut self, sheet: u64, graph: Option<&Path>) -> Option<crate::journal::Recovered> {
        if let Some(old) = self.journals.remove(&sheet) {
            old.close();
        }
        match Journal::open(&self.folder.join("journals"), graph) {
            Ok(Opened::Ours(journal, recovered)) => {
                self.journals.insert(sheet, *journal);
                recovered
            }
            Ok(Opened::Taken) => {
                self.warn("another editor has this graph open: changes here are not kept for a crash");
                None
            }
            Err(error) => {
                let _ = self.events.send(failed(
                    "there is no journal, so changes are not kept for a crash",
                    &error,
                ));
                None
            }
        }
    }

    /// The graph of a tab has another file now: its journal goes with it.
    fn follow(&mut self, sheet: u64, graph: &Path) {
        let wanted = Journal::path_for(&self.folder.join("journals"), graph);
        if self
            .journals
            .get(&sheet)
            .is_some_and(|journal| journal.path() == wanted)
        {
            return;
        }
        if let Some(mut old) = self.journals.remove(&sheet) {
            let _ = old.write(Entry::Clean);
            old.close();
        }
        if let Ok(Opened::Ours(journal, _)) = Journal::open(&self.folder.join("journals"), Some(graph)) {
            self.journals.insert(sheet, *journal);
        }
    }

    fn warn(&self, text: &str) {
        self.say(FileEvent::Said(Line {
            time: super::now(),
            node: None,
            mark: Some(crate::glyph::Mark::Stale),
            text: text.to_owned(),
        }));
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What is in a folder: folders first, then by name. One that cannot be read is empty.
fn list(path: &Path) -> Vec<FolderEntry> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut entries: Vec<FolderEntry> = entries
        .filter_map(|entry| {
            let data = std::fs::metadata(entry.path()).ok()?;
            Some(FolderEntry {
                name: entry.file_name().into_string().ok()?,
                kind: match (data.is_dir(), data.is_file()) {
                    (true, _) => protocol::Entry::Folder,
                    (_, true) => protocol::Entry::File,
                    _ => protocol::Entry::Other,
                },
                size: data.len(),
                modified: 0,
            })
        })
        .collect();
    entries.sort_by_key(|entry| (entry.kind != protocol::Entry::Folder, entry.name.clone()));
    entries
}

/// Writes a file whole or not at all; what it was allowed to before it is allowed to after.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Through a link, the file behind it is meant.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().unwrap_or(folder);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match std::fs::metadata(&target) {
        Ok(data) => file.as_file().set_permissions(data.permissions())?,
        Err(_) => open_to_all(file.as_file())?,
    }
    file.persist(&target)?;
    Ok(())
}

/// Temporary files are for their owner only; graphs are files like any other.
fn open_to_all(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
