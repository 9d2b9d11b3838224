//! Tabs: graphs that are open beside the one that is seen.

use super::{Spot, State};
use crate::effect::Effect;
use crate::history::History;
use crate::scene::Drawing;
use crate::shape::Side;
use canvas::{Level, View};
use graph::Document;
use std::collections::BTreeSet;
use std::mem::take;
use std::path::{Path, PathBuf};

/// A graph that is open and not seen.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its number.
    pub number: u64,
    /// Its file.
    pub file: Option<PathBuf>,
    /// The graph.
    pub document: Document,
    /// What the file holds; none: there is none.
    pub saved: Option<String>,
    history: History,
    drawing: Drawing,
    level: Level,
    view: View,
    cursor: Option<Spot>,
    port: Option<(Side, usize)>,
    marked: BTreeSet<String>,
    inside: Option<String>,
    field: usize,
}

pub(super) fn is_changed(document: &Document, saved: Option<&str>) -> bool {
    match saved {
        Some(saved) => saved != document.text(),
        None => !document.nodes().is_empty(),
    }
}

pub(super) fn name(file: Option<&Path>) -> String {
    let stem = file.and_then(Path::file_stem);
    stem.map_or_else(|| "new graph".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

impl Sheet {
    /// Whether the graph differs from its file.
    pub fn is_changed(&self) -> bool {
        is_changed(&self.document, self.saved.as_deref())
    }

    /// The graph's name, for people.
    pub fn name(&self) -> String {
        name(self.file.as_deref())
    }
}

impl State {
    /// Puts the graph that is seen aside.
    pub(crate) fn put_aside(&mut self) -> Sheet {
        if self.waits_for_picture() {
            self.drawing.outdated();
        }
        self.pending = None;
        Sheet {
            number: self.sheet,
            file: self.file.take(),
            document: take(&mut self.document),
            saved: self.saved.take(),
            history: take(&mut self.history),
            drawing: take(&mut self.drawing),
            level: self.level,
            view: self.view,
            cursor: self.cursor.take(),
            port: self.port.take(),
            marked: take(&mut self.marked),
            inside: self.inside.take(),
            field: take(&mut self.field),
        }
    }

    fn take_up(&mut self, sheet: Sheet) {
        self.sheet = sheet.number;
        self.file = sheet.file;
        self.document = sheet.document;
        self.saved = sheet.saved;
        self.history = sheet.history;
        self.drawing = sheet.drawing;
        self.level = sheet.level;
        self.view = sheet.view;
        self.cursor = sheet.cursor;
        self.port = sheet.port;
        self.marked = sheet.marked;
        self.inside = sheet.inside;
        self.field = sheet.field;
        self.seen_anew();
        self.refresh();
    }

    /// Another graph is seen: what belongs to the one before is not looked at any more.
    pub(crate) fn seen_anew(&mut self) {
        self.mirror.sheet = self.sheet;
        self.past.clear();
        self.compared.clear();
        self.looked_at = None;
        self.shot = 0;
        self.watch_at = None;
        self.asking = None;
        self.outbox.push(Effect::Runs(self.file.clone()));
    }

    /// Which tab is seen, and how many there are.
    pub fn tab_place(&self) -> (usize, usize) {
        (self.left.len(), self.left.len() + 1 + self.right.len())
    }

    /// The tabs that are not seen, from left to right.
    pub fn other_sheets(&self) -> impl Iterator<Item = &Sheet> {
        self.left.iter().chain(&self.right)
    }

    /// Shows the tab at a place.
    pub(crate) fn show_tab(&mut self, at: usize) {
        self.save_by_itself();
        while at < self.left.len() {
            let Some(sheet) = self.left.pop() else { break };
            let aside = self.put_aside();
            self.right.insert(0, aside);
            self.take_up(sheet);
        }
        while at > self.left.len() && !self.right.is_empty() {
            let sheet = self.right.remove(0);
            let aside = self.put_aside();
            self.left.push(aside);
            self.take_up(sheet);
        }
    }

    /// Shows the tab of that number; false when there is none.
    pub(crate) fn show_sheet(&mut self, number: u64) -> bool {
        if number == self.sheet {
            return true;
        }
        let left = self.left.iter().position(|sheet| sheet.number == number);
        let right = self.right.iter().position(|sheet| sheet.number == number);
        let at = left.or(right.map(|at| at + self.left.len() + 1));
        if let Some(at) = at {
            self.show_tab(at);
        }
        at.is_some()
    }

    /// Takes the tab that is seen away; the one beside it is seen. False when it is the only one.
    pub(crate) fn drop_tab(&mut self) -> bool {
        let next = if self.right.is_empty() {
            self.left.pop()
        } else {
            Some(self.right.remove(0))
        };
        let Some(next) = next else {
            return false;
        };
        self.outbox.push(Effect::Close(self.sheet));
        self.put_aside();
        self.take_up(next);
        true
    }
}
