//! Tests of the graph language from outside: what an engine and an editor see.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach their helper functions"
)]

mod broken;
mod checked;
mod edits;
mod large;
mod properties;
mod schema;
mod support;
