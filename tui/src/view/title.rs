//! First row: the graph, the run, the worker.

use super::paint::{put, put_right};
use super::{Hit, HitMap};
use crate::mirror::{Status, seconds_text};
use crate::state::{State, Worker};
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    let (worker, role) = match &state.worker {
        Worker::Ready { machine, .. } if area.width >= 100 => (machine.clone(), Role::Dim),
        Worker::Ready { .. } => (String::new(), Role::Dim),
        Worker::Starting => ("worker starting".to_owned(), Role::Warning),
        Worker::Gone { .. } => ("worker gone".to_owned(), Role::Bad),
        Worker::None => ("no worker".to_owned(), Role::Warning),
    };
    let right = put_right(buf, area, area.y, " ? help ", theme.style(Role::Key));
    let rest = Rect {
        width: right - area.x,
        ..area
    };
    let right = put_right(buf, rest, area.y, &worker, theme.style(role)).saturating_sub(2);
    let mut x = tabs(state, area, right, buf, hits);
    if let Some(title) = state.document.title()
        && area.width >= 100
        && state.tab_place().1 == 1
    {
        let room = 40.min(right.saturating_sub(x + 2) / 2);
        x = super::paint::put_cut(buf, x + 2, area.y, room, title, theme.style(Role::Dim), state.glyphs);
    }
    let (text, role) = run_words(state);
    let x = x + 3;
    put(buf, x, area.y, right.saturating_sub(x), &text, theme.style(role));
}

/// The names of the open graphs, that of the seen one in its colour; with several, a sign for one more.
fn tabs(state: &State, area: Rect, right: u16, buf: &mut Buffer, hits: &mut HitMap) -> u16 {
    let theme = state.theme;
    let (seen, count) = state.tab_place();
    let mut names: Vec<(String, bool)> = state
        .other_sheets()
        .map(|sheet| (sheet.name(), sheet.is_changed()))
        .collect();
    names.insert(seen, (state.name(), state.is_changed()));
    let most = right.saturating_sub(area.x) / 2;
    // The seen one is always there; of the others as many as have room.
    let width = |name: &str| (Span::raw(name).width() as u16).min(40) + 4;
    let mut first = 0;
    while first < seen && names[first..=seen].iter().map(|(name, _)| width(name)).sum::<u16>() > most {
        first += 1;
    }
    let mut x = area.x + 1;
    for (at, (name, changed)) in names.iter().enumerate().skip(first) {
        if at > seen && x + width(name) > area.x + most {
            x = put(buf, x, area.y, 2, state.glyphs.more(), theme.style(Role::Dim)) + 1;
            break;
        }
        let role = if at == seen { Role::Title } else { Role::Dim };
        let from = x;
        x = put(buf, x, area.y, 40, name, theme.style(role));
        if *changed {
            x = put(buf, x + 1, area.y, 1, state.glyphs.dirty(), theme.style(Role::Changed));
        }
        if count > 1 {
            hits.push((Rect::new(from, area.y, x - from, 1), Hit::Sheet(at)));
            x += 3;
        }
    }
    if count > 1 {
        hits.push((Rect::new(x, area.y, 1, 1), Hit::NewSheet));
        x = put(buf, x, area.y, 1, "+", theme.style(Role::Key));
    }
    x
}

/// What runs, in a line.
fn run_words(state: &State) -> (String, Role) {
    let watch = if state.watch { "watching  " } else { "" };
    let Some(run) = state.mirror.current() else {
        return (watch.to_owned(), Role::Running);
    };
    let number = run.number;
    let more = state.mirror.open().count() - 1;
    let more = if more > 0 {
        format!("  +{more} queued")
    } else {
        String::new()
    };
    let sign = state.glyphs.mark(crate::glyph::Mark::Running);
    let text = match run.running() {
        Some((node, status)) => {
            let count = match status {
                Status::Running { done, total, .. } if *total > 0 => format!(" {done}/{total}"),
                _ => String::new(),
            };
            let share = status
                .share()
                .map(|share| format!("  {:.0}%", share * 100.0))
                .unwrap_or_default();
            let eta = status
                .eta()
                .map(|eta| format!("  eta {}", seconds_text(eta)))
                .unwrap_or_default();
            format!("{sign} run {number}  {node}{count}{share}{eta}{more}")
        }
        None => format!(
            "{sign} run {number}  {} of {} nodes{more}",
            run.ended(),
            run.nodes.len()
        ),
    };
    (format!("{watch}{text}"), Role::Running)
}
