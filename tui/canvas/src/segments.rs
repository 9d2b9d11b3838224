//! The lines of a net.

use crate::scene::{Hop, Net};
use crate::shape::{Point, Rect};

/// A straight line of cells, both ends within; from left to right or from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    /// Left or upper end.
    pub from: Point,
    /// Right or lower end.
    pub to: Point,
}

impl Segment {
    pub(crate) fn between(a: Point, b: Point) -> Self {
        Self {
            from: a.min(b),
            to: a.max(b),
        }
    }

    /// Whether it runs from left to right.
    pub const fn is_horizontal(&self) -> bool {
        self.from.y == self.to.y
    }

    /// The block of its cells.
    pub fn bounds(&self) -> Rect {
        Rect::spanning(self.from, self.to)
    }
}

/// How a net changes rows in a gap: at no, one or two tracks, given by their columns of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bend {
    /// Straight through.
    None,
    /// From its row to all others.
    At(i32),
    /// To a free row at the first, from there to all others at the second.
    Twice(i32, i32, i32),
}

impl Bend {
    /// The same bend with tracks counted from `x`.
    pub(crate) const fn shifted(self, x: i32) -> Self {
        match self {
            Self::None => Self::None,
            Self::At(track) => Self::At(x + track),
            Self::Twice(first, via, second) => Self::Twice(x + first, via, x + second),
        }
    }
}

/// Collects the lines of one gap: in on `hop.row` from `start`, out on `rights` (row and last cell).
pub(crate) fn gap(hop: &Hop, start: i32, rights: &[(i32, i32)], into: &mut Vec<Segment>) {
    let mut line = |ax: i32, ay: i32, bx: i32, by: i32| {
        into.push(Segment::between(Point::new(ax, ay), Point::new(bx, by)));
    };
    let (track, row) = match hop.bend {
        Bend::None => {
            for (row, end) in rights {
                line(start, *row, *end, *row);
            }
            return;
        }
        Bend::At(x) => {
            line(start, hop.row, x, hop.row);
            (x, hop.row)
        }
        Bend::Twice(x, via, then) => {
            line(start, hop.row, x, hop.row);
            line(x, hop.row, x, via);
            line(x, via, then, via);
            (then, via)
        }
    };
    let rows = rights.iter().map(|(row, _)| *row).chain([row]);
    let (top, bottom) = rows.fold((row, row), |(top, bottom), row| (top.min(row), bottom.max(row)));
    line(track, top, track, bottom);
    for (row, end) in rights {
        line(track, *row, *end, *row);
    }
}

/// Joins lines that go on from each other, drops doubles, and finds the block around all.
pub(crate) fn tidy(net: &mut Net) {
    let mut lines = std::mem::take(&mut net.segments);
    // Horizontal ones by row, then vertical ones by column.
    lines.sort_by_key(|line| {
        let flat = line.is_horizontal();
        (!flat, if flat { line.from.y } else { line.from.x }, *line)
    });
    for line in lines {
        match net.segments.last_mut() {
            Some(last)
                if last.is_horizontal()
                    && line.is_horizontal()
                    && last.from.y == line.from.y
                    && line.from.x <= last.to.x + 1 =>
            {
                last.to.x = last.to.x.max(line.to.x);
            }
            Some(last) if *last == line => {}
            _ => net.segments.push(line),
        }
    }
    net.bounds = net
        .segments
        .iter()
        .fold(Rect::default(), |all, line| all.union(&line.bounds()));
}
