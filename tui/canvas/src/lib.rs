//! Where everything of a node graph stands, in integer cells of a terminal.
//!
//! A [`Model`] says what there is: nodes with port rows, wires from port to port, groups, notes, and how much of each
//! node is to be seen ([`Level`]). [`layout`] makes a [`Scene`] of it: a [`Tile`] for everything with a place, a [`Net`]
//! for each output that is used, with the segments of its wires. The scene answers what is under the pointer
//! ([`Scene::pick`]), which tile comes next that way ([`Scene::walk`]), what runs through each cell of a view
//! ([`Scene::wires`]) and what the whole looks like from afar ([`Scene::minimap`]).
//!
//! The layout is layered, left to right: `visible` folds groups, `rank` gives columns, `order` the order in each column,
//! `place` rows, `channel` a track for each net in each gap between columns. Rules that keep wires readable: no wire
//! enters a tile; a net has one track in a gap and forks only within itself; two nets share a cell only where one
//! crosses the other at a right angle. Everything is deterministic and nothing recurses.

mod adapt;
mod channel;
mod label;
mod layers;
mod layout;
mod minimap;
mod model;
mod order;
mod pick;
mod place;
mod rank;
mod scene;
mod segments;
mod shape;
mod view;
mod visible;
mod walk;
mod wires;

pub use label::labels;
pub use layout::layout;
pub use minimap::{Minimap, Quarters};
pub use model::{Group, Level, Model, Names, Node, Note, Pin, PortRef, Wire};
pub use pick::Thing;
pub use scene::{Frame, Item, Loose, LooseKind, Net, PortAt, Scene, Side, Tile};
pub use segments::Segment;
pub use shape::{Direction, Point, Rect, Size};
pub use view::View;
pub use wires::{Arms, WireCell, Wires};
