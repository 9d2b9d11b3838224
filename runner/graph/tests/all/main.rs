//! Tests of the graph language from outside: what an engine and an editor see.

mod broken;
mod checked;
mod edits;
mod large;
mod properties;
mod schema;
mod support;
