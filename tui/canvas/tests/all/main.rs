//! What holds for every layout.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edits;
mod large;
mod properties;
mod support;
