//! What somebody does before that which it is meant for is there: it waits, in its order.

use crate::event::{Event, FileEvent};
use crate::state::State;
use crossterm::event::{KeyCode, KeyModifiers};
use std::collections::VecDeque;

/// Keys, places of the mouse and pastes that wait.
#[derive(Default)]
pub(super) struct Early {
    /// Whether the graph was read.
    read: bool,
    waiting: VecDeque<Event>,
}

impl Early {
    /// Whether an event has to wait; then it is kept. Escape waits for nothing, and what waits is given up with it.
    pub(super) fn holds(&mut self, event: &Event, state: &State) -> bool {
        self.read |= matches!(event, Event::File(FileEvent::Opened { .. } | FileEvent::Failed(_)));
        let by_hand = match event {
            Event::Key(key) => Some(Event::Key(*key)),
            Event::Mouse(mouse) => Some(Event::Mouse(*mouse)),
            Event::Paste(text) => Some(Event::Paste(text.clone())),
            _ => None,
        };
        let Some(event) = by_hand else { return false };
        if self.waiting.is_empty() && self.may(&event, state) {
            return false;
        }
        if is_escape(&event) {
            self.waiting.clear();
            return false;
        }
        self.waiting.push_back(event);
        true
    }

    /// The next one whose time has come.
    pub(super) fn next(&mut self, state: &State) -> Option<Event> {
        let first = self.waiting.front()?;
        if self.may(first, state) {
            self.waiting.pop_front()
        } else {
            None
        }
    }

    fn may(&self, event: &Event, state: &State) -> bool {
        let takes = matches!(event, Event::Key(key) if key.code == KeyCode::Enter);
        self.read && !(takes && state.awaits_types())
    }
}

fn is_escape(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let stops = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    stops || key.code == KeyCode::Esc
}
