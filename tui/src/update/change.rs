//! Changes of the graph.

use crate::action::Verb;
use crate::edit::{self, layout};
use crate::effect::Effect;
use crate::layer::Layer;
use crate::regions::Pane;
use crate::shape::Side;
use crate::state::{Spot, State};
use canvas::Direction;
use serde_json::Value;

impl State {
    /// Adds a node of a type, fed by `after`, feeding `before`; then asks for what it needs.
    pub(super) fn add(&mut self, ty: &str, after: &[String], before: &[String]) {
        let catalog = self.catalog.clone();
        let mut added = None;
        self.edit(format!("add {ty}"), None, None, |document| {
            let id = edit::add(document, ty)?;
            if !after.is_empty() {
                edit::feed(document, &catalog, &id, after)?;
            }
            if !before.is_empty() {
                edit::feed_from(document, &catalog, &id, before)?;
                edit::feed(document, &catalog, &id, &[])?;
            }
            added = Some(id);
            Ok(())
        });
        let Some(id) = added else {
            return;
        };
        self.marked.clear();
        self.enter_pane(Pane::Canvas);
        self.choose_node(&id);
        self.asking = Some(id);
        self.ask_next();
    }

    /// Opens the field of the next parameter that a new node needs.
    pub(super) fn ask_next(&mut self) {
        let Some(id) = self.asking.clone() else {
            return;
        };
        let wanted = edit::wanted(&self.document, &self.catalog, &id);
        let Some(name) = wanted.first() else {
            self.asking = None;
            return;
        };
        if let Some(at) = self.params().iter().position(|param| param.name == *name) {
            self.field = at;
            self.edit_field();
        }
    }

    pub(super) fn add_beside(&mut self, ty: &str, after: bool) {
        let selected = self.selected();
        if selected.is_empty() {
            return self.open_add(ty, Vec::new(), Vec::new());
        }
        if after {
            self.open_add(ty, selected, Vec::new());
        } else {
            self.open_add(ty, Vec::new(), selected);
        }
    }

    /// Cuts the wire of the chosen port, or asks which one.
    pub(super) fn cut_wire(&mut self) {
        let Some(id) = self.node().map(str::to_owned) else {
            return self.say("choose a node first");
        };
        let port = self.port.and_then(|(side, at)| {
            let ports = self.drawing.ports.get(self.drawing.index(&id)?)?;
            Some((side, ports.side(side).get(at)?.name.clone()))
        });
        let wires: Vec<_> = self
            .drawing
            .wires
            .iter()
            .filter(|wire| match &port {
                Some((Side::Input, name)) => wire.enters(&id, name),
                Some((Side::Output, name)) => wire.leaves(&id, name),
                None => wire.touches(&id),
            })
            .cloned()
            .collect();
        match wires.as_slice() {
            [] => self.say("no wire here"),
            [wire] => {
                let wire = wire.clone();
                self.cut(&wire);
            }
            _ => self.open_cut(wires),
        }
    }

    pub(super) fn cut(&mut self, wire: &crate::shape::Wire) {
        let what = format!("cut {}.{} from {}.{}", wire.to, wire.input, wire.from, wire.output);
        self.edit(what, Some(&wire.to), None, |document| edit::cut(document, wire));
    }

    pub(super) fn cut_wires(&mut self) {
        let ids = self.selected();
        let touches = |wire: &&crate::shape::Wire| ids.iter().any(|id| wire.touches(id));
        let wires: Vec<_> = self.drawing.wires.iter().filter(touches).cloned().collect();
        if wires.is_empty() {
            return self.say("no wires here");
        }
        let mut wires = wires;
        // From the back of each list, so that places stay what they were.
        wires.sort_by_key(|wire| std::cmp::Reverse(wire.nth));
        self.edit("cut all wires", None, None, |document| {
            wires.iter().try_for_each(|wire| edit::cut(document, wire))
        });
    }

    pub(super) fn rename(&mut self, new: &str) {
        match self.cursor.clone() {
            Some(Spot::Node(id)) => {
                let done = self.edit(format!("rename {id} to {new}"), Some(new), None, |document| {
                    edit::rename(document, &id, new)
                });
                if done {
                    self.choose_node(new);
                }
            }
            Some(Spot::Group(name)) => {
                let new = new.to_owned();
                let key = new.clone();
                self.edit(format!("rename group {name}"), None, None, |document| {
                    layout::change(document, |layout| {
                        if let Some(group) = layout.groups.remove(&name) {
                            layout.groups.insert(key, group);
                        }
                    })
                });
                self.choose(Spot::Group(new));
            }
            _ => self.say("choose a node first"),
        }
    }

