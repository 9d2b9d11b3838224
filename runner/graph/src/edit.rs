//! Edits of a document: splices of its text.
//!
//! Changing a value replaces the bytes of that value; adding or removing a key lays its node out anew; all other nodes keep
//! their bytes. Values are not judged (an editor shows a half-filled node), except by [`Document::set`].

use crate::catalog::{Catalog, Param, ParamType};
use crate::check::{Label, shorten, unknown_param};
use crate::diagnostic::Finding;
use crate::document::{Document, Link, Links, Node};
use crate::migrate::Migrations;
use crate::span::{Shape, pointer};
use crate::splice::cut;
use crate::suggest::Suggest;
use crate::{params, print};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// Why an edit was refused; the document is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError {
    /// One sentence.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.help {
            Some(help) => write!(f, "{}: {help}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for EditError {}

impl From<Finding> for EditError {
    fn from(finding: Finding) -> Self {
        let (message, help) = finding.into_parts();
        Self { message, help }
    }
}

pub(crate) fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, EditError> {
    Err(EditError {
        message: message.into(),
        help: Some(help.into()),
    })
}

impl Document {
    /// Sets a parameter from the command line: `target` is `node.param`, `text` the value, as JSON if it is JSON of
    /// the parameter's type, else as it stands: `seed` takes `7`, a prompt takes `a bear`, `"a bear"` and `7` (the text).
    /// Parameters of node types that `catalog` does not have are taken as JSON if they are JSON.
    ///
    /// # Errors
    /// No dot in `target`; no such node or parameter; a value that does not suit the parameter.
    pub fn set(&mut self, target: &str, text: &str, catalog: &Catalog) -> Result<(), EditError> {
        let Some((id, name)) = target.split_once('.') else {
            return refuse(
                format!("`{}` names no parameter", shorten(target)),
                "write `node.param=value`",
            );
        };
        let node = self.known(id)?;
        let json = serde_json::from_str::<Value>(text).ok();
        let quoted = Value::String(text.to_owned()).to_string();
        let Some(ty) = catalog.get(&node.ty.name) else {
            return self.put(id, "params", name, if json.is_some() { text } else { &quoted });
        };
        let suggest = Suggest::default();
        let Some(param) = ty.params.iter().find(|param| param.name == name) else {
            return Err(unknown_param::finding(&suggest, id, ty, name).into());
        };
        let label = Label(id, name);
        let as_json = json.map(|json| params::judge(&suggest, label, param, &json));
        let as_text = params::judge(&suggest, label, param, &Value::String(text.to_owned()));
        let raw = match (as_json, as_text) {
            (Some(None), _) => text.trim(),
            (_, None) => &quoted,
            (Some(Some(fault)), Some(_)) if !takes_text(param) => return Err(fault.into()),
            (_, Some(fault)) => return Err(fault.into()),
        };
        if node.ty.version.is_some_and(|version| version < ty.version) {
            self.migrate_node(id, catalog, &Migrations::builtin());
        }
        self.put(id, "params", name, raw)
    }

    /// Sets a parameter, whatever its node type says.
    ///
    /// # Errors
    /// No such node.
    pub fn set_param(&mut self, node: &str, param: &str, value: impl Into<Value>) -> Result<(), EditError> {
        self.put(node, "params", param, &value.into().to_string())
    }

    /// Removes a parameter, so that its default holds.
    ///
    /// # Errors
    /// No such node, or the parameter is not given.
    pub fn remove_param(&mut self, node: &str, param: &str) -> Result<(), EditError> {
        self.take(node, "params", param)
    }

    /// Bypasses a node, or does so no more.
    ///
    /// # Errors
    /// No such node.
    pub fn set_bypass(&mut self, node: &str, on: bool) -> Result<(), EditError> {
        self.known(node)?;
        self.set_node_key(node, "bypass", on.then_some("true"))
    }

    /// Lets a stored result stand for what a node would give, or no more.
    ///
    /// # Errors
    /// No such node.
    pub fn set_frozen(&mut self, node: &str, key: Option<&str>) -> Result<(), EditError> {
        self.known(node)?;
        let raw = key.map(|key| Value::from(key).to_string());
        self.set_node_key(node, "frozen", raw.as_deref())
    }

    /// Links an input, in place of what fed it.
    ///
    /// # Errors
    /// No such node.
    pub fn set_input(&mut self, node: &str, port: &str, links: &Links) -> Result<(), EditError> {
        self.put(node, "inputs", port, &links.to_json().to_string())
    }

    /// Removes all links of an input.
    ///
    /// # Errors
    /// No such node, or the input is not linked.
    pub fn remove_input(&mut self, node: &str, port: &str) -> Result<(), EditError> {
        self.take(node, "inputs", port)
    }

    /// Adds a node after all others.
    ///
    /// # Errors
    /// The id is taken, or none that links could name.
    pub fn insert_node(&mut self, id: &str, node: &Node) -> Result<(), EditError> {
        self.insert_nodes(&[(id.to_owned(), node.clone())])
    }

    /// Adds nodes after all others, in one change of the text.
    ///
    /// # Errors
    /// An id is taken, or none that links could name.
    pub fn insert_nodes(&mut self, new: &[(String, Node)]) -> Result<(), EditError> {
        self.editable()?;
        let mut ids = HashSet::new();
        for (id, _) in new {
            self.free(id)?;
            if !ids.insert(id) {
                return refuse(format!("two new nodes are called `{id}`"), "choose another id");
            }
        }
        let Some(nodes) = self.spans.find("/nodes") else {
            let new = new.iter().map(|(id, node)| (id.clone(), Value::Object(node.to_json())));
            return self.put_top("nodes", &Value::Object(new.collect()).to_string());
        };
        if self.spans.entries()[nodes].shape != Shape::Object {
            return refuse("`nodes` is not an object", "fix the file by hand first");
        }
        let laid = |indent: usize| -> String {
            let members = new.iter().map(|(id, node)| {
                let key = Value::String(id.clone()).to_string();
                let json = Value::Object(node.to_json()).to_string();
                let value = print::value(&json, indent, indent + key.chars().count() + 2);
                format!("\n{}{key}: {value}", " ".repeat(indent))
            });
            members.collect::<Vec<_>>().join(",")
        };
        let last = self.spans.children(nodes).last();
        match last.map(|at| self.spans.entries()[at].clone()) {
            _ if new.is_empty() => {}
            Some(last) => {
                let (indent, alone) = self.line_of(last.key.start);
                let text = laid(if alone { indent } else { 4 });
                self.splice(last.value.end..last.value.end, &format!(",{text}"));
            }
            None => {
                let whole = self.spans.entries()[nodes].value.clone();
                let (indent, _) = self.line_of(whole.start);
                let indent = indent.max(2);
                let text = format!("{{{}\n{}}}", laid(indent + 2), " ".repeat(indent));
                self.splice(whole, &text);
            }
        }
        Ok(())
    }

    /// Removes a node; links to it stay, and the checks will name them.
    ///
    /// # Errors
    /// No such node.
    pub fn remove_node(&mut self, id: &str) -> Result<(), EditError> {
        self.known(id)?;
        if let Some(at) = self.spans.find(&pointer(&["nodes", id])) {
            self.splice(self.member(at), "");
        }
        Ok(())
    }

    /// Removes nodes with all links to them, in one change of the text.
    ///
    /// # Errors
    /// No such node.
    pub fn remove_nodes(&mut self, ids: &[String]) -> Result<(), EditError> {
        let mut gone: Vec<&str> = ids.iter().map(String::as_str).collect();
        gone.sort_unstable();
        for id in ids {
            self.known(id)?;
        }
        let places: Vec<usize> = (self.object(&["nodes"]).into_iter())
            .flat_map(|at| self.spans.children(at))
            .collect();
        let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
        let mut members = Vec::new();
        // An id that stands twice is one node.
        let in_order = places.len() == self.nodes.len();
        for (nth, at) in places.into_iter().enumerate() {
            let node = match in_order {
                true => self.nodes.get_index(nth),
                false => self.nodes.get_key_value(&*self.spans.key(at)),
            };
            let Some((id, node)) = node else { continue };
            if gone.binary_search(&id.as_str()).is_ok() {
                members.push(at);
            } else {
                self.unlink(at, node, &gone, &mut cuts);
            }
        }
        cuts.extend(self.members(&members).into_iter().map(|range| (range, String::new())));
        self.reread(&cut(self.text(), 0, cuts));
        Ok(())
    }

    /// Notes what has to change in the node at an entry so that nothing links to what is gone.
    fn unlink(&self, at: usize, node: &Node, gone: &[&str], cuts: &mut Vec<(Range<usize>, String)>) {
        let stays = |link: &&Link| !matches!(link, Link::To { node, .. } if gone.binary_search(&node.as_str()).is_ok());
        if node.inputs.values().flat_map(Links::iter).all(|link| stays(&link)) {
            return;
        }
        let entries = self.spans.entries();
        let inputs = self
            .spans
            .children(at)
            .filter(|part| self.spans.key(*part) == "inputs")
            .last();
        let mut lists = Vec::new();
        let mut empty = Vec::new();
        for port in inputs.into_iter().flat_map(|at| self.spans.children(at)) {
            let Some(links) = node.inputs.get(&*self.spans.key(port)) else {
                continue;
            };
            let left: Vec<Link> = links.iter().filter(stays).cloned().collect();
            if left.is_empty() && links.iter().next().is_some() {
                empty.push(port);
            } else if left.len() < links.iter().count() {
                lists.push((entries[port].value.clone(), Links::List(left).to_json().to_string()));
            }
        }
        if empty.is_empty() {
            cuts.extend(lists.into_iter().map(|(range, raw)| {
                let text = print::value(&raw, self.line_of(range.start).0, self.column(range.start));
                (range, text)
            }));
        } else {
            lists.extend(self.members(&empty).into_iter().map(|range| (range, String::new())));
            let whole = entries[at].value.clone();
            let raw = cut(self.spans.slice(at), whole.start, lists);
            cuts.push((whole, self.laid(at, &raw)));
        }
    }

    /// Renames a node, and all links to it. `layout` and `comments` are the editor's and stay as they are.
    ///
    /// # Errors
    /// No such node; the new id is taken, or none that links could name.
    pub fn rename_node(&mut self, id: &str, new: &str) -> Result<(), EditError> {
        self.known(id)?;
        if id == new {
            return Ok(());
        }
        self.free(new)?;
        let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
        let prefix = format!("{id}.");
        for node in self
            .spans
            .find("/nodes")
            .into_iter()
            .flat_map(|nodes| self.spans.children(nodes))
        {
            if self.spans.key(node) == id {
                cuts.push((
                    self.spans.entries()[node].key.clone(),
                    Value::String(new.to_owned()).to_string(),
                ));
            }
            let inputs = self
                .spans
                .children(node)
                .filter(|&part| self.spans.key(part) == "inputs");
            for at in inputs.flat_map(|part| part + 1..self.spans.entries()[part].end) {
                let entry = &self.spans.entries()[at];
                let text = (entry.shape == Shape::Scalar).then(|| crate::span::unquote(self.spans.slice(at)));
                if let Some(port) = text.as_deref().and_then(|text| text.strip_prefix(&prefix)) {
                    cuts.push((entry.value.clone(), Value::String(format!("{new}.{port}")).to_string()));
                }
            }
        }
        self.reread(&cut(self.text(), 0, cuts));
        Ok(())
    }

    /// Sets a key of the file: `title`, `layout`, `comments`, `made`, …
    ///
    /// # Errors
    /// `paragraph` and `nodes` cannot be set so.
    pub fn set_top(&mut self, key: &str, value: impl Into<Value>) -> Result<(), EditError> {
        self.free_key(key)?;
        self.put_top(key, &value.into().to_string())
    }

    /// Removes a key of the file. One that is not there is no error.
    ///
    /// # Errors
    /// `paragraph` and `nodes` cannot be removed.
    pub fn remove_top(&mut self, key: &str) -> Result<(), EditError> {
        self.free_key(key)?;
        self.editable()?;
        while let Some(at) = self.spans.find(&pointer(&[key])) {
            self.splice(self.member(at), "");
        }
        Ok(())
    }

    /// Brings every node that names an older version of its type up to date, where migrations exist. Gives the ids
    /// of the nodes rewritten.
    pub fn migrate(&mut self, catalog: &Catalog, migrations: &Migrations) -> Vec<String> {
        let ids: Vec<String> = self.nodes.keys().cloned().collect();
        ids.into_iter()
            .filter(|id| self.migrate_node(id, catalog, migrations))
            .collect()
    }

    fn migrate_node(&mut self, id: &str, catalog: &Catalog, migrations: &Migrations) -> bool {
        let Some(node) = self.nodes.get(id) else {
            return false;
        };
        let Some(ty) = catalog.get(&node.ty.name) else {
            return false;
        };
        let Some(from) = node.ty.version.filter(|&version| version < ty.version) else {
            return false;
        };
        let mut json = node.to_json();
        let Some(at) = self.spans.find(&pointer(&["nodes", id])) else {
            return false;
        };
        if migrations.upgrade(&mut json, &ty.name, from, ty.version).is_err() {
            return false;
        }
        self.relay(at, &Value::Object(json).to_string());
        true
    }
}

fn takes_text(param: &Param) -> bool {
    matches!(
        param.ty,
        ParamType::String | ParamType::Choice { .. } | ParamType::Path | ParamType::OutputPath
    )
}
