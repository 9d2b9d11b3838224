//! The pane of the canvas: its frame, the graph, words for an empty one.

use super::canvas::{self, Look, Picture};
use super::paint::{middle, pane, put, wrap};
use super::{Hit, HitMap};
use crate::glyph::Mark;
use crate::layer::Layer;
use crate::mirror::{Status, seconds_text};
use crate::regions::Pane;
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::collections::HashMap;

const EMPTY: &str = "An empty graph.\n\n\
    a  adds a node; o then adds the next one, connected\n\
    C-p  opens a graph\n\
    Space t  shows the editor in six steps\n\
    ?  lists the keys";

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer, hits: &mut HitMap) {
    let theme = state.theme;
    let count = state.document.nodes().len();
    let breadcrumb = match &state.inside {
        Some(group) => format!("{} {group} ", state.glyphs.folded()),
        None => String::new(),
    };
    let count = if state.inside.is_some() {
        state.drawing.model.nodes.len()
    } else {
        count
    };
    let mut title = vec![
        Span::styled(" canvas ", theme.style(Role::Title)),
        Span::styled(breadcrumb, theme.style(Role::Changed)),
        Span::styled(
            format!(
                "{}  {count} node{} ",
                crate::scene::level_name(state.level),
                if count == 1 { "" } else { "s" }
            ),
            theme.style(Role::Dim),
        ),
    ];
    if !state.document.is_readable() {
        title.push(Span::styled(
            "the text is broken: Space j opens it ",
            theme.style(Role::Bad),
        ));
    }
    let inner = pane(state, area, Line::from(title), state.pane == Pane::Canvas, buf);
    if inner.is_empty() {
        return;
    }
    if state.drawing.scene.tiles.is_empty() {
        let words = if count == 0 {
            EMPTY
        } else {
            "The graph is being laid out."
        };
        if state.tour.is_some() && inner.height < 20 {
            // The tour is there instead.
            return;
        }
        let lines = wrap(words, usize::from(inner.width));
        let place = middle(inner, 54, lines.len() as u16);
        for (line, y) in lines.iter().zip(place.y..place.bottom()) {
            put(buf, place.x, y, place.width, line, theme.style(Role::Dim));
        }
        return;
    }
    let problems = problems(state);
    let look = |node: usize| look(state, &problems, node);
    let connect = match state
        .layers
        .iter()
        .rev()
        .find(|layer| matches!(layer, Layer::Connect(_)))
    {
        Some(Layer::Connect(connect)) => Some(&**connect),
        _ => None,
    };
    let picture = Picture {
        drawing: &state.drawing,
        view: state.view,
        theme,
        glyphs: state.glyphs,
        cursor: state.cursor_item(),
        port: state.port,
        marked: &state.marked,
        connect,
        minimap: state.minimap,
        look: &look,
    };
    canvas::draw(&picture, inner, buf);
    if let Some(((x, y), text)) = state.carried() {
        let room = inner.right().saturating_sub(x + 1);
        put(buf, x + 1, y, room, &format!(" {text} "), theme.style(Role::Label));
    }
    if let Some((place, map)) = super::minimap::place(&picture, inner) {
        for y in place.y..place.bottom() {
            for x in place.x..place.right() {
                let cell = ::canvas::Point::new(i32::from(x - place.x), i32::from(y - place.y));
                let to = map.to_scene(cell);
                hits.push((Rect::new(x, y, 1, 1), Hit::Minimap((to.x, to.y))));
            }
        }
    }
}

/// Nodes with problems: whether one of them is an error.
fn problems(state: &State) -> HashMap<&str, bool> {
    let mut found: HashMap<&str, bool> = HashMap::new();
    for problem in &state.problems {
        if let Some(node) = &problem.node {
            *found.entry(node).or_default() |= problem.error;
        }
    }
    found
}

fn look(state: &State, problems: &HashMap<&str, bool>, node: usize) -> Look {
    let Some(id) = state.drawing.id(node) else {
        return Look::default();
    };
    let mut look = Look {
        problem: problems.get(id).copied(),
        ..Look::default()
    };
    if let Some(node) = state.document.node(id) {
        look.body = crate::scene::body_lines(node);
        if node.bypass {
            look.mark = Mark::Bypassed;
            "bypassed".clone_into(&mut look.words);
            return look;
        }
        let failed = matches!(state.mirror.shown(id, None), Some(shown) if shown.mark == Mark::Failed);
        if let Some(words) = state.frozen_words(id).filter(|_| !failed) {
            look.mark = Mark::Frozen;
            // The whole sentence is in the inspector.
            let short = if words == "frozen" { words } else { "frozen, older" };
            short.clone_into(&mut look.words);
            return look;
        }
    }
    let Some(shown) = state.mirror.shown(id, state.prints.get(id).copied()) else {
        return look;
    };
    look.mark = shown.mark;
    look.share = shown.status.share();
    look.words = match shown.status {
        _ if shown.mark == Mark::Stale => "changed".to_owned(),
        Status::Queued => "queued".to_owned(),
        Status::Waiting { .. } => "waits".to_owned(),
        Status::Running { rate, .. } => {
            let rate = if *rate > 0.0 {
                super::inspector::rate_text(*rate)
            } else {
                String::new()
            };
            let eta = shown
                .status
                .eta()
                .map(|eta| format!("  eta {}", seconds_text(eta)))
                .unwrap_or_default();
            format!("{rate}{eta}")
        }
        Status::Done { seconds } | Status::Loaded { seconds } => seconds_text(*seconds),
        Status::Cached => "cached".to_owned(),
        Status::Failed { .. } => "failed".to_owned(),
        Status::Skipped { .. } => "not run".to_owned(),
    };
    look
}
