//! The chosen node: what it does, its parameters, its ports.

use super::paint::{choose, pane, put, put_cut, put_right, wrap};
use super::{Hit, HitMap};
use crate::field;
use crate::glyph::Mark;
use crate::mirror::{Status, seconds_text};
use crate::regions::Pane;
use crate::shape::Side;
use crate::state::{Spot, State};
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    let name = match &state.cursor {
        Some(Spot::Node(id)) => {
            let ty = state
                .document
                .node(id)
                .map(|node| node.ty.to_string())
                .unwrap_or_default();
            vec![
                Span::styled(format!(" {id} "), theme.style(Role::Title)),
                Span::styled(format!("{ty} "), theme.style(Role::Dim)),
            ]
        }
        Some(Spot::Group(name)) => vec![Span::styled(format!(" group {name} "), theme.style(Role::Title))],
        Some(Spot::Note(_)) => vec![Span::styled(" note ", theme.style(Role::Title))],
        None => vec![Span::styled(" inspector ", theme.style(Role::Dim))],
    };
    let inner = pane(state, area, Line::from(name), state.pane == Pane::Inspector, buf);
    match &state.cursor {
        Some(Spot::Node(id)) => node(state, id, inner, buf, hits),
        Some(Spot::Group(name)) => {
            let nodes = state
                .drawing
                .layout
                .groups
                .get(name)
                .map(|group| group.nodes.join(", "))
                .unwrap_or_default();
            lines(state, inner, &wrap(&nodes, usize::from(inner.width)), Role::Text, buf);
        }
        Some(Spot::Note(name)) => {
            let text = state
                .drawing
                .notes
                .iter()
                .find(|(note, _)| note == name)
                .map(|(_, text)| text.as_str());
            lines(
                state,
                inner,
                &wrap(text.unwrap_or_default(), usize::from(inner.width)),
                Role::Text,
                buf,
            );
        }
        None => {
            let text = "Nothing is chosen. a adds a node.";
            lines(state, inner, &wrap(text, usize::from(inner.width)), Role::Dim, buf);
        }
    }
}

fn lines(state: &State, area: Rect, lines: &[String], role: Role, buf: &mut Buffer) {
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        put(buf, area.x, y, area.width, line, state.theme.style(role));
    }
}

