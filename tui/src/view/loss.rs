//! Losses: the whole course and the last steps.

use super::curve::{Curve, legend, plot};
use super::paint::{put, put_cut};
use crate::mirror::{Run, Series};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The run with numbers to show, and which.
fn wanted(state: &State) -> Option<(&Run, Vec<(&String, &Series)>)> {
    let run = state.mirror.here().find(|run| !run.series.is_empty())?;
    let of_node = |id: &str| -> Vec<(&String, &Series)> {
        let begin = format!("{id}.");
        run.series.iter().filter(|(name, _)| name.starts_with(&begin)).collect()
    };
    let chosen = state.node().map(of_node).unwrap_or_default();
    let all = if chosen.is_empty() {
        run.series.iter().collect()
    } else {
        chosen
    };
    Some((run, all))
}

/// Whether there is anything to show.
pub(super) fn has_any(state: &State) -> bool {
    state.mirror.here().any(|run| !run.series.is_empty())
}

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let Some((run, all)) = wanted(state) else {
        let text = "no losses yet; a training sends them while it runs";
        put_cut(
            buf,
            area.x,
            area.y,
            area.width,
            text,
            state.theme.style(Role::Dim),
            state.glyphs,
        );
        return;
    };
    if area.height < 3 {
        return;
    }
    let curves: Vec<Curve<'_>> = all
        .iter()
        .enumerate()
        .map(|(nth, (name, series))| Curve::of(nth, name.as_str(), series))
        .collect();
    let text = format!("run {}  ", run.number);
    let x = put(buf, area.x, area.y, area.width, &text, state.theme.style(Role::Title));
    let rest = Rect {
        x,
        width: area.right().saturating_sub(x),
        ..area
    };
    legend(&curves, rest, state, buf);
    let below = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    // The last steps stand beside the whole course where there is room and they say something else.
    let long = all
        .iter()
        .any(|(_, series)| series.stride > 1 || series.whole.len() > 60);
    if area.width >= 60 && long {
        let half = area.width / 2;
        let left = Rect { width: half, ..below };
        let right = Rect {
            x: below.x + half + 1,
            width: below.width - half - 1,
            ..below
        };
        plot(&curves, left, state, buf);
        let recent: Vec<Curve<'_>> = all
            .iter()
            .enumerate()
            .map(|(nth, (name, series))| Curve::recent(nth, name.as_str(), series, 60))
            .collect();
        plot(&recent, right, state, buf);
    } else {
        plot(&curves, below, state, buf);
    }
}
