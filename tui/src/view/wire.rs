//! Wires: one net after the other, the chosen tile's in heavy lines.

use super::canvas::{Pen, Picture};
use crate::glyph::Glyphs;
use crate::theme::Role;
use canvas::{Arms, LooseKind, Point, PortRef, Rect, Side};
use ratatui::style::{Modifier, Style};
use std::collections::HashMap;

/// Lines by the weight of their arms (none, light, heavy), counted in threes: up 1, right 3, down 9, left 27.
const LINES: &str = " ╵╹╶└┖╺┕┗╷│╿┌├┞┍┝┡╻╽┃┎┟┠┏┢┣╴┘┚─┴┸╼┶┺┐┤┦┬┼╀┮┾╄┒┧┨┰╁╂┲╆╊╸┙┛╾┵┹━┷┻┑┥┩┭┽╃┯┿╇┓┪┫┱╅╉┳╈╋";

/// The sign for light arms, of which `heavy` ones are drawn heavy.
fn sign(glyphs: Glyphs, arms: Arms, heavy: Arms) -> char {
    if glyphs == Glyphs::Ascii {
        let across = arms.has(Arms::LEFT) || arms.has(Arms::RIGHT);
        let along = arms.has(Arms::UP) || arms.has(Arms::DOWN);
        return match (across, along) {
            // Where it only turns, two arms; where it forks, more.
            (true, true) if arms.count() > 2 => '*',
            (true, true) => '+',
            (_, true) => '|',
            _ => '-',
        };
    }
    let round = [(9, '╯'), (3, '╰'), (6, '╭'), (12, '╮')];
    if heavy == Arms::NONE
        && let Some((_, sign)) = round.iter().find(|(bits, _)| *bits == arms.bits())
    {
        return *sign;
    }
    let weight = |arm: Arms| usize::from(arms.has(arm)) + usize::from(heavy.has(arm));
    let at = weight(Arms::UP) + 3 * weight(Arms::RIGHT) + 9 * weight(Arms::DOWN) + 27 * weight(Arms::LEFT);
    LINES.chars().nth(at).unwrap_or(' ')
}

/// Draws the wires in view.
pub(super) fn draw(picture: &Picture<'_>, pen: &mut Pen<'_>) {
    let scene = &picture.drawing.scene;
    let seen = pen.seen();
    let heavy = heavy(picture, seen);
    let styles: Vec<Style> = scene.nets.iter().map(|net| style(picture, &net.wires)).collect();
    let right = seen.right() - 1;
    for (p, cell) in scene.wires(seen).iter() {
        let thick = heavy.get(&(cell.net, p)).copied().unwrap_or(Arms::NONE);
        let mut style = styles[cell.net];
        if thick != Arms::NONE {
            style = style.add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM);
        }
        let goes_on = |arm| cell.arms == Arms::ACROSS && cell.under.is_none() && cell.arms.has(arm);
        // At the edges, the way on.
        let sign = if p.x == right && goes_on(Arms::RIGHT) {
            picture.glyphs.right().to_owned()
        } else if p.x == seen.x && goes_on(Arms::LEFT) {
            picture.glyphs.left().to_owned()
        } else {
            sign(picture.glyphs, cell.arms, thick).to_string()
        };
        pen.put(p, &sign, style);
    }
    loose(picture, pen);
}

/// The colour of a net: that of its type, if all its wires carry the same.
fn style(picture: &Picture<'_>, wires: &[usize]) -> Style {
    let ty = |wire: &usize| picture.type_of(Side::Output, picture.drawing.model.wires[*wire].from);
    let first = wires.first().map_or("", ty);
    let style = if wires.iter().all(|wire| ty(wire) == first) {
        picture.theme.port(first)
    } else {
        picture.theme.style(Role::Text)
    };
    if picture.dimmed() {
        picture.theme.style(Role::Frame)
    } else {
        style
    }
}

/// The arms of the chosen tile's wires, by net and cell.
fn heavy(picture: &Picture<'_>, seen: Rect) -> HashMap<(usize, Point), Arms> {
    let mut heavy = HashMap::new();
    let scene = &picture.drawing.scene;
    let Some(chosen) = picture.cursor.and_then(|item| scene.tile(item)) else {
        return heavy;
    };
    let ends_here = |port: PortRef| {
        scene
            .tile_of_node(port.node)
            .is_some_and(|tile| tile.item == chosen.item)
    };
    for (at, wire) in picture.drawing.model.wires.iter().enumerate() {
        if !ends_here(wire.from) && !ends_here(wire.to) {
            continue;
        }
        let (Some(path), Some(net)) = (scene.path(at), scene.net_of(at)) else {
            continue;
        };
        let mut add = |p: Point, arm: Arms| {
            let known = heavy.entry((net, p)).or_insert(Arms::NONE);
            *known = known.with(arm);
        };
        add(path[0], Arms::LEFT);
        add(path[path.len() - 1], Arms::RIGHT);
        for pair in path.windows(2) {
            let line = Rect::spanning(pair[0], pair[1]);
            let part = line.intersect(&seen.grown(1));
            let flat = pair[0].y == pair[1].y;
            for y in part.y..part.bottom() {
                for x in part.x..part.right() {
                    let p = Point::new(x, y);
                    let (low, high) = if flat {
                        (x > line.x, x < line.right() - 1)
                    } else {
                        (y > line.y, y < line.bottom() - 1)
                    };
                    let (back, on) = if flat {
                        (Arms::LEFT, Arms::RIGHT)
                    } else {
                        (Arms::UP, Arms::DOWN)
                    };
                    if low {
                        add(p, back);
                    }
                    if high {
                        add(p, on);
                    }
                }
            }
        }
    }
    heavy
}

/// Wires that are not drawn: signs at their ports.
fn loose(picture: &Picture<'_>, pen: &mut Pen<'_>) {
    let (model, scene) = (&picture.drawing.model, &picture.drawing.scene);
    for loose in &scene.loose {
        let wire = model.wires[loose.wire];
        let (sign, style) = match loose.kind {
            LooseKind::Circle => (picture.glyphs.circle(), picture.theme.style(Role::Bad)),
            LooseKind::Far => (picture.glyphs.right(), style(picture, &[loose.wire])),
            LooseKind::Nowhere => continue,
        };
        if let Some(row) = scene.rows_of(Side::Output, wire.from).next() {
            pen.put_if_empty(Point::new(row.at.x + 1, row.at.y), sign, style);
        }
        if let Some(row) = scene.rows_of(Side::Input, wire.to).next() {
            pen.put_if_empty(Point::new(row.at.x - 1, row.at.y), sign, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_join_their_neighbours() {
        let light = |arms| sign(Glyphs::Unicode, arms, Arms::NONE);
        assert_eq!(light(Arms::ACROSS), '─');
        assert_eq!(light(Arms::ALONG.with(Arms::RIGHT)), '├');
        assert_eq!(light(Arms::LEFT.with(Arms::DOWN)), '╮');
        let fork = Arms::ACROSS.with(Arms::DOWN);
        assert_eq!(sign(Glyphs::Unicode, fork, Arms::ACROSS), '┯');
        assert_eq!(sign(Glyphs::Unicode, fork, fork), '┳');
        assert_eq!(sign(Glyphs::Ascii, fork, fork), '*');
        assert_eq!(sign(Glyphs::Ascii, Arms::LEFT.with(Arms::DOWN), Arms::NONE), '+');
        assert_eq!(sign(Glyphs::Ascii, Arms::ALONG, Arms::NONE), '|');
        assert_eq!(LINES.chars().count(), 81);
    }
}
