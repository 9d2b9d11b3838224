//! Frames, texts, boxes: what all views are painted with.

use crate::glyph::{Glyphs, cut};
use crate::state::State;
use crate::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};

const ASCII: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn set(glyphs: Glyphs, heavy: bool) -> border::Set<'static> {
    match (glyphs, heavy) {
        (Glyphs::Ascii, _) => ASCII,
        (Glyphs::Unicode, true) => border::THICK,
        (Glyphs::Unicode, false) => border::PLAIN,
    }
}

/// A pane's frame with its title; the one with the keys stands out, by weight where there are no colours.
pub(crate) fn pane(state: &State, area: Rect, title: Line<'_>, focused: bool, buf: &mut Buffer) -> Rect {
    let focused = focused && state.layers.is_empty();
    let role = if focused { Role::Focus } else { Role::Frame };
    let heavy = focused && state.theme.depth == crate::theme::Depth::Mono;
    let block = Block::bordered()
        .border_set(set(state.glyphs, heavy))
        .border_style(state.theme.style(role))
        .title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// A box above everything else, cleared first.
pub(crate) fn popup(state: &State, area: Rect, title: &str, bad: bool, buf: &mut Buffer) -> Rect {
    Clear.render(area, buf);
    let role = if bad { Role::Bad } else { Role::Focus };
    let mut block = Block::bordered()
        .border_set(set(state.glyphs, false))
        .border_style(state.theme.style(role));
    if !title.is_empty() {
        block = block.title(Line::styled(format!(" {title} "), state.theme.style(Role::Title)));
    }
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// A block of that size in the middle of another, not larger than it.
pub(crate) fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    )
}

/// Writes a text at a cell, at most `width` cells; gives the cell after it.
pub(crate) fn put(buf: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
    let area = buf.area;
    if y >= area.bottom() || x >= area.right() || width == 0 {
        return x;
    }
    buf.set_stringn(x, y, text, usize::from(width), style).0
}

/// Writes a text, cut with dots where it is too long.
pub(crate) fn put_cut(buf: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style, glyphs: Glyphs) -> u16 {
    put(buf, x, y, width, &cut(text, usize::from(width), glyphs), style)
}

/// Writes a text so that it ends at the right of a row.
pub(crate) fn put_right(buf: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) -> u16 {
    let width = (Span::raw(text).width() as u16).min(area.width);
    let x = area.right() - width;
    put(buf, x, y, width, text, style);
    x
}

/// Gives a row the colours of the chosen one.
pub(crate) fn choose(buf: &mut Buffer, area: Rect, y: u16, theme: Theme) {
    buf.set_style(Rect::new(area.x, y, area.width, 1), theme.style(Role::Chosen));
}

/// A text in lines of at most `width` cells, broken between words.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let more = Span::raw(line.as_str()).width() + 1 + Span::raw(word).width();
            if !line.is_empty() && more > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            while width > 0 && Span::raw(line.as_str()).width() > width {
                let head: String = take(&line, width);
                line = line[head.len()..].to_owned();
                lines.push(head);
            }
        }
        lines.push(line);
    }
    lines
}

/// The beginning of a text in at most `width` cells; at least one character.
fn take(text: &str, width: usize) -> String {
    let mut head = String::new();
    for c in text.chars() {
        head.push(c);
        if Span::raw(head.as_str()).width() > width && head.chars().count() > 1 {
            head.pop();
            break;
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
    }

    #[test]
    fn boxes_stay_inside() {
        let area = Rect::new(2, 3, 10, 4);
        assert_eq!(middle(area, 100, 2), Rect::new(2, 4, 10, 2));
    }
}
