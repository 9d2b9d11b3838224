//! The whole graph in a corner, when not all of it is in view.

use super::canvas::Picture;
use crate::glyph::Glyphs;
use crate::theme::Role;
use canvas::{Minimap, Point, Rect, Size};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect as Area;
use ratatui::style::Modifier;

/// Cells by their filled quarters: upper left 1, upper right 2, lower left 4, lower right 8.
const QUARTERS: &str = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█";

/// The largest map.
const LARGEST: Size = Size::new(26, 6);

/// Where the map is, frame included, and what it shows; none when everything is in view or there is no room.
pub fn place(picture: &Picture<'_>, area: Area) -> Option<(Area, Minimap)> {
    let scene = &picture.drawing.scene;
    if !picture.minimap || picture.view.fits(scene.bounds) || area.width < 40 || area.height < 12 {
        return None;
    }
    let room = Size::new(
        (i32::from(area.width) / 3).min(LARGEST.w),
        (i32::from(area.height) / 4).min(LARGEST.h),
    );
    let map = scene.minimap(room, picture.view.rect());
    let (w, h) = (u16::try_from(map.size.w).ok()? + 2, u16::try_from(map.size.h).ok()? + 2);
    if w < 9 {
        return None;
    }
    let (right, bottom) = (area.right() - w, area.bottom() - h);
    let corners = [(area.x, bottom), (right, bottom), (right, area.y), (area.x, area.y)];
    // Not on the chosen tile, if that can be helped.
    let chosen = picture.cursor.and_then(|item| scene.tile(item)).map(|tile| tile.rect);
    let free = |(x, y): &(u16, u16)| {
        let on_scene = picture
            .view
            .to_scene(Point::new(i32::from(x - area.x), i32::from(y - area.y)));
        let block = Rect::new(on_scene.x, on_scene.y, i32::from(w), i32::from(h));
        !chosen.is_some_and(|chosen| chosen.touches(&block))
    };
    let (x, y) = corners.into_iter().find(free).unwrap_or(corners[0]);
    Some((Area::new(x, y, w, h), map))
}

pub(super) fn draw(picture: &Picture<'_>, area: Area, buffer: &mut Buffer) {
    let Some((place, map)) = self::place(picture, area) else {
        return;
    };
    let theme = picture.theme;
    let edge = theme.style(Role::Frame);
    let ascii = picture.glyphs == Glyphs::Ascii;
    let [corner, across, along] = if ascii { ["+", "-", "|"] } else { ["╭", "─", "│"] };
    let corners = if ascii {
        [corner; 4]
    } else {
        ["╭", "╮", "╯", "╰"]
    };
    let set = |buffer: &mut Buffer, x: u16, y: u16, sign: &str, style| {
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.reset();
            cell.set_symbol(sign).set_style(style);
        }
    };
    let (right, bottom) = (place.right() - 1, place.bottom() - 1);
    for x in place.x..=right {
        set(buffer, x, place.y, across, edge);
        set(buffer, x, bottom, across, edge);
    }
    for y in place.y..=bottom {
        set(buffer, place.x, y, along, edge);
        set(buffer, right, y, along, edge);
    }
    for ((x, y), sign) in [(place.x, place.y), (right, place.y), (right, bottom), (place.x, bottom)]
        .into_iter()
        .zip(corners)
    {
        set(buffer, x, y, sign, edge);
    }
    buffer.set_string(place.x + 2, place.y, " map ", theme.style(Role::Dim));
    let chosen = picture.cursor.and_then(|item| picture.drawing.scene.tile(item));
    let chosen = chosen.map(|tile| map.from_scene(tile.rect.centre()));
    for (at, cell) in map.cells.iter().enumerate() {
        let at = i32::try_from(at).unwrap_or(0);
        let p = Point::new(at % map.size.w, at / map.size.w);
        let sign = quarter(usize::from(cell.bits), ascii);
        let seen = map.window.contains(p);
        let mut style = theme.style(if Some(p) == chosen {
            Role::Focus
        } else if seen {
            Role::Text
        } else {
            Role::Dim
        });
        if seen {
            let behind = theme.style(Role::Chosen);
            style = match behind.bg {
                Some(colour) => style.bg(colour),
                None => style.add_modifier(Modifier::REVERSED),
            };
        }
        let (x, y) = (u16::try_from(p.x).unwrap_or(0), u16::try_from(p.y).unwrap_or(0));
        set(buffer, place.x + 1 + x, place.y + 1 + y, &sign.to_string(), style);
    }
}

fn quarter(bits: usize, ascii: bool) -> char {
    if !ascii {
        return QUARTERS.chars().nth(bits).unwrap_or(' ');
    }
    match bits.count_ones() {
        0 => ' ',
        1 => '.',
        2 => ':',
        _ => '#',
    }
}
