//! What the worker answers.

use crate::{Bytes, Event, Picture, Summary};
use graph::Diagnostic;
use graph::catalog::NodeType;
use serde::{Deserialize, Serialize};

/// One line from the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The request that it answers; none when nobody asked.
    #[serde(default)]
    pub id: Option<u64>,
    /// The answer.
    #[serde(flatten)]
    pub reply: Reply,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Hello {
        /// The worker's [`crate::VERSION`].
        version: u32,
        /// The version of `para`.
        para: String,
        /// The worker's process id.
        pid: u32,
        /// The folder that relative paths start from.
        folder: String,
        /// The folder that results are kept in.
        store: String,
        /// Processors that it may use.
        cores: usize,
        /// Bytes of memory that loaded models and running steps may take.
        memory: u64,
    },
    /// To `catalogue`.
    Catalogue {
        /// All node types, by name.
        nodes: Vec<NodeEntry>,
        /// The node crates they come from.
        plugins: Vec<Plugin>,
        /// Files of node crates that were not loaded.
        #[serde(default)]
        refused: Vec<Refusal>,
    },
    /// To `check`.
    Checked {
        /// Whether the graph can run.
        ok: bool,
        /// Errors and warnings, in the order of the text.
        diagnostics: Vec<Diagnostic>,
    },
    /// To `plan`.
    Planned {
        /// One row for each node of the run, in the order in which they would run.
        rows: Vec<PlanRow>,
        /// Warnings about the graph.
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
    },
    /// To `run`, at once.
    Accepted {
        /// Runs before it.
        ahead: usize,
        /// Warnings about the graph.
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
    },
    /// Something happened in a run.
    Event(Event),
    /// To `run`, at its end. Failed nodes and a stop by the user are no errors of the request.
    Ran {
        /// What came of it.
        summary: Summary,
    },
    /// The request was taken note of, or done.
    Noted {
        /// The nodes that it concerned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<String>,
    },
    /// To `list_folder`.
    Folder {
        /// Its absolute path.
        path: String,
        /// What is in it: folders first, then by name. Hidden entries included.
        entries: Vec<FolderEntry>,
    },
    /// To `read_file`.
    File {
        /// Its absolute path.
        path: String,
        /// Its size in bytes, which may be more than was sent.
        size: u64,
        /// Its beginning, or all of it.
        bytes: Bytes,
    },
    /// To `read_picture`.
    Picture {
        /// Its absolute path.
        path: String,
        /// The file's own width in pixels.
        full_width: u32,
        /// The file's own height in pixels.
        full_height: u32,
        /// The picture, shrunk to what was asked for.
        picture: Picture,
    },
    /// To `reload` before its end, or unasked when sources changed: a build began.
    Building {
        /// The packages that changed.
        packages: Vec<String>,
    },
    /// To `reload`, or unasked after a build: what is live now. Ask for the catalogue again when `changed` is not empty.
    Reloaded {
        /// The node types that are new, gone or of another build.
        changed: Vec<String>,
        /// The node crates that are live.
        plugins: Vec<Plugin>,
        /// Files that were not loaded; the version before stays.
        #[serde(default)]
        refused: Vec<Refusal>,
        /// The build, when there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build: Option<Build>,
    },
    /// The request could not be done.
    Error(Error),
}

impl Reply {
    /// Whether this is the last answer to its request.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Accepted { .. } | Self::Event(_) | Self::Building { .. })
    }
}

/// Why a request could not be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Whose fault it is.
    pub kind: Kind,
    /// What went wrong; several lines are possible.
    pub message: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What is wrong with the graph, if that is it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// Whose fault an error is, as the exit codes of `para` tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The line was no request.
    Protocol,
    /// Files and arguments that the user named.
    User,
    /// The graph.
    Graph,
    /// A node.
    Node,
    /// The machine or the installation.
    System,
    /// Us.
    Bug,
    /// The user stopped it.
    Cancelled,
}

/// A node type, as the catalogue lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The descriptor: kind, help page, ports, parameters.
    #[serde(flatten)]
    pub ty: NodeType,
    /// The package of the node crate.
    pub plugin: String,
}

/// A node crate that is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// The file.
    pub file: String,
    /// Identifies this very build.
    pub build: String,
    /// Its node types.
    pub nodes: Vec<String>,
    /// Earlier builds of it that are still in memory.
    #[serde(default)]
    pub resident: usize,
}

/// A file of a node crate that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
    /// How to mend it.
    pub help: String,
}

/// What the compiler said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Whether it went through.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// Errors and warnings.
    pub messages: Vec<BuildMessage>,
}

/// One message of the compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildMessage {
    /// `error`, `warning`.
    pub level: String,
    /// In one sentence.
    pub message: String,
    /// The source file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// As the compiler prints it.
    pub rendered: String,
}

/// What would happen to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its id in the graph.
    pub node: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// What would happen.
    pub state: Forecast,
    /// Why, in a few words, or the node that it depends on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The key of its result, when that is in the store: the node can be frozen with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// What would happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// Its results are in the store.
    Hit,
    /// It executes.
    Miss,
    /// The node in `detail` decides whether it executes.
    DependsOn,
    /// A model that is loaded, because a step needs it.
    Load,
    /// It is frozen, and its result is not in the store: it fails.
    Lost,
}

/// A file or folder in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Entry,
    /// Its size in bytes; 0 for folders.
    pub size: u64,
    /// When its content last changed, in seconds since 1970; 0 when the system does not say.
    pub modified: u64,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A folder, or a link to one.
    Folder,
    /// A file, or a link to one.
    File,
    /// A device, a broken link, or what cannot be read.
    Other,
}
