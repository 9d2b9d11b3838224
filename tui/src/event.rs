//! All that can wake the editor.

use crate::mirror::Line;
use crate::runs::Record;
use crossterm::event::{KeyEvent, MouseEvent};
use protocol::{FolderEntry, Message};
use ratatui_image::picker::Picker;
use ratatui_image::protocol::Protocol;
use std::path::PathBuf;
use std::sync::Arc;

/// Something that happened. Its time comes beside it: nothing in `update` reads a clock.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// A text was pasted into the terminal.
    Paste(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// The terminal has the focus, or not.
    Focus(bool),
    /// A line from the worker.
    Worker(Message),
    /// The worker went away.
    WorkerGone(Gone),
    /// What the file system answered.
    File(FileEvent),
    /// What an editor outside gave back.
    Outside(Result<String, String>),
    /// A picture is ready to be drawn.
    Picture(u64, (u16, u16), Result<Encoded, String>),
    /// The terminal can show pictures itself, in this way.
    Graphics(Box<Picker>),
    /// A look at the graph was taken.
    Surveyed(Box<crate::survey::Surveyed>),
    /// A deadline of the state is over.
    Timer,
    /// The system wants the editor to sleep.
    Sleep,
    /// Back from sleep: everything must be drawn.
    Woken,
    /// The system wants the editor to end.
    Terminate,
}

/// A picture in the form that the terminal takes.
#[derive(Clone)]
pub struct Encoded(pub Arc<Protocol>);

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoded")
    }
}

/// How the worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// `exit code 4`, `killed by signal 9`, why it could not be started.
    pub how: String,
    /// Its last words on standard error.
    pub last: Vec<String>,
    /// Which of the workers of this session.
    pub number: usize,
}

/// What the file system answered.
#[derive(Debug)]
pub enum FileEvent {
    /// What is in a folder, for the list that asked.
    Folder(u64, Vec<FolderEntry>),
    /// A graph was saved.
    Saved {
        /// The tab it is in.
        sheet: u64,
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Nodes were written to a file of their own.
    Extracted {
        /// Where.
        path: PathBuf,
        /// Nodes that were chosen, and those that came with them.
        count: (usize, usize),
    },
    /// The file is not what was read from it: somebody else changed it.
    Changed {
        /// The tab it is in.
        sheet: u64,
        /// Which.
        path: PathBuf,
        /// What it holds now, if it is a text.
        found: Option<String>,
    },
    /// A graph was read.
    Opened {
        /// The tab it goes to.
        sheet: u64,
        /// Where; empty for a new one.
        path: PathBuf,
        /// Its text; none when there is no such file yet.
        text: Option<String>,
        /// What a journal of an earlier session knows beyond it.
        recovered: Option<crate::journal::Recovered>,
        /// The graph that a picture carried; `path` is the file that it would have.
        picture: Option<String>,
    },
    /// A kept picture, by its number.
    Kept(u64, Option<Vec<u8>>),
    /// Runs of the past.
    Runs(Vec<Record>),
    /// It did not work.
    Failed(String),
    /// Words for the log.
    Said(Line),
}
