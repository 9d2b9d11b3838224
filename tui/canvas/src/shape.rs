//! Points, sizes and rectangles in cells: x to the right, y down.

/// A cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// Column of the cell.
    pub x: i32,
    /// Row of the cell.
    pub y: i32,
}

/// Width and height in cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    /// Cells across.
    pub w: i32,
    /// Cells down.
    pub h: i32,
}

/// A block of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Leftmost column.
    pub x: i32,
    /// Topmost row.
    pub y: i32,
    /// Cells across; none when not positive.
    pub w: i32,
    /// Cells down; none when not positive.
    pub h: i32,
}

/// One of the four ways to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Against the flow of data.
    Left,
    /// To smaller rows.
    Up,
    /// To larger rows.
    Down,
    /// With the flow of data.
    Right,
}

impl Point {
    /// The cell at column `x` and row `y`.
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

impl Size {
    /// `w` cells across and `h` down.
    pub const fn new(w: i32, h: i32) -> Self {
        Self { w, h }
    }
}

impl Rect {
    /// The block with its top left cell at `x`, `y`.
    pub const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// The block between two cells, both within.
    pub fn spanning(a: Point, b: Point) -> Self {
        let (x, y) = (a.x.min(b.x), a.y.min(b.y));
        Self::new(x, y, a.x.max(b.x) - x + 1, a.y.max(b.y) - y + 1)
    }

    /// The column right of the block.
    pub const fn right(&self) -> i32 {
        self.x + self.w
    }

    /// The row below the block.
    pub const fn bottom(&self) -> i32 {
        self.y + self.h
    }

    /// The cell in the middle.
    pub const fn centre(&self) -> Point {
        Point::new(self.x + self.w / 2, self.y + self.h / 2)
    }

    /// Whether no cell is in the block.
    pub const fn is_empty(&self) -> bool {
        self.w <= 0 || self.h <= 0
    }

    /// Whether the cell is in the block.
    pub const fn contains(&self, p: Point) -> bool {
        p.x >= self.x && p.x < self.right() && p.y >= self.y && p.y < self.bottom()
    }

    /// Whether a cell is in both blocks.
    pub fn touches(&self, other: &Self) -> bool {
        !self.intersect(other).is_empty()
    }

    /// What is in both blocks; empty when nothing is.
    pub fn intersect(&self, other: &Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (r, b) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        Self::new(x, y, (r - x).max(0), (b - y).max(0))
    }

    /// The smallest block around both; an empty one counts for nothing.
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (r, b) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self::new(x, y, r - x, b - y)
    }

    /// The block with `by` more cells on every side.
    pub const fn grown(&self, by: i32) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2 * by, self.h + 2 * by)
    }
}