    pub(super) fn copy(&mut self) {
        let ids = self.selected();
        if ids.is_empty() {
            return self.say("nothing is selected");
        }
        self.clipboard = edit::copy(&self.document, &ids);
        self.outbox.push(Effect::Copy(self.clipboard.clone()));
        self.say(format!("copied {}", count(&ids)));
    }

    pub(super) fn delete(&mut self) {
        if let Some(Spot::Note(name)) = self.cursor.clone() {
            self.edit("remove a note", None, None, |document| {
                layout::change(document, |layout| drop(layout.notes.remove(&name)))
            });
            return;
        }
        let ids = self.selected();
        if ids.is_empty() {
            return self.say("nothing is selected");
        }
        self.clipboard = edit::copy(&self.document, &ids);
        self.outbox.push(Effect::Copy(self.clipboard.clone()));
        // What comes after it is what one looks at next.
        let next = self.drawing_neighbour(&ids);
        self.edit(format!("delete {}", ids.join(", ")), None, None, |document| {
            edit::remove(document, &ids)
        });
        self.marked.clear();
        if let Some(next) = next {
            self.choose_node(&next);
        }
        self.say(format!("deleted {}; p puts it back", count(&ids)));
    }

    fn drawing_neighbour(&self, ids: &[String]) -> Option<String> {
        let item = self.cursor_item()?;
        let scene = &self.drawing.scene;
        let near = [Direction::Up, Direction::Down, Direction::Left, Direction::Right];
        near.into_iter()
            .find_map(|way| match self.spot(scene.walk(item, way)?)? {
                Spot::Node(id) if !ids.contains(&id) => Some(id),
                _ => None,
            })
    }

    pub(super) fn paste(&mut self) {
        let text = self.clipboard.clone();
        let mut added = Vec::new();
        self.edit("paste", None, None, |document| {
            added = edit::paste(document, &text)?;
            Ok(())
        });
        if let Some(first) = added.first() {
            self.enter_pane(Pane::Canvas);
            self.choose_node(&first.clone());
            self.say(format!("pasted {}", count(&added)));
        }
    }

    pub(super) fn duplicate(&mut self) {
        let ids = self.selected();
        if ids.is_empty() {
            return self.say("nothing is selected");
        }
        let text = edit::copy(&self.document, &ids);
        let mut added = Vec::new();
        self.edit(format!("duplicate {}", ids.join(", ")), None, None, |document| {
            added = edit::paste(document, &text)?;
            Ok(())
        });
        if let Some(first) = added.first() {
            self.choose_node(&first.clone());
        }
        self.marked = if added.len() > 1 {
            added.into_iter().collect()
        } else {
            Default::default()
        };
    }

    /// Bypasses the selected nodes; those that all are, no more.
    pub(super) fn bypass(&mut self) {
        let ids = self.selected();
        if ids.is_empty() {
            return self.say("nothing is selected");
        }
        let all = ids
            .iter()
            .all(|id| self.document.node(id).is_some_and(|node| node.bypass));
        let what = if all { "no bypass of" } else { "bypass" };
        let node = ids.first().cloned();
        self.edit(
            format!("{what} {}", ids.join(", ")),
            node.as_deref(),
            None,
            |document| ids.iter().try_for_each(|id| document.set_bypass(id, !all)),
        );
    }

    pub(super) fn pin(&mut self, to: Direction) {
        let (Some(item), Some(spot)) = (self.cursor_item(), self.cursor.clone()) else {
            return;
        };
        let Some(pin) = self.drawing.scene.moved(item, to) else {
            return self.say("no place there");
        };
        self.pin_at(&spot, pin);
        self.reveal();
    }

    pub(super) fn pin_at(&mut self, spot: &Spot, pin: canvas::Pin) {
        let key = match spot {
            Spot::Node(id) => id.clone(),
            Spot::Group(name) => format!("group:{name}"),
            Spot::Note(name) => format!("note:{name}"),
        };
        let pin = layout::Pin {
            column: pin.column,
            slot: pin.slot,
        };
        let merge = format!("pin {key}");
        self.edit(format!("pin {key}"), None, Some(&merge), |document| {
            layout::change(document, |layout| {
                layout.pins.insert(key, pin);
            })
        });
    }

