//! Groups: made, dissolved, folded, looked into, taken out into a file.

use crate::edit::{self, layout};
use crate::effect::Effect;
use crate::state::{Spot, State};
use std::path::Path;

impl State {
    pub(super) fn group(&mut self, name: &str) {
        let ids = self.selected();
        if ids.is_empty() || name.trim().is_empty() {
            return self.say("select nodes first, with v");
        }
        let name = name.trim().to_owned();
        self.edit(format!("group {name}"), None, None, |document| {
            layout::change(document, |layout| {
                for group in layout.groups.values_mut() {
                    group.nodes.retain(|id| !ids.contains(id));
                }
                layout.groups.retain(|_, group| !group.nodes.is_empty());
                layout.groups.insert(
                    name,
                    layout::Group {
                        nodes: ids,
                        folded: false,
                    },
                );
            })
        });
        self.marked.clear();
    }

    /// The group of the chosen thing.
    fn here_group(&self) -> Option<String> {
        match self.cursor.as_ref()? {
            Spot::Group(name) => Some(name.clone()),
            Spot::Node(id) => {
                let mut groups = self.drawing.layout.groups.iter();
                let found = groups.find(|(_, group)| group.nodes.contains(id));
                found.map(|(name, _)| name.clone())
            }
            Spot::Note(_) => None,
        }
    }

    pub(super) fn ungroup(&mut self) {
        let Some(name) = self.here_group() else {
            return self.say("this node is in no group");
        };
        self.edit(format!("dissolve group {name}"), None, None, |document| {
            layout::change(document, |layout| drop(layout.groups.remove(&name)))
        });
    }

    pub(super) fn fold(&mut self) {
        let Some(name) = self.here_group() else {
            return self.say("this node is in no group: Space g g makes one");
        };
        let first = self
            .drawing
            .layout
            .groups
            .get(&name)
            .and_then(|group| group.nodes.first())
            .cloned();
        let mut folded = false;
        self.edit(format!("fold group {name}"), None, None, |document| {
            layout::change(document, |layout| {
                if let Some(group) = layout.groups.get_mut(&name) {
                    group.folded = !group.folded;
                    folded = group.folded;
                }
            })
        });
        match (folded, first) {
            (true, _) => self.choose(Spot::Group(name)),
            (false, Some(first)) => self.choose_node(&first),
            (false, None) => {}
        }
    }

    /// Looks into the group of the chosen thing.
    pub(super) fn go_inside(&mut self) {
        if self.inside.is_some() {
            return self.say("this is the inside; Backspace leads out");
        }
        let Some(name) = self.here_group() else {
            return self.say("this node is in no group: Space g g makes one");
        };
        self.look_into(Some(name));
    }

    pub(super) fn leave_group(&mut self) {
        if self.inside.is_none() {
            return self.say("not inside a group; Enter at a folded one goes in");
        }
        self.look_into(None);
    }

    /// Writes the selected nodes with all that feeds them to a new file beside the graph: beside, so that their paths stay right.
    pub(super) fn extract(&mut self, name: &str) {
        let chosen = self.selected();
        if chosen.is_empty() {
            return self.say("select nodes first, with v");
        }
        if Path::new(name).components().count() != 1 || name.ends_with('/') {
            return self.bad("a name without a folder: the file goes beside this graph, so that its paths stay right");
        }
        let needed = self.above(&chosen, |_| true);
        let ids: Vec<String> = (self.document.nodes().keys())
            .filter(|id| needed.contains(*id))
            .cloned()
            .collect();
        let text = edit::copy(&self.document, &ids);
        let path = self.path_of(name);
        let count = (chosen.len(), ids.len() - chosen.len());
        self.outbox.push(Effect::Extract { path, text, count });
    }
}
