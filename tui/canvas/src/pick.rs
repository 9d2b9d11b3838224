//! What is under the pointer.

use crate::model::PortRef;
use crate::scene::{Item, Scene, Side};
use crate::shape::Point;

/// Something that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// The first line of a tile.
    Title(Item),
    /// The last line of a framed tile.
    Foot(Item),
    /// Any other part of a tile.
    Body(Item),
    /// A port: the half of its row on its side.
    Port(Side, PortRef),
    /// A wire: index in [`Scene::nets`].
    Wire(usize),
    /// An open group, between its members: index in [`crate::Model::groups`].
    Group(usize),
    /// The background.
    Nothing,
}

impl Scene {
    /// What is at a cell.
    pub fn pick(&self, p: Point) -> Thing {
        if let Some(tile) = self.tile_at(p) {
            let tile = &self.tiles[tile];
            if tile.level >= crate::Level::Normal {
                let middle = tile.rect.centre().x;
                let in_row = || tile.ports.iter().filter(|port| port.at.y == p.y);
                let near = in_row().find(|port| (port.side == Side::Input) == (p.x < middle));
                if let Some(port) = near {
                    return Thing::Port(port.side, port.port);
                }
                if p.y == tile.rect.bottom() - 1 && tile.rect.h > 1 {
                    return Thing::Foot(tile.item);
                }
            }
            return if p.y == tile.rect.y {
                Thing::Title(tile.item)
            } else {
                Thing::Body(tile.item)
            };
        }
        if let Some(cell) = self.wires(crate::Rect::new(p.x, p.y, 1, 1)).at(p) {
            return Thing::Wire(cell.net);
        }
        let frame = self
            .frames
            .iter()
            .find(|frame| frame.blocks.iter().any(|block| block.contains(p)));
        frame.map_or(Thing::Nothing, |frame| Thing::Group(frame.group))
    }

    /// The tile at a cell, by its index.
    pub(crate) fn tile_at(&self, p: Point) -> Option<usize> {
        let column = self.columns.partition_point(|column| column.x <= p.x).checked_sub(1)?;
        let tiles = &self.columns[column].tiles;
        let at = tiles
            .partition_point(|tile| self.tiles[*tile].rect.y <= p.y)
            .checked_sub(1)?;
        Some(tiles[at]).filter(|tile| self.tiles[*tile].rect.contains(p))
    }
}
