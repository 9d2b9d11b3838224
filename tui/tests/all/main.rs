//! The editor from outside: keys to screens, edits to texts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod building;
mod groups;
mod keeping;
mod keys;
mod large;
mod panics;
mod plugins;
mod random;
mod screens;
mod support;
mod tabs;
mod working;
