//! Reading the files that a graph names, which takes long for large models: it is heard of, and can be stopped.

use crate::content::{Amount, Contents};
use crate::execute::Control;
use protocol::Event;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Reading that takes no longer than this is not heard of.
const QUIET: Duration = Duration::from_secs(1);
/// From then on it is heard of so often.
const OFTEN: Duration = Duration::from_millis(200);

/// Who hears of long reading, and may end it.
pub trait Watch {
    /// How far the reading of a node's file or folder is.
    fn reading(&self, node: &str, path: &Path, amount: Amount);
    /// Whether it should end.
    fn stopped(&self) -> bool;
}

/// Nobody hears of it.
pub struct Unwatched;

impl Watch for Unwatched {
    fn reading(&self, _: &str, _: &Path, _: Amount) {}
    fn stopped(&self) -> bool {
        false
    }
}

impl Watch for Control {
    fn reading(&self, node: &str, path: &Path, amount: Amount) {
        self.sink.event(Event::Reading {
            node: node.to_owned(),
            path: path.to_string_lossy().into_owned(),
            files: amount.files,
            of_files: amount.of_files,
            bytes: amount.bytes,
            of_bytes: amount.of_bytes,
        });
    }
    fn stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// The content of a node's file or folder.
pub(crate) fn content(contents: &Contents, node: &str, path: &Path, watch: &dyn Watch) -> io::Result<String> {
    let mut due = Instant::now() + QUIET;
    contents.of_watched(path, &mut |amount| {
        let now = Instant::now();
        if now >= due {
            due = now + OFTEN;
            watch.reading(node, path, amount);
        }
        !watch.stopped()
    })
}
