//! All that a node author imports.

mod error;
pub use candle_core;
pub use error::{Error, Result, ResultExt};
