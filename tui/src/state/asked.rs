//! The worker, and what it was asked.

/// How the worker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Worker {
    /// There is none.
    #[default]
    None,
    /// It was started and has not answered yet.
    Starting,
    /// It answers.
    Ready {
        /// Its folder.
        folder: String,
        /// Its process.
        pid: u32,
        /// Its processors and memory, for people.
        machine: String,
    },
    /// It went away.
    Gone {
        /// How.
        how: String,
    },
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The first words.
    Hello,
    /// The catalogue.
    Catalogue,
    /// A run.
    Run,
    /// A folder for a list of paths.
    Folder,
    /// A picture of a file.
    Picture(u64),
    /// A picture that is to be kept with its run.
    Keep(u64, usize),
    /// Results of nodes that are to be frozen.
    Freeze(Vec<String>),
    /// New node crates.
    Reload,
    /// Something whose answer is only said.
    Word(&'static str),
}
