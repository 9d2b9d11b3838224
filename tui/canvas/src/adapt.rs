//! A picture that stays in use while the next one is made: the same places, with the indices of another model.

use crate::model::{Model, PortRef, Wire};
use crate::scene::{Item, LooseKind, PortAt, Scene, Side};
use std::collections::HashMap;

/// Where what the old model lists is in the new one.
struct Moved<'a> {
    old: &'a Model,
    new: &'a Model,
    nodes: Vec<Option<usize>>,
    groups: Vec<Option<usize>>,
    notes: Vec<Option<usize>>,
}

/// For each name of `old` its index in `new`.
fn found<'a>(old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> Vec<Option<usize>> {
    let new: HashMap<&str, usize> = new.zip(0..).collect();
    old.map(|id| new.get(id).copied()).collect()
}

impl<'a> Moved<'a> {
    fn between(old: &'a Model, new: &'a Model) -> Self {
        let ids = |model: &'a Model| model.nodes.iter().map(|node| node.id.as_str());
        let groups = |model: &'a Model| model.groups.iter().map(|group| group.id.as_str());
        let notes = |model: &'a Model| model.notes.iter().map(|note| note.id.as_str());
        Self {
            old,
            new,
            nodes: found(ids(old), ids(new)),
            groups: found(groups(old), groups(new)),
            notes: found(notes(old), notes(new)),
        }
    }

    fn item(&self, item: Item) -> Option<Item> {
        let of = |list: &[Option<usize>], at: usize| list.get(at).copied().flatten();
        Some(match item {
            Item::Node(at) => Item::Node(of(&self.nodes, at)?),
            Item::Group(at) => Item::Group(of(&self.groups, at)?),
            Item::Note(at) => Item::Note(of(&self.notes, at)?),
        })
    }

    fn port(&self, side: Side, port: PortRef) -> Option<PortRef> {
        let node = (*self.nodes.get(port.node)?)?;
        let (old, new) = (&self.old.nodes[port.node], &self.new.nodes[node]);
        let (old, new) = match side {
            Side::Input => (&old.inputs, &new.inputs),
            Side::Output => (&old.outputs, &new.outputs),
        };
        let name = old.get(port.port)?;
        let port = if new.get(port.port) == Some(name) {
            port.port
        } else {
            new.iter().position(|known| known == name)?
        };
        Some(PortRef { node, port })
    }

    /// Of each wire its index in the new model; of equal ones the first to the first.
    fn wires(&self) -> Vec<Option<usize>> {
        let mut there: HashMap<Wire, Vec<usize>> = HashMap::with_capacity(self.new.wires.len());
        for (at, wire) in self.new.wires.iter().enumerate().rev() {
            there.entry(*wire).or_default().push(at);
        }
        let wires = self.old.wires.iter().map(|wire| {
            let wire = Wire {
                from: self.port(Side::Output, wire.from)?,
                to: self.port(Side::Input, wire.to)?,
            };
            there.get_mut(&wire)?.pop()
        });
        wires.collect()
    }
}

impl Scene {
    /// The picture of `old` as one of `new`: everything stays where it is, what is gone is taken out, and what is new
    /// has no tile and no line yet. A [`layout`](crate::layout()) that is given it as the earlier picture makes the
    /// same of it as of this one.
    #[must_use]
    pub fn adapted(mut self, old: &Model, new: &Model) -> Self {
        let moved = Moved::between(old, new);
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.tiles.len());
        let mut kept = 0;
        self.tiles.retain_mut(|tile| {
            let item = moved.item(tile.item);
            places.push(item.map(|_| kept));
            let Some(item) = item else { return false };
            tile.item = item;
            tile.ports.retain_mut(|port: &mut PortAt| {
                let there = moved.port(port.side, port.port);
                port.port = there.unwrap_or(port.port);
                there.is_some()
            });
            kept += 1;
            true
        });
        for column in &mut self.columns {
            column.tiles = column.tiles.iter().filter_map(|tile| places[*tile]).collect();
            for (slot, tile) in column.tiles.iter().enumerate() {
                self.tiles[*tile].slot = slot;
            }
        }
        let wires = moved.wires();
        self.move_wires(&places, &wires, new.wires.len());
        let mut of_node = vec![None; new.nodes.len()];
        for (node, tile) in moved.nodes.iter().zip(&self.of_node) {
            if let (Some(node), Some(tile)) = (node, tile) {
                of_node[*node] = places[*tile];
            }
        }
        self.of_node = of_node;
        let mut of_group = vec![None; new.groups.len()];
        for (group, tile) in moved.groups.iter().zip(&self.of_group) {
            if let (Some(group), Some(tile)) = (group, tile) {
                of_group[*group] = places[*tile];
            }
        }
        self.of_group = of_group;
        self.frames.retain_mut(|frame| {
            let group = moved.groups.get(frame.group).copied().flatten();
            frame.group = group.unwrap_or(frame.group);
            group.is_some()
        });
        self
    }

    /// Nets keep their lines, whatever became of some of their wires, but go with their tile.
    fn move_wires(&mut self, places: &[Option<usize>], wires: &[Option<usize>], count: usize) {
        let mut nets: Vec<Option<usize>> = Vec::with_capacity(self.nets.len());
        let mut kept = 0;
        self.nets.retain_mut(|net| {
            let tile = places[net.tile];
            nets.push(tile.map(|_| kept));
            let Some(tile) = tile else { return false };
            net.tile = tile;
            net.wires = net.wires.iter().filter_map(|wire| wires[*wire]).collect();
            kept += 1;
            true
        });
        let mut ends = vec![None; count];
        for (wire, end) in wires.iter().zip(&self.ends) {
            if let (Some(wire), Some(mut end)) = (wire, *end)
                && let (Some(net), Some(tile)) = (nets[end.net], places[end.tile])
            {
                (end.net, end.tile) = (net, tile);
                ends[*wire] = Some(end);
            }
        }
        self.ends = ends;
        self.loose.retain_mut(|loose| {
            let wire = wires.get(loose.wire).copied().flatten();
            loose.wire = wire.unwrap_or(loose.wire);
            wire.is_some() && loose.kind != LooseKind::Nowhere
        });
        let lanes = std::mem::take(&mut self.lanes);
        let lanes = lanes.into_iter();
        self.lanes = lanes
            .filter_map(|((tile, row, column), y)| Some(((places[tile]?, row, column), y)))
            .collect();
    }
}
