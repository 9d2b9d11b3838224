//! Numbers over steps, several in one chart: told apart by colour, without colours by signs.

use super::paint::{put, put_right};
use crate::glyph::Glyphs;
use crate::mirror::Series;
use crate::state::State;
use crate::theme::{Depth, Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

/// One of the lines of a chart.
pub(super) struct Curve<'a> {
    /// What it is called.
    name: String,
    /// Steps and values.
    points: &'a [(u64, f64)],
    /// The last value.
    last: Option<f64>,
    /// Which of the colours and signs it has.
    nth: usize,
}

impl<'a> Curve<'a> {
    /// The whole course of a number.
    pub(super) fn of(nth: usize, name: impl Into<String>, series: &'a Series) -> Self {
        Self {
            name: name.into(),
            points: &series.whole,
            last: series.last(),
            nth,
        }
    }

    /// Only the last steps.
    pub(super) fn recent(nth: usize, name: impl Into<String>, series: &'a Series, count: usize) -> Self {
        Self {
            points: &series.recent[series.recent.len().saturating_sub(count)..],
            ..Self::of(nth, name, series)
        }
    }

    fn style(&self, theme: Theme) -> Style {
        const ROLES: [Role; 4] = [Role::Running, Role::Changed, Role::Good, Role::Key];
        theme.style(ROLES[self.nth % ROLES.len()])
    }

    fn mark(&self) -> &'static str {
        ["*", "+", "x", "o"][self.nth % 4]
    }
}

/// Whether lines are rows of signs: without colours they would all be the same.
fn in_marks(curves: &[Curve<'_>], state: &State) -> bool {
    state.glyphs == Glyphs::Ascii || (state.theme.depth == Depth::Mono && curves.len() > 1)
}

/// Which line is which, with its last value.
pub(super) fn legend(curves: &[Curve<'_>], area: Rect, state: &State, buf: &mut Buffer) {
    let marks = in_marks(curves, state);
    let mut x = area.x;
    for curve in curves {
        let sign = if marks { curve.mark() } else { "━" };
        let value = curve.last.map(|last| format!(" {last:.4}")).unwrap_or_default();
        let text = format!("{sign} {}{value}  ", curve.name);
        x = put(
            buf,
            x,
            area.y,
            area.right().saturating_sub(x),
            &text,
            curve.style(state.theme),
        );
    }
}

/// Lines over steps, with the least and greatest of both.
pub(super) fn plot(curves: &[Curve<'_>], area: Rect, state: &State, buf: &mut Buffer) {
    let theme = state.theme;
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
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
    if in_marks(curves, state) {
        return marks(curves, area, theme, (low, high), (first, last), buf);
    }
    let points: Vec<(Vec<(f64, f64)>, Style)> = curves
        .iter()
        .map(|curve| {
            let points = curve.points.iter().map(|(step, value)| (*step as f64, *value));
            (points.collect(), curve.style(theme))
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

fn marks(curves: &[Curve<'_>], area: Rect, theme: Theme, values: (f64, f64), steps: (u64, u64), buf: &mut Buffer) {
    let dim = theme.style(Role::Dim);
    // The steps stand below where there is room.
    let below = u16::from(area.height > 3);
    let area = Rect {
        height: area.height - below,
        ..area
    };
    let (top, bottom) = (format!("{:.3}", values.1), format!("{:.3}", values.0));
    put(buf, area.x, area.y, 8, &top, dim);
    put(buf, area.x, area.bottom() - 1, 8, &bottom, dim);
    let left = area.x + top.len().max(bottom.len()) as u16 + 1;
    let (width, height) = (area.right().saturating_sub(left), area.height);
    if below > 0 {
        let under = Rect {
            x: left,
            y: area.bottom(),
            width,
            height: 1,
        };
        put(buf, left, under.y, width, &steps.0.to_string(), dim);
        put_right(buf, under, under.y, &format!(" {}", steps.1), dim);
    }
    for curve in curves {
        for (step, value) in curve.points.iter().filter(|(_, value)| value.is_finite()) {
            let right = (step - steps.0) as f64 / (steps.1 - steps.0) as f64;
            let up = (value - values.0) / (values.1 - values.0);
            let x = left + (right * f64::from(width.saturating_sub(1))).round() as u16;
            let y = area.bottom() - 1 - (up * f64::from(height - 1)).round() as u16;
            put(buf, x, y, 1, curve.mark(), curve.style(theme));
        }
    }
}
