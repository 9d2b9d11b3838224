//! Why a node failed: all of the message, what to do, and what was said last.

use super::paint::wrap;
use crate::glyph::Mark;
use crate::mirror::Status;
use crate::state::State;
use crate::theme::Role;

/// Lines of the log that are shown.
const LAST: usize = 5;

/// Lines of the log that are looked through for them.
const FAR: usize = 5000;

/// What is said of a node that failed, in lines; the last ones are of the log. Nothing for other nodes.
pub(super) fn lines(state: &State, id: &str, width: usize) -> Vec<(String, Role)> {
    let Some(shown) = state.mirror.shown(id, state.prints.get(id).copied()) else {
        return Vec::new();
    };
    let (Status::Failed { message, help }, Mark::Failed) = (shown.status, shown.mark) else {
        return Vec::new();
    };
    let mark = state.glyphs.mark(Mark::Failed);
    let mut lines: Vec<(String, Role)> = wrap(&format!("{mark} {message}"), width)
        .into_iter()
        .map(|line| (line, Role::Bad))
        .collect();
    if let Some(help) = help {
        lines.extend(wrap(help, width).into_iter().map(|line| (line, Role::Text)));
    }
    let log = state.mirror.log.iter().rev().take(FAR);
    let of_run = log.take_while(|line| line.time >= shown.run.began);
    let said = of_run
        .filter(|line| line.node.as_deref() == Some(id) && !matches!(line.mark, Some(Mark::Failed | Mark::Running)));
    let mut said: Vec<(String, Role)> = said.take(LAST).map(|line| (line.text.clone(), Role::Dim)).collect();
    if !said.is_empty() {
        said.push(("it said last:".to_owned(), Role::Key));
    }
    lines.extend(said.into_iter().rev());
    lines
}
