//! What happens during a run.
//!
//! `started` is said only of a real execution; what concerns the whole run has names of its own.

use crate::Bytes;
use serde::{Deserialize, Serialize};

/// What happens during a run, in the order it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Before the run begins: a file or folder that a node names takes long to read. Its content decides what has to be done.
    Reading {
        /// Its id in the graph.
        node: String,
        /// The file or folder.
        path: String,
        /// Files read.
        files: u64,
        /// Files in all, as far as they are found.
        of_files: u64,
        /// Bytes read.
        bytes: u64,
        /// Bytes in all, as far as they are found.
        of_bytes: u64,
    },
    /// The run begins.
    RunStarted {
        /// Nodes that belong to the run.
        nodes: usize,
    },
    /// A node executes.
    Started {
        /// Its id in the graph.
        node: String,
        /// Its type.
        #[serde(rename = "type")]
        ty: String,
    },
    /// `done` of `total` units of a node's work.
    Progress {
        /// Its id in the graph.
        node: String,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// A few words (`loss 0.0871`), or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// A named number at a step.
    Metric {
        /// Its id in the graph.
        node: String,
        /// The number's name.
        name: String,
        /// The step, from 1.
        step: u64,
        /// The number; null when it is not finite.
        value: Option<f64>,
    },
    /// A picture of what a node is at: a sample of a training, or what a sampler has in mind.
    Preview {
        /// Its id in the graph.
        node: String,
        /// The node's step, from 1.
        step: u64,
        /// A few words: the prompt, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// The picture.
        picture: Picture,
    },
    /// A node waits before it begins.
    Waiting {
        /// Its id in the graph.
        node: String,
        /// For what: another process that is at the same step, or room in memory.
        why: String,
    },
    /// A line of text.
    Log {
        /// The node that says it; none for the engine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// How important it is.
        level: Level,
        /// The line.
        text: String,
    },
    /// A node executed to its end.
    Done {
        /// Its id in the graph.
        node: String,
        /// How long it took.
        seconds: f64,
        /// Files it wrote.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// The key of its result in the store, with which it can be frozen; empty when it was not kept.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        key: String,
    },
    /// A node's results were in the store.
    Cached {
        /// Its id in the graph.
        node: String,
        /// Files it wrote when it executed; they are as they were.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// The key of its result in the store.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        key: String,
        /// Whether it is frozen: this result stands for it, whatever its parameters and inputs are.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        frozen: bool,
    },
    /// A frozen node would give something else by now: its result is older than its parameters or inputs.
    Older {
        /// Its id in the graph.
        node: String,
    },
    /// A node whose results live in memory only (a model) was made ready, because a step that executes needs it.
    Loaded {
        /// Its id in the graph.
        node: String,
        /// How long it took.
        seconds: f64,
    },
    /// A node could not do its work.
    Failed {
        /// Its id in the graph.
        node: String,
        /// Its type.
        #[serde(rename = "type")]
        ty: String,
        /// What went wrong.
        message: String,
        /// How to mend it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// A node was not run.
    Skipped {
        /// Its id in the graph.
        node: String,
        /// The node that failed above it; none when the run was cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// The run is over.
    RunFinished {
        /// What came of it.
        #[serde(flatten)]
        summary: Summary,
    },
}

/// A picture in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The picture as a PNG file.
    pub png: Bytes,
}

/// How important a line of log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For the curious.
    Info,
    /// The result may not be what the user expects.
    Warning,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Nodes that executed.
    pub executed: usize,
    /// Nodes whose results were in the store.
    pub cached: usize,
    /// Nodes whose results were made ready in memory.
    pub loaded: usize,
    /// Nodes that failed.
    pub failed: usize,
    /// Nodes that were not run.
    pub skipped: usize,
    /// Whether the user stopped it.
    pub cancelled: bool,
    /// How long it took.
    pub seconds: f64,
}
