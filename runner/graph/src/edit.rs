//! Edits of a document: splices of its text.
//!
//! Changing a value replaces the bytes of that value; adding or removing a key lays its node out anew; all other nodes keep
//! their bytes. Values are not judged (an editor shows a half-filled node), except by [`Document::set`].

use crate::catalog::{Catalog, Param, ParamType};
use crate::check::{shorten, unknown_param};
use crate::diagnostic::Finding;
use crate::document::{Document, Links, MAX_ID, Node, is_id};
use crate::migrate::Migrations;
use crate::parse::parse;
use crate::span::{Shape, pointer};
use crate::suggest::Suggest;
use crate::{params, print};
use serde_json::Value;
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

fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, EditError> {
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
            return self.put(
                id,
                "params",
                name,
                if json.is_some() { text } else { &quoted },
            );
        };
        let suggest = Suggest::default();
        let Some(param) = ty.params.iter().find(|param| param.name == name) else {
            return Err(unknown_param::finding(&suggest, id, ty, name).into());
        };
        let label = format!("{}.{name}", shorten(id));
        let as_json = json.map(|json| params::judge(&suggest, &label, param, &json));
        let as_text = params::judge(&suggest, &label, param, &Value::String(text.to_owned()));
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
    pub fn set_param(
        &mut self,
        node: &str,
        param: &str,
        value: impl Into<Value>,
    ) -> Result<(), EditError> {
        self.put(node, "params", param, &value.into().to_string())
    }

    /// Removes a parameter, so that its default holds.
    ///
    /// # Errors
    /// No such node, or the parameter is not given.
    pub fn remove_param(&mut self, node: &str, param: &str) -> Result<(), EditError> {
        self.take(node, "params", param)
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
        self.editable()?;
        self.free(id)?;
        let Some(nodes) = self.spans.find("/nodes") else {
            let value = Value::Object(
                [(id.to_owned(), Value::Object(node.to_json()))]
                    .into_iter()
                    .collect(),
            );
            return self.put_top("nodes", &value.to_string());
        };
        if self.spans.entries()[nodes].shape != Shape::Object {
            return refuse("`nodes` is not an object", "fix the file by hand first");
        }
        let key = Value::String(id.to_owned()).to_string();
        let json = Value::Object(node.to_json()).to_string();
        let laid = |indent: usize| {
            format!(
                "{key}: {}",
                print::value(&json, indent, indent + key.chars().count() + 2)
            )
        };
        let last = self.spans.children(nodes).last();
        match last.map(|at| self.spans.entries()[at].clone()) {
            Some(last) => {
                let (indent, alone) = self.line_of(last.key.start);
                let indent = if alone { indent } else { 4 };
                let text = format!(",\n{}{}", " ".repeat(indent), laid(indent));
                self.splice(last.value.end..last.value.end, &text);
            }
            None => {
                let whole = self.spans.entries()[nodes].value.clone();
                let (indent, _) = self.line_of(whole.start);
                let indent = indent.max(2);
                let text = format!(
                    "{{\n{}{}\n{}}}",
                    " ".repeat(indent + 2),
                    laid(indent + 2),
                    " ".repeat(indent)
                );
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
                let text = (entry.shape == Shape::Scalar)
                    .then(|| crate::span::unquote(self.spans.slice(at)));
                if let Some(port) = text.as_deref().and_then(|text| text.strip_prefix(&prefix)) {
                    cuts.push((
                        entry.value.clone(),
                        Value::String(format!("{new}.{port}")).to_string(),
                    ));
                }
            }
        }
        let mut text = self.to_text();
        for (range, token) in cuts.into_iter().rev() {
            text.replace_range(range, &token);
        }
        *self = parse(&text).0;
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
        if migrations
            .upgrade(&mut json, &ty.name, from, ty.version)
            .is_err()
        {
            return false;
        }
        self.relay(at, &Value::Object(json).to_string());
        true
    }

    /// The node of that id, or an error that suggests another.
    fn known(&self, id: &str) -> Result<&Node, EditError> {
        self.editable()?;
        if let Some(node) = self.nodes.get(id) {
            return Ok(node);
        }
        let help =
            Suggest::default().or_list(id, "its nodes are", self.nodes.keys().map(String::as_str));
        Err(EditError {
            message: format!("the graph has no node `{}`", shorten(id)),
            help,
        })
    }

    fn editable(&self) -> Result<(), EditError> {
        let object = self
            .spans
            .entries()
            .first()
            .is_some_and(|e| e.shape == Shape::Object);
        match (self.broken, object) {
            (false, true) => Ok(()),
            _ => refuse(
                "the text is not a graph that could be edited",
                "correct its errors first",
            ),
        }
    }

    fn free(&self, id: &str) -> Result<(), EditError> {
        if !is_id(id) {
            let help = format!("use 1 to {MAX_ID} letters, digits, `_` or `-`");
            return refuse(
                format!("`{}` cannot be the id of a node", shorten(id)),
                help,
            );
        }
        if self.nodes.contains_key(id) {
            return refuse(
                format!("the graph has a node `{id}` already"),
                "choose another id",
            );
        }
        Ok(())
    }

    fn free_key(&self, key: &str) -> Result<(), EditError> {
        if key == "nodes" || key == "paragraph" {
            return refuse(
                format!("`{key}` cannot be set as a whole"),
                "edit nodes one by one",
            );
        }
        Ok(())
    }

    /// Sets `/nodes/id/section/key` to the JSON text `raw`.
    fn put(&mut self, id: &str, section: &str, key: &str, raw: &str) -> Result<(), EditError> {
        self.known(id)?;
        if let Some(at) = self.spans.find(&pointer(&["nodes", id, section, key])) {
            let range = self.spans.entries()[at].value.clone();
            let (indent, _) = self.line_of(range.start);
            let text = print::value(raw, indent, self.column(range.start));
            self.splice(range, &text);
            return Ok(());
        }
        let Some(node) = self.object(&["nodes", id]) else {
            return refuse(
                format!("node `{}` is not an object", shorten(id)),
                "fix the file by hand first",
            );
        };
        let token = Value::String(key.to_owned()).to_string();
        let member = format!("{token}:{raw}");
        let (at, text) = match (
            self.spans.find(&pointer(&["nodes", id, section])),
            self.object(&["nodes", id, section]),
        ) {
            (Some(_), Some(part)) => self.appended(part, &member),
            (Some(_), None) => {
                return refuse(
                    format!("`{section}` of node `{}` is not an object", shorten(id)),
                    "fix the file by hand first",
                );
            }
            (None, _) => {
                let member = format!("\"{section}\":{{{member}}}");
                let params = self
                    .spans
                    .find(&pointer(&["nodes", id, "params"]))
                    .filter(|_| section == "inputs");
                match params {
                    Some(params) => (self.spans.entries()[params].key.start, format!("{member},")),
                    None => self.appended(node, &member),
                }
            }
        };
        self.relay_cut(node, at..at, &text);
        Ok(())
    }

    /// Removes `/nodes/id/section/key`.
    fn take(&mut self, id: &str, section: &str, key: &str) -> Result<(), EditError> {
        self.known(id)?;
        let place = self.spans.find(&pointer(&["nodes", id, section, key]));
        let (Some(node), Some(at)) = (self.spans.find(&pointer(&["nodes", id])), place) else {
            let message = format!(
                "node `{}` has no `{}` under `{section}`",
                shorten(id),
                shorten(key)
            );
            return refuse(message, "there is nothing to remove");
        };
        self.relay_cut(node, self.member(at), "");
        Ok(())
    }

    fn put_top(&mut self, key: &str, raw: &str) -> Result<(), EditError> {
        self.editable()?;
        if let Some(at) = self.spans.find(&pointer(&[key])) {
            let range = self.spans.entries()[at].value.clone();
            let (indent, _) = self.line_of(range.start);
            let text = print::value(raw, indent, self.column(range.start));
            self.splice(range, &text);
            return Ok(());
        }
        let token = Value::String(key.to_owned()).to_string();
        let member = format!(
            "\n  {token}: {}",
            print::value(raw, 2, token.chars().count() + 4)
        );
        let (at, text) = self.appended(0, &member);
        let text = if self.spans.entries()[0].end > 1 {
            text
        } else {
            format!("{text}\n")
        };
        self.splice(at..at, &text);
        Ok(())
    }

    /// The entry at that path, when it is an object.
    fn object(&self, path: &[&str]) -> Option<usize> {
        self.spans
            .find(&pointer(path))
            .filter(|&at| self.spans.entries()[at].shape == Shape::Object)
    }

    /// Where and what to insert so that `member` is the last of the object at `at`.
    fn appended(&self, at: usize, member: &str) -> (usize, String) {
        match self.spans.children(at).last() {
            Some(last) => (self.spans.entries()[last].value.end, format!(",{member}")),
            None => (self.spans.entries()[at].value.start + 1, member.to_owned()),
        }
    }

    /// The bytes of the member `at` of an object with one of the commas beside it.
    fn member(&self, at: usize) -> Range<usize> {
        let entries = self.spans.entries();
        let mut siblings: Vec<usize> = self.spans.children(entries[at].parent).collect();
        let position = entries[at].ordinal;
        let next = siblings.get(position + 1).copied();
        siblings.truncate(position);
        match (siblings.pop(), next) {
            (Some(before), _) => entries[before].value.end..entries[at].value.end,
            (None, Some(next)) => entries[at].key.start..entries[next].key.start,
            (None, None) => entries[at].key.start..entries[at].value.end,
        }
    }

    /// Replaces bytes inside the value at `at`, then lays that value out anew.
    fn relay_cut(&mut self, at: usize, cut: Range<usize>, text: &str) {
        let whole = self.spans.entries()[at].value.clone();
        let before = self.text().get(whole.start..cut.start).unwrap_or_default();
        let after = self.text().get(cut.end..whole.end).unwrap_or_default();
        let raw = [before, text, after].concat();
        self.relay(at, &raw);
    }

    /// Replaces the value at `at` by the JSON text `raw`, laid out.
    fn relay(&mut self, at: usize, raw: &str) {
        let whole = self.spans.entries()[at].value.clone();
        let start = self.spans.entries()[at].key.start;
        let (indent, alone) = self.line_of(start);
        let text = print::value(
            raw,
            if alone { indent } else { 4 },
            self.column(whole.start),
        );
        self.splice(whole, &text);
    }

    fn splice(&mut self, range: Range<usize>, text: &str) {
        let mut whole = self.to_text();
        whole.replace_range(range, text);
        *self = parse(&whole).0;
    }

    /// Spaces at the begin of the line of byte `at`, and whether nothing else stands before it.
    fn line_of(&self, at: usize) -> (usize, bool) {
        let start = self.text()[..at].rfind('\n').map_or(0, |i| i + 1);
        let before = &self.text()[start..at];
        let indent = before.len() - before.trim_start_matches(' ').len();
        (indent, indent == before.len())
    }

    fn column(&self, at: usize) -> usize {
        self.lines.position(self.text(), at).1 - 1
    }
}

fn takes_text(param: &Param) -> bool {
    matches!(
        param.ty,
        ParamType::String | ParamType::Choice { .. } | ParamType::Path | ParamType::OutputPath
    )
}
