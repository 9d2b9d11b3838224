//! The part of a scene that is seen.

use crate::shape::{Point, Rect, Size};

/// A window on a scene.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The scene's cell at its upper left.
    pub origin: Point,
    /// Its size.
    pub size: Size,
}

impl View {
    /// The cells of the scene that are seen.
    pub const fn rect(&self) -> Rect {
        Rect::new(self.origin.x, self.origin.y, self.size.w, self.size.h)
    }

    /// Where a cell of the scene is seen, counted from the view's upper left; none outside.
    pub fn to_view(&self, p: Point) -> Option<Point> {
        self.rect()
            .contains(p)
            .then(|| Point::new(p.x - self.origin.x, p.y - self.origin.y))
    }

    /// The scene's cell at a place of the view.
    pub const fn to_scene(&self, p: Point) -> Point {
        Point::new(p.x + self.origin.x, p.y + self.origin.y)
    }

    /// Moves over the scene, not beyond its edge.
    pub fn pan(&mut self, dx: i32, dy: i32, bounds: Rect) {
        self.origin.x = self.origin.x.saturating_add(dx);
        self.origin.y = self.origin.y.saturating_add(dy);
        self.clamp(bounds);
    }

    /// Keeps at least part of the scene in view: a scene that fits is wholly seen, a larger one fills the view but for
    /// a margin.
    pub fn clamp(&mut self, bounds: Rect) {
        self.origin.x = clamped(self.origin.x, self.size.w, bounds.x, bounds.w);
        self.origin.y = clamped(self.origin.y, self.size.h, bounds.y, bounds.h);
    }

    /// Moves as little as possible to show a block with a margin around; its upper left when it is too large.
    pub fn reveal(&mut self, block: Rect, margin: i32) {
        self.origin.x = revealed(self.origin.x, self.size.w, block.x, block.w, margin);
        self.origin.y = revealed(self.origin.y, self.size.h, block.y, block.h, margin);
    }

    /// Puts a block in the middle.
    pub fn centre(&mut self, block: Rect) {
        let middle = block.centre();
        self.origin = Point::new(middle.x - self.size.w / 2, middle.y - self.size.h / 2);
    }

    /// Moves so that what was at `old` in the scene before and is at `new` now stays where it is seen.
    pub const fn keep(&mut self, old: Rect, new: Rect) {
        self.origin.x += new.x - old.x;
        self.origin.y += new.y - old.y;
    }

    /// Whether a scene is wholly seen.
    pub fn fits(&self, bounds: Rect) -> bool {
        self.rect().intersect(&bounds) == bounds
    }
}

/// Cells beyond the scene that panning may show.
const BEYOND: i32 = 2;

fn clamped(origin: i32, size: i32, from: i32, len: i32) -> i32 {
    if len + 2 * BEYOND <= size {
        // All of it fits, so all of it is seen.
        origin.clamp(from + len - size, from)
    } else {
        let (low, high) = (from - BEYOND, from + len + BEYOND - size);
        origin.clamp(low.min(high), low.max(high))
    }
}

fn revealed(origin: i32, size: i32, from: i32, len: i32, margin: i32) -> i32 {
    let margin = margin.min((size - len) / 2).max(0);
    if from - margin < origin || len > size {
        from - margin
    } else if from + len + margin > origin + size {
        from + len + margin - size
    } else {
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(x: i32, y: i32) -> View {
        View {
            origin: Point::new(x, y),
            size: Size::new(80, 20),
        }
    }

    #[test]
    fn revealing_moves_no_more_than_needed() {
        let mut seen = view(0, 0);
        seen.reveal(Rect::new(10, 5, 20, 5), 2);
        assert_eq!(seen, view(0, 0));
        seen.reveal(Rect::new(70, 18, 20, 5), 2);
        assert_eq!(seen, view(12, 5));
        seen.reveal(Rect::new(0, 0, 200, 50), 2);
        assert_eq!(seen, view(0, 0));
    }

    #[test]
    fn panning_ends_at_the_edge() {
        let mut seen = view(0, 0);
        seen.pan(1000, 1000, Rect::new(0, 0, 300, 100));
        assert_eq!(seen, view(222, 82));
        seen.pan(-1000, -1000, Rect::new(0, -10, 300, 100));
        assert_eq!(seen, view(-2, -12));
        seen.pan(50, 50, Rect::new(0, 0, 30, 10));
        assert_eq!(seen, view(0, 0), "what fits is wholly seen");
    }

    #[test]
    fn a_tile_that_changes_stays_where_it_is_seen() {
        let mut seen = view(100, 30);
        seen.keep(Rect::new(110, 35, 20, 5), Rect::new(60, 20, 10, 1));
        assert_eq!(seen, view(50, 15));
    }
}
