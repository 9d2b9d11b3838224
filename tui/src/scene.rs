//! The picture of the graph: what the layout is given and what it gives.

mod names;

use self::names::{Words, crossing, joined, numbered};
use crate::edit::layout::{self, Layout};
use crate::shape::{self, Ports, Wire};
use crate::survey::LARGE;
use canvas::{Group, Item, Level, Model, Node, Note, Pin, PortRef, Scene, Size};
use graph::{Catalog, Document};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The graph as it is drawn. Indices of nodes are those of the document, or of the group that is looked into.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// What was laid out.
    pub model: Arc<Model>,
    /// Where everything stands. While a new picture is made elsewhere, the old one: what is new has no tile yet.
    pub scene: Arc<Scene>,
    /// Ports of each node, with their types.
    pub ports: Vec<Arc<Ports>>,
    /// Wires: those of the model, in its order, then those whose ends do not exist.
    pub wires: Vec<Wire>,
    /// Names of the groups of the model.
    pub groups: Vec<String>,
    /// Names and texts of the notes of the model.
    pub notes: Vec<(String, String)>,
    /// The key `layout` of the file.
    pub layout: Layout,
    /// Seen from inside a group: ports with wires to what is outside.
    pub outside: Vec<(shape::Side, PortRef)>,
    index: HashMap<Arc<str>, usize>,
    /// Changes with whatever is seen of the graph.
    key: u64,
}

/// What became of the picture of a graph that was looked at anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Nothing in it changed.
    Same,
    /// It was made.
    Whole,
    /// The graph is large: it is to be made elsewhere.
    Wanted,
}

/// Lines that a node shows at [`Level::Detail`] besides its ports.
const MOST_BODY: usize = 6;

impl Drawing {
    /// Draws a graph; what is there already keeps its place as far as possible. With `inside`, only the nodes of that group.
    pub fn new(
        document: &Document,
        catalog: &Catalog,
        level: Level,
        mut before: Self,
        inside: Option<&str>,
    ) -> (Self, Made) {
        let layout = layout::read(document);
        let key = key(document, &layout, level, inside);
        if key == before.key {
            return (before, Made::Same);
        }
        let members = inside.and_then(|name| layout.groups.get(name));
        let shows = |id: &String| members.is_none_or(|group| group.nodes.contains(id));
        let shown = || document.nodes().iter().filter(|(id, _)| shows(id));
        let (names, index) = numbered(
            shown().map(|(id, _)| id.as_str()),
            &before.model,
            std::mem::take(&mut before.index),
        );
        let mut places = Vec::with_capacity(document.nodes().len());
        let mut count = 0;
        for id in document.nodes().keys() {
            places.push(shows(id).then_some(count));
            count += usize::from(shows(id));
        }
        let found = shape::wires_among(document, |id| index.get(id).copied(), |at| places[at]);
        let ports = shape::ports(shown().map(|(_, node)| node), catalog, &found);
        let (wires, joined) = joined(&found, &names, &ports);
        let outside = if members.is_some() {
            crossing(&wires, &index, &ports)
        } else {
            Vec::new()
        };
        let groups: Vec<String> = layout.groups.keys().cloned().collect();
        let here = |note: &layout::Note| members.is_none() || note.beside.as_ref().is_some_and(shows);
        let shown_notes = || layout.notes.iter().filter(|(_, note)| here(note));
        let notes: Vec<(String, String)> = shown_notes()
            .map(|(name, note)| (name.clone(), note.text.clone()))
            .collect();
        let pin = |key: &str| {
            let pin = layout.pins.get(key).copied().unwrap_or_default();
            Pin {
                column: pin.column,
                slot: pin.slot,
            }
        };
        // From inside, the group is all there is.
        let group_of = |id: &String| {
            let mut groups = layout.groups.values();
            groups.position(|group| members.is_none() && group.nodes.contains(id))
        };
        let mut words = Words::default();
        let nodes = shown().zip(names).zip(&ports);
        let nodes = nodes.map(|(((id, node), name), ports)| {
            let (kind, inputs, outputs) = words.of(&node.ty, ports);
            Node {
                id: name,
                kind,
                inputs,
                outputs,
                // Elsewhere a value of a parameter changes nothing in the picture.
                body: if seen_at(&layout, id, level) == Level::Detail {
                    body(node)
                } else {
                    Size::default()
                },
                level: layout.levels.get(id).and_then(|name| level_of(name)),
                pin: pin(id),
                group: group_of(id),
            }
        });
        let model = Model {
            level,
            nodes: nodes.collect(),
            wires: joined,
            groups: layout
                .groups
                .iter()
                .map(|(name, group)| Group {
                    id: name.clone(),
                    title: name.clone(),
                    parent: None,
                    folded: group.folded,
                    pin: pin(&format!("group:{name}")),
                })
                .collect(),
            notes: shown_notes()
                .map(|(name, note)| Note {
                    id: name.clone(),
                    text: extent(&note.text),
                    beside: note.beside.as_ref().and_then(|id| index.get(id.as_str()).copied()),
                    pin: pin(&format!("note:{name}")),
                })
                .collect(),
        };
        let (model, scene, made) = picture(model, before);
        let drawing = Self {
            model,
            scene,
            ports,
            wires,
            groups,
            notes,
            layout,
            outside,
            index,
            key,
        };
        (drawing, made)
    }