    pub(super) fn unpin(&mut self) {
        let ids = self.selected();
        let pinned = |id: &&String| self.drawing.layout.pins.contains_key(*id);
        let some: Vec<String> = ids.iter().filter(pinned).cloned().collect();
        let all = some.is_empty();
        if self.drawing.layout.pins.is_empty() {
            return self.say("nothing is pinned");
        }
        self.edit("drop pins", None, None, |document| {
            layout::change(document, |layout| {
                layout.pins.retain(|id, _| !all && !some.contains(id));
            })
        });
        self.reveal();
    }

    pub(super) fn set(&mut self, argument: &str) {
        let Some((target, value)) = argument.split_once('=') else {
            return self.bad("write NODE.PARAMETER=VALUE");
        };
        let catalog = self.catalog.clone();
        let node = target.split('.').next().map(str::to_owned);
        self.edit(format!("set {target}"), node.as_deref(), None, |document| {
            document.set(target.trim(), value, &catalog)
        });
    }

    pub(super) fn set_title(&mut self, title: &str) {
        self.edit("set the title", None, None, |document| document.set_top("title", title));
    }

    /// In the inspector a value goes back to its default; on the canvas, nodes are deleted.
    pub(super) fn default_or_delete(&mut self) {
        if self.pane == Pane::Canvas {
            return self.act(Verb::Delete.into());
        }
        let (Some(id), Some(param)) = (self.node().map(str::to_owned), self.params().get(self.field).cloned()) else {
            return;
        };
        self.edit(format!("default {} of {id}", param.name), Some(&id), None, |document| {
            edit::set(document, &id, &param.name, None)
        });
    }

    /// Sets a parameter; changes of the same one that follow each other are one step where `merge` says so.
    pub(super) fn set_param(&mut self, id: &str, name: &str, value: Option<Value>, merge: bool) {
        let word = format!("set {name} of {id}");
        self.edit(word.clone(), Some(id), merge.then_some(word.as_str()), |document| {
            edit::set(document, id, name, value)
        });
    }

    /// Applies the fix of a problem: the chosen one in the Problems tab, else the first of the chosen node.
    pub(super) fn fix(&mut self) {
        self.judge_now();
        let in_tab = self.pane == Pane::Dock && self.tab == crate::regions::Tab::Problems;
        let node = self.node();
        let problem = if in_tab {
            self.chosen_problem()
        } else {
            self.problems
                .iter()
                .find(|p| p.node.as_deref() == node && p.fix().is_some())
        };
        let Some(problem) = problem.cloned() else {
            return self.say("no problem here that could be fixed so");
        };
        let Some(fix) = problem.fix() else {
            let help = problem.help.unwrap_or_else(|| "change it by hand".to_owned());
            return self.say(format!("no fix known: {help}"));
        };
        let mut text = self.document.to_text();
        if text.get(fix.span.clone()).is_some() {
            text.replace_range(fix.span.clone(), &fix.text);
        }
        self.edit(
            format!("fix {}", problem.code),
            problem.node.as_deref(),
            None,
            |document| {
                *document = graph::parse(&text).0;
                Ok(())
            },
        );
    }

    pub(super) fn note(&mut self) {
        let (name, text, beside) = match self.cursor.clone() {
            Some(Spot::Note(name)) => {
                let note = self.drawing.layout.notes.get(&name).cloned().unwrap_or_default();
                (name, note.text, note.beside)
            }
            other => {
                let free = |n: &usize| !self.drawing.layout.notes.contains_key(&n.to_string());
                let name = (1..).find(free).unwrap_or(1).to_string();
                let beside = match other {
                    Some(Spot::Node(id)) => Some(id),
                    _ => None,
                };
                (name, String::new(), beside)
            }
        };
        let title = match &beside {
            Some(id) => format!("note at {id}"),
            None => "note".to_owned(),
        };
        let about = crate::layer::About::Note { name, beside };
        self.layers.push(Layer::Text(Box::new(super::fields::text_box(
            about,
            title,
            &text,
            "Enter keeps it, Alt-Enter begins a line",
        ))));
    }
}

fn count(ids: &[String]) -> String {
    match ids {
        [one] => one.clone(),
        many => format!("{} nodes", many.len()),
    }
}
