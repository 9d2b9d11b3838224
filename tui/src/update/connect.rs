//! Connecting two ports: this end, then a label at the other.

use crate::edit::{self, convert};
use crate::layer::{Connect, Layer, Picker, Purpose, Row};
use crate::shape::{Port, Side};
use crate::state::State;

impl State {
    /// From the chosen port; a node with one free way to go needs no choice of port.
    pub(super) fn connect(&mut self) {
        let Some(id) = self.node().map(str::to_owned) else {
            return self.say("choose a node first");
        };
        let Some(ports) = self
            .drawing
            .index(&id)
            .and_then(|at| self.drawing.ports.get(at))
            .cloned()
        else {
            return;
        };
        if let Some(port) = self
            .port
            .and_then(|(side, at)| Some((side, ports.side(side).get(at)?.clone())))
        {
            return self.connect_from(&id, port.0, &port.1);
        }
        let fed = |port: &Port| self.drawing.wires.iter().any(|wire| wire.enters(&id, &port.name));
        let open: Vec<(Side, Port)> = ports
            .inputs
            .iter()
            .filter(|port| port.required && !fed(port))
            .map(|port| (Side::Input, port.clone()))
            .collect();
        let all: Vec<(Side, Port)> = if open.is_empty() {
            let outputs = ports.outputs.iter().map(|port| (Side::Output, port.clone()));
            let inputs = ports.inputs.iter().map(|port| (Side::Input, port.clone()));
            outputs.chain(inputs).collect()
        } else {
            let outputs = ports.outputs.iter().map(|port| (Side::Output, port.clone()));
            open.into_iter().chain(outputs).collect()
        };
        match all.as_slice() {
            [] => self.say("this node has no ports"),
            [(side, port)] => {
                let (side, port) = (*side, port.clone());
                self.connect_from(&id, side, &port);
            }
            _ => {
                let rows = all.iter().enumerate().map(|(at, (side, port))| Row {
                    value: at.to_string(),
                    label: port.name.to_string(),
                    note: format!("{} {}", if *side == Side::Input { "in" } else { "out" }, port.ty),
                    ..Row::default()
                });
                let rows = rows.collect();
                let title = format!("connect which port of {id}?");
                let purpose = Purpose::From { node: id, ports: all };
                self.push_list(Picker::new(purpose, title, rows));
            }
        }
    }

    /// Lights up what a port could be joined to.
    pub(super) fn connect_from(&mut self, id: &str, side: Side, port: &Port) {
        match edit::candidates(&self.document, &self.catalog, id, side, port) {
            Err(why) => {
                self.bad(why);
                self.open_ways(id, side, port, None);
            }
            Ok(found) => {
                let labels = canvas::labels(found.len());
                let connect = Connect {
                    node: id.to_owned(),
                    side,
                    port: port.clone(),
                    ends: labels.into_iter().zip(found).collect(),
                    typed: String::new(),
                    cursor: 0,
                };
                self.layers.push(Layer::Connect(Box::new(connect)));
                self.reveal_end();
            }
        }
    }

    /// Shows the chosen end.
    pub(super) fn reveal_end(&mut self) {
        let Some(Layer::Connect(connect)) = self.layers.last() else {
            return;
        };
        let node = connect.chosen().and_then(|end| self.drawing.index(&end.node));
        if let Some(rect) = node
            .and_then(|node| self.drawing.scene.tile_of_node(node))
            .map(|tile| tile.rect)
        {
            self.view.reveal(rect, 2);
            self.view.clamp(self.drawing.scene.bounds);
        }
    }

    /// A letter of a label.
    pub(super) fn type_label(&mut self, letter: char) {
        let Some(Layer::Connect(connect)) = self.layers.last_mut() else {
            return;
        };
        let typed = format!("{}{}", connect.typed, letter.to_ascii_lowercase());
        let fits = connect.ends.iter().position(|(label, _)| label.starts_with(&typed));
        let Some(at) = fits else {
            return self.say(format!("no label begins with {typed}"));
        };
        connect.cursor = at;
        let whole = connect.ends[at].0 == typed;
        connect.typed = typed;
        if whole {
            self.accept_end();
        }
    }

    pub(super) fn untype_label(&mut self) {
        if let Some(Layer::Connect(connect)) = self.layers.last_mut() {
            connect.typed.pop();
        }
    }

