//! Runs of this session and of the past.

use super::paint::{choose, put, put_cut};
use super::{Hit, HitMap};
use crate::regions::{Pane, Tab};
use crate::state::State;
use crate::theme::Role;
use chrono::{DateTime, FixedOffset};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    if state.past.is_empty() {
        put_cut(
            buf,
            area.x,
            area.y,
            area.width,
            "no runs of this graph yet",
            theme.style(Role::Dim),
            state.glyphs,
        );
        return;
    }
    let chosen = state.row(Tab::Runs);
    let first = (chosen + 1).saturating_sub(usize::from(area.height));
    for ((at, run), y) in state.past.iter().enumerate().skip(first).zip(area.y..area.bottom()) {
        if at == chosen && state.pane == Pane::Dock {
            choose(buf, area, y, theme);
        }
        let marked = state.compared.contains(&run.began);
        let sign = if marked { state.glyphs.cursor() } else { " " };
        let mut x = put(buf, area.x, y, 1, sign, theme.style(Role::Changed)) + 1;
        x = put(buf, x, y, 16, &day(run.began, state.offset), theme.style(Role::Dim)) + 1;
        let good = run
            .summary
            .as_ref()
            .is_some_and(|summary| summary.failed == 0 && !summary.cancelled);
        let role = if good { Role::Good } else { Role::Warning };
        x = put_cut(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &run.words(),
            theme.style(role),
            state.glyphs,
        ) + 2;
        let losses: Vec<String> = run
            .series
            .iter()
            .filter_map(|(name, series)| Some(format!("{name} {:.4}", series.last()?)))
            .collect();
        let pictures = run.pictures().count();
        let more = match pictures {
            0 => losses.join("  "),
            1 => format!("1 picture  {}", losses.join("  ")),
            n => format!("{n} pictures  {}", losses.join("  ")),
        };
        put_cut(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &more,
            theme.style(Role::Text),
            state.glyphs,
        );
        hits.push((Rect::new(area.x, y, area.width, 1), Hit::Row(Tab::Runs, at)));
    }
}

/// `11-25 14:02:07`, at a place that is `offset` seconds ahead of Greenwich.
pub(crate) fn day(time: u64, offset: i32) -> String {
    let time = i64::try_from(time).ok().and_then(DateTime::from_timestamp_millis);
    let zone = FixedOffset::east_opt(offset);
    match time.zip(zone) {
        Some((time, zone)) => time.with_timezone(&zone).format("%m-%d %H:%M:%S").to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_place() {
        assert_eq!(day(951_782_400_000, 0), "02-29 00:00:00");
        assert_eq!(day(951_782_400_000, -3600), "02-28 23:00:00");
    }
}
