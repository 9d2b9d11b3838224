//! Words that appear for a while, the tour, counters, and a screen that is too small.

use super::paint::{middle, popup, put, put_cut, wrap};
use crate::state::State;
use crate::theme::Role;
use crate::update::STEPS;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let mut bottom = area.bottom();
    if let Some(toast) = &state.toast {
        let width = 60.min(area.width.saturating_sub(2));
        let lines = wrap(&toast.text, usize::from(width.saturating_sub(2)));
        let widest = lines
            .iter()
            .map(|line| ratatui::text::Span::raw(line.as_str()).width())
            .max()
            .unwrap_or(0) as u16;
        let (width, height) = (widest + 2, (lines.len() as u16 + 2).min(area.height));
        let place = Rect::new(area.right().saturating_sub(width + 1), bottom - height, width, height);
        let inner = popup(state, place, if toast.bad { "!" } else { "" }, toast.bad, buf);
        let role = if toast.bad { Role::Bad } else { Role::Text };
        for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
            put(buf, inner.x, y, inner.width, line, state.theme.style(role));
        }
        bottom = place.y;
    }
    if let Some(step) = state.tour.and_then(|at| STEPS.get(at)) {
        let width = 46.min(area.width.saturating_sub(2));
        let lines = wrap(step.text, usize::from(width.saturating_sub(2)));
        let height = lines.len() as u16 + 3;
        if height > bottom.saturating_sub(area.y) {
            return;
        }
        // In a corner of the graph, where it hides neither the chosen node's parameters nor what was just said.
        let canvas = state.regions().canvas;
        let roomy = canvas.width > width + 2 && canvas.height > height + 2;
        let (right, top) = match roomy {
            true => (canvas.right() - 1, canvas.y + 1),
            false => (area.right().saturating_sub(1), area.y),
        };
        let place = Rect::new(right.saturating_sub(width), top, width, height);
        let title = format!("tour {}/{}", state.tour.map_or(0, |at| at + 1), STEPS.len());
        let inner = popup(state, place, &title, false, buf);
        for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
            put(buf, inner.x, y, inner.width, line, state.theme.style(Role::Text));
        }
        put(
            buf,
            inner.x,
            inner.bottom() - 1,
            inner.width,
            "Esc ends the tour",
            state.theme.style(Role::Dim),
        );
    }
    if state.counters.shown {
        let text = format!(
            " {} frames  {} batches  {} events  {} nodes ",
            state.counters.frames,
            state.counters.batches,
            state.counters.events,
            state.document.nodes().len()
        );
        put_cut(
            buf,
            area.x + 1,
            area.y,
            area.width,
            &text,
            state.theme.style(Role::Key),
            state.glyphs,
        );
    }
}

/// For a screen that is too small for anything else.
pub(super) fn enlarge(state: &State, area: Rect, buf: &mut Buffer) {
    let text = "enlarge me";
    let place = middle(area, text.len() as u16, 1);
    put(buf, place.x, place.y, place.width, text, state.theme.style(Role::Title));
}
