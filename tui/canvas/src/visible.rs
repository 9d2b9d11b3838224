//! Which tiles are seen, with groups folded, and which of their rows the wires join.

use crate::model::{Level, Model, Pin, PortRef, Wire};
use crate::scene::{Item, Loose, LooseKind, Side};
use std::collections::HashMap;
use std::sync::Arc;

/// A row of a tile where wires begin or end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) port: PortRef,
    pub(crate) y: i32,
}

/// A tile before it has a place.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) item: Item,
    pub(crate) id: Arc<str>,
    pub(crate) level: Level,
    pub(crate) pin: Pin,
    /// The open group it belongs to.
    pub(crate) group: Option<usize>,
    /// Tile index of what it stands above.
    pub(crate) beside: Option<usize>,
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) inputs: Vec<Row>,
    pub(crate) outputs: Vec<Row>,
}

/// A wire between tiles: out of a net, into a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) wire: usize,
    pub(crate) net: usize,
    pub(crate) to: usize,
    /// Row of the target, as cells below its top.
    pub(crate) y: i32,
}

/// What leaves one row of a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) face: usize,
    pub(crate) y: i32,
}

/// The graph as it is seen.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    pub(crate) faces: Vec<Face>,
    pub(crate) nets: Vec<Source>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) loose: Vec<Loose>,
    /// The tile that shows each node.
    pub(crate) of_node: Vec<usize>,
    pub(crate) of_group: Vec<Option<usize>>,
}

const NARROWEST: i32 = 14;

fn cells(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 4)
}

fn rows(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX / 4)
}

/// The groups around a node, from the inside out; a circle of parents ends the walk.
fn around(model: &Model, group: Option<usize>) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut next = group;
    while let Some(group) = next.filter(|g| *g < model.groups.len() && !found.contains(g)) {
        found.push(group);
        next = model.groups[group].parent;
    }
    found
}

pub(crate) fn visible(model: &Model) -> Visible {
    let mut seen = Visible {
        of_group: vec![None; model.groups.len()],
        ..Visible::default()
    };
    for (at, node) in model.nodes.iter().enumerate() {
        let groups = around(model, node.group);
        let folded = groups.iter().rposition(|g| model.groups[*g].folded);
        let face = match folded {
            Some(depth) => {
                let group = groups[depth];
                *seen.of_group[group].get_or_insert_with(|| {
                    seen.faces
                        .push(group_face(model, group, groups.get(depth + 1).copied()));
                    seen.faces.len() - 1
                })
            }
            None => {
                seen.faces.push(Face {
                    item: Item::Node(at),
                    id: format!("n {}", node.id).into(),
                    level: node.level.unwrap_or(model.level),
                    pin: node.pin,
                    group: groups.first().copied(),
                    beside: None,
                    width: 0,
                    height: 0,
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                });
                seen.faces.len() - 1
            }
        };
        seen.of_node.push(face);
    }
    let wires = seen.outputs(model);
    seen.inputs(model, &wires);
    for face in &mut seen.faces {
        measure(model, face);
    }
    seen.notes(model);
    seen
}

