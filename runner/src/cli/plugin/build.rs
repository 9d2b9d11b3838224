//! `para plugin build`: compiles a pack.

use super::{compile, report};
use crate::failure::Result;
use std::path::PathBuf;

/// Arguments of `para plugin build`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Folder of the pack
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let built = compile(&arguments.path)?;
    report::say(&format!(
        "{} {}: {}",
        built.described.name,
        built.described.version,
        built.described.nodes.join(", ")
    ));
    report::result(&built.file.display().to_string());
    Ok(())
}
