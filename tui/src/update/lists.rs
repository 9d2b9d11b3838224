//! Lists: opened, filtered, taken from.

use crate::action::{ACTIONS, Action, Scope, Verb};
use crate::keymap::Mode;
use crate::layer::{Layer, Picker, Purpose, Row};
use crate::shape::Wire;
use crate::state::State;
use graph::catalog::{Param, ParamType};
use serde_json::Value;

impl State {
    pub(super) fn push_list(&mut self, picker: Picker) {
        self.layers.push(Layer::List(Box::new(picker)));
    }

    /// A few actions, in this order.
    pub(super) fn open_menu(&mut self, verbs: &[Verb]) {
        let rows = verbs.iter().map(|verb| self.action_row(*verb)).collect();
        self.push_list(Picker::new(Purpose::Action { typed: false }, "menu", rows));
    }

    fn action_row(&self, verb: Verb) -> Row {
        let row = verb.row();
        Row {
            value: row.name.to_owned(),
            label: row.name.to_owned(),
            note: row.doc.to_owned(),
            right: self.keymap.keys_of(Mode::Anywhere, verb).unwrap_or_default(),
            ..Row::default()
        }
    }

    /// All actions; on the command line what is typed counts as it stands.
    pub(super) fn open_actions(&mut self, typed: bool) {
        let rows = ACTIONS
            .iter()
            .filter(|row| row.scope == Scope::Anywhere)
            .map(|row| self.action_row(row.verb));
        let title = if typed { ":" } else { "actions" };
        self.push_list(Picker::new(Purpose::Action { typed }, title, rows.collect()));
    }

    /// Keys of this place, to be searched.
    pub(super) fn open_keys(&mut self) {
        let bindings = self.keymap.bindings(Mode::Anywhere).iter();
        let rows = bindings.map(|binding| {
            let row = binding.verb.row();
            Row {
                value: row.name.to_owned(),
                label: crate::keymap::written(&binding.keys),
                note: row.doc.to_owned(),
                right: row.name.to_owned(),
                ..Row::default()
            }
        });
        self.push_list(Picker::new(Purpose::Action { typed: false }, "keys", rows.collect()));
    }

    /// Finds a node by its name or type.
    pub(super) fn find(&mut self, word: &str) {
        if let Some(Layer::Connect(_)) = self.layers.last() {
            return self.list_ends();
        }
        if !word.is_empty() {
            word.clone_into(&mut self.found);
            return self.find_step(1);
        }
        let rows = self.document.nodes().iter().map(|(id, node)| Row {
            value: id.clone(),
            label: id.clone(),
            note: node.ty.to_string(),
            ..Row::default()
        });
        let picker = Picker::new(Purpose::Find, "find a node", rows.collect());
        self.push_list(picker);
    }

    pub(super) fn open_cut(&mut self, wires: Vec<Wire>) {
        let rows = wires.iter().enumerate().map(|(at, wire)| Row {
            value: at.to_string(),
            label: format!("{}.{}", wire.from, wire.output),
            note: format!("to {}.{}", wire.to, wire.input),
            ..Row::default()
        });
        let rows = rows.collect();
        self.push_list(Picker::new(Purpose::Cut(wires), "cut a wire", rows));
    }

    pub(super) fn open_choice(&mut self, node: String, param: Box<Param>, now: Option<Value>) {
        let ParamType::Choice { choices } = &param.ty else {
            return;
        };
        let default = param.default.as_ref().and_then(Value::as_str);
        let rows: Vec<Row> = choices
            .iter()
            .map(|choice| Row {
                value: choice.clone(),
                label: choice.clone(),
                right: if Some(choice.as_str()) == default {
                    "default".to_owned()
                } else {
                    String::new()
                },
                page: param.doc.lines().map(str::to_owned).collect(),
                ..Row::default()
            })
            .collect();
        let at = rows
            .iter()
            .position(|row| Some(row.value.as_str()) == now.as_ref().and_then(Value::as_str));
        let title = format!("{node} · {}", param.name);
        let mut picker = Picker::new(Purpose::Choice { node, param }, title, rows);
        picker.cursor = at.unwrap_or(0);
        self.push_list(picker);
    }

