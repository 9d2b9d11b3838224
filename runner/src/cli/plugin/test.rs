//! `para plugin test`: runs the tests of a pack.

use crate::failure::{Failure, Result};
use crate::kit::Kit;
use std::path::PathBuf;

/// Arguments of `para plugin test`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Folder of the pack
    #[arg(default_value = ".")]
    path: PathBuf,
    /// What else to tell `cargo test`, after `--`
    #[arg(last = true)]
    cargo: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.path.join("Cargo.toml").is_file() {
        return Err(
            Failure::user(format!("there is no Cargo.toml in {}", arguments.path.display()))
                .help("name the folder of a pack, or make one: para plugin new my-nodes"),
        );
    }
    Kit::beside(&crate::cli::home()?)?.test(&arguments.path, &arguments.cargo)
}
