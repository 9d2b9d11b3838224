//! Last row: what can be done here, and how the graph is.

use super::paint::{put, put_right};
use crate::action::Verb;
use crate::keymap::Mode;
use crate::layer::{Layer, Purpose};
use crate::regions::{Pane, Tab};
use crate::state::State;
use crate::theme::Role;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Actions that are hinted at, with a word each.
type Hints = &'static [(Verb, &'static str)];

const EMPTY: Hints = &[
    (Verb::Add, "add"),
    (Verb::Open, "open"),
    (Verb::Paste, "paste"),
    (Verb::Tour, "tour"),
    (Verb::Command, "cmd"),
    (Verb::Help, "keys"),
    (Verb::Quit, "quit"),
];

const CANVAS: Hints = &[
    (Verb::Add, "add"),
    (Verb::AddAfter, "after"),
    (Verb::Connect, "connect"),
    (Verb::Enter, "edit"),
    (Verb::RunHere, "run"),
    (Verb::Run, "all"),
    (Verb::Undo, "undo"),
    (Verb::Save, "save"),
    (Verb::Help, "keys"),
    (Verb::Find, "find"),
    (Verb::Command, "cmd"),
    (Verb::Mark, "select"),
    (Verb::Quit, "quit"),
];

const RUNNING: Hints = &[
    (Verb::Stop, "stop"),
    (Verb::Queue, "queue"),
    (Verb::GoRunning, "go there"),
    (Verb::SampleNow, "sample"),
    (Verb::StopAndKeep, "end training"),
    (Verb::Enter, "edit"),
    (Verb::Undo, "undo"),
    (Verb::Help, "keys"),
    (Verb::Command, "cmd"),
];

const INSPECTOR: Hints = &[
    (Verb::Enter, "edit"),
    (Verb::Down, "next"),
    (Verb::Right, "more"),
    (Verb::Left, "less"),
    (Verb::Default, "default"),
    (Verb::EditOutside, "$EDITOR"),
    (Verb::Back, "canvas"),
    (Verb::RunHere, "run"),
    (Verb::Undo, "undo"),
    (Verb::NodeHelp, "page"),
];

const PROBLEMS: Hints = &[
    (Verb::Enter, "go there"),
    (Verb::Fix, "fix"),
    (Verb::Right, "next tab"),
    (Verb::Back, "canvas"),
];

const RUNS: Hints = &[
    (Verb::Enter, "pictures"),
    (Verb::Mark, "mark"),
    (Verb::Compare, "compare"),
    (Verb::RestoreRun, "take its graph"),
    (Verb::Right, "next tab"),
    (Verb::Back, "canvas"),
];

const DOCK: Hints = &[
    (Verb::Right, "next tab"),
    (Verb::Up, "up"),
    (Verb::Down, "down"),
    (Verb::Zoom, "larger"),
    (Verb::Back, "canvas"),
];

const PREVIEW: Hints = &[
    (Verb::Left, "older"),
    (Verb::Right, "newer"),
    (Verb::Enter, "full"),
    (Verb::Zoom, "larger"),
    (Verb::Back, "canvas"),
];

const LIST: Hints = &[
    (Verb::Accept, "take"),
    (Verb::Next, "next"),
    (Verb::Previous, "previous"),
    (Verb::Back, "back"),
];

const PATH: Hints = &[
    (Verb::Complete, "complete"),
    (Verb::Accept, "take"),
    (Verb::Next, "next"),
    (Verb::Back, "back"),
];

const LINE: Hints = &[
    (Verb::Accept, "keep"),
    (Verb::Complete, "keep, next field"),
    (Verb::Back, "back"),
];

const TEXT: Hints = &[
    (Verb::Accept, "keep"),
    (Verb::NewLine, "new line"),
    (Verb::Complete, "keep, next field"),
    (Verb::EditOutside, "$EDITOR"),
    (Verb::Back, "back"),
];

const CONNECT: Hints = &[
    (Verb::Next, "next"),
    (Verb::Find, "list"),
    (Verb::Through, "through a node"),
    (Verb::Accept, "connect"),
    (Verb::Back, "back"),
];

const PAGE: Hints = &[(Verb::Next, "down"), (Verb::Previous, "up"), (Verb::Back, "close")];

fn here(state: &State) -> (Mode, &'static str, Hints) {
    if let Some(layer) = state.layers.last() {
        let (word, hints) = match layer {
            Layer::List(list) if matches!(list.purpose, Purpose::Path { .. } | Purpose::Open) => ("PATH", PATH),
            Layer::List(_) => ("LIST", LIST),
            Layer::Line(_) => ("TYPE", LINE),
            Layer::Text(_) => ("TEXT", TEXT),
            Layer::Connect(_) => ("CONNECT  type a label", CONNECT),
            Layer::Question(_) => ("ANSWER", &[] as Hints),
            Layer::Page(_) => ("PAGE", PAGE),
        };
        return (layer.mode(), word, hints);
    }
    let (word, hints) = match state.pane {
        Pane::Canvas if state.document.nodes().is_empty() => ("CANVAS", EMPTY),
        Pane::Canvas if state.mirror.current().is_some() => ("CANVAS", RUNNING),
        Pane::Canvas => ("CANVAS", CANVAS),
        Pane::Inspector => ("INSPECTOR", INSPECTOR),
        Pane::Dock if state.tab == Tab::Problems => ("PROBLEMS", PROBLEMS),
        Pane::Dock if state.tab == Tab::Runs => ("RUNS", RUNS),
        Pane::Dock => ("DOCK", DOCK),
        Pane::Preview => ("PREVIEW", PREVIEW),
    };
    (Mode::Anywhere, word, hints)
}

pub(super) fn draw(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = state.theme;
    let errors = state.all_problems().filter(|problem| problem.error).count();
    let warnings = state.all_problems().count() - errors;
    let saved = match (&state.file, state.is_changed()) {
        (None, false) => "",
        (_, true) => "not saved",
        (Some(_), false) => "saved",
    };
    let right = put_right(buf, area, area.y, &format!(" {saved} "), theme.style(Role::Dim));
    let mut right = right;
    let signs = [(warnings, "warning", Role::Warning), (errors, "error", Role::Bad)];
    for (count, word, role) in signs.into_iter().filter(|(count, _, _)| *count > 0) {
        let text = format!(" {count} {word}{}", if count == 1 { "" } else { "s" });
        let rest = Rect {
            width: right - area.x,
            ..area
        };
        right = put_right(buf, rest, area.y, &text, theme.style(role));
    }
    let (mode, word, hints) = here(state);
    let mut x = put(buf, area.x + 1, area.y, 30, word, theme.style(Role::Title)) + 2;
    if !state.marked.is_empty() && state.layers.is_empty() {
        let text = format!("{} selected", state.marked.len());
        x = put(buf, x, area.y, 20, &text, theme.style(Role::Changed)) + 2;
    }
    for (verb, label) in hints {
        let Some(keys) = state.keymap.keys_of(mode, *verb) else {
            continue;
        };
        let wide = (Span::raw(keys.as_str()).width() + 1 + label.len()) as u16;
        if x + wide + 1 > right {
            break;
        }
        x = put(buf, x, area.y, wide, &keys, theme.style(Role::Key)) + 1;
        x = put(buf, x, area.y, wide, label, theme.style(Role::Text)) + 2;
    }
}