fn group_face(model: &Model, group: usize, outer: Option<usize>) -> Face {
    Face {
        item: Item::Group(group),
        id: format!("g {}", model.groups[group].id).into(),
        level: model.level,
        pin: model.groups[group].pin,
        group: outer,
        beside: None,
        width: 0,
        height: 0,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

impl Visible {
    /// Gives rows to the outputs, makes the nets, and returns the wires that are seen, with their nets.
    fn outputs(&mut self, model: &Model) -> Vec<(usize, usize)> {
        let mut group_rows: HashMap<(usize, PortRef), i32> = HashMap::new();
        for face in &mut self.faces {
            if let Item::Node(node) = face.item {
                let framed = face.level >= Level::Normal;
                face.outputs = (0..model.nodes[node].outputs.len())
                    .map(|port| Row {
                        port: PortRef { node, port },
                        y: if framed { 1 + rows(port) } else { 0 },
                    })
                    .collect();
            }
        }
        let mut nets: HashMap<(usize, i32), usize> = HashMap::new();
        let mut wires = Vec::with_capacity(model.wires.len());
        for (at, Wire { from, to }) in model.wires.iter().enumerate() {
            let there = model.nodes.get(from.node).is_some_and(|n| from.port < n.outputs.len())
                && model.nodes.get(to.node).is_some_and(|n| to.port < n.inputs.len());
            if !there {
                self.loose.push(Loose {
                    wire: at,
                    kind: LooseKind::Nowhere,
                });
                continue;
            }
            let (source, target) = (self.of_node[from.node], self.of_node[to.node]);
            if source == target {
                // Within a folded group nothing is seen; a node that feeds itself is said to.
                if matches!(self.faces[source].item, Item::Node(_)) {
                    self.loose.push(Loose {
                        wire: at,
                        kind: LooseKind::Circle,
                    });
                }
                continue;
            }
            let face = &mut self.faces[source];
            let y = match face.item {
                Item::Node(_) => face.outputs[from.port].y,
                _ if face.level >= Level::Normal => *group_rows.entry((source, *from)).or_insert_with(|| {
                    let y = 1 + rows(face.outputs.len());
                    face.outputs.push(Row { port: *from, y });
                    y
                }),
                _ => {
                    if !face.outputs.iter().any(|row| row.port == *from) {
                        face.outputs.push(Row { port: *from, y: 0 });
                    }
                    0
                }
            };
            let net = *nets.entry((source, y)).or_insert_with(|| {
                self.nets.push(Source { face: source, y });
                self.nets.len() - 1
            });
            wires.push((at, net));
        }
        wires
    }

    /// Gives rows to the inputs. Framed tiles have one for each wire, so that each can be followed to its port; others
    /// have one for each net.
    fn inputs(&mut self, model: &Model, wires: &[(usize, usize)]) {
        let mut arriving: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.faces.len()];
        for (wire, net) in wires {
            arriving[self.of_node[model.wires[*wire].to.node]].push((*wire, *net));
        }
        for (at, mut arriving) in arriving.into_iter().enumerate() {
            let face = &mut self.faces[at];
            let framed = face.level >= Level::Normal;
            // By port; within a port as they were given. A group has a row for each net, named after its first port.
            arriving.sort_by_key(|(wire, _)| model.wires[*wire].to);
            let mut by_net: HashMap<usize, i32> = HashMap::new();
            let one_each = framed && matches!(face.item, Item::Node(_));
            let mut next = if framed { 1 } else { 0 };
            let mut port = 0;
            for (wire, net) in arriving {
                let to = model.wires[wire].to;
                if one_each {
                    while port < to.port {
                        let lone = PortRef { node: to.node, port };
                        if face.inputs.last().is_none_or(|row| row.port != lone) {
                            face.inputs.push(Row { port: lone, y: next });
                            next += 1;
                        }
                        port += 1;
                    }
                }
                let known = if one_each { None } else { by_net.get(&net).copied() };
                let y = known.unwrap_or(next);
                if known.is_none() || !framed {
                    face.inputs.push(Row { port: to, y });
                }
                if known.is_none() {
                    by_net.insert(net, y);
                    next += 1;
                }
                self.edges.push(Edge { wire, net, to: at, y });
            }
            if let Item::Node(node) = face.item {
                for port in 0..model.nodes[node].inputs.len() {
                    let lone = PortRef { node, port };
                    if one_each && face.inputs.last().is_none_or(|row| row.port < lone) {
                        face.inputs.push(Row { port: lone, y: next });
                        next += 1;
                    } else if !framed && !face.inputs.iter().any(|row| row.port == lone) {
                        face.inputs.push(Row { port: lone, y: 0 });
                    }
                }
            }
        }
        self.edges.sort_by_key(|edge| edge.wire);
    }

    fn notes(&mut self, model: &Model) {
        for (at, note) in model.notes.iter().enumerate() {
            let beside = note.beside.and_then(|node| self.of_node.get(node)).copied();
            // The note of a node inside a folded group is inside too.
            if beside.is_some_and(|face| !matches!(self.faces[face].item, Item::Node(_))) {
                continue;
            }
            self.faces.push(Face {
                item: Item::Note(at),
                id: format!("t {}", note.id).into(),
                level: model.level,
                pin: note.pin,
                group: None,
                beside,
                width: note.text.w.clamp(1, 10_000) + 2,
                height: note.text.h.clamp(1, 10_000) + 2,
                inputs: Vec::new(),
                outputs: Vec::new(),
            });
        }
    }
}

/// What a row of a group is called: the port inside, with its node.
pub(crate) fn row_name(model: &Model, item: Item, side: Side, port: PortRef) -> Arc<str> {
    let Some(node) = model.nodes.get(port.node) else {
        return Arc::default();
    };
    let names = match side {
        Side::Input => &node.inputs,
        Side::Output => &node.outputs,
    };
    let name = names.get(port.port).cloned().unwrap_or_default();
    match item {
        Item::Group(_) => format!("{}.{name}", node.id).into(),
        _ => name,
    }
}

/// Width and height from the texts.
fn measure(model: &Model, face: &mut Face) {
    let (title, kind, body) = match face.item {
        Item::Node(node) => {
            let node = &model.nodes[node];
            (cells(&node.id), cells(&node.kind), node.body)
        }
        Item::Group(group) => (cells(&model.groups[group].title), 10, crate::shape::Size::default()),
        Item::Note(_) => return,
    };
    let lines = |rows: &[Row]| rows.iter().map(|row| row.y).max().unwrap_or(0);
    match face.level {
        // The first cell joins the wires that arrive.
        Level::Map => {
            face.width = 1 + 2 + kind;
            face.height = lines(&face.inputs) + 1;
        }
        Level::Compact => {
            face.width = 1 + 2 + title + 1 + kind + 6;
            face.height = lines(&face.inputs) + 1;
        }
        Level::Normal | Level::Detail => {
            let names = |side, rows: &[Row]| -> HashMap<i32, i32> {
                rows.iter()
                    .map(|row| (row.y, cells(&row_name(model, face.item, side, row.port))))
                    .collect()
            };
            let (left, right) = (names(Side::Input, &face.inputs), names(Side::Output, &face.outputs));
            let rows = lines(&face.inputs).max(lines(&face.outputs)).max(1);
            let widest = (1..=rows)
                .map(|y| match (left.get(&y), right.get(&y)) {
                    (Some(a), Some(b)) => a + b + 2,
                    (Some(a), None) | (None, Some(a)) => a + 1,
                    (None, None) => 0,
                })
                .max()
                .unwrap_or(0);
            face.width = (widest + 4).max(title + kind + 6).max(NARROWEST);
            face.height = rows + 2;
            if face.level == Level::Detail {
                face.width = face.width.max(body.w.clamp(0, 10_000) + 4);
                face.height += body.h.clamp(0, 10_000);
            }
        }
    }
}
