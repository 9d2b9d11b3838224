//! What a running node may ask of the engine and tell the user.

use crate::{Error, Result};
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

    /// A folder that belongs to this very step and outlives a killed run; for checkpoints. None in tests.
    pub fn scratch(&self) -> Option<PathBuf> {
        self.host.scratch()
    }

    /// The graph with the hashes of what it used, for a file written into `folder`. None in tests.
    pub fn provenance(&self, folder: &Path) -> Option<String> {
        self.host.provenance(folder)
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
    fn refuses(&self, file: &Path, _: &[u8]) -> Option<String> {
        file.exists().then(|| "exists".to_owned())
    }
}
