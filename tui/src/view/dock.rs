//! The dock: tabs, and what the chosen one shows.

use super::paint::{choose, pane, put, put_cut};
use super::{Hit, HitMap, log, loss, problems, runs};
use crate::mirror::Phase;
use crate::regions::{Pane, TABS, Tab};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let mut title = vec![Span::raw(" ")];
    let mut x = area.x + 2;
    for tab in TABS {
        let count = match tab {
            Tab::Problems => state.all_problems().count(),
            Tab::Queue => state.mirror.open().count(),
            Tab::Log | Tab::Runs | Tab::Loss => 0,
        };
        let text = if count > 0 {
            format!("{} {count}", tab.name())
        } else {
            tab.name().to_owned()
        };
        let role = if tab == state.tab { Role::Title } else { Role::Dim };
        let width = text.len() as u16;
        hits.push((Rect::new(x, area.y, width, 1), Hit::Tab(tab)));
        x += width + 3;
        title.push(Span::styled(text, state.theme.style(role)));
        title.push(Span::styled(" - ", state.theme.style(Role::Frame)));
    }
    title.pop();
    title.push(Span::raw(" "));
    let inner = pane(state, area, Line::from(title), state.pane == Pane::Dock, buf);
    if inner.is_empty() {
        return;
    }
    match state.tab {
        // Where there is room, the losses of what trains stand beside the log.
        Tab::Log if inner.width >= 90 && loss::has_any(state) => {
            let width = inner.width * 2 / 5;
            let left = Rect {
                width: inner.width - width - 1,
                ..inner
            };
            log::draw(state, left, buf);
            loss::draw(state, Rect::new(left.right() + 1, inner.y, width, inner.height), buf);
        }
        Tab::Log => log::draw(state, inner, buf),
        Tab::Problems => problems::draw(state, inner, buf, hits),
        Tab::Runs => runs::draw(state, inner, buf, hits),
        Tab::Queue => queue(state, inner, buf, hits),
        Tab::Loss => loss::draw(state, inner, buf),
    }
}

fn queue(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    if state.mirror.open().next().is_none() {
        put_cut(
            buf,
            area.x,
            area.y,
            area.width,
            "nothing waits; Q queues a run of the graph as it is",
            theme.style(Role::Dim),
            state.glyphs,
        );
        return;
    }
    for (at, (run, y)) in state.mirror.open().zip(area.y..area.bottom()).enumerate() {
        let (word, role) = match run.phase {
            Phase::Running => ("running", Role::Running),
            _ => ("waits", Role::Dim),
        };
        if state.row(Tab::Queue) == at && state.pane == Pane::Dock {
            choose(buf, area, y, theme);
        }
        let target = if run.targets.is_empty() {
            "everything".to_owned()
        } else {
            run.targets.join(", ")
        };
        let same = if run.graph == state.document.text() {
            "as the graph is"
        } else {
            "with the graph as it was"
        };
        let x = put(
            buf,
            area.x,
            y,
            12,
            &format!("run {:<4}", run.number),
            theme.style(Role::Title),
        ) + 1;
        let x = put(buf, x, y, 8, &format!("{word:<8}"), theme.style(role)) + 1;
        let text = format!("{target}, {same}");
        put_cut(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &text,
            theme.style(Role::Text),
            state.glyphs,
        );
        hits.push((Rect::new(area.x, y, area.width, 1), Hit::Row(Tab::Queue, at)));
    }
}
