//! Losses: the whole course and the last steps.

use super::paint::{put, put_cut};
use crate::glyph::Glyphs;
use crate::mirror::{Run, Series};
use crate::state::State;
use crate::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

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
    let words: Vec<String> = all
        .iter()
        .filter_map(|(name, series)| Some(format!("{name} {:.4}", series.last()?)))
        .collect();
    let text = format!("run {}  {}", run.number, words.join("  "));
    put_cut(
        buf,
        area.x,
        area.y,
        area.width,
        &text,
        state.theme.style(Role::Title),
        state.glyphs,
    );
    let below = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let whole: Vec<(&[(u64, f64)], Style)> = all
        .iter()
        .enumerate()
        .map(|(nth, (_, series))| (series.whole.as_slice(), style(state.theme, nth)))
        .collect();
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
        plot(&whole, left, state.theme, state.glyphs, buf);
        let recent: Vec<(&[(u64, f64)], Style)> = all
            .iter()
            .enumerate()
            .map(|(nth, (_, series))| {
                let from = series.recent.len().saturating_sub(60);
                (&series.recent[from..], style(state.theme, nth))
            })
            .collect();
        plot(&recent, right, state.theme, state.glyphs, buf);
    } else {
        plot(&whole, below, state.theme, state.glyphs, buf);
    }
}

/// A colour for each line.
pub(super) fn style(theme: Theme, nth: usize) -> Style {
    const ROLES: [Role; 4] = [Role::Running, Role::Changed, Role::Good, Role::Key];
    theme.style(ROLES[nth % ROLES.len()])
}

/// Lines over steps, with the least and greatest of both.
pub(super) fn plot(lines: &[(&[(u64, f64)], Style)], area: Rect, theme: Theme, glyphs: Glyphs, buf: &mut Buffer) {
    let all = || lines.iter().flat_map(|(points, _)| points.iter());
    let finite = || all().filter(|(_, value)| value.is_finite());
    if finite().next().is_none() || area.width < 12 || area.height < 2 {
        return;
    }
    let (low, high) = finite().fold((f64::MAX, f64::MIN), |(low, high), (_, v)| (low.min(*v), high.max(*v)));
    let (first, last) = all().fold((u64::MAX, 0), |(first, last), (step, _)| {
        (first.min(*step), last.max(*step))
    });
    let (low, high) = if high > low {
        (low, high)
    } else {
        (low - 0.5, high + 0.5)
    };
    let last = last.max(first + 1);
    if glyphs == Glyphs::Ascii {
        return plot_ascii(lines, area, theme, (low, high), (first, last), buf);
    }
    let points: Vec<(Vec<(f64, f64)>, Style)> = lines
        .iter()
        .map(|(points, style)| {
            (
                points.iter().map(|(step, value)| (*step as f64, *value)).collect(),
                *style,
            )
        })
        .collect();
    let sets = points.iter().map(|(points, style)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(*style)
            .data(points)
    });
    let dim = theme.style(Role::Dim);
    let label = |text: String| Span::styled(text, dim);
    let x = Axis::default()
        .style(dim)
        .bounds([first as f64, last as f64])
        .labels([label(first.to_string()), label(last.to_string())]);
    let y = Axis::default()
        .style(dim)
        .bounds([low, high])
        .labels([label(format!("{low:.3}")), label(format!("{high:.3}"))]);
    Chart::new(sets.collect()).x_axis(x).y_axis(y).render(area, buf);
}

fn plot_ascii(
    lines: &[(&[(u64, f64)], Style)],
    area: Rect,
    theme: Theme,
    values: (f64, f64),
    steps: (u64, u64),
    buf: &mut Buffer,
) {
    let dim = theme.style(Role::Dim);
    let (top, bottom) = (format!("{:.3}", values.1), format!("{:.3}", values.0));
    put(buf, area.x, area.y, 8, &top, dim);
    put(buf, area.x, area.bottom() - 1, 8, &bottom, dim);
    let left = area.x + top.len().max(bottom.len()) as u16 + 1;
    let (width, height) = (area.right().saturating_sub(left), area.height);
    for (points, style) in lines {
        for (step, value) in points.iter().filter(|(_, value)| value.is_finite()) {
            let right = (step - steps.0) as f64 / (steps.1 - steps.0) as f64;
            let up = (value - values.0) / (values.1 - values.0);
            let x = left + (right * f64::from(width.saturating_sub(1))).round() as u16;
            let y = area.bottom() - 1 - (up * f64::from(height - 1)).round() as u16;
            put(buf, x, y, 1, "*", *style);
        }
    }
}