    /// Takes the chosen row.
    pub(super) fn accept_list(&mut self) {
        let line = self.command_line();
        let Some(Layer::List(list)) = self.layers.last() else {
            return;
        };
        let chosen = list.chosen().cloned();
        let typed = list.input.value().to_owned();
        let purpose = list.purpose.clone();
        match purpose {
            Purpose::Action { .. } => self.accept_action(line, chosen.as_ref()),
            Purpose::Add { after, before } => {
                if let Some(row) = chosen {
                    self.layers.pop();
                    self.add(&row.value, &after, &before);
                }
            }
            Purpose::Find => {
                if let Some(row) = chosen {
                    self.layers.pop();
                    self.found = if typed.is_empty() { row.value.clone() } else { typed };
                    self.choose_node(&row.value);
                }
            }
            Purpose::Choice { node, param } => {
                if let Some(row) = chosen {
                    self.layers.pop();
                    let value = Value::from(row.value);
                    let value = (param.default.as_ref() != Some(&value)).then_some(value);
                    self.set_param(&node, &param.name, value, false);
                    self.ask_next();
                }
            }
            Purpose::Path { node, param } => self.accept_path(&node, &param, &typed, chosen.as_ref()),
            Purpose::Open => self.accept_open(&typed, chosen.as_ref()),
            Purpose::Cut(wires) => {
                let wire = chosen.and_then(|row| wires.get(row.value.parse::<usize>().ok()?).cloned());
                if let Some(wire) = wire {
                    self.layers.pop();
                    self.cut(&wire);
                }
            }
            Purpose::End => {
                if let Some(at) = chosen.and_then(|row| row.value.parse().ok()) {
                    self.layers.pop();
                    self.choose_end(at);
                }
            }
            Purpose::Through { node, side, port, ways } => {
                let way = chosen.and_then(|row| ways.get(row.value.parse::<usize>().ok()?).cloned());
                if let Some(way) = way {
                    self.layers.pop();
                    self.go_through((&node, side, &port), &way);
                }
            }
            Purpose::From { node, ports } => {
                let port = chosen.and_then(|row| ports.get(row.value.parse::<usize>().ok()?).cloned());
                if let Some((side, port)) = port {
                    self.layers.pop();
                    self.connect_from(&node, side, &port);
                }
            }
        }
    }

    fn accept_action(&mut self, line: Option<Result<Action, String>>, chosen: Option<&Row>) {
        let action = match (line, chosen) {
            (Some(Ok(action)), _) => action,
            (Some(Err(error)), None) => {
                if let Some(Layer::List(list)) = self.layers.last_mut() {
                    list.error = Some(error);
                }
                return;
            }
            (_, Some(row)) => match ACTIONS.iter().find(|known| known.name == row.value) {
                Some(known) => known.verb.into(),
                None => return,
            },
            (None, None) => return,
        };
        self.layers.pop();
        if action.verb != Verb::Help || self.layers.is_empty() {
            self.act(action);
        }
    }

    /// Moves the choice of the topmost layer.
    pub(super) fn step_layer(&mut self, by: isize, page: bool) {
        match self.layers.last_mut() {
            Some(Layer::List(list)) if page => list.page(by),
            Some(Layer::List(list)) => list.step(by),
            Some(Layer::Connect(connect)) => {
                let count = connect.ends.len() as isize;
                if count > 0 {
                    connect.cursor = (connect.cursor as isize + by).rem_euclid(count) as usize;
                }
                self.reveal_end();
            }
            Some(Layer::Page(page)) => page.scroll = page.scroll.saturating_add_signed(by),
            _ => {}
        }
    }
}
