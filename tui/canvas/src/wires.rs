//! What runs through each cell of a view.

use crate::scene::Scene;
use crate::shape::{Point, Rect};

/// The sides of a cell at which a wire goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arms(u8);

impl Arms {
    /// Nowhere.
    pub const NONE: Self = Self(0);
    /// Upwards.
    pub const UP: Self = Self(1);
    /// To the right.
    pub const RIGHT: Self = Self(2);
    /// Downwards.
    pub const DOWN: Self = Self(4);
    /// To the left.
    pub const LEFT: Self = Self(8);
    /// To the left and right.
    pub const ACROSS: Self = Self(10);
    /// Up and down.
    pub const ALONG: Self = Self(5);

    /// The arms of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all arms of `other` are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// On how many sides it goes on.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// A number below 16: up 1, right 2, down 4, left 8; an index for tables of glyphs.
    pub const fn bits(self) -> usize {
        self.0 as usize
    }
}

/// A cell with a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireCell {
    /// The net that is seen: the vertical one at a crossing.
    pub net: usize,
    /// Where it goes on.
    pub arms: Arms,
    /// The net that crosses below it.
    pub under: Option<usize>,
}

/// The wires in a view, row by row.
#[derive(Clone, Debug)]
pub struct Wires {
    view: Rect,
    cells: Vec<Option<WireCell>>,
}

impl Wires {
    /// What runs through a cell of the scene.
    pub fn at(&self, p: Point) -> Option<WireCell> {
        if !self.view.contains(p) {
            return None;
        }
        self.cells[self.index(p)]
    }

    /// All cells with a wire, row by row.
    pub fn iter(&self) -> impl Iterator<Item = (Point, WireCell)> {
        let view = self.view;
        self.cells.iter().enumerate().filter_map(move |(at, cell)| {
            let at = i32::try_from(at).ok()?;
            Some((Point::new(view.x + at % view.w, view.y + at / view.w), (*cell)?))
        })
    }

    fn index(&self, p: Point) -> usize {
        usize::try_from((p.y - self.view.y) * self.view.w + p.x - self.view.x).unwrap_or(0)
    }

    fn add(&mut self, p: Point, net: usize, arms: Arms) {
        let index = self.index(p);
        let cell = &mut self.cells[index];
        *cell = Some(match *cell {
            Some(mut old) if old.net == net => {
                old.arms = old.arms.with(arms);
                old
            }
            Some(mut old) if old.under == Some(net) || old.arms.has(Arms::ALONG) => {
                old.under = Some(net);
                old
            }
            old => WireCell {
                net,
                arms,
                under: old.map(|old| old.net),
            },
        });
    }
}

impl Scene {
    /// The wires in a view of the scene. The work depends on the number of lines, not on their length.
    pub fn wires(&self, view: Rect) -> Wires {
        let view = Rect::new(view.x, view.y, view.w.clamp(0, 4096), view.h.clamp(0, 4096));
        let size = usize::try_from(view.w * view.h).unwrap_or(0);
        let mut wires = Wires {
            view,
            cells: vec![None; size],
        };
        for (at, net) in self.nets.iter().enumerate() {
            if !net.bounds.touches(&view) {
                continue;
            }
            for line in &net.segments {
                let seen = line.bounds().intersect(&view);
                if seen.is_empty() {
                    continue;
                }
                let (back, on) = if line.is_horizontal() {
                    (Arms::LEFT, Arms::RIGHT)
                } else {
                    (Arms::UP, Arms::DOWN)
                };
                for y in seen.y..seen.bottom() {
                    for x in seen.x..seen.right() {
                        let p = Point::new(x, y);
                        let mut arms = Arms::NONE;
                        if p != line.from {
                            arms = arms.with(back);
                        }
                        if p != line.to {
                            arms = arms.with(on);
                        }
                        wires.add(p, at, arms);
                    }
                }
            }
            self.stubs(at, &mut wires);
        }
        wires
    }

    /// The ends of a net go on into the borders of its tiles.
    fn stubs(&self, net: usize, wires: &mut Wires) {
        let start = Point::new(self.nets[net].at.x + 1, self.nets[net].at.y);
        if wires.view.contains(start) {
            wires.add(start, net, Arms::LEFT);
        }
        let ends = self.nets[net].wires.iter().filter_map(|wire| self.ends[*wire]);
        for end in ends {
            let last = Point::new(end.at.x - 1, end.at.y);
            if wires.view.contains(last) {
                wires.add(last, net, Arms::RIGHT);
            }
        }
    }
}
