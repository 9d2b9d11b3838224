//! All that a node author imports.
//!
//! A node is a plain function: references are input ports, values are parameters, the doc comment is the help page.
//!
//! ```ignore
//! use sdk::prelude::*;
//!
//! /// Greets somebody.
//! #[node("text/hello")]
//! fn hello(name: &String, greeting: String) -> Result<String> {
//!     Ok(format!("{greeting} {name}"))
//! }
//!
//! sdk::plugin![Hello];
//! ```
//!
//! This crate is one shared library for the whole process: types defined here (and in `diffusion`) may cross
//! from one node crate to another; types of a node crate may not.

pub mod atomic;
mod context;
mod error;
pub mod handshake;
pub mod konst;
mod node;
mod param;
mod port;
pub mod process;
mod series;
mod values;

pub use candle_core;
pub use context::{Context, Detached, Event, Host, Level, Live, Promise, Room};
pub use error::{Error, Result, ResultExt};
pub use image;
pub use node::{Inputs, Node, NodeDef, NodeSpec, Outputs, Registrar};
pub use param::{InputPath, OutputPath, Param, Params};
pub use port::{Held, Port, PortInfo, Value};
pub use sdk_macros::node;
pub use serde;
pub use serde_json;
pub use series::{Series, Slot};
pub use values::{Cell, FileEntry, Files, Fit, Image, Images, Table};

/// What identifies this build of the shared library: compiler, flags, features and sources.
pub const BUILD_ID: &str = env!("PARA_BUILD_ID");

/// The features of the workspace that this library was built with, as `cargo build --features` takes them: whoever
/// builds node crates for a running `para` needs the same.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "cuda")]
    "sdk/cuda",
    #[cfg(feature = "cudnn")]
    "sdk/cudnn",
];

/// The build id, through a real call, so that a host which uses only inlined functions still links the library.
#[inline(never)]
pub fn build_id() -> &'static str {
    BUILD_ID
}

/// What node files start with: `use sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Context, Error, Files, Image, Images, InputPath, OutputPath, Port, Result, ResultExt, Series, Table, bail,
        choice, node,
    };
    pub use candle_core::{DType, Device, Tensor};
}
