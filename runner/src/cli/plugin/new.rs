//! `para plugin new`: a pack to start from.

use super::report;
use crate::failure::{Failure, Result};
use crate::kit::template;

/// Arguments of `para plugin new`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the pack, its folder and the family of its nodes: lower-case letters, digits, dashes
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let here = std::env::current_dir().map_err(|e| Failure::user(format!("the current folder is gone: {e}")))?;
    let name = &arguments.name;
    template::create(&here, name)?;
    report::result(name);
    report::say(&format!(
        "made ./{name} with the node {name}/gradient (src/gradient.rs); next:\n\
         para plugin test {name}\n\
         para plugin add {name}\n\
         para run {name}/graph.json"
    ));
    Ok(())
}
