//! What a running node may ask of the engine and tell the user.

use crate::{Error, Image, Result, Series, Slot};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How important a line of log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the curious.
    Info,
    /// The result may not be what the user expects.
    Warning,
}

/// What a node tells while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// `done` of `total` units of work.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// A few words beside the bar (`loss 0.0871`), or nothing.
        note: String,
    },
    /// A named number at a step (a loss).
    Metric {
        /// Its name.
        name: String,
        /// The step it belongs to, from 1.
        step: u64,
        /// Its value.
        value: f64,
    },
    /// A line of text.
    Log(Level, String),
    /// A picture of what the node is at.
    Preview {
        /// The step it belongs to, from 1.
        step: u64,
        /// A few words, or nothing.
        note: String,
        /// The picture.
        image: Image,
    },
}

/// What the user may ask of a training while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Draw a picture with what is learnt so far, and show it.
    SampleNow,
    /// Write a checkpoint.
    BackUpNow,
    /// End here, with what is learnt so far as the result.
    StopAndKeep,
}

/// The engine's side of a [`Room`], which ends when it is dropped.
pub trait Promise: Send {
    /// So many bytes are enough from now on.
    fn shrink(&mut self, bytes: u64);
}

/// Without an engine nothing is counted.
impl Promise for () {
    fn shrink(&mut self, _: u64) {}
}

/// Memory that was promised; given back when dropped.
#[must_use = "the promise ends when this is dropped"]
pub struct Room {
    promise: Box<dyn Promise>,
}

impl Room {
    /// What the engine promises.
    pub fn new(promise: impl Promise + 'static) -> Self {
        Self {
            promise: Box::new(promise),
        }
    }

    /// Gives back all but so many bytes: what else was promised is no longer needed, or belongs to a model that counts it.
    pub fn shrink(&mut self, bytes: usize) {
        self.promise.shrink(bytes as u64);
    }
}

/// The engine's side of a [`Context`].
pub trait Host: Send + Sync {
    /// Passes an event on.
    fn event(&self, event: Event);
    /// Whether the user asked to stop.
    fn cancelled(&self) -> bool;
    /// A folder that belongs to this very step (same node, parameters and inputs) and outlives a killed run; for checkpoints.
    fn scratch(&self) -> Option<PathBuf>;
    /// The graph with the hashes of what it used, for a file written into `folder`.
    fn provenance(&self, folder: &Path) -> Option<String>;
    /// Why these bytes may not be written to a file: somebody else's file is there, or another node of this run
    /// writes it.
    fn refuses(&self, file: &Path, bytes: &[u8]) -> Option<String>;
    /// The number from which files of these contents are to be written, so that none replaces another.
    ///
    /// # Errors
    /// Why the folder cannot be read.
    fn number(&self, series: &Series, contents: &[Vec<u8>]) -> std::io::Result<usize> {
        series.place(contents.len(), |index, file| match std::fs::read(file) {
            Ok(found) if found == contents[index] => Slot::Same,
            Ok(_) => Slot::Other,
            Err(_) => Slot::Free,
        })
    }
    /// Whether somebody looks at previews.
    fn previews(&self) -> bool {
        false
    }
    /// What the user asked for since the last call; the first call says that the node listens.
    fn live(&self) -> Vec<Live> {
        Vec::new()
    }
    /// Waits until there is room for so many bytes beside what is in memory. How many they are is asked again while it
    /// waits.
    ///
    /// # Errors
    /// When the user asked to stop meanwhile.
    fn reserve(&self, bytes: &dyn Fn() -> u64) -> Result<Room> {
        let _ = bytes;
        Ok(Room::new(()))
    }
    /// The result is not that of the node's own parameters, but that with `param` set to `value`.
    fn stands_for(&self, param: &str, value: Json) {
        let _ = (param, value);
    }
}

/// Handed to every node.
#[derive(Clone)]
pub struct Context {
    host: Arc<dyn Host>,
}

