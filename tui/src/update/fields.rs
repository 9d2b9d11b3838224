//! The fields of the inspector and what is typed into them.

use crate::action::{Action, Verb};
use crate::edit::layout;
use crate::effect::Effect;
use crate::field::{self, Editor};
use crate::layer::{About, Ask, Layer, LineBox, TextBox};
use crate::regions::{Pane, Tab};
use crate::state::{Spot, State};
use graph::catalog::Param;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};
use serde_json::Value;
use tui_input::Input;

/// A text box with a text in it.
pub(super) fn text_box(about: About, title: String, text: &str, hint: &str) -> TextBox {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.set_cursor_line_style(ratatui::style::Style::new());
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    TextBox {
        about,
        title,
        area,
        error: None,
        hint: hint.to_owned(),
    }
}

impl State {
    /// Enter: into the inspector, into a field, into a row.
    pub(super) fn enter(&mut self) {
        match self.pane {
            Pane::Canvas => match self.cursor.clone() {
                Some(Spot::Node(_)) if self.params().is_empty() => self.say("this node has no parameters"),
                Some(Spot::Node(_)) => self.enter_pane(Pane::Inspector),
                Some(Spot::Group(_)) => self.go_inside(),
                Some(Spot::Note(_)) => self.note(),
                None => self.act(Verb::Add.into()),
            },
            Pane::Inspector => self.edit_field(),
            Pane::Dock if self.tab == Tab::Problems => self.go_problem(),
            Pane::Dock if self.tab == Tab::Runs => self.look_at_run(),
            Pane::Dock => {}
            Pane::Preview => self.picture_full(),
        }
    }

    /// The value of a parameter of the chosen node: as given, else the default.
    pub fn value_of(&self, param: &Param) -> Option<Value> {
        let given = self
            .node()
            .and_then(|id| self.document.node(id)?.params.get(&param.name));
        given.or(param.default.as_ref()).cloned()
    }

    /// Opens the editor of the chosen field.
    pub(super) fn edit_field(&mut self) {
        let (Some(node), Some(param)) = (self.node().map(str::to_owned), self.params().get(self.field).cloned()) else {
            return self.say("this node has no parameters");
        };
        let value = self.value_of(&param);
        let given = self
            .document
            .node(&node)
            .is_some_and(|n| n.params.contains_key(&param.name));
        let title = format!("{node} · {}", param.name);
        let text = value.as_ref().map(field::typed).unwrap_or_default();
        let param = Box::new(param);
        match field::editor(&param) {
            Editor::Flag => self.nudge(1),
            Editor::Choice => self.open_choice(node, param, value),
            Editor::Path => self.open_path(node, param, &text),
            Editor::Line => {
                let hint = format!("{}  {}", field::takes(&param), first_line(&param.doc));
                // A default is a word of help, not something to delete first.
                let input = if given { Input::new(text) } else { Input::default() };
                let ask = Ask::Param { node, param };
                self.layers.push(Layer::Line(Box::new(LineBox {
                    ask,
                    title,
                    input,
                    error: None,
                    hint,
                })));
            }
            Editor::Text => {
                let hint = first_line(&param.doc).to_owned();
                self.layers.push(Layer::Text(Box::new(text_box(
                    About::Param { node, param },
                    title,
                    &text,
                    &hint,
                ))));
            }
            Editor::Lines => {
                let hint = format!("one a line (Alt-Enter)  {}", first_line(&param.doc));
                self.layers.push(Layer::Text(Box::new(text_box(
                    About::Param { node, param },
                    title,
                    &text,
                    &hint,
                ))));
            }
        }
    }

    /// A value one step lower or higher.
    pub(super) fn nudge(&mut self, steps: i64) {
        let (Some(id), Some(param)) = (self.node().map(str::to_owned), self.params().get(self.field).cloned()) else {
            return;
        };
        let value = self.value_of(&param).unwrap_or(Value::Null);
        // A seed much further is any other seed.
        let next = if param.name == "seed" && steps.abs() >= 10 {
            Some(Value::from(random(self.now) % 1_000_000))
        } else {
            field::nudge(&param, &value, steps)
        };
        match next {
            Some(next) if next != value => self.set_param(&id, &param.name, Some(next), true),
            Some(_) => self.say(format!("{} goes no further: {}", param.name, field::takes(&param))),
            None => self.say(format!("Enter edits {}", param.name)),
        }
    }

    /// Asks for the argument of an action.
    pub(super) fn ask_argument(&mut self, verb: Verb, what: &str) {
        let now = match verb {
            Verb::Rename => match &self.cursor {
                Some(Spot::Node(name) | Spot::Group(name)) => name.clone(),
                _ => return self.say("choose a node first"),
            },
            Verb::Title => self.document.title().unwrap_or_default().to_owned(),
            Verb::Set => self.node().map(|id| format!("{id}.")).unwrap_or_default(),
            Verb::Open => return self.open_files(),
            Verb::Group | Verb::Extract if self.selected().is_empty() => {
                return self.say("select nodes first, with v");
            }
            _ => String::new(),
        };
        let action = Action::from(verb);
        self.layers.push(Layer::Line(Box::new(LineBox {
            title: format!("{}: {what}", verb.row().name),
            ask: Ask::Argument(action),
            input: Input::new(now),
            error: None,
            hint: verb.row().doc.to_owned(),
        })));
    }

