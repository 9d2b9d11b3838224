//! What is chosen.

use super::{Spot, State};
use crate::scene::Drawing;
use canvas::{Item, Tile};
use graph::catalog::{NodeType, Param};
use std::sync::Arc;

impl State {
    /// The chosen node.
    pub fn node(&self) -> Option<&str> {
        match &self.cursor {
            Some(Spot::Node(id)) => Some(id),
            _ => None,
        }
    }

    /// The chosen node's type.
    pub fn node_type(&self) -> Option<&Arc<NodeType>> {
        self.type_of(self.node()?)
    }

    /// A node's type.
    pub fn type_of(&self, id: &str) -> Option<&Arc<NodeType>> {
        self.catalog.get(&self.document.node(id)?.ty.name)
    }

    /// Parameters of the chosen node: those of its type.
    pub fn params(&self) -> &[Param] {
        self.node_type().map_or(&[], |ty| &ty.params)
    }

    /// The item of the scene that is chosen.
    pub fn cursor_item(&self) -> Option<Item> {
        Some(match self.cursor.as_ref()? {
            Spot::Node(id) => Item::Node(self.drawing.index(id)?),
            Spot::Group(name) => Item::Group(self.drawing.groups.iter().position(|group| group == name)?),
            Spot::Note(name) => Item::Note(self.drawing.notes.iter().position(|(note, _)| note == name)?),
        })
    }

    /// The tile of the chosen thing.
    pub fn cursor_tile(&self) -> Option<&Tile> {
        self.drawing.scene.tile(self.cursor_item()?)
    }

    /// The nodes that an action concerns: the marked ones, else the chosen one, else those of the chosen group.
    pub fn selected(&self) -> Vec<String> {
        if !self.marked.is_empty() {
            let order = self.document.nodes().keys();
            return order.filter(|id| self.marked.contains(*id)).cloned().collect();
        }
        match &self.cursor {
            Some(Spot::Node(id)) => vec![id.clone()],
            Some(Spot::Group(name)) => self
                .drawing
                .layout
                .groups
                .get(name)
                .map(|g| g.nodes.clone())
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Looks into a group, or out of it again.
    pub fn look_into(&mut self, group: Option<String>) {
        let left = self.inside.take();
        self.inside = group;
        self.drawing = Drawing::default();
        self.marked.clear();
        self.refresh();
        self.first_look();
        if let (None, Some(left)) = (&self.inside, left) {
            let folded = self.drawing.layout.groups.get(&left).is_some_and(|group| group.folded);
            if folded {
                self.choose(Spot::Group(left));
            }
        }
    }

    /// Chooses something and shows it.
    pub fn choose(&mut self, spot: Spot) {
        // What is elsewhere is seen from outside.
        if self.inside.is_some()
            && let Spot::Node(id) = &spot
            && self.drawing.index(id).is_none()
            && self.document.node(id).is_some()
        {
            self.look_into(None);
        }
        let spot = match spot {
            Spot::Node(id) => match self.drawing.folded_around(&id) {
                Some(group) => Spot::Group(group.to_owned()),
                None => Spot::Node(id),
            },
            other => other,
        };
        if self.cursor.as_ref() != Some(&spot) {
            self.port = None;
            self.field = 0;
            self.shot = 0;
            self.history.seal();
        }
        self.cursor = Some(spot);
        self.reveal();
    }

    /// Chooses a node and shows it.
    pub fn choose_node(&mut self, id: &str) {
        self.choose(Spot::Node(id.to_owned()));
    }

    /// After a change: what is gone is not chosen any more.
    pub(super) fn settle_cursor(&mut self) {
        let there = self
            .cursor_item()
            .is_some_and(|item| self.waits_for_picture() || self.drawing.scene.tile(item).is_some());
        if there {
            return;
        }
        let hidden = match &self.cursor {
            Some(Spot::Node(id)) => self
                .drawing
                .folded_around(id)
                .map(|group| Spot::Group(group.to_owned())),
            _ => None,
        };
        self.port = None;
        self.field = 0;
        self.cursor = hidden.or_else(|| self.drawing.scene.first().and_then(|item| self.spot(item)));
    }
}
