//! The engine as one running node sees it.

use super::Sink;
use crate::live::Desk;
use crate::memory::{Reservation, Visit};
use crate::picture;
use crate::provenance;
use crate::store::Store;
use protocol::{Event, size_text};
use sdk::{Host, Room, Series, Slot};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The engine as one running node sees it.
pub(super) struct NodeHost {
    pub(super) node: String,
    pub(super) key: String,
    pub(super) store: Store,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) patient: Arc<AtomicUsize>,
    pub(super) desk: Arc<Desk>,
    pub(super) previews: bool,
    /// Its place in memory.
    pub(super) visit: Visit,
    /// What a model reserved while it was made, kept until the model itself is counted; none for a node that makes none.
    pub(super) rooms: Option<Mutex<Vec<Reservation>>>,
    /// Whether it is among the patient.
    pub(super) waits: AtomicBool,
    /// Whether it is at the desk.
    pub(super) listens: AtomicBool,
    pub(super) claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    pub(super) provenance: provenance::Made,
    pub(super) stands_for: Mutex<Option<(String, Json)>>,
}

impl Drop for NodeHost {
    fn drop(&mut self) {
        if self.waits.load(Ordering::Relaxed) {
            self.patient.fetch_sub(1, Ordering::Relaxed);
        }
        if self.listens.load(Ordering::Relaxed) {
            self.desk.leave(&self.node);
        }
    }
}

impl NodeHost {
    /// A file that we wrote and somebody changed is moved aside rather than lost.
    fn set_aside(&self, file: &Path) -> Result<(), String> {
        let name = |n: usize| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let extension = file
                .extension()
                .map(|e| format!(".{}", e.to_string_lossy()))
                .unwrap_or_default();
            file.with_file_name(format!("{stem}.kept-{n}{extension}"))
        };
        let free = (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        fs::rename(file, &free)
            .map_err(|e| format!("was changed since para wrote it and cannot be moved aside: {e}"))?;
        self.sink.event(Event::Log {
            node: Some(self.node.clone()),
            level: protocol::Level::Warning,
            text: format!(
                "{} was changed since para wrote it; kept as {}",
                file.display(),
                free.display()
            ),
        });
        Ok(())
    }
}

impl Host for NodeHost {
    fn event(&self, event: sdk::Event) {
        let node = self.node.clone();
        self.sink.event(match event {
            sdk::Event::Progress { done, total, note } => Event::Progress {
                node,
                done,
                total,
                note,
            },
            sdk::Event::Metric { name, step, value } => Event::Metric {
                node,
                name,
                step,
                value: value.is_finite().then_some(value),
            },
            sdk::Event::Preview { step, note, image } => match self.previews.then(|| picture::of(&image)) {
                Some(Ok(picture)) => Event::Preview {
                    node,
                    step,
                    note,
                    picture,
                },
                // A preview that cannot be shown is no reason to stop.
                _ => return,
            },
            sdk::Event::Log(level, text) => {
                let level = match level {
                    sdk::Level::Info => protocol::Level::Info,
                    sdk::Level::Warning => protocol::Level::Warning,
                };
                Event::Log {
                    node: Some(node),
                    level,
                    text,
                }
            }
        });
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn scratch(&self) -> Option<PathBuf> {
        if !self.waits.swap(true, Ordering::Relaxed) {
            self.patient.fetch_add(1, Ordering::Relaxed);
        }
        Some(self.store.scratch(&self.key))
    }

    fn provenance(&self, folder: &Path) -> Option<String> {
        Some(self.provenance.text(folder))
    }

    fn refuses(&self, file: &Path, bytes: &[u8]) -> Option<String> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        {
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            let claimant = claims.entry(file.clone()).or_insert_with(|| self.node.clone());
            if *claimant != self.node {
                return Some(format!("is also written by node `{claimant}` of this graph"));
            }
        }
        match (fs::read(&file), self.store.wrote(&file)) {
            // What stands in the way of the folder is told when the file is written.
            (Err(error), _) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            (Err(error), _) => return Some(format!("cannot be replaced: {error}")),
            (Ok(found), Some(written)) if blake3::hash(&found).to_hex().as_str() == written => {}
            (Ok(found), _) if found == bytes || provenance::is_ours(&found) => {}
            (Ok(_), Some(_)) => {
                if let Err(reason) = self.set_aside(&file) {
                    return Some(reason);
                }
            }
            (Ok(_), None) => return Some("exists and was not written by para".into()),
        }
        self.store.mark_written(&file, "").err().map(|failure| failure.message)
    }

    fn number(&self, series: &Series, contents: &[Vec<u8>]) -> std::io::Result<usize> {
        let absolute = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let hashes: Vec<_> = contents.iter().map(|bytes| blake3::hash(bytes).to_hex()).collect();
        // Held throughout: two savers of one run choose one after the other.
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let first = series.place(contents.len(), |index, file| {
            let file = absolute(file);
            if claims.get(&file).is_some_and(|claimant| *claimant != self.node) {
                return Slot::Other;
            }
            let bytes = &contents[index];
            // It may be gone, and is written again; or somebody changed it, and it is moved aside when it is claimed.
            if self
                .store
                .wrote(&file)
                .is_some_and(|wrote| wrote == hashes[index].as_str())
            {
                return Slot::Same;
            }
            match fs::metadata(&file) {
                Err(_) => Slot::Free,
                Ok(found) if found.len() != bytes.len() as u64 => Slot::Other,
                Ok(_) if fs::read(&file).is_ok_and(|found| found == *bytes) => Slot::Same,
                Ok(_) => Slot::Other,
            }
        })?;
        let files = (first..)
            .take(contents.len())
            .map(|number| absolute(&series.path(number)));
        claims.extend(files.map(|file| (file, self.node.clone())));
        Ok(first)
    }

    fn previews(&self) -> bool {
        self.previews
    }

    fn live(&self) -> Vec<sdk::Live> {
        self.listens.store(true, Ordering::Relaxed);
        self.desk.take(&self.node)
    }

    fn reserve(&self, bytes: &dyn Fn() -> u64) -> sdk::Result<Room> {
        let mut told = false;
        let wait = || {
            if !std::mem::replace(&mut told, true) {
                self.sink.event(Event::Waiting {
                    node: self.node.clone(),
                    why: "room in memory".into(),
                });
            }
            match self.cancelled() {
                true => Err(sdk::Error::cancelled()),
                false => Ok(()),
            }
        };
        let room = self.visit.reserve(bytes, wait)?;
        if let Some(beside) = room.beside {
            self.sink.event(Event::Log {
                node: Some(self.node.clone()),
                level: protocol::Level::Warning,
                text: format!(
                    "takes about {} beside the {} in memory, more than the budget of {} (--memory): it goes on alone, and \
                     the machine may run out of memory. To take less: a smaller batch or resolution, or \
                     `checkpoint: block` in a training",
                    size_text(room.bytes()),
                    size_text(beside),
                    size_text(self.visit.budget()),
                ),
            });
        }
        Ok(match &self.rooms {
            Some(rooms) => {
                rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
                Room::new(())
            }
            None => Room::new(room),
        })
    }

    fn stands_for(&self, param: &str, value: Json) {
        *self.stands_for.lock().unwrap_or_else(PoisonError::into_inner) = Some((param.to_owned(), value));
    }
}
