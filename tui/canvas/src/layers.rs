//! The columns with everything in them: tiles, and lanes for the wires that pass.

use crate::scene::{Loose, LooseKind};
use crate::visible::Visible;
use std::collections::{HashMap, HashSet};

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    /// A tile.
    Face(usize),
    /// The row on which a net passes.
    Lane(usize),
}

/// One thing in a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) cell: Cell,
    pub(crate) column: usize,
    pub(crate) height: i32,
    /// Piece of the graph that hangs together.
    pub(crate) piece: usize,
}

/// A wire, or what several of one net share, from one column to the next: entries and rows below their tops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) net: usize,
    pub(crate) left: usize,
    pub(crate) left_row: i32,
    pub(crate) right: usize,
    pub(crate) right_row: i32,
}

/// Columns of entries, and the links between neighbouring columns.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) entries: Vec<Entry>,
    /// Entries of each column, from top to bottom once ordered.
    pub(crate) columns: Vec<Vec<usize>>,
    pub(crate) links: Vec<Link>,
    /// Links of each entry to its left and to its right.
    pub(crate) left: Vec<Vec<usize>>,
    pub(crate) right: Vec<Vec<usize>>,
    /// Entries of lanes, by net and column.
    pub(crate) lanes: HashMap<(usize, usize), usize>,
    pub(crate) pieces: usize,
}

/// More lanes than this are nothing a person can follow, and a danger to memory.
const MOST_LANES: usize = 60_000;

/// Builds the columns.
pub(crate) fn layers(seen: &Visible, rank: &[usize]) -> Layers {
    let (piece, pieces) = pieces(seen, rank);
    let columns = rank.iter().max().map_or(0, |last| last + 1);
    let mut layers = Layers {
        columns: vec![Vec::new(); columns],
        pieces,
        ..Layers::default()
    };
    for (at, face) in seen.faces.iter().enumerate() {
        layers.push(Cell::Face(at), rank[at], face.height, piece[at]);
    }
    let mut reach: Vec<usize> = seen.nets.iter().map(|net| rank[net.face]).collect();
    for edge in &seen.edges {
        reach[edge.net] = reach[edge.net].max(rank[edge.to]);
    }
    for (net, source) in seen.nets.iter().enumerate() {
        let (mut left, mut row) = (source.face, source.y);
        for column in rank[source.face] + 1..reach[net] {
            let lane = layers.push(Cell::Lane(net), column, 1, piece[source.face]);
            layers.lanes.insert((net, column), lane);
            layers.links.push(Link {
                net,
                left,
                left_row: row,
                right: lane,
                right_row: 0,
            });
            (left, row) = (lane, 0);
        }
    }
    for edge in &seen.edges {
        let source = seen.nets[edge.net];
        let before = rank[edge.to] - 1;
        let (left, left_row) = if before == rank[source.face] {
            (source.face, source.y)
        } else {
            (layers.lanes[&(edge.net, before)], 0)
        };
        layers.links.push(Link {
            net: edge.net,
            left,
            left_row,
            right: edge.to,
            right_row: edge.y,
        });
    }
    layers.left = vec![Vec::new(); layers.entries.len()];
    layers.right = vec![Vec::new(); layers.entries.len()];
    for (at, link) in layers.links.iter().enumerate() {
        layers.left[link.right].push(at);
        layers.right[link.left].push(at);
    }
    layers
}

impl Layers {
    fn push(&mut self, cell: Cell, column: usize, height: i32, piece: usize) -> usize {
        self.entries.push(Entry {
            cell,
            column,
            height,
            piece,
        });
        self.columns[column].push(self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Empty rows that have to be between two entries, one above the other.
    pub(crate) fn between(&self, seen: &Visible, above: usize, below: usize) -> i32 {
        match (self.entries[above].cell, self.entries[below].cell) {
            (Cell::Face(above), Cell::Face(below)) => {
                let framed = |face: usize| seen.faces[face].level >= crate::Level::Normal;
                let map = |face: usize| seen.faces[face].level == crate::Level::Map;
                i32::from(framed(above) || framed(below) || !(map(above) && map(below)))
            }
            _ => 0,
        }
    }
}

/// Makes those wires loose that would need too many lanes, the farthest first.
pub(crate) fn drop_far(seen: &mut Visible, rank: &[usize]) {
    let span = |edge: &crate::visible::Edge| rank[edge.to] - rank[seen.nets[edge.net].face];
    let mut spans: Vec<(usize, usize)> = seen.edges.iter().map(|edge| (span(edge), edge.wire)).collect();
    spans.sort_unstable();
    let mut reach = vec![0; seen.nets.len()];
    let net_of: HashMap<usize, usize> = seen.edges.iter().map(|edge| (edge.wire, edge.net)).collect();
    let mut lanes = 0;
    let mut far = HashSet::new();
    for (span, wire) in spans {
        let net = net_of[&wire];
        let more = (span - 1).saturating_sub(reach[net]);
        if lanes + more > MOST_LANES {
            far.insert(wire);
        } else {
            lanes += more;
            reach[net] += more;
        }
    }
    seen.edges.retain(|edge| !far.contains(&edge.wire));
    let mut far: Vec<usize> = far.into_iter().collect();
    far.sort_unstable();
    seen.loose.extend(far.into_iter().map(|wire| Loose {
        wire,
        kind: LooseKind::Far,
    }));
}

/// The piece of each tile, numbered by the first tile of each. A pinned slot counts the tiles of its column, so they
/// are arranged as one piece.
fn pieces(seen: &Visible, rank: &[usize]) -> (Vec<usize>, usize) {
    let mut parent: Vec<usize> = (0..seen.faces.len()).collect();
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let edges = seen.edges.iter().map(|edge| (seen.nets[edge.net].face, edge.to));
    let notes = seen
        .faces
        .iter()
        .enumerate()
        .filter_map(|(at, face)| Some((face.beside?, at)));
    let mut pinned: HashMap<usize, usize> = HashMap::new();
    for (at, face) in seen.faces.iter().enumerate() {
        if face.pin.slot.is_some() {
            pinned.entry(rank[at]).or_insert(at);
        }
    }
    let columns = (0..seen.faces.len()).filter_map(|at| Some((*pinned.get(&rank[at])?, at)));
    for (a, b) in edges.chain(notes).chain(columns) {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        let (low, high) = (a.min(b), a.max(b));
        parent[high] = low;
    }
    let mut number = HashMap::new();
    let piece = (0..seen.faces.len())
        .map(|face| {
            let root = root(&mut parent, face);
            let next = number.len();
            *number.entry(root).or_insert(next)
        })
        .collect();
    (piece, number.len())
}
