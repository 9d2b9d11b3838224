//! The whole scene in few cells, four quarters to a cell.

use crate::scene::Scene;
use crate::shape::{Point, Rect, Size};

/// Which quarters of a cell are filled: upper left 1, upper right 2, lower left 4, lower right 8; an index for tables of glyphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quarters {
    /// The bits.
    pub bits: u8,
    /// A tile that is seen here, by its index; the last when there are several.
    pub tile: Option<usize>,
}

/// A scene from afar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimap {
    /// Cells across and down.
    pub size: Size,
    /// Row by row.
    pub cells: Vec<Quarters>,
    /// The cells in which the view is, at least one.
    pub window: Rect,
    bounds: Rect,
}

impl Scene {
    /// The scene in at most `size` cells, with the part of it that is in view. Shape is kept: a cell of the map is as
    /// many cells of the scene across as down, but for rounding.
    pub fn minimap(&self, size: Size, view: Rect) -> Minimap {
        let size = Size::new(size.w.max(1), size.h.max(1));
        let bounds = Rect::new(self.bounds.x, self.bounds.y, self.bounds.w.max(1), self.bounds.h.max(1));
        let scale = (f64::from(bounds.w) / f64::from(size.w))
            .max(f64::from(bounds.h) / f64::from(size.h))
            .max(1.0);
        let cells = |n: i32| (f64::from(n) / scale).ceil() as i32;
        let size = Size::new(cells(bounds.w).clamp(1, size.w), cells(bounds.h).clamp(1, size.h));
        let count = usize::try_from(size.w * size.h).unwrap_or(0);
        let mut map = Minimap {
            size,
            cells: vec![Quarters::default(); count],
            window: Rect::default(),
            bounds,
        };
        for (at, tile) in self.tiles.iter().enumerate() {
            let (x, y) = (
                map.half(tile.rect.x - bounds.x, bounds.w, size.w),
                map.half(tile.rect.y - bounds.y, bounds.h, size.h),
            );
            let right = map.half(tile.rect.right() - 1 - bounds.x, bounds.w, size.w);
            let bottom = map.half(tile.rect.bottom() - 1 - bounds.y, bounds.h, size.h);
            for y in y..=bottom {
                for x in x..=right {
                    let cell = &mut map.cells[usize::try_from(y / 2 * size.w + x / 2).unwrap_or(0)];
                    cell.bits |= 1 << (x % 2 + 2 * (y % 2));
                    cell.tile = Some(at);
                }
            }
        }
        let seen = view.intersect(&bounds);
        let from = map.from_scene(Point::new(seen.x, seen.y));
        let to = map.from_scene(Point::new(
            (seen.right() - 1).max(seen.x),
            (seen.bottom() - 1).max(seen.y),
        ));
        map.window = Rect::spanning(from, to);
        map
    }
}

impl Minimap {
    /// Which half cell a cell of the scene is in.
    fn half(&self, at: i32, of: i32, cells: i32) -> i32 {
        let half = i64::from(at) * 2 * i64::from(cells) / i64::from(of);
        i32::try_from(half).unwrap_or(0).clamp(0, 2 * cells - 1)
    }

    /// The cell of the map that shows a cell of the scene.
    pub fn from_scene(&self, p: Point) -> Point {
        Point::new(
            self.half(p.x - self.bounds.x, self.bounds.w, self.size.w) / 2,
            self.half(p.y - self.bounds.y, self.bounds.h, self.size.h) / 2,
        )
    }

    /// The cell of the scene in the middle of what a cell of the map shows.
    pub fn to_scene(&self, p: Point) -> Point {
        let middle = |at: i32, of: i32, cells: i32| {
            let at = i64::from(at.clamp(0, cells - 1));
            i32::try_from((2 * at + 1) * i64::from(of) / (2 * i64::from(cells))).unwrap_or(0)
        };
        Point::new(
            self.bounds.x + middle(p.x, self.bounds.w, self.size.w),
            self.bounds.y + middle(p.y, self.bounds.h, self.size.h),
        )
    }
}
