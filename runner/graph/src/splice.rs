//! What edits are made of: finding the bytes, replacing them, laying out what changed.

use crate::check::shorten;
use crate::document::{Document, MAX_ID, Node, is_id};
use crate::edit::{EditError, refuse};
use crate::print;
use crate::span::{Shape, pointer};
use crate::suggest::Suggest;
use serde_json::Value;
use std::ops::Range;

impl Document {
    /// The node of that id, or an error that suggests another.
    pub(crate) fn known(&self, id: &str) -> Result<&Node, EditError> {
        self.editable()?;
        if let Some(node) = self.nodes.get(id) {
            return Ok(node);
        }
        let (help, _) = Suggest::default().or_list(id, "its nodes are", self.nodes.keys().map(String::as_str));
        Err(EditError {
            message: format!("the graph has no node `{}`", shorten(id)),
            help,
        })
    }

    pub(crate) fn editable(&self) -> Result<(), EditError> {
        let object = self.spans.entries().first().is_some_and(|e| e.shape == Shape::Object);
        match (self.broken, object) {
            (false, true) => Ok(()),
            _ => refuse(
                "the text is not a graph that could be edited",
                "correct its errors first",
            ),
        }
    }

    pub(crate) fn free(&self, id: &str) -> Result<(), EditError> {
        if !is_id(id) {
            let help = format!("use 1 to {MAX_ID} letters, digits, `_` or `-`");
            return refuse(format!("`{}` cannot be the id of a node", shorten(id)), help);
        }
        if self.nodes.contains_key(id) {
            return refuse(format!("the graph has a node `{id}` already"), "choose another id");
        }
        Ok(())
    }

    pub(crate) fn free_key(&self, key: &str) -> Result<(), EditError> {
        if key == "nodes" || key == "paragraph" {
            return refuse(format!("`{key}` cannot be set as a whole"), "edit nodes one by one");
        }
        Ok(())
    }

