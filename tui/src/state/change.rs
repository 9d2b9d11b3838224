//! The graph: opened, changed.

use super::State;
use crate::edit::layout;
use crate::effect::{Effect, Entry};
use crate::history::{Change, History};
use crate::scene::Drawing;
use canvas::Level;
use graph::{Document, EditError};
use std::collections::HashSet;
use std::path::PathBuf;

impl State {
    /// Opens a graph text: a new history, nothing chosen.
    pub fn open(&mut self, file: Option<PathBuf>, text: Option<String>) {
        let shown = text.clone().unwrap_or_else(|| Document::new().to_text());
        self.document = graph::parse(&shown).0;
        self.file = file;
        self.saved = text;
        self.history = History::default();
        self.cursor = None;
        self.marked.clear();
        self.inside = None;
        self.drawing = Drawing::default();
        self.pending = None;
        self.level = Level::Normal;
        self.refresh();
        self.outbox.push(Effect::Journal(
            self.sheet,
            Entry::Base {
                path: self.file.clone(),
                text: self.document.to_text(),
            },
        ));
        self.seen_anew();
        self.cursor = self.drawing.scene.first().and_then(|item| self.spot(item));
        self.first_look();
    }

    /// All ports where the graph fits so, else a line for each node.
    pub fn first_look(&mut self) {
        self.fit_level(&[Level::Normal, Level::Compact]);
    }

    /// Changes the graph. Says why when it is refused.
    pub fn edit(
        &mut self,
        what: impl Into<String>,
        node: Option<&str>,
        merge: Option<&str>,
        with: impl FnOnce(&mut Document) -> Result<(), EditError>,
    ) -> bool {
        let before = self.document.shared_text();
        let known = self
            .inside
            .is_some()
            .then(|| self.document.nodes().keys().cloned().collect());
        let done = with(&mut self.document).and_then(|()| self.join_group(&known.unwrap_or_default()));
        if let Err(error) = done {
            // A part of it may have been done.
            if self.document.text() != &*before {
                self.document = graph::parse(&before).0;
            }
            self.bad(error.to_string());
            return false;
        }
        self.changed(&before, what.into(), node, merge);
        true
    }

    /// What is added while one looks into a group belongs to it. `known` were there before.
    fn join_group(&mut self, known: &HashSet<String>) -> Result<(), EditError> {
        let Some(inside) = &self.inside else {
            return Ok(());
        };
        let grouped = layout::read(&self.document)
            .groups
            .into_values()
            .flat_map(|group| group.nodes);
        let grouped: HashSet<String> = grouped.collect();
        let is_new = |id: &&String| !known.contains(*id) && !grouped.contains(*id);
        let added: Vec<String> = self.document.nodes().keys().filter(is_new).cloned().collect();
        layout::change(&mut self.document, |layout| {
            if let Some(group) = layout.groups.get_mut(inside) {
                group.nodes.extend(added);
            }
        })
    }

    fn changed(&mut self, before: &str, what: String, node: Option<&str>, merge: Option<&str>) {
        let Some((at, old, new)) = Change::between(before, self.document.text()) else {
            return;
        };
        let change = Change {
            what,
            at,
            old,
            new,
            time: self.now,
            merge: merge.map(|kind| self.history.merge_word(kind)),
            node: node.map(str::to_owned),
        };
        self.history.push(change.clone(), self.document.text());
        self.outbox.push(Effect::Journal(self.sheet, Entry::Change(change)));
        if self.autosave && self.file.is_some() {
            self.save_at = Some(self.now + 2000);
        }
        if self.watch {
            self.watch_at = Some(self.now + 500);
        }
        self.refresh();
    }
}
