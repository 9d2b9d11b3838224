//! What the editor and the worker say to each other, and what a run tells: the only serialised border.
//!
//! `para worker` reads [`Request`]s on standard input and writes [`Message`]s on standard output, one JSON object a
//! line. Every request carries an `id` that the asker chose; every message names the request it answers, or has no
//! `id` when nobody asked (a node crate that was rebuilt, a line that could not be read at all).
//!
//! ```
//! let request = protocol::Request::read(r#"{"id":1,"ask":"hello","version":1}"#).unwrap();
//! assert_eq!(request.id, 1);
//! let bad = protocol::Request::read(r#"{"id":2,"ask":"dance"}"#).unwrap_err();
//! assert_eq!(bad.id, Some(2));
//! ```
//!
//! A request has exactly one final answer ([`Reply::is_final`]); before it may come others, such as the events of a
//! run. Answers to different requests may be interleaved: `check` is answered while a run goes on.
//!
//! The border is versioned by [`VERSION`]. Within a version, messages gain fields and kinds but lose none: readers
//! ignore fields they do not know, and an unknown kind of request is answered by an error, so the asker can fall back.
//!
//! `docs/protocol.md` shows every message.

mod bytes;
mod event;
mod reply;
mod request;
mod size;

pub use bytes::Bytes;
pub use event::{Event, Level, Picture, Summary};
pub use graph::Diagnostic;
pub use graph::catalog::NodeType;
pub use reply::{
    Build, BuildMessage, Entry, Error, FolderEntry, Forecast, Kind, Message, NodeEntry, PlanRow, Plugin, Refusal, Reply,
};
pub use request::{Ask, BadLine, Graph, Live, Request, Run};
pub use size::size_text;

/// The version of this border. It changes when a message changes its meaning or loses a field.
pub const VERSION: u32 = 1;

/// The longest line that is read, in bytes.
pub const LONGEST: usize = 64 << 20;
