//! A picture that stays in use while the next one is made: the same places, with the indices of another model.

use crate::model::{Model, PortRef, Wire};
use crate::scene::{Item, LooseKind, PortAt, Scene, Side};
use std::collections::HashMap;
use std::sync::Arc;

/// Where what the old model lists is in the new one.
struct Moved<'a> {
    old: &'a Model,
    new: &'a Model,
    nodes: Vec<Option<usize>>,
    groups: Vec<Option<usize>>,
    notes: Vec<Option<usize>>,
}

/// How far ahead something is looked for before all are sorted.
const AHEAD: usize = 16;

/// For each name of `old` its index in `new`, where most stand in the same order.
fn found<'a>(old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> Vec<Option<usize>> {
    let new: Vec<&str> = new.collect();
    let mut sorted: Option<HashMap<&str, usize>> = None;
    let mut next = 0;
    let at = |id: &str| {
        let near = new.iter().enumerate().skip(next).take(AHEAD);
        let near = near.into_iter().find(|(_, known)| **known == id).map(|(at, _)| at);
        let at = near.or_else(|| {
            let sorted = sorted.get_or_insert_with(|| new.iter().copied().zip(0..).collect());
            sorted.get(id).copied()
        });
        next = at.map_or(next, |at| at + 1);
        at
    };
    old.map(at).collect()
}

impl<'a> Moved<'a> {
    fn between(old: &'a Model, new: &'a Model) -> Self {
        let ids = |model: &'a Model| model.nodes.iter().map(|node| &*node.id);
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
        // Nodes of one type share their lists.
        let port = if Arc::ptr_eq(old, new) || new.get(port.port) == Some(name) {
            port.port
        } else {
            new.iter().position(|known| known == name)?
        };
        Some(PortRef { node, port })
    }

    /// Of each wire its index in the new model; of equal ones the first to the first.
    fn wires(&self) -> Vec<Option<usize>> {
        let mut there = Wires::of(&self.new.wires);
        let wires = self.old.wires.iter().map(|wire| {
            there.take(Wire {
                from: self.port(Side::Output, wire.from)?,
                to: self.port(Side::Input, wire.to)?,
            })
        });
        wires.collect()
    }
}

/// Wires to be found again, most of them in the order in which they stand.
struct Wires<'a> {
    all: &'a [Wire],
    taken: Vec<bool>,
    /// The one after the last that was found.
    next: usize,
    /// The numbers of equal ones, the first at the end.
    sorted: Option<HashMap<Wire, Vec<usize>>>,
}

impl<'a> Wires<'a> {
    fn of(all: &'a [Wire]) -> Self {
        Self {
            all,
            taken: vec![false; all.len()],
            next: 0,
            sorted: None,
        }
    }

    fn take(&mut self, wire: Wire) -> Option<usize> {
        let near = self.all.iter().enumerate().skip(self.next).take(AHEAD);
        let near = near.filter(|(at, _)| !self.taken[*at]);
        let at = match near.into_iter().find(|(_, known)| **known == wire) {
            Some((at, _)) => at,
            None => self.search(wire)?,
        };
        self.taken[at] = true;
        self.next = at + 1;
        Some(at)
    }

    fn search(&mut self, wire: Wire) -> Option<usize> {
        let sorted = self.sorted.get_or_insert_with(|| {
            let mut sorted: HashMap<Wire, Vec<usize>> = HashMap::with_capacity(self.all.len());
            for (at, wire) in self.all.iter().enumerate().rev() {
                sorted.entry(*wire).or_default().push(at);
            }
            sorted
        });
        let equal = sorted.get_mut(&wire)?;
        while let Some(at) = equal.pop() {
            if !self.taken[at] {
                return Some(at);
            }
        }
        None
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
            net.wires.retain_mut(|wire| {
                let there = wires[*wire];
                *wire = there.unwrap_or(*wire);
                there.is_some()
            });
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
