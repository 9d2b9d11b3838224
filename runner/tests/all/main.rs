//! The engine, on small nodes compiled into this test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod engine;
mod worker;
