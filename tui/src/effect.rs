//! What `update` wants done: the only IO of the editor. `app` does it.

use crate::history::Change;
use crate::runs::Record;
use protocol::Request;
use std::path::PathBuf;

/// Something to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Ask the worker.
    Ask(Request),
    /// Start a worker; end the one there is.
    StartWorker,
    /// Write the graph. `expected` is what the file should hold now; another content is not overwritten.
    Save {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
        /// What is there, as far as the editor knows; none: nothing is compared.
        expected: Option<Option<String>>,
    },
    /// Write nodes to a file that does not exist yet.
    Extract {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
        /// Nodes that were chosen, and those that came with them.
        count: (usize, usize),
    },
    /// Read a graph.
    Open(PathBuf),
    /// Add a line to the journal.
    Journal(Entry),
    /// Copy a text to the system's clipboard.
    Copy(String),
    /// Let the user's own editor work on a text.
    Outside {
        /// The text.
        text: String,
        /// End of the file's name: `txt`, `json`.
        extension: &'static str,
    },
    /// Make a picture ready for the terminal.
    Encode {
        /// Its number.
        key: u64,
        /// The file, PNG or another.
        bytes: std::sync::Arc<[u8]>,
        /// Cells to fill at most.
        size: (u16, u16),
    },
    /// Look at a large graph.
    Survey(Box<crate::survey::Survey>),
    /// Keep a run.
    Keep(Box<Record>),
    /// Read the runs of the past of a graph.
    Runs(Option<PathBuf>),
    /// Remember that the tour was seen.
    TourSeen,
    /// Put the editor to sleep.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave.
    Quit,
}

/// A line of the journal.
#[derive(Debug)]
pub enum Entry {
    /// A graph was opened or saved: what follows starts from this text.
    Base {
        /// Its file.
        path: Option<PathBuf>,
        /// Its text.
        text: String,
    },
    /// A change was made.
    Change(Change),
    /// The last one was undone.
    Undo,
    /// The one undone last was done again.
    Redo,
    /// There is nothing to recover.
    Clean,
}