fn node(state: &State, id: &str, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    if area.is_empty() {
        return;
    }
    let mut y = area.y;
    let (sign, words, role) = status_words(state, id);
    let failure = super::failure::lines(state, id, usize::from(area.width));
    if failure.is_empty() {
        let text = format!("{sign} {words}");
        put_cut(buf, area.x, y, area.width, &text, state.theme.style(role), state.glyphs);
        y += 1;
    }
    for (line, role) in &failure {
        if y < area.bottom() {
            put_cut(buf, area.x, y, area.width, line, state.theme.style(*role), state.glyphs);
            y += 1;
        }
    }
    if let Some(series) = state
        .mirror
        .here()
        .find_map(|run| run.series.get(&format!("{id}.loss")))
        && area.height > 8
    {
        let values: Vec<f64> = series.whole.iter().map(|(_, value)| *value).collect();
        let last = series.last().unwrap_or_default();
        let line = state
            .glyphs
            .sparkline(&values, usize::from(area.width.saturating_sub(14)));
        let x = put(
            buf,
            area.x,
            y,
            area.width,
            &format!("loss {last:.4} "),
            state.theme.style(Role::Text),
        );
        put(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &line,
            state.theme.style(Role::Running),
        );
        y += 1;
    }
    let mut problems: Vec<&str> = Vec::new();
    for problem in state
        .problems
        .iter()
        .filter(|problem| problem.node.as_deref() == Some(id))
    {
        problems.push(&problem.message);
    }
    for message in problems.iter().take(2) {
        for line in wrap(message, usize::from(area.width)).iter().take(2) {
            if y < area.bottom() {
                put(buf, area.x, y, area.width, line, state.theme.style(Role::Bad));
                y += 1;
            }
        }
    }
    let params = state.params();
    if params.is_empty() && state.node_type().is_none() && state.knows_types {
        put(
            buf,
            area.x,
            y,
            area.width,
            "no such node type here",
            state.theme.style(Role::Warning),
        );
        y += 1;
    }
    // Parameters as far as they fit, around the chosen one; in a broad and low pane in two columns.
    let columns = if area.width >= 70 { 2 } else { 1 };
    let ports = port_rows(state, id);
    let left = usize::from(area.bottom().saturating_sub(y));
    let wanted = params.len().div_ceil(columns);
    let room = if wanted + 1 < left {
        wanted
    } else {
        left.saturating_sub(if left > 6 { 2 } else { 0 })
    };
    let fits = room * columns;
    let first = if params.len() <= fits {
        0
    } else {
        (state.field + 1).saturating_sub(fits).next_multiple_of(columns.max(1))
    };
    let width = area.width / columns as u16;
    for (nth, (at, param)) in params.iter().enumerate().skip(first).take(fits).enumerate() {
        let (row, column) = (nth / columns, nth % columns);
        let place = Rect::new(
            area.x + column as u16 * width,
            y + row as u16,
            width - u16::from(columns > 1),
            1,
        );
        field_row(state, id, param, at, place, buf);
        hits.push((place, Hit::Field(at)));
    }
    let hidden = params.len().saturating_sub(first + fits);
    y += room.min(wanted) as u16;
    if hidden > 0 && y < area.bottom() {
        put(
            buf,
            area.x + 1,
            y,
            area.width,
            &format!("{hidden} more below"),
            state.theme.style(Role::Dim),
        );
        y += 1;
    }
    let rows = ports.chunks(columns.max(1));
    for (row, y) in rows.zip(y..area.bottom()) {
        for (column, (sign, text, style)) in row.iter().enumerate() {
            let x = area.x + column as u16 * width;
            let after = put(buf, x + 1, y, 2, sign, *style) + 1;
            let room = (x + width).saturating_sub(after);
            put_cut(buf, after, y, room, text, state.theme.style(Role::Dim), state.glyphs);
        }
    }
}

/// A parameter: its name, its value, whether it is the default, what is wrong with it.
fn field_row(state: &State, id: &str, param: &graph::catalog::Param, at: usize, place: Rect, buf: &mut Buffer) {
    let theme = state.theme;
    let y = place.y;
    let chosen = state.field == at && state.pane == Pane::Inspector;
    if chosen {
        choose(buf, place, y, theme);
        put(buf, place.x, y, 1, state.glyphs.cursor(), theme.style(Role::Key));
    }
    let wrong = state
        .problems
        .iter()
        .any(|problem| problem.node.as_deref() == Some(id) && problem.part.as_deref() == Some(param.name.as_str()));
    let given = state
        .document
        .node(id)
        .is_some_and(|node| node.params.contains_key(&param.name));
    let name_width = 12.min(place.width / 2);
    put_cut(
        buf,
        place.x + 1,
        y,
        name_width,
        &param.name,
        theme.style(Role::Text),
        state.glyphs,
    );
    let value = state.value_of(param);
    let (text, role) = match (&value, given) {
        (None, _) => ("needed".to_owned(), Role::Bad),
        (Some(value), true) => (field::shown(value), Role::Changed),
        (Some(value), false) => (field::shown(value), Role::Text),
    };
    let role = if wrong { Role::Bad } else { role };
    let x = place.x + name_width + 2;
    let mut room = place.right().saturating_sub(x);
    if chosen && place.width > 40 {
        let takes = field::takes(param);
        let from = put_right(
            buf,
            place,
            y,
            &crate::glyph::cut(&takes, usize::from(place.width / 3), state.glyphs),
            theme.style(Role::Dim),
        );
        room = from.saturating_sub(x + 1);
    }
    put_cut(buf, x, y, room, &text, theme.style(role), state.glyphs);
}

