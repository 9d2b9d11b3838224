//! A picture, and which one it is.

use super::paint::{pane, put_cut, put_right, wrap};
use crate::regions::Pane;
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use ratatui_image::Image;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let seen = state.seen_picture();
    let title = match &seen {
        Some((seen, _, _)) => Line::styled(format!(" preview  {} ", seen.node), state.theme.style(Role::Title)),
        None => Line::styled(" preview ", state.theme.style(Role::Dim)),
    };
    let inner = pane(state, area, title, state.pane == Pane::Preview, buf);
    if inner.height < 2 {
        return;
    }
    let Some((seen, at, count)) = seen else {
        let text = "Pictures of a run, and samples of what trains, are shown here.";
        for (line, y) in wrap(text, usize::from(inner.width)).iter().zip(inner.y..inner.bottom()) {
            put_cut(
                buf,
                inner.x,
                y,
                inner.width,
                line,
                state.theme.style(Role::Dim),
                state.glyphs,
            );
        }
        return;
    };
    let below = Rect {
        height: inner.height - 1,
        ..inner
    };
    picture(state, seen.key, below, buf);
    let y = inner.bottom() - 1;
    put_cut(
        buf,
        inner.x,
        y,
        inner.width,
        &seen.title,
        state.theme.style(Role::Text),
        state.glyphs,
    );
    put_right(
        buf,
        inner,
        y,
        &format!(" {}/{count}", at + 1),
        state.theme.style(Role::Dim),
    );
}

/// A picture in the middle of a block, or why it is not there.
pub(super) fn picture(state: &State, key: u64, area: Rect, buf: &mut Buffer) {
    let encoded = state.shots.get(&key).and_then(|shot| shot.encoded.as_ref());
    match encoded {
        Some((_, Ok(encoded))) => {
            let size = encoded.0.size();
            if size.width <= area.width && size.height <= area.height {
                let place = super::paint::middle(area, size.width, size.height);
                Image::new(&encoded.0).render(place, buf);
                super::cells::adapt(buf, place, state.theme.depth, state.glyphs);
            }
        }
        Some((_, Err(why))) => {
            for (line, y) in wrap(why, usize::from(area.width)).iter().zip(area.y..area.bottom()) {
                put_cut(
                    buf,
                    area.x,
                    y,
                    area.width,
                    line,
                    state.theme.style(Role::Bad),
                    state.glyphs,
                );
            }
        }
        None => {
            put_cut(
                buf,
                area.x,
                area.y,
                area.width,
                "loading",
                state.theme.style(Role::Dim),
                state.glyphs,
            );
        }
    }
}
