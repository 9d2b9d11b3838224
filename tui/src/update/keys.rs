//! Keys: to an action, or into what is typed.

use crate::action::{Action, Verb};
use crate::keymap::{Found, Key, Mode, normal};
use crate::layer::{Layer, Purpose};
use crate::state::{Dirty, State};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui_textarea::{Input as TextInput, Key as TextKey};
use tui_input::{Input, InputRequest};

impl State {
    pub(super) fn on_key(&mut self, event: KeyEvent) {
        if event.kind == KeyEventKind::Release {
            return;
        }
        self.dirty = Dirty::Yes;
        let key = normal(event);
        if self.answers(key) {
            return;
        }
        let mode = self.layers.last().map_or(Mode::Anywhere, Layer::mode);
        self.keys.push(key);
        if self.keys.len() == 1 {
            self.keys_since = self.now;
        }
        match self.keymap.find(mode, &self.keys) {
            Found::Verb(verb) => {
                self.keys.clear();
                self.act(verb.into());
            }
            Found::Pending => {}
            Found::Nothing => self.on_other_keys(mode, event),
        }
    }

    /// Keys that are bound to nothing.
    fn on_other_keys(&mut self, mode: Mode, event: KeyEvent) {
        let keys = std::mem::take(&mut self.keys);
        if mode != Mode::Anywhere {
            self.type_key(event);
            return;
        }
        let lone = keys.len() == 1;
        if !lone && *keys[keys.len() - 1].codes.first() == KeyCode::Esc {
            return;
        }
        let written = crate::keymap::written(&keys);
        self.say(format!("{written} does nothing here; ? lists the keys"));
    }

    /// A key of a question; true when there is a question.
    fn answers(&mut self, key: Key) -> bool {
        let Some(Layer::Question(question)) = self.layers.last() else {
            return false;
        };
        let KeyCode::Char(pressed) = *key.codes.first() else {
            if *key.codes.first() == KeyCode::Esc && !self.must_answer() {
                self.layers.pop();
            }
            return true;
        };
        let pressed = pressed.to_ascii_lowercase();
        let answer = question
            .answers
            .iter()
            .find(|(c, _, _)| *c == pressed)
            .map(|(_, _, answer)| answer.clone());
        if let Some(answer) = answer {
            self.layers.pop();
            self.answer(answer);
        }
        true
    }

    /// Types a key into the topmost layer.
    fn type_key(&mut self, event: KeyEvent) {
        match self.layers.last_mut() {
            Some(Layer::List(list)) => {
                type_into(&mut list.input, event);
                if list.needle() != list.filtered {
                    list.filter();
                }
                self.typed_path();
            }
            Some(Layer::Line(line)) => {
                type_into(&mut line.input, event);
                self.judge_typed();
            }
            Some(Layer::Text(text)) => {
                // As in a line: what stands before the cursor goes.
                if event.code == KeyCode::Char('u') && event.modifiers.contains(KeyModifiers::CONTROL) {
                    text.area.delete_line_by_head();
                } else {
                    text.area.input(text_input(event));
                }
                text.error = None;
            }
            Some(Layer::Connect(_)) => {
                if let KeyCode::Char(c) = event.code {
                    self.type_label(c);
                } else if event.code == KeyCode::Backspace {
                    self.untype_label();
                }
            }
            _ => {}
        }
    }

    /// A pasted text goes where one types; on the canvas, nodes are pasted.
    pub(super) fn on_paste(&mut self, text: &str) {
        self.dirty = Dirty::Yes;
        match self.layers.last_mut() {
            Some(Layer::List(list)) => {
                insert(&mut list.input, text);
                list.filter();
                self.typed_path();
            }
            Some(Layer::Line(line)) => {
                insert(&mut line.input, text);
                self.judge_typed();
            }
            Some(Layer::Text(box_)) => {
                box_.area.insert_str(text);
            }
            Some(_) => {}
            None => {
                self.clipboard = text.to_owned();
                self.act(Verb::Paste.into());
            }
        }
    }

    /// The line of the command line, if that is what is open.
    pub(super) fn command_line(&self) -> Option<Result<Action, String>> {
        match self.layers.last() {
            Some(Layer::List(list)) if list.purpose == (Purpose::Action { typed: true }) => {
                Some(crate::action::parse(list.input.value()))
            }
            _ => None,
        }
    }
}

fn insert(input: &mut Input, text: &str) {
    for c in text.chars().filter(|c| !c.is_control()) {
        input.handle(InputRequest::InsertChar(c));
    }
}

/// Types a key into a line.
fn type_into(input: &mut Input, event: KeyEvent) {
    use InputRequest as R;
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    let request = match event.code {
        KeyCode::Char('a') if control => R::GoToStart,
        KeyCode::Char('u') if control => R::DeleteLine,
        KeyCode::Char('k') if control => R::DeleteTillEnd,
        KeyCode::Char('w') if control => R::DeletePrevWord,
        KeyCode::Char('b') if alt => R::GoToPrevWord,
        KeyCode::Char('f') if alt => R::GoToNextWord,
        KeyCode::Char(c) if !control && !alt => R::InsertChar(c),
        KeyCode::Backspace if control || alt => R::DeletePrevWord,
        KeyCode::Backspace => R::DeletePrevChar,
        KeyCode::Delete => R::DeleteNextChar,
        KeyCode::Left if control => R::GoToPrevWord,
        KeyCode::Right if control => R::GoToNextWord,
        KeyCode::Left => R::GoToPrevChar,
        KeyCode::Right => R::GoToNextChar,
        KeyCode::Home => R::GoToStart,
        KeyCode::End => R::GoToEnd,
        _ => return,
    };
    input.handle(request);
}

fn text_input(event: KeyEvent) -> TextInput {
    let key = match event.code {
        KeyCode::Char(c) => TextKey::Char(c),
        KeyCode::Backspace => TextKey::Backspace,
        KeyCode::Delete => TextKey::Delete,
        KeyCode::Enter => TextKey::Enter,
        KeyCode::Left => TextKey::Left,
        KeyCode::Right => TextKey::Right,
        KeyCode::Up => TextKey::Up,
        KeyCode::Down => TextKey::Down,
        KeyCode::Home => TextKey::Home,
        KeyCode::End => TextKey::End,
        KeyCode::PageUp => TextKey::PageUp,
        KeyCode::PageDown => TextKey::PageDown,
        KeyCode::F(n) => TextKey::F(n),
        _ => TextKey::Null,
    };
    TextInput {
        key,
        ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
        alt: event.modifiers.contains(KeyModifiers::ALT),
        shift: event.modifiers.contains(KeyModifiers::SHIFT),
    }
}