    /// Joins the two ends.
    pub(super) fn accept_end(&mut self) {
        let Some(Layer::Connect(connect)) = self.layers.pop() else {
            return;
        };
        if let Some(end) = connect.chosen() {
            self.join((&connect.node, connect.side, &connect.port), (&end.node, &end.port));
        }
        self.reveal();
    }

    /// Joins two ports, whichever is which.
    pub(super) fn join(&mut self, one: (&str, Side, &Port), other: (&str, &Port)) {
        let (from, to) = match one.1 {
            Side::Output => ((one.0, one.2), (other.0, other.1)),
            Side::Input => ((other.0, other.1), (one.0, one.2)),
        };
        let what = format!("connect {}.{} to {}.{}", from.0, from.1.name, to.0, to.1.name);
        self.edit(what, Some(to.0), None, |document| {
            edit::connect(document, (from.0, &from.1.name), (to.0, &to.1.name), to.1.variadic)
        });
    }

    /// Ends of other types, each with the node that converts; `at` keeps those of one node.
    pub(super) fn open_ways(&mut self, id: &str, side: Side, port: &Port, at: Option<&str>) -> bool {
        let mut ways = convert::converters(&self.document, &self.catalog, id, side, port);
        ways.retain(|way| at.is_none_or(|node| way.end.node == node));
        if ways.is_empty() {
            return false;
        }
        let rows = ways.iter().enumerate().map(|(at, way)| {
            let (from, to) = match side {
                Side::Output => (&port.ty, &way.end.port.ty),
                Side::Input => (&way.end.port.ty, &port.ty),
            };
            let taken = way.end.taken.as_ref();
            let instead = taken.map(|by| format!(", instead of {by}")).unwrap_or_default();
            Row {
                value: at.to_string(),
                label: format!("{}.{}", way.end.node, way.end.port.name),
                note: format!("through {}: {from} to {to}{instead}", way.ty),
                ..Row::default()
            }
        });
        let rows = rows.collect();
        let title = format!("connect {id}.{} through a node that converts", port.name);
        let purpose = Purpose::Through {
            node: id.to_owned(),
            side,
            port: port.clone(),
            ways,
        };
        self.push_list(Picker::new(purpose, title, rows));
        true
    }

    /// In the middle of connecting: the ends of other types.
    pub(super) fn list_ways(&mut self) {
        let Some(Layer::Connect(connect)) = self.layers.last() else {
            return;
        };
        let (id, side, port) = (connect.node.clone(), connect.side, connect.port.clone());
        if !self.open_ways(&id, side, &port, None) {
            self.say(format!("no node type turns {} into what another port takes", port.ty));
        }
    }

    /// A way was chosen: the node between is added and wired.
    pub(super) fn go_through(&mut self, one: (&str, Side, &Port), way: &convert::Converter) {
        if matches!(self.layers.last(), Some(Layer::Connect(_))) {
            self.layers.pop();
        }
        self.toast = None;
        let catalog = self.catalog.clone();
        let mut added = None;
        let what = format!("connect {}.{} through {}", one.0, one.2.name, way.ty);
        self.edit(what, None, None, |document| {
            added = Some(convert::convert(document, &catalog, one, way)?);
            Ok(())
        });
        if let Some(id) = added {
            self.choose_node(&id);
            self.say(format!("{id} ({}) stands between", way.ty));
        }
    }

    /// The possible ends as a list with a filter.
    pub(super) fn list_ends(&mut self) {
        let Some(Layer::Connect(connect)) = self.layers.last() else {
            return;
        };
        let rows = connect.ends.iter().enumerate().map(|(at, (label, end))| Row {
            value: at.to_string(),
            label: format!("{}.{}", end.node, end.port.name),
            note: end
                .taken
                .as_ref()
                .map(|by| format!("instead of {by}"))
                .unwrap_or_default(),
            right: label.clone(),
            ..Row::default()
        });
        let rows = rows.collect();
        self.push_list(Picker::new(Purpose::End, "connect to", rows));
    }

    /// An end was chosen from the list.
    pub(super) fn choose_end(&mut self, at: usize) {
        if let Some(Layer::Connect(connect)) = self.layers.last_mut() {
            connect.cursor = at;
            self.accept_end();
        }
    }
}
