//! Lists of files and folders: of the worker's machine for parameters, of this one for graphs.

use crate::field;
use crate::layer::{Layer, Picker, Purpose, Row};
use crate::state::{Asked, State};
use graph::catalog::{Param, ParamType};
use protocol::{Entry, FolderEntry, size_text};
use tui_input::Input;

impl State {
    /// A file or folder, from the worker's machine.
    pub(super) fn open_path(&mut self, node: String, param: Box<Param>, now: &str) {
        let place = if self.remote { ", on the worker's machine" } else { "" };
        let title = format!("{node} · {}{place}", param.name);
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

    pub(super) fn accept_path(&mut self, node: &str, param: &Param, typed: &str, chosen: Option<&Row>) {
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

    pub(super) fn accept_open(&mut self, typed: &str, chosen: Option<&Row>) {
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
}
