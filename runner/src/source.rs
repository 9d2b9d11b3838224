//! A graph's text on its way to a run: parsed, with parameters changed, and the folder that its paths start from.

use crate::failure::{Failure, Result};
use crate::provenance;
use graph::Document;
use graph::catalog::Catalog;
use std::path::{Path, PathBuf};

/// A graph as it will be checked.
pub struct Source {
    /// What relative paths in it start from.
    pub folder: PathBuf,
    /// The graph.
    pub document: Document,
}

impl Source {
    /// Parses a text whose file lies in `folder`, and changes parameters: `NODE.PARAMETER=VALUE`.
    ///
    /// # Errors
    /// An assignment that names no parameter, or a value that the parameter cannot have.
    pub fn new(text: &str, folder: &Path, set: &[String], catalog: &Catalog) -> Result<Self> {
        let (mut document, _) = graph::parse(text);
        let home = document
            .top("made")
            .and_then(|made| provenance::graph_folder(made, folder));
        for assignment in set {
            let (target, value) = assignment.split_once('=').ok_or_else(|| {
                Failure::user(format!("--set {assignment}: expected node.param=value"))
                    .help("for example --set bear.rank=4")
            })?;
            document.set(target, value, catalog).map_err(|e| {
                let failure = Failure::user(format!("--set {assignment}: {}", e.message));
                match e.help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            })?;
        }
        Ok(Self {
            folder: home.unwrap_or_else(|| folder.to_owned()),
            document,
        })
    }
}
