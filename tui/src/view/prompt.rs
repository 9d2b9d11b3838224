//! Lines and texts to type, questions to answer.

use super::paint::{middle, popup, put, put_cut, wrap};
use super::{Hit, HitMap};
use crate::layer::{LineBox, Question, TextBox};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

/// The widest that a box gets.
const WIDEST: u16 = 76;

pub(super) fn draw_line(state: &State, line: &LineBox, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let theme = state.theme;
    let width = WIDEST.min(area.width.saturating_sub(2));
    let hint = wrap(
        line.error.as_deref().unwrap_or(&line.hint),
        usize::from(width.saturating_sub(2)),
    );
    let place = middle(area, width, 3 + hint.len().min(4) as u16);
    let inner = popup(state, place, &line.title, line.error.is_some(), buf);
    if inner.is_empty() {
        return None;
    }
    let room = usize::from(inner.width.saturating_sub(1));
    let scroll = line.input.visual_scroll(room);
    let typed: String = line.input.value().chars().skip(scroll).collect();
    put(buf, inner.x, inner.y, inner.width, &typed, theme.style(Role::Title));
    let role = if line.error.is_some() { Role::Bad } else { Role::Dim };
    for (text, y) in hint.iter().zip(inner.y + 1..inner.bottom()) {
        put(buf, inner.x, y, inner.width, text, theme.style(role));
    }
    Some((
        inner.x + line.input.visual_cursor().saturating_sub(scroll) as u16,
        inner.y,
    ))
}

pub(super) fn draw_text(state: &State, text: &TextBox, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let theme = state.theme;
    let width = WIDEST.min(area.width.saturating_sub(2));
    let lines: usize = text
        .area
        .lines()
        .iter()
        .map(|line| wrap(line, usize::from(width.saturating_sub(3))).len())
        .sum();
    let height = (lines as u16 + 4).max(6).min(area.height.saturating_sub(2));
    let place = middle(area, width, height);
    let inner = popup(state, place, &text.title, text.error.is_some(), buf);
    if inner.height < 2 {
        return None;
    }
    let body = Rect {
        height: inner.height - 1,
        ..inner
    };
    text.area.render(body, buf);
    let (hint, role) = match &text.error {
        Some(error) => (error.as_str(), Role::Bad),
        None => (text.hint.as_str(), Role::Dim),
    };
    put_cut(
        buf,
        inner.x,
        inner.bottom() - 1,
        inner.width,
        hint,
        theme.style(role),
        state.glyphs,
    );
    None
}

pub(super) fn draw_question(
    state: &State,
    question: &Question,
    area: Rect,
    buf: &mut Buffer,
    hits: &mut HitMap,
) -> Option<(u16, u16)> {
    let theme = state.theme;
    let width = WIDEST.min(area.width.saturating_sub(2));
    let text = wrap(&question.text, usize::from(width.saturating_sub(2)));
    let height = 3 + (text.len() + question.answers.len()) as u16;
    let place = middle(area, width, height);
    let inner = popup(state, place, "?", false, buf);
    let mut y = inner.y;
    for line in &text {
        put(buf, inner.x, y, inner.width, line, theme.style(Role::Text));
        y += 1;
    }
    y += 1;
    for (nth, (key, words, _)) in question.answers.iter().enumerate() {
        if y >= inner.bottom() {
            break;
        }
        let x = put(buf, inner.x + 1, y, 2, &key.to_string(), theme.style(Role::Key)) + 2;
        put_cut(
            buf,
            x,
            y,
            inner.right().saturating_sub(x),
            words,
            theme.style(Role::Text),
            state.glyphs,
        );
        hits.push((Rect::new(inner.x, y, inner.width, 1), Hit::LayerRow(nth)));
        y += 1;
    }
    None
}
