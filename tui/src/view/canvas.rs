//! The graph: tiles, wires, groups, labels of a connection in the making, the map in the corner.

use crate::glyph::{Glyphs, Mark};
use crate::layer::Connect;
use crate::scene::Drawing;
use crate::theme::{Role, Theme};
use canvas::{Item, Point, PortRef, Rect, Side, View};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect as Area;
use ratatui::style::Style;
use ratatui::text::Span;
use std::collections::BTreeSet;

/// What a node shows besides what is in the graph.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Its state.
    pub mark: Mark,
    /// Its state in words: `cached`, `1.8s`, `3.1/s  eta 0:40`.
    pub words: String,
    /// How much of it is done, while it runs.
    pub share: Option<f64>,
    /// Whether something is wrong with it: an error, or only a warning.
    pub problem: Option<bool>,
    /// Lines at the highest level: parameters, a curve.
    pub body: Vec<String>,
}

/// All that the canvas is drawn from.
pub struct Picture<'a> {
    /// The graph and its places.
    pub drawing: &'a Drawing,
    /// The part of it that is seen.
    pub view: View,
    /// Colours.
    pub theme: Theme,
    /// Signs.
    pub glyphs: Glyphs,
    /// The chosen tile.
    pub cursor: Option<Item>,
    /// The chosen port of the chosen node.
    pub port: Option<(Side, usize)>,
    /// Further nodes that are selected.
    pub marked: &'a BTreeSet<String>,
    /// A connection in the making.
    pub connect: Option<&'a Connect>,
    /// Whether the map may be shown.
    pub minimap: bool,
    /// What a node shows.
    pub look: &'a dyn Fn(usize) -> Look,
}

impl Picture<'_> {
    /// The type of a port; empty when nobody knows.
    pub(super) fn type_of(&self, side: Side, port: PortRef) -> &str {
        let ports = self.drawing.ports.get(port.node);
        let port = ports.and_then(|ports| ports.side(side).get(port.port));
        port.map_or("", |port| port.ty.as_str())
    }

    /// Whether all but what can be chosen stands back.
    pub(super) fn dimmed(&self) -> bool {
        self.connect.is_some()
    }

    /// A role's style, unless everything stands back.
    pub(super) fn style(&self, role: Role) -> Style {
        self.theme.style(if self.dimmed() { Role::Dim } else { role })
    }
}

/// Draws the graph.
pub fn draw(picture: &Picture<'_>, area: Area, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let mut pen = Pen::new(area, picture.view.origin, buffer);
    if picture.drawing.scene.tiles.is_empty() {
        return;
    }
    super::wire::draw(picture, &mut pen);
    super::frame::draw(picture, &mut pen);
    let seen = pen.seen();
    for tile in picture
        .drawing
        .scene
        .tiles
        .iter()
        .filter(|tile| tile.rect.touches(&seen))
    {
        super::node::draw(picture, tile, &mut pen);
    }
    if let Some(connect) = picture.connect {
        labels(picture, connect, &mut pen);
    }
    super::minimap::draw(picture, area, buffer);
}

/// Labels at the ports that a connection could end at.
fn labels(picture: &Picture<'_>, connect: &Connect, pen: &mut Pen<'_>) {
    let drawing = picture.drawing;
    let other = match connect.side {
        Side::Input => Side::Output,
        Side::Output => Side::Input,
    };
    // Below the normal level the ports of a tile share a row: their labels stand side by side.
    let mut taken: BTreeSet<Point> = BTreeSet::new();
    for (at, (label, end)) in connect.ends.iter().enumerate() {
        if !label.starts_with(&connect.typed) {
            continue;
        }
        let place = drawing.index(&end.node).and_then(|node| {
            let port = drawing.ports.get(node)?.find(other, &end.port.name)?.0;
            drawing.scene.rows_of(other, PortRef { node, port }).last()
        });
        let Some(row) = place else { continue };
        let framed = drawing
            .scene
            .tile_of_node(row.port.node)
            .is_some_and(|tile| tile.level >= canvas::Level::Normal);
        let text = if framed {
            format!(" {label} ")
        } else {
            format!(" {label} {} ", end.port.name)
        };
        let width = text.chars().count() as i32;
        let mut p = match other {
            Side::Input => Point::new(row.at.x - 1, row.at.y),
            Side::Output => Point::new(row.at.x + 2 - width, row.at.y),
        };
        while (p.x..p.x + width).any(|x| taken.contains(&Point::new(x, p.y))) {
            p.x += if other == Side::Input { 1 } else { -1 };
        }
        taken.extend((p.x..p.x + width).map(|x| Point::new(x, p.y)));
        let role = if at == connect.cursor {
            Role::Chosen
        } else {
            Role::Label
        };
        pen.put(p, &text, picture.theme.style(role));
    }
}

/// Writes into the part of a buffer that shows a view of the scene, in the scene's cells.
pub(super) struct Pen<'a> {
    area: Area,
    origin: Point,
    buffer: &'a mut Buffer,
}

impl<'a> Pen<'a> {
    pub(super) fn new(area: Area, origin: Point, buffer: &'a mut Buffer) -> Self {
        Self { area, origin, buffer }
    }

    /// The cells of the scene that are seen.
    pub(super) fn seen(&self) -> Rect {
        Rect::new(
            self.origin.x,
            self.origin.y,
            i32::from(self.area.width),
            i32::from(self.area.height),
        )
    }

    fn cell(&mut self, p: Point) -> Option<&mut ratatui::buffer::Cell> {
        let x = u16::try_from(p.x - self.origin.x)
            .ok()
            .filter(|x| *x < self.area.width)?;
        let y = u16::try_from(p.y - self.origin.y)
            .ok()
            .filter(|y| *y < self.area.height)?;
        self.buffer.cell_mut((self.area.x + x, self.area.y + y))
    }

    /// Writes a text from a cell on; what is not in view is left out. Gives the cell after it.
    pub(super) fn put(&mut self, p: Point, text: &str, style: Style) -> Point {
        let mut x = p.x;
        let right = self.seen().right();
        for c in text.chars() {
            let mut bytes = [0; 4];
            let sign: &str = c.encode_utf8(&mut bytes);
            let width = if c.is_ascii() {
                1
            } else {
                Span::raw(sign).width() as i32
            };
            if width == 0 {
                continue;
            }
            if x + width <= right
                && let Some(cell) = self.cell(Point::new(x, p.y))
            {
                cell.set_symbol(sign).set_style(style);
                for hidden in 1..width {
                    if let Some(cell) = self.cell(Point::new(x + hidden, p.y)) {
                        cell.reset();
                    }
                }
            }
            x += width;
        }
        Point::new(x, p.y)
    }

    /// Writes a sign where nothing is yet.
    pub(super) fn put_if_empty(&mut self, p: Point, sign: &str, style: Style) {
        if let Some(cell) = self.cell(p).filter(|cell| cell.symbol() == " ") {
            cell.set_symbol(sign).set_style(style);
        }
    }

    /// Writes the same sign from a cell on.
    pub(super) fn fill(&mut self, p: Point, width: i32, sign: &str, style: Style) {
        for x in p.x..p.x + width {
            if let Some(cell) = self.cell(Point::new(x, p.y)) {
                cell.set_symbol(sign).set_style(style);
            }
        }
    }
}
