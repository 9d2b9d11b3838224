//! Pictures of coloured cells, on terminals with few colours, none, or only letters.

use crate::glyph::Glyphs;
use crate::theme::Depth;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

/// From dark to bright.
const LETTERS: &[u8] = b" .:-=+*#%@";

/// What the sixteen colours usually are.
const SIXTEEN: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [170, 0, 0]),
    (Color::Green, [0, 170, 0]),
    (Color::Yellow, [170, 85, 0]),
    (Color::Blue, [0, 0, 170]),
    (Color::Magenta, [170, 0, 170]),
    (Color::Cyan, [0, 170, 170]),
    (Color::Gray, [170, 170, 170]),
    (Color::DarkGray, [85, 85, 85]),
    (Color::LightRed, [255, 85, 85]),
    (Color::LightGreen, [85, 255, 85]),
    (Color::LightYellow, [255, 255, 85]),
    (Color::LightBlue, [85, 85, 255]),
    (Color::LightMagenta, [255, 85, 255]),
    (Color::LightCyan, [85, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// Gives the cells of a picture what the terminal can show of them.
pub(super) fn adapt(buf: &mut Buffer, area: Rect, depth: Depth, glyphs: Glyphs) {
    for position in area.intersection(buf.area).positions() {
        let Some(cell) = buf.cell_mut(position) else { continue };
        match (depth, glyphs) {
            (Depth::True, Glyphs::Unicode) => return,
            (Depth::Mono, _) | (_, Glyphs::Ascii) => letter(cell, depth),
            _ => {
                cell.fg = nearest(cell.fg, depth);
                cell.bg = nearest(cell.bg, depth);
            }
        }
    }
}

/// Half blocks as one letter, as bright as both halves together.
fn letter(cell: &mut Cell, depth: Depth) {
    let (Color::Rgb(..), Color::Rgb(..)) = (cell.fg, cell.bg) else {
        return;
    };
    let (above, below) = (rgb(cell.fg), rgb(cell.bg));
    let mean: [u8; 3] = std::array::from_fn(|at| above[at].midpoint(below[at]));
    let [r, g, b] = mean.map(usize::from);
    let bright = (299 * r + 587 * g + 114 * b) / 1000;
    let at = bright * (LETTERS.len() - 1) / 255;
    let [r, g, b] = mean;
    cell.set_style(Style::reset());
    cell.set_char(char::from(LETTERS[at]));
    if depth != Depth::Mono {
        cell.fg = nearest(Color::Rgb(r, g, b), depth);
    }
}

fn rgb(colour: Color) -> [u8; 3] {
    match colour {
        Color::Rgb(r, g, b) => [r, g, b],
        _ => [0; 3],
    }
}

fn nearest(colour: Color, depth: Depth) -> Color {
    let Color::Rgb(r, g, b) = colour else {
        return colour;
    };
    match depth {
        Depth::True => colour,
        Depth::Mono => Color::Reset,
        Depth::Indexed => {
            // Six steps of each, at 0, 95, 135, 175, 215 and 255.
            let step = |part: u8| {
                if part < 48 {
                    0
                } else {
                    ((part.max(75) - 75) / 40 + 1).min(5)
                }
            };
            Color::Indexed(16 + 36 * step(r) + 6 * step(g) + step(b))
        }
        Depth::Sixteen => {
            let far = |other: [u8; 3]| -> u32 {
                let parts = [r, g, b].into_iter().zip(other);
                parts.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
            };
            let near = SIXTEEN.iter().min_by_key(|(_, other)| far(*other));
            near.map_or(Color::Reset, |(colour, _)| *colour)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_letters_are_as_near_as_can_be() {
        let cell = |above: [u8; 3], below: [u8; 3], depth, glyphs| {
            let area = Rect::new(0, 0, 1, 1);
            let mut buf = Buffer::empty(area);
            let colour = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
            buf[(0, 0)].set_char('▀').set_fg(colour(above)).set_bg(colour(below));
            adapt(&mut buf, area, depth, glyphs);
            let cell = &buf[(0, 0)];
            (cell.symbol().to_owned(), cell.fg, cell.bg)
        };
        let (red, white, black) = ([200, 10, 10], [255; 3], [0; 3]);
        let half = "▀".to_owned();
        let exact = (half.clone(), Color::Rgb(200, 10, 10), Color::Rgb(0, 0, 0));
        assert_eq!(cell(red, black, Depth::True, Glyphs::Unicode), exact);
        let sixteen = (half.clone(), Color::Red, Color::White);
        assert_eq!(cell(red, white, Depth::Sixteen, Glyphs::Unicode), sixteen);
        let indexed = (half, Color::Indexed(160), Color::Indexed(231));
        assert_eq!(cell(red, white, Depth::Indexed, Glyphs::Unicode), indexed);
        let none = |letter: &str| (letter.to_owned(), Color::Reset, Color::Reset);
        assert_eq!(cell(white, white, Depth::Mono, Glyphs::Unicode), none("@"));
        assert_eq!(cell(black, black, Depth::Mono, Glyphs::Ascii), none(" "));
        assert_eq!(cell(white, black, Depth::Mono, Glyphs::Ascii), none("="));
        assert_eq!(
            cell(white, white, Depth::Sixteen, Glyphs::Ascii),
            ("@".to_owned(), Color::White, Color::Reset)
        );
    }
}
