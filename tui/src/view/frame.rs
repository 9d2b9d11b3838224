//! Open groups: a dotted frame around their members, wherever nothing else is.

use super::canvas::{Pen, Picture};
use crate::glyph::cut;
use crate::theme::Role;
use canvas::{Point, Rect};
use ratatui::text::Span;

pub(super) fn draw(picture: &Picture<'_>, pen: &mut Pen<'_>) {
    let (glyphs, style) = (picture.glyphs, picture.style(Role::Dim));
    let signs = [
        glyphs.pick("┄", "."),
        glyphs.pick("┆", ":"),
        glyphs.pick("┌┐┘└", "...."),
    ];
    for frame in &picture.drawing.scene.frames {
        let Some(group) = picture.drawing.model.groups.get(frame.group) else {
            continue;
        };
        for (nth, block) in frame.blocks.iter().enumerate() {
            let outer = block.grown(1);
            if !outer.touches(&pen.seen()) {
                continue;
            }
            let room = usize::try_from(outer.w - 4).unwrap_or(0);
            let name = if nth == 0 {
                format!(" {} ", cut(&group.title, room, glyphs))
            } else {
                String::new()
            };
            let from = Point::new(outer.x + 1, outer.y);
            let named = from.x..from.x + Span::raw(name.as_str()).width() as i32;
            for (p, sign) in edge(outer, signs) {
                if p.y != from.y || !named.contains(&p.x) {
                    pen.put_if_empty(p, &sign, style);
                }
            }
            // Wires in the way stay.
            for (x, c) in named.zip(name.chars()) {
                let sign = c.to_string();
                pen.put_if_empty(Point::new(x, from.y), &sign, picture.style(Role::Changed));
            }
        }
    }
}

/// The cells of a frame, with their signs: across, along, at the corners.
fn edge(rect: Rect, [across, along, corners]: [&str; 3]) -> Vec<(Point, String)> {
    let (right, bottom) = (rect.right() - 1, rect.bottom() - 1);
    let ends = [(rect.x, rect.y), (right, rect.y), (right, bottom), (rect.x, bottom)];
    let corners = ends.into_iter().zip(corners.chars());
    let mut cells: Vec<(Point, String)> = corners
        .map(|((x, y), corner)| (Point::new(x, y), corner.to_string()))
        .collect();
    for x in rect.x + 1..right {
        cells.extend([rect.y, bottom].map(|y| (Point::new(x, y), across.to_owned())));
    }
    for y in rect.y + 1..bottom {
        cells.extend([rect.x, right].map(|x| (Point::new(x, y), along.to_owned())));
    }
    cells
}
