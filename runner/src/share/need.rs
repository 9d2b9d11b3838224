//! What a graph needs, and whether it is here.

use super::find::Finder;
use super::lock::{Lock, LockedFile, short};
use crate::content::Contents;
use crate::resolve::absolute;
use graph::Document;
use graph::catalog::{Catalog, ParamType};
use protocol::size_text;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// A file or folder that a graph reads.
#[derive(Clone, Debug)]
pub struct Need {
    /// `NODE.PARAMETER`.
    pub place: String,
    /// The path, as the graph says it.
    pub path: String,
    /// What the lock says of it, if there is a lock.
    pub locked: Option<LockedFile>,
    /// How it stands.
    pub state: State,
}

/// How a needed file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is at its path, with the bytes of the lock, if there is one.
    Here {
        /// The hash of its content.
        blake3: String,
        /// Bytes in all.
        size: u64,
    },
    /// Something else is at its path.
    Other {
        /// The hash of what is there.
        blake3: String,
        /// Where the right one is, if it was found.
        found: Option<PathBuf>,
    },
    /// Nothing is at its path.
    Missing {
        /// Where it is, if it was found.
        found: Option<PathBuf>,
    },
    /// It cannot be read.
    Unreadable(String),
}

/// Every file and folder that a graph in `folder` reads: by the descriptors of its node types, and by the lock where
/// a type is not here. What is missing is looked for with `finder`.
pub fn needs<'a>(
    document: &Document,
    catalog: &Catalog,
    folder: &Path,
    lock: Option<&Lock>,
    contents: &Contents,
    finder: &dyn Fn() -> Finder<'a>,
) -> Vec<Need> {
    let mut places: Vec<(String, String, Option<LockedFile>)> = Vec::new();
    for (id, node) in document.nodes() {
        let locked =
            |param: &str| lock.and_then(|lock| lock.files.iter().find(|file| file.node == *id && file.param == param));
        let text = |param: &str, default: Option<&Json>| {
            node.params
                .get(param)
                .or(default)
                .and_then(Json::as_str)
                .map(str::to_owned)
        };
        match catalog.get(&node.ty.name) {
            Some(ty) => {
                for param in ty.params.iter().filter(|param| param.ty == ParamType::Path) {
                    if let Some(path) = text(&param.name, param.default.as_ref()) {
                        // The lock speaks of the path that it was made with, and of no other.
                        let locked = locked(&param.name).filter(|file| file.path == path).cloned();
                        places.push((format!("{id}.{}", param.name), path, locked));
                    }
                }
            }
            None => {
                let known = lock.map(|lock| lock.files.as_slice()).unwrap_or_default().iter();
                for file in known.filter(|file| file.node == *id) {
                    if let Some(path) = text(&file.param, None).filter(|path| *path == file.path) {
                        places.push((file.place(), path, Some(file.clone())));
                    }
                }
            }
        }
    }
    // The search is begun only when something is missing.
    let mut search: Option<Finder<'a>> = None;
    let mut needs = Vec::with_capacity(places.len());
    for (place, path, locked) in places {
        let at = absolute(folder, &path);
        let mut find = || {
            let locked = locked.as_ref()?;
            search.get_or_insert_with(finder).find(locked)
        };
        let state = match contents.of(&at) {
            Ok(blake3) => match &locked {
                Some(file) if file.blake3 != blake3 => State::Other { blake3, found: find() },
                _ => State::Here {
                    blake3,
                    size: Contents::size(&at).unwrap_or_default(),
                },
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => State::Missing { found: find() },
            Err(e) => State::Unreadable(e.to_string()),
        };
        needs.push(Need {
            place,
            path,
            locked,
            state,
        });
    }
    needs
}

impl Need {
    /// Whether a run finds what it needs here.
    pub fn is_here(&self) -> bool {
        matches!(self.state, State::Here { .. })
    }

    /// How it stands, in a word and a few more.
    pub fn words(&self) -> (&'static str, String) {
        let wanted = self.locked.as_ref().map_or(String::new(), |file| {
            let origin = file
                .origin
                .as_ref()
                .map_or(String::new(), |origin| format!(", from {origin}"));
            format!(
                "{} {}, hash {}{origin}",
                file.kind(),
                size_text(file.size),
                short(&file.blake3)
            )
        });
        let found = |found: &Option<PathBuf>| {
            found
                .as_ref()
                .map_or(String::new(), |path| format!("; the right one is {}", path.display()))
        };
        match &self.state {
            State::Here { blake3, size: bytes } => ("here", format!("{}, hash {}", size_text(*bytes), short(blake3))),
            State::Other { blake3, found: at } => (
                "other",
                format!(
                    "holds other bytes (hash {}); needed: {wanted}{}",
                    short(blake3),
                    found(at)
                ),
            ),
            State::Missing { found: Some(at) } => ("moved", format!("{wanted}; it is {}", at.display())),
            State::Missing { found: None } => ("missing", wanted),
            State::Unreadable(why) => ("missing", format!("cannot be read: {why}")),
        }
    }
}
