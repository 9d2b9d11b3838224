//! What is asked of the worker.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One line to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the asker; answers name it. One that is still being answered must not be used again.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Who are you? Answered by `hello`, or by an error when the versions differ.
    Hello {
        /// The asker's [`crate::VERSION`].
        version: u32,
    },
    /// What nodes are there? Answered by `catalogue`.
    Catalogue,
    /// What is wrong with a graph? Answered by `checked`. Runs nothing.
    Check {
        /// The graph.
        graph: Graph,
    },
    /// What would a run do? Answered by `planned`, or by an error with diagnostics.
    Plan {
        /// The graph.
        graph: Graph,
        /// Only these nodes and what they need; empty: all.
        #[serde(default)]
        targets: Vec<String>,
    },
    /// Run a graph, after those asked for earlier. Answered by `accepted`, then by `event`s, then by `ran`; or by
    /// an error with diagnostics.
    Run(Run),
    /// Stop a run. Answered by `noted`; the run's own last answer follows.
    Cancel {
        /// The run, by the `id` of its request; none: every run.
        #[serde(default)]
        run: Option<u64>,
        /// False: nodes stop at their next step and trainings write a checkpoint. True: whatever has not noticed
        /// after a second ends with the worker (exit code 130); start another one, which goes on from the last
        /// checkpoint.
        #[serde(default)]
        now: bool,
    },
    /// Do something in the middle of a training. Answered by `noted` with the nodes that hear it; they do it after their
    /// current step.
    Live {
        /// The run, by the `id` of its request; none: the one that goes on.
        #[serde(default)]
        run: Option<u64>,
        /// The node; none: all that train.
        #[serde(default)]
        node: Option<String>,
        /// What to do.
        command: Live,
    },
    /// What is in a folder? Answered by `folder`.
    ListFolder {
        /// Its path; relative ones start from the worker's folder, `~` is the home folder.
        path: String,
    },
    /// What is in a file? Answered by `file`.
    ReadFile {
        /// Its path.
        path: String,
        /// The most bytes to send; at most 16 MiB.
        #[serde(default)]
        limit: Option<u64>,
    },
    /// What does a picture look like? Answered by `picture`, shrunk to the size.
    ReadPicture {
        /// Its path (PNG, JPEG or WebP).
        path: String,
        /// The greatest width in pixels.
        width: u32,
        /// The greatest height in pixels.
        height: u32,
    },
    /// Look for node crates that were built since. Answered by `reloaded`.
    Reload,
    /// End, as at the end of input: running nodes stop at their next step. Answered by `noted`.
    Quit,
}

/// A graph as somebody has it open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Its text, which need not be saved anywhere.
    pub text: String,
    /// The path of its file, whether it is there or not: relative paths in it start from that folder. None: they
    /// start from the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Parameters to change first: `NODE.PARAMETER=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The graph; it is the run's own, whatever happens to the file meanwhile.
    pub graph: Graph,
    /// Only these nodes and what they need; empty: all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Execute everything, whatever is in the store.
    #[serde(default)]
    pub fresh: bool,
    /// Whether to send `preview` events.
    #[serde(default)]
    pub previews: bool,
}

/// What a training can do while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Live {
    /// Draw a picture with what is learnt so far; it comes as a `preview`.
    SampleNow,
    /// Write a checkpoint.
    BackUpNow,
    /// End the training here; the run goes on with what is learnt so far. The result is not what the node's
    /// parameters promise, so it is not kept for later runs.
    StopAndKeep,
}

/// A line that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The request's id, when that much could be read.
    pub id: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is not JSON, or no request; with the `id`, if there is one.
    pub fn read(line: &str) -> Result<Self, BadLine> {
        let bad = |id, e: serde_json::Error| BadLine {
            id,
            message: e.to_string(),
        };
        let json: Json = serde_json::from_str(line).map_err(|e| bad(None, e))?;
        let id = json.get("id").and_then(Json::as_u64);
        if id.is_none() {
            let message = match json.get("id") {
                None if json.is_object() => "it has no `id`".to_owned(),
                None => "it is not an object".to_owned(),
                Some(_) => "its `id` is not a whole number from 0".to_owned(),
            };
            return Err(BadLine { id, message });
        }
        Self::deserialize(json).map_err(|e| bad(id, e))
    }
}
