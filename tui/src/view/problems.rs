//! What is wrong, one row each.

use super::paint::{choose, put, put_cut};
use super::{Hit, HitMap};
use crate::glyph::Glyphs;
use crate::regions::{Pane, Tab};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    if state.all_problems().next().is_none() {
        let text = if state.knows_types {
            "no problems"
        } else {
            "no problems so far; the node types are not known yet"
        };
        put_cut(
            buf,
            area.x,
            area.y,
            area.width,
            text,
            theme.style(Role::Good),
            state.glyphs,
        );
        return;
    }
    let chosen = state.row(Tab::Problems);
    let height = usize::from(area.height);
    // The chosen one takes a second row for its help.
    let first = (chosen + 2).saturating_sub(height);
    let mut y = area.y;
    for (at, problem) in state.all_problems().enumerate().skip(first) {
        if y >= area.bottom() {
            break;
        }
        let here = at == chosen && state.pane == Pane::Dock;
        if here {
            choose(buf, area, y, theme);
        }
        let role = if problem.error { Role::Bad } else { Role::Warning };
        let mut x = put(buf, area.x, y, 6, &format!("{:<5} ", problem.code), theme.style(role));
        let width = area.width / 4;
        let place = match (&problem.node, &problem.place) {
            (Some(node), _) => node.clone(),
            (None, Some(place)) => end(place, usize::from(width), state.glyphs),
            (None, None) => String::new(),
        };
        if !place.is_empty() {
            x = put_cut(buf, x, y, width, &place, theme.style(Role::Title), state.glyphs) + 1;
        }
        put_cut(
            buf,
            x,
            y,
            area.right().saturating_sub(x),
            &problem.message,
            theme.style(Role::Text),
            state.glyphs,
        );
        hits.push((Rect::new(area.x, y, area.width, 1), Hit::Row(Tab::Problems, at)));
        y += 1;
        if at == chosen && y < area.bottom() {
            let help = problem.help.clone().unwrap_or_default();
            let fix = if problem.fix().is_some() { "f fixes it: " } else { "" };
            put_cut(
                buf,
                area.x + 6,
                y,
                area.width - 6,
                &format!("{fix}{help}"),
                theme.style(Role::Dim),
                state.glyphs,
            );
            y += 1;
        }
    }
}

/// The end of a path in at most `width` cells: the file and its line count more than the folders.
fn end(path: &str, width: usize, glyphs: Glyphs) -> String {
    let over = path.chars().count().saturating_sub(width);
    if over == 0 {
        return path.to_owned();
    }
    let rest: String = path.chars().skip(over + 1).collect();
    format!("{}{rest}", glyphs.more())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_shown() {
        assert_eq!(end("/packs/demo/src/lib.rs:32", 12, Glyphs::Unicode), "…c/lib.rs:32");
        assert_eq!(end("lib.rs:32", 12, Glyphs::Unicode), "lib.rs:32");
    }
}
