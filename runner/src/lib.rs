//! The engine: plan → execute → store, and the command `para` around it.
//!
//! It knows no tensor: nodes live in crates that are loaded when a graph needs them (`host`), and values are
//! opaque but for their bytes (`store`).

pub mod cli;
pub mod content;
pub mod execute;
pub mod explain;
pub mod failure;
pub mod host;
pub mod key;
pub mod kit;
pub mod live;
pub mod memory;
mod pace;
pub mod panic;
pub mod picture;
pub mod plan;
pub mod provenance;
pub mod reading;
pub mod reload;
pub mod resolve;
pub mod share;
pub mod size;
pub mod source;
pub mod store;
pub mod worker;
