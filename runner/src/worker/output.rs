//! Where messages go: whole lines, from any thread.

use super::text;
use crate::execute::Sink;
use crate::failure::{Failure, Kind};
use protocol::{Event, Reply};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The worker's standard output.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl Output {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes one message. When nobody reads any more, the input ends too, and that is what ends the worker.
    pub(super) fn send(&self, id: Option<u64>, reply: Reply) {
        let mut line = text(id, reply);
        line.push('\n');
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
    }
}

/// The events of one run.
pub(super) struct Events {
    pub(super) run: u64,
    pub(super) output: Output,
}

impl Sink for Events {
    fn event(&self, event: Event) {
        self.output.send(Some(self.run), Reply::Event(event));
    }
}

/// A failure as an answer.
pub(super) fn error(failure: &Failure) -> Reply {
    let kind = match failure.kind {
        Kind::User => protocol::Kind::User,
        Kind::Graph => protocol::Kind::Graph,
        Kind::Node => protocol::Kind::Node,
        Kind::System => protocol::Kind::System,
        Kind::Bug => protocol::Kind::Bug,
        Kind::Cancelled => protocol::Kind::Cancelled,
    };
    Reply::Error(protocol::Error {
        kind,
        message: failure.message.clone(),
        help: failure.help.clone(),
        diagnostics: Vec::new(),
    })
}
