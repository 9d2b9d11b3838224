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
    /// What is in a folder of this machine? The number comes back with the answer.
    List(u64, PathBuf),
    /// Write the graph. `expected` is what the file should hold now; another content is not overwritten.
    Save {
        /// The tab it is in.
        sheet: u64,
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
    /// Read a graph into a tab; without a file, a new one.
    Open(u64, Option<PathBuf>),
    /// Add a line to the journal of a tab.
    Journal(u64, Entry),
    /// A tab was closed: its journal is no longer needed.
    Close(u64),
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
    /// From now on, make pictures ready for such a terminal.
    Graphics(Box<ratatui_image::picker::Picker>),
    /// Look at a large graph.
    Survey(Box<crate::survey::Survey>),
    /// Keep a run.
    Keep(Box<Record>),
    /// Keep a picture of a run: the beginning of the run, the place of the picture in it, the file.
    KeepPicture(u64, usize, Vec<u8>),
    /// Read a kept picture: its number, then as above.
    ReadKept(u64, u64, usize),
    /// Is the file still what the tab knows?
    Look {
        /// The tab it is in.
        sheet: u64,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
    },
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