    /// Sets `/nodes/id/section/key` to the JSON text `raw`.
    pub(crate) fn put(&mut self, id: &str, section: &str, key: &str, raw: &str) -> Result<(), EditError> {
        self.known(id)?;
        // Of a list, `/params/0` would be an item.
        let part = self.object(&["nodes", id, section]);
        let given = self.spans.find(&pointer(&["nodes", id, section, key]));
        if let (Some(_), Some(at)) = (part, given) {
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
        let (at, text) = match (self.spans.find(&pointer(&["nodes", id, section])), part) {
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
    pub(crate) fn take(&mut self, id: &str, section: &str, key: &str) -> Result<(), EditError> {
        self.known(id)?;
        let part = self.object(&["nodes", id, section]);
        let place = part.and_then(|_| self.spans.find(&pointer(&["nodes", id, section, key])));
        let (Some(node), Some(at)) = (self.spans.find(&pointer(&["nodes", id])), place) else {
            let message = format!("node `{}` has no `{}` under `{section}`", shorten(id), shorten(key));
            return refuse(message, "there is nothing to remove");
        };
        self.relay_cut(node, self.member(at), "");
        Ok(())
    }

    /// Sets `/nodes/id/key` to a JSON text, or removes it.
    pub(crate) fn set_node_key(&mut self, id: &str, key: &str, raw: Option<&str>) -> Result<(), EditError> {
        let Some(node) = self.object(&["nodes", id]) else {
            return refuse(
                format!("node `{}` is not an object", shorten(id)),
                "fix the file by hand first",
            );
        };
        let given = self.spans.find(&pointer(&["nodes", id, key]));
        match (given, raw) {
            (Some(at), None) => self.relay_cut(node, self.member(at), ""),
            (Some(at), Some(raw)) => self.splice(self.spans.entries()[at].value.clone(), raw),
            (None, None) => {}
            (None, Some(raw)) => {
                let (at, text) = self.appended(node, &format!("{}:{raw}", Value::String(key.to_owned())));
                self.relay_cut(node, at..at, &text);
            }
        }
        Ok(())
    }

    pub(crate) fn put_top(&mut self, key: &str, raw: &str) -> Result<(), EditError> {
        self.editable()?;
        if let Some(at) = self.spans.find(&pointer(&[key])) {
            let range = self.spans.entries()[at].value.clone();
            let (indent, _) = self.line_of(range.start);
            let text = print::value(raw, indent, self.column(range.start));
            self.splice(range, &text);
            return Ok(());
        }
        let token = Value::String(key.to_owned()).to_string();
        let member = format!("\n  {token}: {}", print::value(raw, 2, token.chars().count() + 4));
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
    pub(crate) fn object(&self, path: &[&str]) -> Option<usize> {
        self.spans
            .find(&pointer(path))
            .filter(|&at| self.spans.entries()[at].shape == Shape::Object)
    }

    /// Where and what to insert so that `member` is the last of the object at `at`.
    pub(crate) fn appended(&self, at: usize, member: &str) -> (usize, String) {
        match self.spans.children(at).last() {
            Some(last) => (self.spans.entries()[last].value.end, format!(",{member}")),
            None => (self.spans.entries()[at].value.start + 1, member.to_owned()),
        }
    }

    /// The bytes of the member `at` of an object with one of the commas beside it.
    pub(crate) fn member(&self, at: usize) -> Range<usize> {
        self.members(&[at]).pop().unwrap_or_default()
    }

    /// The bytes of some members of one object, in its order, with as many of the commas.
    pub(crate) fn members(&self, gone: &[usize]) -> Vec<Range<usize>> {
        let entries = self.spans.entries();
        let Some((first, last)) = gone.first().copied().zip(gone.last().copied()) else {
            return Vec::new();
        };
        let siblings: Vec<usize> = self.spans.children(entries[first].parent).collect();
        let ahead = siblings.iter().zip(gone).take_while(|(at, gone)| at == gone).count();
        let mut ranges = Vec::with_capacity(gone.len());
        if ahead == siblings.len() {
            ranges.push(entries[first].key.start..entries[last].value.end);
        } else if ahead > 0 {
            ranges.push(entries[first].key.start..entries[siblings[ahead]].key.start);
        }
        for at in &gone[ahead..] {
            let before = siblings[entries[*at].ordinal - 1];
            ranges.push(entries[before].value.end..entries[*at].value.end);
        }
        ranges
    }

    /// Replaces bytes inside the value at `at`, then lays that value out anew.
    pub(crate) fn relay_cut(&mut self, at: usize, cut: Range<usize>, text: &str) {
        let whole = self.spans.entries()[at].value.clone();
        let before = self.text().get(whole.start..cut.start).unwrap_or_default();
        let after = self.text().get(cut.end..whole.end).unwrap_or_default();
        let raw = [before, text, after].concat();
        self.relay(at, &raw);
    }

    /// Replaces the value at `at` by the JSON text `raw`, laid out.
    pub(crate) fn relay(&mut self, at: usize, raw: &str) {
        let text = self.laid(at, raw);
        self.splice(self.spans.entries()[at].value.clone(), &text);
    }

    /// The JSON text `raw` as it is laid out in the place of the value at `at`.
    pub(crate) fn laid(&self, at: usize, raw: &str) -> String {
        let entry = &self.spans.entries()[at];
        let (indent, alone) = self.line_of(entry.key.start);
        print::value(raw, if alone { indent } else { 4 }, self.column(entry.value.start))
    }

    pub(crate) fn splice(&mut self, range: Range<usize>, text: &str) {
        let mut whole = self.to_text();
        whole.replace_range(range, text);
        self.reread(&whole);
    }

    /// Spaces at the begin of the line of byte `at`, and whether nothing else stands before it.
    pub(crate) fn line_of(&self, at: usize) -> (usize, bool) {
        let start = self.text()[..at].rfind('\n').map_or(0, |i| i + 1);
        let before = &self.text()[start..at];
        let indent = before.len() - before.trim_start_matches(' ').len();
        (indent, indent == before.len())
    }

    pub(crate) fn column(&self, at: usize) -> usize {
        let before = &self.text()[..at];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        before[start..].chars().count()
    }
}

/// A text with other bytes in some places, which do not overlap. It stands at byte `from` of what they are counted in.
pub(crate) fn cut(text: &str, from: usize, mut cuts: Vec<(Range<usize>, String)>) -> String {
    cuts.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = from;
    for (range, put) in cuts {
        out.push_str(text.get(at - from..range.start - from).unwrap_or_default());
        out.push_str(&put);
        at = range.end;
    }
    out.push_str(text.get(at - from..).unwrap_or_default());
    out
}