impl Context {
    /// A context on an engine.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host }
    }

    /// A context on no engine, for tests of node functions: never cancelled, events go nowhere.
    pub fn detached() -> Self {
        Self::new(Arc::new(Detached))
    }

    /// Says how far the node is.
    pub fn progress(&self, done: usize, total: usize, note: impl Into<String>) {
        self.host.event(Event::Progress {
            done: done as u64,
            total: total as u64,
            note: note.into(),
        });
    }

    /// Reports a named number at a step, from 1.
    pub fn metric(&self, name: &str, step: usize, value: f64) {
        self.host.event(Event::Metric {
            name: name.to_owned(),
            step: step as u64,
            value,
        });
    }

    /// Writes a line for the curious.
    pub fn info(&self, text: impl Into<String>) {
        self.host.event(Event::Log(Level::Info, text.into()));
    }

    /// Writes a line that the user should read.
    pub fn warn(&self, text: impl Into<String>) {
        self.host.event(Event::Log(Level::Warning, text.into()));
    }

    /// Whether the user asked to stop; long loops ask at every turn.
    pub fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    /// Stops here if the user asked to.
    ///
    /// # Errors
    /// [`Error::cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Whether somebody looks at previews; only then are they worth the work.
    pub fn previews(&self) -> bool {
        self.host.previews()
    }

    /// Shows a picture of what the node is at, at a step from 1.
    pub fn preview(&self, step: usize, note: impl Into<String>, image: Image) {
        self.host.event(Event::Preview {
            step: step as u64,
            note: note.into(),
            image,
        });
    }

    /// What the user asked for since the last call. A node that trains calls it before its first step, which says
    /// that it listens, and after every step.
    pub fn live(&self) -> Vec<Live> {
        self.host.live()
    }

    /// Waits until there is room for so many bytes beside the models and steps that are in memory; what is promised
    /// is given back when the result is dropped. A step that alone needs more than there is goes on all the same.
    ///
    /// # Errors
    /// [`Error::cancelled`] when the user asked to stop meanwhile.
    pub fn reserve(&self, bytes: usize) -> Result<Room> {
        self.host.reserve(&|| bytes as u64)
    }

    /// As [`reserve`](Self::reserve), for a need that changes while the step waits: what a model keeps may have been made by
    /// another step meanwhile.
    ///
    /// # Errors
    /// [`Error::cancelled`] when the user asked to stop meanwhile.
    pub fn reserve_with(&self, bytes: impl Fn() -> usize) -> Result<Room> {
        self.host.reserve(&|| bytes() as u64)
    }

    /// Says that the result is not that of the node's own parameters, but the one that `param` set to `value` gives
    /// (a training that was ended early: `steps`). It is passed on, and kept for a run with that value.
    pub fn stands_for(&self, param: &str, value: impl Into<Json>) {
        self.host.stands_for(param, value.into());
    }

    /// A folder that belongs to this very step and outlives a killed run; for checkpoints. None in tests.
    pub fn scratch(&self) -> Option<PathBuf> {
        self.host.scratch()
    }

    /// The graph with the hashes of what it used, for a file written into `folder`. None in tests.
    pub fn provenance(&self, folder: &Path) -> Option<String> {
        self.host.provenance(folder)
    }

    /// The number from which a row of files is to be written: where the same files are already, so that what a stopped
    /// run began is completed, else behind all that are there. They still have to be [claimed](Self::claim).
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn number(&self, series: &Series, contents: &[Vec<u8>]) -> Result<usize> {
        let number = self.host.number(series, contents);
        number.map_err(|error| Error::msg(format!("cannot read {}: {error}", series.folder.display())))
    }

    /// Makes sure that writing `file` replaces nothing but the result of an earlier run. To be called for
    /// all files of a node before the first is written.
    ///
    /// # Errors
    /// When the file is there and is not ours, or another node of this run writes it too.
    pub fn claim(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        match self.host.refuses(file, bytes) {
            None => Ok(()),
            Some(reason) => Err(Error::msg(format!("{} {reason}", file.display()))
                .help("move it away, or choose another name or folder in the node's parameters")),
        }
    }
}

/// The host of [`Context::detached`].
pub struct Detached;

impl Host for Detached {
    fn event(&self, _: Event) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn scratch(&self) -> Option<PathBuf> {
        None
    }
    fn provenance(&self, _: &Path) -> Option<String> {
        None
    }
    fn refuses(&self, file: &Path, bytes: &[u8]) -> Option<String> {
        std::fs::read(file)
            .is_ok_and(|found| found != bytes)
            .then(|| "exists".to_owned())
    }
}
