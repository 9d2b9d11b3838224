//! `para plugin add`: compiles a pack and keeps it.

use super::{Global, installed, keep, report};
use crate::failure::Result;
use crate::kit::installed::Source;
use crate::kit::repository;
use std::path::{Path, PathBuf};

/// Arguments of `para plugin add`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Folder of a pack, or a git repository (its URL, `#` and a branch, tag or commit if wanted)
    #[arg(value_name = "PATH|GIT")]
    source: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let installed = installed()?;
    let source = &arguments.source;
    let (folder, source) = if Path::new(source).is_dir() || !repository::is_named(source) {
        let folder = PathBuf::from(source);
        let path = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        (folder, Source::Path(path))
    } else {
        report::say(&format!("fetching {source}"));
        repository::fetch(&installed, source)?
    };
    let (built, file) = keep(&installed, &global.registry()?, &folder, source)?;
    report::say(&format!(
        "added {} {}: {} (para nodes TYPE shows the page of one)",
        built.described.name,
        built.described.version,
        built.described.nodes.join(", ")
    ));
    report::result(&file.display().to_string());
    Ok(())
}
