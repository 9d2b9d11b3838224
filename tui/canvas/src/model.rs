//! What there is to lay out. Indices point into the lists of [`Model`]; one that points nowhere is passed over.

use crate::shape::Size;
use std::sync::Arc;

/// How much of a node is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Status and type in one line, no frame: the whole graph at a glance.
    Map,
    /// One line in brackets: status, name, type.
    Compact,
    /// A frame with a row for each port.
    #[default]
    Normal,
    /// A frame with the ports and the lines of [`Node::body`].
    Detail,
}

/// Everything to be laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// How much is seen of nodes that do not say it themselves.
    pub level: Level,
    /// Nodes, in the author's order, which breaks every tie.
    pub nodes: Vec<Node>,
    /// Wires; those into one port in the order of its list.
    pub wires: Vec<Wire>,
    /// Groups of nodes.
    pub groups: Vec<Group>,
    /// Notes.
    pub notes: Vec<Note>,
}

/// Names of ports; nodes of one type share them.
pub type Names = Arc<[Arc<str>]>;

/// A node. Its texts are shared, since a graph of thousands is described anew with every change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name in the file: what the layout remembers it by.
    pub id: Arc<str>,
    /// Type as the file writes it.
    pub kind: Arc<str>,
    /// Names of the input ports.
    pub inputs: Names,
    /// Names of the output ports.
    pub outputs: Names,
    /// Room for further lines, used at [`Level::Detail`].
    pub body: Size,
    /// Its own level, instead of the model's.
    pub level: Option<Level>,
    /// Where the author wants it.
    pub pin: Pin,
    /// The group it belongs to.
    pub group: Option<usize>,
}

/// A port of a node: index of the node, index among its inputs or outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRef {
    /// Index in [`Model::nodes`].
    pub node: usize,
    /// Index in [`Node::inputs`] or [`Node::outputs`].
    pub port: usize,
}

/// A wire from an output to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// The output.
    pub from: PortRef,
    /// The input.
    pub to: PortRef,
}

/// A wish about a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pin {
    /// In this column or, where its inputs do not allow that, the next possible one.
    pub column: Option<u32>,
    /// As the how-manieth of its column.
    pub slot: Option<u32>,
}

/// Nodes that belong together. Folded, they are one tile whose ports are the wires that cross its border.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Name that no other group has.
    pub id: String,
    /// What is written on it.
    pub title: String,
    /// The group around it.
    pub parent: Option<usize>,
    /// Whether it is shown as one tile.
    pub folded: bool,
    /// Where its folded tile is wanted.
    pub pin: Pin,
}

/// A text beside the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Name that no other note has.
    pub id: String,
    /// Cells of its text; the frame comes on top.
    pub text: Size,
    /// The node above which it stands; the graph's first column when none.
    pub beside: Option<usize>,
    /// Where the author wants it, when it stands by itself.
    pub pin: Pin,
}
