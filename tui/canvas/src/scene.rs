//! What a layout gives: tiles with ports, nets with segments, frames of open groups.

use crate::model::{Level, PortRef};
use crate::segments::{Bend, Segment};
use crate::shape::{Point, Rect};
use std::collections::HashMap;
use std::sync::Arc;

/// What a tile shows: an index into the model's list of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Item {
    /// A node.
    Node(usize),
    /// A folded group.
    Group(usize),
    /// A note.
    Note(usize),
}

/// Where data goes in, where it comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Left: inputs.
    Input,
    /// Right: outputs.
    Output,
}

/// A port row of a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAt {
    /// The port; for a folded group the one inside.
    pub port: PortRef,
    /// Input or output.
    pub side: Side,
    /// Its cell, on the tile's border.
    pub at: Point,
    /// Its name; with the node's for a folded group.
    pub name: Arc<str>,
    /// Whether a wire is at this row.
    pub wired: bool,
    /// How-manieth row of this port: a port that takes a list has one for each of its wires.
    pub nth: usize,
}

/// A box with a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What it shows.
    pub item: Item,
    /// Its cells, frame included.
    pub rect: Rect,
    /// Column, counted from the left.
    pub column: usize,
    /// How-manieth of its column.
    pub slot: usize,
    /// How much of it is seen.
    pub level: Level,
    /// Its port rows, inputs first, each from top to bottom.
    pub ports: Vec<PortAt>,
    pub(crate) id: Arc<str>,
    /// Whether any wire was at it when it was laid out.
    pub(crate) wired: bool,
}

/// All wires out of one port (of a whole tile below [`Level::Normal`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// Index of the tile it leaves.
    pub tile: usize,
    /// The cell of the border where it leaves.
    pub at: Point,
    /// Indices in [`crate::Model::wires`].
    pub wires: Vec<usize>,
    /// Its lines, without doubles.
    pub segments: Vec<Segment>,
    /// The block around its lines.
    pub bounds: Rect,
    /// First column of `hops`.
    pub(crate) from: usize,
    /// For each gap from the first on: the row it comes in on and how it changes rows.
    pub(crate) hops: Vec<Hop>,
}

/// A net in one gap between columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) row: i32,
    pub(crate) bend: Bend,
}

/// Where a wire that is drawn ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) net: usize,
    pub(crate) tile: usize,
    pub(crate) at: Point,
}

/// Why a wire is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LooseKind {
    /// It would close a circle.
    Circle,
    /// One of its ends does not exist.
    Nowhere,
    /// It passes more columns than can be followed.
    Far,
}

/// A wire that is not drawn; a view marks its ports instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loose {
    /// Index in [`crate::Model::wires`].
    pub wire: usize,
    /// Why.
    pub kind: LooseKind,
}

/// An open group: where its members stand, one block for each stretch of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Index in [`crate::Model::groups`].
    pub group: usize,
    /// From left to right, in a column from top to bottom.
    pub blocks: Vec<Rect>,
}

/// A column: its tiles from top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) x: i32,
    pub(crate) w: i32,
    /// What a pin calls it: ranks on which nothing stands have no column.
    pub(crate) rank: usize,
    pub(crate) tiles: Vec<usize>,
}

/// A graph with a place for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The block around everything. It may begin above row 0, since what is there already keeps its rows.
    pub bounds: Rect,
    /// Boxes, nodes and folded groups in the model's order, then notes.
    pub tiles: Vec<Tile>,
    /// Wires by where they come from.
    pub nets: Vec<Net>,
    /// Wires that are not drawn.
    pub loose: Vec<Loose>,
    /// Open groups.
    pub frames: Vec<Frame>,
    pub(crate) columns: Vec<Column>,
    /// The tile that shows each node; none while a picture with it is still made.
    pub(crate) of_node: Vec<Option<usize>>,
    pub(crate) of_group: Vec<Option<usize>>,
    /// By wire of the model; none for one that is not drawn.
    pub(crate) ends: Vec<Option<End>>,
    /// Rows of wires that pass columns, by source, row of the source and column.
    pub(crate) lanes: HashMap<(usize, i32, usize), i32>,
}

impl Scene {
    /// The tile that shows a node: its own, or that of the folded group around it.
    pub fn tile_of_node(&self, node: usize) -> Option<&Tile> {
        self.tiles.get((*self.of_node.get(node)?)?)
    }

    /// The tile of an item, if it has one: a node inside a folded group has none of its own.
    pub fn tile(&self, item: Item) -> Option<&Tile> {
        self.tiles.get(self.index(item)?)
    }

    pub(crate) fn index(&self, item: Item) -> Option<usize> {
        match item {
            Item::Node(node) => self
                .of_node
                .get(node)
                .copied()
                .flatten()
                .filter(|at| self.tiles[*at].item == item),
            Item::Group(group) => self.of_group.get(group).copied().flatten(),
            Item::Note(_) => self.tiles.iter().rposition(|tile| tile.item == item),
        }
    }

    /// The rows of a port, from top to bottom: more than one when it takes a list.
    pub fn rows_of(&self, side: Side, port: PortRef) -> impl Iterator<Item = &PortAt> {
        self.tile_of_node(port.node)
            .into_iter()
            .flat_map(|tile| &tile.ports)
            .filter(move |row| row.side == side && row.port == port)
    }

    /// The net that a wire of the model belongs to.
    pub fn net_of(&self, wire: usize) -> Option<usize> {
        self.ends.get(wire)?.map(|end| end.net)
    }

    /// The cells where a wire turns, from the one right of its output to the one left of its input.
    pub fn path(&self, wire: usize) -> Option<Vec<Point>> {
        let end = (*self.ends.get(wire)?)?;
        let net = &self.nets[end.net];
        let to = self.tiles[end.tile].column;
        let mut points = vec![Point::new(net.at.x + 1, net.at.y)];
        for gap in net.from..to {
            let hop = &net.hops[gap - net.from];
            let last = gap + 1 == to;
            let row = if last {
                end.at.y
            } else {
                net.hops[gap + 1 - net.from].row
            };
            match hop.bend {
                Bend::None => {}
                Bend::At(x) => points.extend([Point::new(x, hop.row), Point::new(x, row)]),
                Bend::Twice(x, via, then) => points.extend([
                    Point::new(x, hop.row),
                    Point::new(x, via),
                    Point::new(then, via),
                    Point::new(then, row),
                ]),
            }
        }
        points.push(Point::new(end.at.x - 1, end.at.y));
        points.dedup();
        Some(points)
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }
}

impl Tile {
    /// The input rows, from top to bottom.
    pub fn inputs(&self) -> impl Iterator<Item = &PortAt> {
        self.ports.iter().filter(|port| port.side == Side::Input)
    }

    /// The output rows, from top to bottom.
    pub fn outputs(&self) -> impl Iterator<Item = &PortAt> {
        self.ports.iter().filter(|port| port.side == Side::Output)
    }
}