    /// Nothing of it counts any more: the node types are others.
    pub fn outdated(&mut self) {
        self.key = 0;
    }

    /// The number of a node.
    pub fn index(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The name of a node.
    pub fn id(&self, node: usize) -> Option<&str> {
        self.model.nodes.get(node).map(|node| &*node.id)
    }

    /// The names of the nodes.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.model.nodes.iter().map(|node| &*node.id)
    }

    /// The folded group that hides a node.
    pub fn folded_around(&self, id: &str) -> Option<&str> {
        let tile = self.scene.tile_of_node(self.index(id)?)?;
        match tile.item {
            Item::Group(group) => self.groups.get(group).map(String::as_str),
            _ => None,
        }
    }

    /// The group that a node belongs to.
    pub fn group_of(&self, id: &str) -> Option<&str> {
        let group = self.model.nodes.get(self.index(id)?)?.group?;
        self.groups.get(group).map(String::as_str)
    }
}

/// The level at which a node is seen.
fn seen_at(layout: &Layout, id: &str, level: Level) -> Level {
    let own = layout.levels.get(id).and_then(|name| level_of(name));
    own.unwrap_or(level)
}

/// A number that is another one when the picture of a graph may be another one.
fn key(document: &Document, layout: &Layout, level: Level, inside: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (level_name(level), inside, document.wiring()).hash(&mut hasher);
    document.top("layout").map(ToString::to_string).hash(&mut hasher);
    // Elsewhere a value of a parameter changes nothing in the picture.
    if level == Level::Detail || layout.levels.values().any(|name| level_of(name) == Some(Level::Detail)) {
        for (id, node) in document.nodes() {
            if seen_at(layout, id, level) == Level::Detail {
                body_lines(node).hash(&mut hasher);
            }
        }
    }
    // Of a drawing that is none, or of types that are no more, it is 0.
    hasher.finish().max(1)
}

/// The picture of a model, as far as it is made at once.
fn picture(model: Model, before: Drawing) -> (Arc<Model>, Arc<Scene>, Made) {
    let first = before.model.nodes.is_empty();
    if !first && model == *before.model {
        return (before.model, before.scene, Made::Same);
    }
    if model.nodes.len() <= LARGE {
        let scene = canvas::layout(&model, (!first).then_some(&before.scene));
        return (Arc::new(model), Arc::new(scene), Made::Whole);
    }
    let scene = if first {
        Scene::default()
    } else {
        Arc::unwrap_or_clone(before.scene).adapted(&before.model, &model)
    };
    (Arc::new(model), Arc::new(scene), Made::Wanted)
}

/// The level of that name in a file.
pub fn level_of(name: &str) -> Option<Level> {
    Some(match name {
        "map" => Level::Map,
        "compact" => Level::Compact,
        "normal" => Level::Normal,
        "detail" => Level::Detail,
        _ => return None,
    })
}

/// The name of a level.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Map => "map",
        Level::Compact => "compact",
        Level::Normal => "normal",
        Level::Detail => "detail",
    }
}

/// The lines of parameters that a node shows: `rank 4`.
pub fn body_lines(node: &graph::Node) -> Vec<String> {
    let rows = node.params.iter().take(MOST_BODY);
    rows.map(|(name, value)| format!("{name} {}", crate::field::shown(value)))
        .collect()
}

fn body(node: &graph::Node) -> Size {
    let lines = body_lines(node);
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(28);
    Size::new(width as i32, lines.len() as i32)
}

fn extent(text: &str) -> Size {
    let width = text
        .lines()
        .map(|line| ratatui::text::Span::raw(line).width())
        .max()
        .unwrap_or(0);
    Size::new(width.max(1) as i32, text.lines().count().max(1) as i32)
}