fn port_rows(state: &State, id: &str) -> Vec<(&'static str, String, Style)> {
    let Some(ports) = state.drawing.index(id).and_then(|at| state.drawing.ports.get(at)) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for side in [Side::Input, Side::Output] {
        for port in ports.side(side) {
            let wires = state.drawing.wires.iter();
            let ends: Vec<String> = match side {
                Side::Input => wires
                    .filter(|wire| wire.enters(id, &port.name))
                    .map(|wire| format!("{}.{}", wire.from, wire.output))
                    .collect(),
                Side::Output => wires
                    .filter(|wire| wire.leaves(id, &port.name))
                    .map(|wire| format!("{}.{}", wire.to, wire.input))
                    .collect(),
            };
            let arrow = if side == Side::Input { "<" } else { ">" };
            let ends = match (ends.is_empty(), port.required) {
                (true, true) => "nothing yet".to_owned(),
                (true, false) => "-".to_owned(),
                _ => ends.join(", "),
            };
            rows.push((
                state.glyphs.port(&port.ty),
                format!("{} {arrow} {ends}", port.name),
                state.theme.port(&port.ty),
            ));
        }
    }
    rows
}

/// A node's state: sign, words, colour.
pub(crate) fn status_words(state: &State, id: &str) -> (&'static str, String, Role) {
    if state.document.node(id).is_some_and(|node| node.bypass) {
        return (state.glyphs.mark(Mark::Bypassed), "bypassed".to_owned(), Role::Warning);
    }
    let shown = state.mirror.shown(id, state.prints.get(id).copied());
    if let Some(words) = state.frozen_words(id)
        && shown.as_ref().is_none_or(|shown| shown.mark != Mark::Failed)
    {
        let role = if words == "frozen" { Role::Dim } else { Role::Warning };
        return (state.glyphs.mark(Mark::Frozen), words.to_owned(), role);
    }
    let Some(shown) = shown else {
        return (state.glyphs.mark(Mark::Idle), "not run yet".to_owned(), Role::Dim);
    };
    let (mut words, role) = match shown.status {
        Status::Queued => ("queued".to_owned(), Role::Dim),
        Status::Waiting { why } => (format!("waits: {why}"), Role::Warning),
        Status::Running {
            done,
            total,
            note,
            rate,
            ..
        } => {
            let count = if *total > 0 {
                format!("{done}/{total}")
            } else {
                "running".to_owned()
            };
            let rate = if *rate > 0.0 {
                format!("  {}", rate_text(*rate))
            } else {
                String::new()
            };
            let eta = shown
                .status
                .eta()
                .map(|eta| format!("  eta {}", seconds_text(eta)))
                .unwrap_or_default();
            (format!("{count}{rate}{eta}  {note}"), Role::Running)
        }
        Status::Done { seconds } => (format!("done in {}", seconds_text(*seconds)), Role::Good),
        Status::Cached => ("cached".to_owned(), Role::Good),
        Status::Loaded { seconds } => (format!("loaded in {}", seconds_text(*seconds)), Role::Good),
        Status::Failed { message, .. } => (message.lines().next().unwrap_or("failed").to_owned(), Role::Bad),
        Status::Skipped { because: Some(other) } => (format!("not run: {other} failed"), Role::Dim),
        Status::Skipped { because: None } => ("not run".to_owned(), Role::Dim),
    };
    if shown.mark == Mark::Stale {
        words = format!("changed since: {words}");
        return (state.glyphs.mark(Mark::Stale), words, Role::Warning);
    }
    (state.glyphs.mark(shown.mark), words, role)
}

/// `3.1/s`, or `2.4s each` where that says more.
pub(crate) fn rate_text(rate: f64) -> String {
    if rate >= 1.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{:.1}s each", 1.0 / rate)
    }
}
