//! The key `layout` of a graph file: wishes about places, groups, notes. It changes no result.
//!
//! ```json
//! "layout": {
//!   "pins":   { "bear": { "column": 2, "slot": 0 } },
//!   "levels": { "bear": "detail" },
//!   "groups": { "training": { "nodes": ["bear", "can"], "folded": true } },
//!   "notes":  { "1": { "text": "mind the rank", "beside": "bear" } }
//! }
//! ```

use graph::{Document, EditError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// What `layout` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// Wishes about places, by node (`group:NAME` for folded groups).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, Pin>,
    /// Nodes that are shown at a level of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, String>,
    /// Groups by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// Notes by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, Note>,
    /// What a later version wrote.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A wish about a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// In this column, or the next that its inputs allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// As the how-manieth of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
}

/// Nodes that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its nodes.
    pub nodes: Vec<String>,
    /// Whether it is shown as one box.
    #[serde(default, skip_serializing_if = "is_false")]
    pub folded: bool,
}

/// A text beside the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its lines.
    pub text: String,
    /// The node it stands at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The layout of a graph; what cannot be read counts as absent.
pub fn read(document: &Document) -> Layout {
    document
        .top("layout")
        .and_then(|value| Layout::deserialize(value).ok())
        .unwrap_or_default()
}

/// Writes the layout of a graph; an empty one leaves no key.
///
/// # Errors
/// The text of the graph is broken, or holds a layout of another form, which is not overwritten.
pub fn write(document: &mut Document, layout: &Layout) -> Result<(), EditError> {
    let foreign = document
        .top("layout")
        .is_some_and(|value| Layout::deserialize(value).is_err());
    if foreign {
        return Err(EditError {
            message: "the key `layout` of this file is of a form that this version does not write".to_owned(),
            help: Some("remove it from the file to place nodes here".to_owned()),
        });
    }
    if *layout == Layout::default() {
        return document.remove_top("layout");
    }
    match serde_json::to_value(layout) {
        Ok(value) => document.set_top("layout", value),
        Err(_) => Ok(()),
    }
}

/// Changes the layout.
///
/// # Errors
/// As [`write`].
pub fn change(document: &mut Document, with: impl FnOnce(&mut Layout)) -> Result<(), EditError> {
    let before = read(document);
    let mut after = before.clone();
    with(&mut after);
    if before == after {
        Ok(())
    } else {
        write(document, &after)
    }
}

/// Nodes are gone.
pub(crate) fn forget(document: &mut Document, ids: &[String]) -> Result<(), EditError> {
    let gone: HashSet<&String> = ids.iter().collect();
    change(document, |layout| {
        layout.pins.retain(|id, _| !gone.contains(id));
        layout.levels.retain(|id, _| !gone.contains(id));
        for group in layout.groups.values_mut() {
            group.nodes.retain(|id| !gone.contains(id));
        }
        layout.groups.retain(|_, group| !group.nodes.is_empty());
        for note in layout.notes.values_mut() {
            note.beside = note.beside.take().filter(|id| !gone.contains(id));
        }
    })
}

/// A node has a new name.
pub(crate) fn renamed(document: &mut Document, id: &str, new: &str) -> Result<(), EditError> {
    change(document, |layout| {
        if let Some(pin) = layout.pins.remove(id) {
            layout.pins.insert(new.to_owned(), pin);
        }
        if let Some(level) = layout.levels.remove(id) {
            layout.levels.insert(new.to_owned(), level);
        }
        let groups = layout.groups.values_mut().flat_map(|group| &mut group.nodes);
        let notes = layout.notes.values_mut().flat_map(|note| &mut note.beside);
        for name in groups.chain(notes).filter(|name| *name == id) {
            new.clone_into(name);
        }
    })
}
