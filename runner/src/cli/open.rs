//! Reads the graph that a command names: a JSON file, or a picture with a graph in it.

use super::report;
use crate::failure::{Failure, Kind, Result};
use crate::host::Registry;
use crate::provenance;
use crate::source::Source;
use graph::catalog::Catalog;
use graph::{Checked, Document};
use std::fs;
use std::path::{Path, PathBuf};

/// A graph file as it was found.
pub(super) struct Opened {
    /// As the user named it.
    pub(super) name: String,
    /// What relative paths in it start from.
    pub(super) folder: PathBuf,
    /// The graph.
    pub(super) document: Document,
}

/// A graph larger than this is a mistake (a model file, a video).
const LARGEST: u64 = 256 << 20;

impl Opened {
    /// Reads a graph and applies `--set node.param=value` to it.
    pub(super) fn read(path: &Path, set: &[String], catalog: &Catalog) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable = |reason: String| Failure::user(format!("cannot read the graph {name}: {reason}"));
        let metadata = fs::metadata(path).map_err(|e| {
            let failure = unreadable(if e.kind() == std::io::ErrorKind::NotFound {
                "no such file".into()
            } else {
                e.to_string()
            });
            failure.help("give the path of a graph (.json) or of a picture made by one (.png)")
        })?;
        if metadata.is_dir() {
            return Err(unreadable("it is a folder".into()).help("give the path of a graph in it"));
        }
        if !metadata.is_file() {
            return Err(unreadable("it is no regular file".into()));
        }
        if metadata.len() > LARGEST {
            return Err(unreadable(format!(
                "{} MB is more than any graph",
                metadata.len() >> 20
            )));
        }
        let bytes = fs::read(path).map_err(|e| unreadable(e.to_string()))?;
        let absolute_path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute_path.parent().unwrap_or(Path::new("/"));
        let is_picture = bytes.starts_with(b"\x89PNG");
        let text = if is_picture {
            let help = "a picture that para saved has its graph in it unless another program removed it";
            provenance::graph_in_png(&bytes).map_err(|reason| unreadable(reason).help(help))?
        } else {
            String::from_utf8(bytes).map_err(|e| {
                unreadable(format!(
                    "it is not text (byte {} is not UTF-8)",
                    e.utf8_error().valid_up_to()
                ))
                .help("a graph is a JSON file; a picture made by one works too")
            })?
        };
        let Source { folder, document } = Source::new(&text, folder, set, catalog)?;
        Ok(Self { name, folder, document })
    }

    /// The graph's text, with `--set` applied.
    pub(super) fn text(&self) -> String {
        self.document.to_text()
    }

    /// Checks the graph; prints everything that is wrong with it.
    pub(super) fn check(&self, registry: &Registry) -> Result<Checked> {
        let text = self.text();
        match graph::check(&self.document, registry.catalog()) {
            Ok(checked) => {
                report::diagnostics(&self.name, &text, &checked.warnings);
                Ok(checked)
            }
            Err(found) => {
                report::diagnostics(&self.name, &text, &found);
                let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
                let plural = if errors == 1 { "" } else { "s" };
                let failure = Failure::new(Kind::Graph, format!("{} cannot run: {errors} error{plural}", self.name));
                match registry.refused().len() {
                    0 => Err(failure),
                    n => Err(failure.help(format!("{n} node crates beside para were not loaded (see the warnings above); their node types are missing"))),
                }
            }
        }
    }
}
