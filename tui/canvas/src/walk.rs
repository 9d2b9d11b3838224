//! From tile to tile, and the pins that moving a tile gives.

use crate::model::Pin;
use crate::scene::{Item, Scene, Side};
use crate::shape::{Direction, Point};

impl Scene {
    /// The next tile that way: up and down within the column, left and right in the next column, there the one wired
    /// to it that is nearest, else the nearest.
    pub fn walk(&self, from: Item, to: Direction) -> Option<Item> {
        let at = self.index(from)?;
        let tile = &self.tiles[at];
        let step = |column: usize, slot: Option<usize>| {
            let tile = *self.columns.get(column)?.tiles.get(slot?)?;
            Some(self.tiles[tile].item)
        };
        match to {
            Direction::Up => step(tile.column, tile.slot.checked_sub(1)),
            Direction::Down => step(tile.column, Some(tile.slot + 1)),
            Direction::Left => self.beside(at, tile.column.checked_sub(1)?),
            Direction::Right => self.beside(at, tile.column + 1),
        }
    }

    fn beside(&self, from: usize, column: usize) -> Option<Item> {
        let tiles = &self.columns.get(column)?.tiles;
        let y = self.tiles[from].rect.centre().y;
        let wired = |other: usize| {
            self.ends.iter().flatten().any(|end| {
                let source = self.nets[end.net].tile;
                (source == from && end.tile == other) || (source == other && end.tile == from)
            })
        };
        let nearest = tiles.iter().min_by_key(|tile| {
            let rect = self.tiles[**tile].rect;
            (!wired(**tile), (rect.centre().y - y).abs(), rect.y)
        })?;
        Some(self.tiles[*nearest].item)
    }

    /// The first tile: the upper left one.
    pub fn first(&self) -> Option<Item> {
        let tile = self.columns.iter().find_map(|column| column.tiles.first())?;
        Some(self.tiles[*tile].item)
    }

    /// The last tile: the lower right one.
    pub fn last(&self) -> Option<Item> {
        let tile = self.columns.iter().rev().find_map(|column| column.tiles.last())?;
        Some(self.tiles[*tile].item)
    }

    /// The tile nearest to a cell.
    pub fn nearest(&self, p: Point) -> Option<Item> {
        let tile = self.tiles.iter().min_by_key(|tile| {
            let (dx, dy) = (
                outside(p.x, tile.rect.x, tile.rect.w),
                outside(p.y, tile.rect.y, tile.rect.h),
            );
            // A cell is about twice as high as wide.
            dx + 2 * dy
        })?;
        Some(tile.item)
    }

    /// The pin that moves a tile one column or one slot that way; none at the edge of the picture.
    pub fn moved(&self, item: Item, to: Direction) -> Option<Pin> {
        let tile = &self.tiles[self.index(item)?];
        let slot = u32::try_from(tile.slot).ok()?;
        let pin = |column: usize, slot| {
            let column = Some(self.pinned(column));
            Some(Pin { column, slot })
        };
        let column = tile.column;
        match to {
            Direction::Left => pin(column.checked_sub(1)?, None),
            Direction::Right => pin(column + 1, None),
            Direction::Up => pin(column, Some(slot.checked_sub(1)?)),
            Direction::Down => {
                let more = tile.slot + 1 < self.columns[tile.column].tiles.len();
                more.then(|| pin(column, Some(slot + 1))).flatten()
            }
        }
    }

    /// The pin of a tile that is dropped at a cell: the nearest column, and the slot by what stands above the cell.
    pub fn dropped(&self, item: Item, p: Point) -> Pin {
        let own = self.index(item);
        let far = |x: i32, w: i32| outside(p.x, x, w);
        let mut best = (0, i32::MAX);
        for (at, column) in self.columns.iter().enumerate() {
            let distance = far(column.x, column.w);
            if distance < best.1 {
                best = (at, distance);
            }
        }
        // Right of everything: a new column.
        let last = self.columns.last().is_some_and(|last| p.x > last.x + last.w + 2);
        let column = if last { self.columns.len() } else { best.0 };
        let above = self.columns.get(column).map_or(0, |column| {
            let tiles = column.tiles.iter().filter(|tile| Some(**tile) != own);
            tiles.filter(|tile| self.tiles[**tile].rect.centre().y < p.y).count()
        });
        Pin {
            column: Some(self.pinned(column)),
            slot: u32::try_from(above).ok(),
        }
    }

    /// What a pin calls a column.
    fn pinned(&self, column: usize) -> u32 {
        let rank = self.columns.get(column).map(|column| column.rank);
        let beyond = || self.columns.last().map_or(0, |last| last.rank + 1);
        u32::try_from(rank.unwrap_or_else(beyond)).unwrap_or(u32::MAX)
    }

    /// The tiles at the other ends of a tile's wires on one side, from top to bottom.
    pub fn neighbours(&self, item: Item, side: Side) -> Vec<Item> {
        let Some(at) = self.index(item) else {
            return Vec::new();
        };
        let mut found: Vec<usize> = self
            .ends
            .iter()
            .flatten()
            .filter_map(|end| {
                let source = self.nets[end.net].tile;
                match side {
                    Side::Input if end.tile == at => Some(source),
                    Side::Output if source == at => Some(end.tile),
                    _ => None,
                }
            })
            .collect();
        found.sort_by_key(|tile| (self.tiles[*tile].rect.y, self.tiles[*tile].rect.x));
        found.dedup();
        found.into_iter().map(|tile| self.tiles[tile].item).collect()
    }
}

/// How far a cell is outside a stretch of cells.
fn outside(at: i32, from: i32, len: i32) -> i32 {
    (from - at).max(at - (from + len - 1)).max(0)
}
