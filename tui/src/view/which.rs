//! What the keys so far may go on to.

use super::paint::{popup, put, put_cut};
use crate::keymap::{Mode, written};
use crate::layer::Layer;
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    if !state.explains_keys() || area.height < 6 {
        return;
    }
    let mode = state.layers.last().map_or(Mode::Anywhere, Layer::mode);
    let rows = state.keymap.continuations(mode, &state.keys);
    let each = 40;
    let columns = usize::from((area.width / each).max(1));
    let height = rows.len().div_ceil(columns) as u16 + 2;
    let height = height.min(area.height - 2);
    let place = Rect::new(0, area.bottom() - 1 - height, area.width, height);
    let inner = popup(state, place, &written(&state.keys), false, buf);
    let down = usize::from(inner.height.max(1));
    for (nth, (key, meaning)) in rows.iter().enumerate() {
        let (x, y) = (inner.x + (nth / down) as u16 * each, inner.y + (nth % down) as u16);
        if x + 8 > inner.right() {
            break;
        }
        let text = match meaning {
            Ok(verb) => verb.row().doc.to_owned(),
            Err(count) => format!("{count} more"),
        };
        put(buf, x, y, 7, key, state.theme.style(Role::Key));
        put_cut(
            buf,
            x + 7,
            y,
            each.min(inner.right() - x).saturating_sub(9),
            &text,
            state.theme.style(Role::Text),
            state.glyphs,
        );
    }
}
