//! Something to read or to look at, above everything.

use super::paint::{middle, popup, put, wrap};
use crate::layer::{Body, Page};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, page: &Page, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(2),
        ..area
    };
    match &page.body {
        Body::Lines(lines) => {
            let width = 84.min(body.width);
            let all: Vec<(String, Role)> = lines
                .iter()
                .flat_map(|line| {
                    let (text, role) = match line.strip_prefix("# ") {
                        Some(heading) => (heading, Role::Key),
                        None => (line.as_str(), Role::Text),
                    };
                    let width = usize::from(width.saturating_sub(3));
                    wrap(text, width).into_iter().map(move |part| (part, role))
                })
                .collect();
            let place = middle(body, width, all.len() as u16 + 2);
            let inner = popup(state, place, &page.title, false, buf);
            let first = page.scroll.min(all.len().saturating_sub(usize::from(inner.height)));
            for ((text, role), y) in all.iter().skip(first).zip(inner.y..inner.bottom()) {
                put(buf, inner.x, y, inner.width, text, state.theme.style(*role));
            }
        }
        Body::Picture(key) => {
            let inner = popup(state, body, &page.title, false, buf);
            super::preview::picture(state, *key, inner, buf);
        }
        Body::Compare(runs) => {
            let inner = popup(state, body, &page.title, false, buf);
            super::compare::draw(state, runs, inner, buf);
        }
    }
    None
}
