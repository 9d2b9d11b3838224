//! Names and numbers of nodes, ports and wires in a picture. Texts are shared: a graph of thousands is described anew with
//! every change, and most of it is as before.

use crate::shape::{Joined, Port, Ports, Side, Wire};
use canvas::{Model, Names, PortRef};
use graph::TypeRef;
use std::collections::HashMap;
use std::sync::Arc;

/// The names of nodes, and their numbers by name; those of an earlier drawing are used again, since most nodes are the same.
pub(super) fn numbered<'a>(
    ids: impl Iterator<Item = &'a str>,
    before: &Model,
    mut index: HashMap<Arc<str>, usize>,
) -> (Vec<Arc<str>>, HashMap<Arc<str>, usize>) {
    /// How many that are gone may stand between two that stayed.
    const AHEAD: usize = 16;
    let old = &before.nodes;
    let mut next = 0;
    let mut now: Vec<Option<usize>> = vec![None; old.len()];
    let mut fresh = Vec::new();
    let mut names = Vec::new();
    for (number, id) in ids.enumerate() {
        let ahead = old[next..].iter().take(AHEAD);
        match ahead.into_iter().position(|node| *node.id == *id) {
            Some(more) => {
                now[next + more] = Some(number);
                names.push(Arc::clone(&old[next + more].id));
                next += more + 1;
            }
            None => {
                let name: Arc<str> = id.into();
                fresh.push((Arc::clone(&name), number));
                names.push(name);
            }
        }
    }
    index.retain(|_, number| {
        let there = now.get(*number).copied().flatten();
        *number = there.unwrap_or(*number);
        there.is_some()
    });
    index.extend(fresh);
    (names, index)
}

/// Wires with shared names, and their ends by number: first those whose ends exist, in the order of the graph.
pub(super) fn joined(found: &[Joined<'_>], names: &[Arc<str>], ports: &[Arc<Ports>]) -> (Vec<Wire>, Vec<canvas::Wire>) {
    let mut wires = Vec::with_capacity(found.len());
    let mut ends = Vec::with_capacity(found.len());
    let mut loose = Vec::new();
    let end = |node: usize, side, port: &str| {
        let (at, port) = ports[node].find(side, port)?;
        Some((&names[node], &port.name, PortRef { node, port: at }))
    };
    for Joined { wire, from, to } in found {
        let from = from.and_then(|from| end(from, Side::Output, wire.output));
        let to = to.and_then(|to| end(to, Side::Input, wire.input));
        match (from, to) {
            (Some((from, output, first)), Some((to, input, last))) => {
                ends.push(canvas::Wire { from: first, to: last });
                wires.push(Wire {
                    from: Arc::clone(from),
                    output: Arc::clone(output),
                    to: Arc::clone(to),
                    input: Arc::clone(input),
                    nth: wire.nth,
                });
            }
            _ => loose.push(wire.owned()),
        }
    }
    wires.extend(loose);
    (wires, ends)
}

/// Texts that many nodes have in common.
#[derive(Default)]
pub(super) struct Words<'a> {
    kinds: HashMap<(&'a str, Option<u32>), Arc<str>>,
    names: HashMap<*const Ports, (Names, Names)>,
    /// Those of the node before, since many of one type follow each other.
    last: Option<(&'a TypeRef, *const Ports, Shared)>,
}

/// A type as the file writes it, and the names of its inputs and outputs.
pub(super) type Shared = (Arc<str>, Names, Names);

impl<'a> Words<'a> {
    /// The texts of a node. Its ports live longer than this.
    pub(super) fn of(&mut self, ty: &'a TypeRef, ports: &'a Arc<Ports>) -> Shared {
        let this = Arc::as_ptr(ports);
        if let Some((last, same, words)) = &self.last
            && *last == ty
            && *same == this
        {
            return words.clone();
        }
        let kind = self.kinds.entry((&ty.name, ty.version));
        let kind = Arc::clone(kind.or_insert_with(|| ty.to_string().into()));
        let (inputs, outputs) = self.names.entry(this).or_insert_with(|| {
            let names = |ports: &[Port]| ports.iter().map(|port| Arc::clone(&port.name)).collect();
            (names(&ports.inputs), names(&ports.outputs))
        });
        let words = (kind, Arc::clone(inputs), Arc::clone(outputs));
        self.last = Some((ty, this, words.clone()));
        words
    }
}

/// Ports in `index` that are joined to something that is not.
pub(super) fn crossing(wires: &[Wire], index: &HashMap<Arc<str>, usize>, ports: &[Arc<Ports>]) -> Vec<(Side, PortRef)> {
    let end = |side, node: &str, other: &str, port: &str| {
        let node = *index.get(node).filter(|_| !index.contains_key(other))?;
        let port = ports[node].find(side, port)?.0;
        Some((side, PortRef { node, port }))
    };
    let mut found: Vec<_> = wires
        .iter()
        .flat_map(|wire| {
            [
                end(Side::Input, &wire.to, &wire.from, &wire.input),
                end(Side::Output, &wire.from, &wire.to, &wire.output),
            ]
        })
        .flatten()
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