    /// Says what is wrong with the line as it is typed.
    pub(super) fn judge_typed(&mut self) {
        let Some(Layer::Line(line)) = self.layers.last() else {
            return;
        };
        let error = match &line.ask {
            Ask::Param { param, .. } => field::read(param, line.input.value()).err(),
            Ask::Argument(action) if action.verb == Verb::Rename => {
                let new = line.input.value();
                let taken = self.document.node(new).is_some() && self.node() != Some(new);
                let bad = !new.is_empty() && !graph::document::is_id(new);
                match (taken, bad) {
                    (true, _) => Some(format!("there is a node {new}")),
                    (_, true) => Some("letters, digits, _ and - only".to_owned()),
                    _ => None,
                }
            }
            Ask::Argument(_) => None,
        };
        if let Some(Layer::Line(line)) = self.layers.last_mut() {
            line.error = error;
        }
    }

    /// Takes what is typed or chosen in the topmost layer.
    pub(super) fn accept(&mut self) {
        match self.layers.last() {
            Some(Layer::List(_)) => self.accept_list(),
            Some(Layer::Connect(_)) => self.accept_end(),
            Some(Layer::Line(_)) => drop(self.accept_line()),
            Some(Layer::Text(_)) => drop(self.accept_text()),
            Some(Layer::Page(_)) => drop(self.layers.pop()),
            Some(Layer::Question(_)) | None => {}
        }
    }

    /// Takes the typed line; whether it was good.
    pub(super) fn accept_line(&mut self) -> bool {
        self.judge_typed();
        let Some(Layer::Line(line)) = self.layers.last() else {
            return false;
        };
        if line.error.is_some() {
            return false;
        }
        let (ask, typed) = (line.ask.clone(), line.input.value().to_owned());
        match ask {
            Ask::Param { node, param } => match field::read(&param, &typed) {
                Ok(value) => {
                    self.layers.pop();
                    self.set_param(&node, &param.name, value, false);
                    self.ask_next();
                }
                Err(error) => {
                    if let Some(Layer::Line(line)) = self.layers.last_mut() {
                        line.error = Some(error);
                    }
                    return false;
                }
            },
            Ask::Argument(action) => {
                self.layers.pop();
                if !typed.trim().is_empty() {
                    let argument = Some(typed.trim().to_owned());
                    self.act(Action { argument, ..action });
                }
            }
        }
        true
    }

    /// Takes the typed text; whether it was good.
    pub(super) fn accept_text(&mut self) -> bool {
        let Some(Layer::Text(text)) = self.layers.last() else {
            return false;
        };
        let (about, typed) = (text.about.clone(), text.text());
        if let Err(error) = self.take_text(&about, &typed) {
            if let Some(Layer::Text(text)) = self.layers.last_mut() {
                text.error = Some(error);
            }
            return false;
        }
        self.layers.pop();
        self.ask_next();
        true
    }

    /// Puts a text where it belongs.
    pub(super) fn take_text(&mut self, about: &About, typed: &str) -> Result<(), String> {
        match about {
            About::Param { node, param } => {
                let value = field::read(param, typed)?;
                self.set_param(node, &param.name, value, false);
            }
            About::Note { name, beside } => {
                let (name, beside, text) = (name.clone(), beside.clone(), typed.trim().to_owned());
                self.edit("write a note", beside.clone().as_deref(), None, |document| {
                    layout::change(document, |layout| {
                        if text.is_empty() {
                            layout.notes.remove(&name);
                        } else {
                            layout.notes.insert(name, layout::Note { text, beside });
                        }
                    })
                });
            }
            About::Graph => {
                let text = typed.to_owned();
                self.edit("edit the text", None, None, |document| {
                    *document = graph::parse(&text).0;
                    Ok(())
                });
            }
        }
        Ok(())
    }

    /// Tab: completes a path; in a field, takes it and goes on to the next.
    pub(super) fn complete(&mut self) {
        let good = match self.layers.last() {
            Some(Layer::List(_)) => return self.complete_path(),
            Some(Layer::Line(line)) if matches!(line.ask, Ask::Param { .. }) => self.accept_line(),
            Some(Layer::Text(text)) if matches!(text.about, About::Param { .. }) => self.accept_text(),
            _ => return,
        };
        if good && self.layers.is_empty() && self.field + 1 < self.params().len() {
            self.field += 1;
            self.edit_field();
        }
    }

    /// The value, or what is typed, in the user's own editor.
    pub(super) fn edit_outside(&mut self) {
        if let Some(Layer::Text(text)) = self.layers.last() {
            let (about, typed) = (text.about.clone(), text.text());
            self.layers.pop();
            return self.go_outside(about, typed, "txt");
        }
        let (Some(node), Some(param)) = (self.node().map(str::to_owned), self.params().get(self.field).cloned()) else {
            return self.say("choose a parameter first");
        };
        let text = self.value_of(&param).as_ref().map(field::typed).unwrap_or_default();
        let param = Box::new(param);
        self.go_outside(About::Param { node, param }, text, "txt");
    }

    /// The whole graph in the user's own editor.
    pub(super) fn edit_text(&mut self) {
        let text = self.document.to_text();
        self.go_outside(About::Graph, text, "json");
    }

    fn go_outside(&mut self, about: About, text: String, extension: &'static str) {
        self.outside = Some(about);
        self.outbox.push(Effect::Outside { text, extension });
    }

    /// The user's own editor gave a text back.
    pub(super) fn on_outside(&mut self, result: Result<String, String>) {
        let Some(about) = self.outside.take() else {
            return;
        };
        match result {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                match self.take_text(&about, text) {
                    Ok(()) => self.ask_next(),
                    Err(error) => self.bad(error),
                }
            }
            Err(error) => self.bad(error),
        }
    }
}

fn first_line(doc: &str) -> &str {
    doc.lines().next().unwrap_or_default()
}

/// Some number that follows from the time.
fn random(now: u64) -> u64 {
    let mut x = now ^ 0x9e37_79b9_7f4a_7c15;
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 27)
}
