//! Lists: opened, filtered, taken from.

use crate::action::{ACTIONS, Action, Scope, Verb};
use crate::edit;
use crate::field;
use crate::keymap::Mode;
use crate::layer::{Layer, Picker, Purpose, Row};
use crate::shape::Wire;
use crate::state::{Asked, State};
use graph::catalog::{NodeType, Param, ParamType};
use protocol::{Entry, FolderEntry};
use serde_json::Value;
use tui_input::Input;

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
            page: Vec::new(),
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
                page: Vec::new(),
            }
        });
        self.push_list(Picker::new(Purpose::Action { typed: false }, "keys", rows.collect()));
    }

    /// Node types to add: all, or those that could be fed by `after` or feed `before`.
    pub(super) fn open_add(&mut self, ty: &str, after: Vec<String>, before: Vec<String>) {
        if !ty.is_empty() {
            if self.catalog.get(ty).is_none() {
                let near = graph::nearest(ty, self.catalog.iter().map(|ty| ty.name.as_str()));
                let help = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
                return self.bad(format!("no node type {ty}{help}"));
            }
            let (after, before) = (after, before);
            return self.add(ty, &after, &before);
        }
        if !self.knows_types {
            let why = match &self.worker {
                crate::state::Worker::Gone { how } => format!("the worker {how}; Space W starts another"),
                _ => "the node types are on their way".to_owned(),
            };
            return self.say(why);
        }
        let suits = |ty: &NodeType| {
            let fed = |id: &String| self.type_of(id).is_some_and(|source| edit::suits(ty, source, true));
            let feeds = |id: &String| self.type_of(id).is_some_and(|target| edit::suits(ty, target, false));
            (after.is_empty() || after.iter().any(fed)) && (before.is_empty() || before.iter().any(feeds))
        };
        let rows: Vec<Row> = self
            .catalog
            .iter()
            .filter(|ty| suits(ty))
            .map(|ty| type_row(ty))
            .collect();
        let title = match (after.as_slice(), before.as_slice()) {
            ([], []) => "add a node".to_owned(),
            (after, []) => format!("add after {}", after.join(", ")),
            (_, before) => format!("add before {}", before.join(", ")),
        };
        let mut picker = Picker::new(Purpose::Add { after, before }, title, rows);
        "no node type matches".clone_into(&mut picker.empty);
        self.push_list(picker);
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

    /// A file or folder, from the worker's machine.
    pub(super) fn open_path(&mut self, node: String, param: Box<Param>, now: &str) {
        let title = format!("{node} · {}", param.name);
        let mut picker = Picker::new(Purpose::Path { node, param }, title, Vec::new());
        picker.input = Input::new(now.to_owned());
        "nothing here by that name; Enter takes the path as typed".clone_into(&mut picker.empty);
        self.push_list(picker);
        self.typed_path();
    }

    /// A graph file to open.
    pub(super) fn open_files(&mut self) {
        let title = if self.remote {
            "open a graph of this machine"
        } else {
            "open a graph"
        };
        let mut picker = Picker::new(Purpose::Open, title, Vec::new());
        "no graph by that name; Enter opens a new one".clone_into(&mut picker.empty);
        self.push_list(picker);
        self.typed_path();
    }

    /// The folder that paths of a list start from: the graph's, for the files of another machine the worker's.
    fn paths_from(&self, here: bool) -> String {
        let folder = self.file.as_deref().and_then(std::path::Path::parent);
        let folder = folder.filter(|_| !self.remote || here);
        folder.map_or_else(|| ".".to_owned(), |folder| folder.to_string_lossy().into_owned())
    }

    /// The folder of the path that is typed has changed: asks for what is in it.
    pub(super) fn typed_path(&mut self) {
        let Some(Layer::List(list)) = self.layers.last() else {
            return;
        };
        if !matches!(list.purpose, Purpose::Path { .. } | Purpose::Open) {
            return;
        }
        let here = list.purpose == Purpose::Open;
        let typed = list.input.value();
        let head = typed
            .rsplit_once('/')
            .map_or("", |(head, _)| if head.is_empty() { "/" } else { head });
        let folder = match head {
            "" => self.paths_from(here),
            head if head.starts_with('/') || head.starts_with('~') => head.to_owned(),
            head => format!("{}/{head}", self.paths_from(here)),
        };
        if list.folder.as_ref().is_some_and(|(there, _)| *there == folder) {
            return;
        }
        if list.purpose == Purpose::Open {
            // Graphs are files of this machine, wherever they run.
            let id = self.next;
            self.next += 1;
            let local = match (folder.strip_prefix('~'), &self.home) {
                (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
                _ => folder.clone().into(),
            };
            self.outbox.push(crate::effect::Effect::List(id, local));
            if let Some(Layer::List(list)) = self.layers.last_mut() {
                list.folder = Some((folder, id));
            }
            return;
        }
        let path = folder.clone();
        let Some(id) = self.ask(Asked::Folder, protocol::Ask::ListFolder { path }) else {
            return;
        };
        if let Some(Layer::List(list)) = self.layers.last_mut() {
            list.folder = Some((folder, id));
        }
    }

    /// The worker told what is in a folder.
    pub(super) fn folder_came(&mut self, id: u64, entries: Vec<FolderEntry>) {
        let list = self.layers.iter_mut().rev().find_map(|layer| match layer {
            Layer::List(list) if list.folder.as_ref().is_some_and(|(_, asked)| *asked == id) => Some(list),
            _ => None,
        });
        let Some(list) = list else {
            return;
        };
        let graphs_only = list.purpose == Purpose::Open;
        let is_graph = |name: &str| name.ends_with(".json") || name.ends_with(".png");
        let rows = entries.into_iter().filter(|entry| {
            let wanted = !graphs_only || entry.kind == Entry::Folder || is_graph(&entry.name);
            wanted && !entry.name.starts_with('.') && entry.kind != Entry::Other
        });
        list.rows = rows
            .map(|entry| match entry.kind {
                Entry::Folder => Row {
                    value: format!("{}/", entry.name),
                    label: format!("{}/", entry.name),
                    ..Row::default()
                },
                _ => Row {
                    right: size_text(entry.size),
                    value: entry.name.clone(),
                    label: entry.name,
                    ..Row::default()
                },
            })
            .collect();
        list.filter();
    }

    /// Completes the last part of a path with the chosen row.
    pub(super) fn complete_path(&mut self) {
        let Some(Layer::List(list)) = self.layers.last_mut() else {
            return;
        };
        let is_path = matches!(list.purpose, Purpose::Path { .. } | Purpose::Open);
        let Some(value) = list.chosen().map(|row| row.value.clone()) else {
            return;
        };
        if !is_path {
            return list.step(1);
        }
        let head = list
            .input
            .value()
            .rsplit_once('/')
            .map(|(head, _)| format!("{head}/"))
            .unwrap_or_default();
        list.input = Input::new(head + &value);
        list.filter();
        self.typed_path();
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

    fn accept_path(&mut self, node: &str, param: &Param, typed: &str, chosen: Option<&Row>) {
        let last = typed.rsplit('/').next().unwrap_or(typed);
        let head = typed.strip_suffix(last).unwrap_or_default();
        // A filter that fits something means that; a whole name means itself.
        let value = match chosen {
            Some(row) if !last.is_empty() && row.value.trim_end_matches('/') != last && !last.contains('.') => {
                format!("{head}{}", row.value.trim_end_matches('/'))
            }
            _ => typed.trim_end_matches('/').to_owned(),
        };
        let value = if param.ty == ParamType::OutputPath {
            typed.to_owned()
        } else {
            value
        };
        match field::read(param, &value) {
            Ok(value) => {
                self.layers.pop();
                self.set_param(node, &param.name, value, false);
                self.ask_next();
            }
            Err(error) => {
                if let Some(Layer::List(list)) = self.layers.last_mut() {
                    list.error = Some(error);
                }
            }
        }
    }

    fn accept_open(&mut self, typed: &str, chosen: Option<&Row>) {
        let last = typed.rsplit('/').next().unwrap_or(typed);
        let head = typed.strip_suffix(last).unwrap_or_default().to_owned();
        match chosen {
            Some(row) if row.value.ends_with('/') && last != row.value => self.complete_path(),
            Some(row) => {
                let name = format!("{head}{}", row.value);
                self.layers.pop();
                self.open_graph(&name);
            }
            None if typed.is_empty() => {}
            None => {
                let name = typed.to_owned();
                self.layers.pop();
                self.open_graph(&name);
            }
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

/// A node type as a row, with its page.
pub(super) fn type_row(ty: &NodeType) -> Row {
    let mut page: Vec<String> = ty.doc.lines().map(str::to_owned).collect();
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            page.push(String::new());
            page.push(format!("# {title}"));
            page.extend(rows);
        }
    };
    let inputs = ty.inputs.iter().map(|input| {
        let more = match (input.optional, input.variadic) {
            (true, _) => " (optional)",
            (_, true) => " (several)",
            _ => "",
        };
        format!("{}: {}{more}  {}", input.name, input.ty, input.doc)
    });
    section("inputs", inputs.collect());
    let outputs = ty
        .outputs
        .iter()
        .map(|output| format!("{}: {}  {}", output.name, output.ty, output.doc));
    section("outputs", outputs.collect());
    let params = ty.params.iter().map(|param| {
        let default = match &param.default {
            Some(default) => format!(" = {}", field::shown(default)),
            None => " (needed)".to_owned(),
        };
        format!("{}{default}  {}", param.name, param.doc)
    });
    section("parameters", params.collect());
    let types = |names: Vec<&str>| {
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(" ")
        }
    };
    Row {
        value: ty.name.clone(),
        label: ty.name.clone(),
        note: ty.doc.lines().next().unwrap_or_default().to_owned(),
        right: format!(
            "{} > {}",
            types(ty.inputs.iter().map(|port| port.ty.as_str()).collect()),
            types(ty.outputs.iter().map(|port| port.ty.as_str()).collect())
        ),
        page,
    }
}

fn size_text(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} kB", bytes / 1024),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}
