//! A list with a filter, and what is said of the chosen row.

use super::paint::{choose, middle, popup, put, put_cut, put_right, wrap};
use super::{Hit, HitMap};
use crate::layer::{Picker, Purpose};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

pub(super) fn draw(
    state: &State,
    picker: &Picker,
    area: Rect,
    buf: &mut Buffer,
    hits: &mut HitMap,
) -> Option<(u16, u16)> {
    let theme = state.theme;
    let tells = picker.rows.iter().any(|row| !row.page.is_empty());
    let width = if tells { 104 } else { 76 };
    let most = area.height.saturating_sub(4).clamp(3, 24);
    let height = (picker.rows.len().max(6) as u16).saturating_add(4).min(most);
    let body = Rect {
        height: area.height.saturating_sub(2),
        y: area.y + 1,
        ..area
    };
    let place = middle(body, width.min(area.width.saturating_sub(2)), height);
    let inner = popup(state, place, &picker.title, picker.error.is_some(), buf);
    if inner.height < 3 {
        return None;
    }
    let sign = if matches!(picker.purpose, Purpose::Action { typed: true }) {
        ":"
    } else {
        state.glyphs.cursor()
    };
    let x = put(buf, inner.x, inner.y, 2, sign, theme.style(Role::Key)) + 1;
    let room = usize::from(inner.right().saturating_sub(x + 1));
    let scroll = picker.input.visual_scroll(room);
    let typed: String = picker.input.value().chars().skip(scroll).collect();
    put(buf, x, inner.y, room as u16, &typed, theme.style(Role::Title));
    let cursor = (
        x + (picker.input.visual_cursor().saturating_sub(scroll)) as u16,
        inner.y,
    );
    let count = format!("{}/{}", picker.shown.len(), picker.rows.len());
    put_right(buf, inner, inner.y, &count, theme.style(Role::Dim));
    let rows = Rect {
        y: inner.y + 1,
        height: inner.height - 1,
        width: if tells && inner.width > 70 {
            inner.width / 2
        } else {
            inner.width
        },
        ..inner
    };
    if let Some(error) = &picker.error {
        put_cut(
            buf,
            rows.x,
            rows.y,
            rows.width,
            error,
            theme.style(Role::Bad),
            state.glyphs,
        );
        return Some(cursor);
    }
    if picker.shown.is_empty() {
        put_cut(
            buf,
            rows.x,
            rows.y,
            rows.width,
            &picker.empty,
            theme.style(Role::Dim),
            state.glyphs,
        );
    }
    let first = (picker.cursor + 1).saturating_sub(usize::from(rows.height));
    let label_width = label_width(picker, rows.width);
    let shown = picker.shown.iter().enumerate().skip(first);
    for ((nth, (at, places)), y) in shown.zip(rows.y..rows.bottom()) {
        let row = &picker.rows[*at];
        if nth == picker.cursor {
            choose(buf, rows, y, theme);
        }
        put_cut(
            buf,
            rows.x,
            y,
            label_width,
            &row.label,
            theme.style(Role::Title),
            state.glyphs,
        );
        for place in places.iter().filter(|place| **place < u32::from(label_width)) {
            let cell = Rect::new(rows.x + *place as u16, y, 1, 1);
            buf.set_style(cell, theme.style(Role::Match));
        }
        let right = Rect {
            x: rows.x + label_width,
            width: rows.width - label_width,
            ..rows
        };
        let tall = right.width / 2;
        let from = if tells {
            right.right()
        } else {
            put_right(
                buf,
                right,
                y,
                &crate::glyph::cut(&row.right, usize::from(tall), state.glyphs),
                theme.style(Role::Key),
            )
        };
        let x = rows.x + label_width + 1;
        put_cut(
            buf,
            x,
            y,
            from.saturating_sub(x + 1),
            &row.note,
            theme.style(Role::Dim),
            state.glyphs,
        );
        hits.push((Rect::new(rows.x, y, rows.width, 1), Hit::LayerRow(nth)));
    }
    if tells && rows.width < inner.width {
        let page = Rect::new(
            rows.right() + 1,
            rows.y,
            inner.right().saturating_sub(rows.right() + 1),
            rows.height,
        );
        tell(state, picker, page, buf);
    }
    Some(cursor)
}

/// Cells for the labels: as wide as the widest, but not more than most of the row.
fn label_width(picker: &Picker, width: u16) -> u16 {
    let widest = picker
        .rows
        .iter()
        .map(|row| Span::raw(row.label.as_str()).width())
        .max()
        .unwrap_or(0) as u16;
    let notes = picker
        .rows
        .iter()
        .any(|row| !row.note.is_empty() || !row.right.is_empty());
    if notes { widest.min(width * 3 / 5) } else { width }
}

/// What is said of the chosen row.
fn tell(state: &State, picker: &Picker, area: Rect, buf: &mut Buffer) {
    let Some(row) = picker.chosen() else {
        return;
    };
    let mut y = area.y;
    for line in &row.page {
        let (text, role) = match line.strip_prefix("# ") {
            Some(heading) => (heading, Role::Key),
            None => (line.as_str(), Role::Text),
        };
        for part in wrap(text, usize::from(area.width)) {
            if y >= area.bottom() {
                return;
            }
            put(buf, area.x, y, area.width, &part, state.theme.style(role));
            y += 1;
        }
    }
}
