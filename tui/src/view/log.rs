//! The log: what the nodes and the worker say, newest at the bottom.

use super::paint::{put, put_cut, put_right};
use crate::glyph::Mark;
use crate::regions::Tab;
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = state.theme;
    let log = &state.mirror.log;
    if log.is_empty() {
        let text = "nothing was said yet; R runs the graph";
        put_cut(
            buf,
            area.x,
            area.y,
            area.width,
            text,
            theme.style(Role::Dim),
            state.glyphs,
        );
        return;
    }
    let height = usize::from(area.height);
    let back = state.row(Tab::Log).min(log.len().saturating_sub(height));
    let last = log.len() - back;
    let first = last.saturating_sub(height);
    for (line, y) in log.range(first..last).zip(area.y..) {
        let mut x = put(
            buf,
            area.x,
            y,
            8,
            &clock(line.time, state.offset),
            theme.style(Role::Dim),
        ) + 1;
        let (sign, role) = match line.mark {
            Some(mark) => (state.glyphs.mark(mark), role_of(mark)),
            None => (" ", Role::Text),
        };
        x = put(buf, x, y, 1, sign, theme.style(role)) + 1;
        if let Some(node) = &line.node {
            let style = theme.style(Role::Title);
            let width = 14.min(area.width / 4);
            put_cut(buf, x, y, width, node, style, state.glyphs);
            x += width + 1;
        }
        let role = if line.mark == Some(Mark::Failed) {
            Role::Bad
        } else {
            Role::Text
        };
        put_cut(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &line.text,
            theme.style(role),
            state.glyphs,
        );
    }
    if back > 0 {
        put_right(
            buf,
            area,
            area.bottom() - 1,
            &format!(" {back} below "),
            theme.style(Role::Warning),
        );
    }
}

fn role_of(mark: Mark) -> Role {
    match mark {
        Mark::Done | Mark::Cached => Role::Good,
        Mark::Running => Role::Running,
        Mark::Failed => Role::Bad,
        Mark::Stale | Mark::Waiting => Role::Warning,
        _ => Role::Dim,
    }
}

/// `14:02:07`.
fn clock(time: u64, offset: i32) -> String {
    super::runs::day(time, offset).chars().skip(6).collect()
}
