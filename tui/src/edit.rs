//! Edits of a graph, as an author thinks of them: each is a few edits of the document.

use crate::shape::{Port, Side, Wire, ports, wires};
use graph::catalog::{NodeType, ParamType};
use graph::document::is_id;
use graph::{Catalog, Document, EditError, Link, Links, Node};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// An id that no node has: the last part of the type's name, with a number if need be.
pub fn fresh_id(document: &Document, wish: &str) -> String {
    free_id(wish, |id| document.node(id).is_none())
}

fn free_id(wish: &str, free: impl Fn(&str) -> bool) -> String {
    let tail = wish.rsplit('/').next().unwrap_or(wish);
    let mut base: String = tail
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(56)
        .collect();
    if base.is_empty() {
        base.push_str("node");
    }
    if free(&base) {
        return base;
    }
    let stem = base
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('_');
    let stem = if stem.is_empty() { &base } else { stem };
    (2..)
        .map(|n: usize| format!("{stem}_{n}"))
        .find(|id| free(id))
        .unwrap_or(base)
}

/// Adds a node of a type; gives its id.
///
/// # Errors
/// The text of the graph is broken.
pub fn add(document: &mut Document, ty: &str) -> Result<String, EditError> {
    let id = fresh_id(document, ty);
    document.insert_node(&id, &Node::new(ty))?;
    Ok(id)
}

/// Links an output to an input: adds to a list, takes the place of what fed a single one.
///
/// # Errors
/// No such node.
pub fn connect(document: &mut Document, from: (&str, &str), to: (&str, &str), variadic: bool) -> Result<(), EditError> {
    let link = Link::to(from.0, from.1);
    let given = document.node(to.0).and_then(|node| node.inputs.get(to.1)).cloned();
    let links = match given {
        Some(given) if variadic => {
            let mut list: Vec<Link> = given.iter().cloned().collect();
            if list.contains(&link) {
                return Ok(());
            }
            list.push(link);
            Links::List(list)
        }
        None if variadic => Links::List(vec![link]),
        _ => Links::One(link),
    };
    document.set_input(to.0, to.1, &links)
}

/// Takes a wire away.
///
/// # Errors
/// No such node or wire.
pub fn cut(document: &mut Document, wire: &Wire) -> Result<(), EditError> {
    let node = document.node(&wire.to).and_then(|node| node.inputs.get(&*wire.input));
    let Some(Links::List(list)) = node.cloned() else {
        return document.remove_input(&wire.to, &wire.input);
    };
    let left: Vec<Link> = list
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at != wire.nth)
        .map(|(_, link)| link)
        .collect();
    if left.is_empty() {
        return document.remove_input(&wire.to, &wire.input);
    }
    document.set_input(&wire.to, &wire.input, &Links::List(left))
}

/// Removes nodes with all wires to and from them.
///
/// # Errors
/// No such node.
pub fn remove(document: &mut Document, ids: &[String]) -> Result<(), EditError> {
    document.remove_nodes(ids)?;
    layout::forget(document, ids)
}

/// Renames a node, wherever the file speaks of it.
///
/// # Errors
/// No such node; a new name that is taken or that links could not name.
pub fn rename(document: &mut Document, id: &str, new: &str) -> Result<(), EditError> {
    document.rename_node(id, new)?;
    layout::renamed(document, id, new)
}

/// Feeds the empty inputs of a new node: from `sources` first, then from what stands above those, then from the only
/// output in the graph of that type. A list takes one output of each source.
///
/// # Errors
/// The text of the graph is broken.
pub fn feed(document: &mut Document, catalog: &Catalog, id: &str, sources: &[String]) -> Result<usize, EditError> {
    let mut fed = 0;
    let Some(ty) = document.node(id).and_then(|node| catalog.get(&node.ty.name)).cloned() else {
        return Ok(0);
    };
    let order = nearest_first(document, sources, id);
    for input in &ty.inputs {
        let given = document
            .node(id)
            .is_some_and(|node| node.inputs.contains_key(&input.name));
        if given {
            continue;
        }
        let offers = |node: &str| -> Option<String> {
            let ty = catalog.get(&document.node(node)?.ty.name)?;
            let output = ty.outputs.iter().find(|output| output.ty == input.ty)?;
            Some(output.name.clone())
        };
        let direct: Vec<(String, String)> = sources
            .iter()
            .filter_map(|node| Some((node.clone(), offers(node)?)))
            .collect();
        let found = if input.variadic {
            direct
        } else if let Some(first) = direct.first() {
            vec![first.clone()]
        } else if input.optional {
            Vec::new()
        } else {
            let above = order.iter().find_map(|node| Some((node.clone(), offers(node)?)));
            let mut everywhere = document
                .nodes()
                .keys()
                .filter(|node| *node != id)
                .filter_map(|node| Some((node.clone(), offers(node)?)));
            let only = everywhere.next().filter(|_| everywhere.next().is_none());
            above.or(only).into_iter().collect()
        };
        for (node, port) in found {
            connect(document, (&node, &port), (id, &input.name), input.variadic)?;
            fed += 1;
        }
    }
    Ok(fed)
}

/// The nodes above `sources`, nearest first.
fn nearest_first(document: &Document, sources: &[String], not: &str) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let mut seen: HashSet<String> = sources.iter().cloned().collect();
    seen.insert(not.to_owned());
    let mut at = 0;
    let mut open: Vec<String> = sources.to_vec();
    while at < open.len() {
        let id = open[at].clone();
        at += 1;
        for links in document.node(&id).into_iter().flat_map(|node| node.inputs.values()) {
            for link in links.iter() {
                if let Link::To { node, .. } = link
                    && seen.insert(node.clone())
                {
                    order.push(node.clone());
                    open.push(node.clone());
                }
            }
        }
    }
    order
}

/// Feeds an empty input of some node in `targets` from the outputs of `id`; gives how many wires that made.
///
/// # Errors
/// The text of the graph is broken.
pub fn feed_from(document: &mut Document, catalog: &Catalog, id: &str, targets: &[String]) -> Result<usize, EditError> {
    let mut made = 0;
    let Some(ty) = document.node(id).and_then(|node| catalog.get(&node.ty.name)).cloned() else {
        return Ok(0);
    };
    for target in targets {
        let Some(node) = document.node(target).cloned() else {
            continue;
        };
        let Some(kind) = catalog.get(&node.ty.name) else {
            continue;
        };
        for input in &kind.inputs {
            let free = input.variadic || !node.inputs.contains_key(&input.name);
            if let Some(output) = ty.outputs.iter().find(|output| free && output.ty == input.ty) {
                connect(document, (id, &output.name), (target, &input.name), input.variadic)?;
                made += 1;
            }
        }
    }
    Ok(made)
}

/// Whether a node of type `ty` could take something from `source`, or give it something.
pub fn suits(ty: &NodeType, source: &NodeType, after: bool) -> bool {
    let (inputs, outputs) = if after {
        (&ty.inputs, &source.outputs)
    } else {
        (&source.inputs, &ty.outputs)
    };
    inputs
        .iter()
        .any(|input| outputs.iter().any(|output| output.ty == input.ty))
}

/// A port of the graph that a wire could end at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its node.
    pub node: String,
    /// The port.
    pub port: Port,
    /// What feeds it already, if it is a single input that is taken.
    pub taken: Option<String>,
}

/// The ports that could be joined to a port, or the reason why there are none.
///
/// # Errors
/// Nothing fits; the sentence says why and what would.
pub fn candidates(
    document: &Document,
    catalog: &Catalog,
    id: &str,
    side: Side,
    port: &Port,
) -> Result<Vec<Candidate>, String> {
    let joined = wires(document);
    let all = ports(document.nodes().values(), catalog, &joined);
    let wires: Vec<Wire<&str>> = joined.into_iter().map(|joined| joined.wire).collect();
    let other = if side == Side::Output {
        Side::Input
    } else {
        Side::Output
    };
    let blocked = reach(&wires, id, side);
    let mut found = Vec::new();
    let mut circles = 0;
    for ((node, _), ports) in document.nodes().iter().zip(&all) {
        for end in ports.side(other) {
            let fits = end.ty == port.ty || end.ty.is_empty() || port.ty.is_empty();
            if node == id || !fits {
                continue;
            }
            if blocked.contains(node) {
                circles += 1;
                continue;
            }
            let feeding = |w: &&Wire<&str>| other == Side::Input && w.enters(node, &end.name);
            let taken = wires
                .iter()
                .find(feeding)
                .filter(|_| !end.variadic)
                .map(|w| format!("{}.{}", w.from, w.output));
            found.push(Candidate {
                node: node.clone(),
                port: end.clone(),
                taken,
            });
        }
    }
    if !found.is_empty() {
        // Free ones first: those are what is usually meant.
        found.sort_by_key(|candidate| candidate.taken.is_some());
        return Ok(found);
    }
    let ty = &port.ty;
    if circles > 0 {
        return Err(format!("every port of type {ty} would close a circle"));
    }
    let takers: Vec<&str> = catalog
        .iter()
        .filter(|node| match side {
            Side::Output => node.inputs.iter().any(|input| input.ty == *ty),
            Side::Input => node.outputs.iter().any(|output| output.ty == *ty),
        })
        .map(|node| node.name.as_str())
        .take(3)
        .collect();
    let verb = if side == Side::Output { "takes" } else { "gives" };
    Err(match takers.is_empty() {
        true => format!("no node here {verb} {ty}, and no node type does"),
        false => format!("no node here {verb} {ty}; {} would: press o", takers.join(", ")),
    })
}

/// Nodes that `id` must not be joined to: those above an output, those below an input.
fn reach(wires: &[Wire<&str>], id: &str, side: Side) -> HashSet<String> {
    let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
    for wire in wires {
        let (a, b) = match side {
            Side::Output => (&wire.to, &wire.from),
            Side::Input => (&wire.from, &wire.to),
        };
        next.entry(a).or_default().push(b);
    }
    let mut seen: HashSet<String> = HashSet::new();
    let mut open = vec![id];
    while let Some(at) = open.pop() {
        for other in next.get(at).into_iter().flatten() {
            if seen.insert((*other).to_owned()) {
                open.push(other);
            }
        }
    }
    seen
}

/// Nodes as a text for the clipboard: a graph that could be a file.
pub fn copy(document: &Document, ids: &[String]) -> String {
    let nodes = ids
        .iter()
        .filter_map(|id| Some((id.clone(), document.node(id)?.clone())));
    Document::build(Map::new(), nodes).to_text()
}

/// Adds the nodes of a graph text under free names; gives those names. Links among them follow, links to nodes that are
/// here stay, others go.
///
/// # Errors
/// The text holds no nodes.
pub fn paste(document: &mut Document, text: &str) -> Result<Vec<String>, EditError> {
    let (other, _) = graph::parse(text);
    if other.nodes().is_empty() {
        return Err(EditError {
            message: "the clipboard holds no nodes".to_owned(),
            help: Some("copy some with y first; they are kept as JSON".to_owned()),
        });
    }
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    for (id, node) in other.nodes() {
        let wish = if is_id(id) { id.as_str() } else { node.ty.name.as_str() };
        let new = free_id(wish, |id| document.node(id).is_none() && !taken.contains(id));
        taken.insert(new.clone());
        names.insert(id, new);
    }
    let mut added = Vec::with_capacity(names.len());
    for (id, node) in other.nodes() {
        let mut node = node.clone();
        let follow = |link: &Link| match link {
            Link::To { node, port } => match names.get(node.as_str()) {
                Some(new) => Some(Link::to(new, port)),
                None => document.node(node).is_some().then(|| link.clone()),
            },
            Link::Malformed(_) => Some(link.clone()),
        };
        for links in node.inputs.values_mut() {
            *links = match links {
                Links::One(link) => follow(link).map_or(Links::List(Vec::new()), Links::One),
                Links::List(list) => Links::List(list.iter().filter_map(follow).collect()),
            };
        }
        node.inputs
            .retain(|_, links| !matches!(links, Links::List(list) if list.is_empty()));
        if let Some(new) = names.get(id.as_str()) {
            added.push((new.clone(), node));
        }
    }
    document.insert_nodes(&added)?;
    Ok(added.into_iter().map(|(id, _)| id).collect())
}

/// Required parameters of a node that the graph does not give, in order.
pub fn wanted(document: &Document, catalog: &Catalog, id: &str) -> Vec<String> {
    let Some(node) = document.node(id) else {
        return Vec::new();
    };
    let Some(ty) = catalog.get(&node.ty.name) else {
        return Vec::new();
    };
    let missing = |param: &&graph::catalog::Param| param.default.is_none() && !node.params.contains_key(&param.name);
    ty.params
        .iter()
        .filter(missing)
        .map(|param| param.name.clone())
        .collect()
}

/// Sets a parameter, or removes it so that its default holds.
///
/// # Errors
/// No such node.
pub fn set(document: &mut Document, id: &str, param: &str, value: Option<Value>) -> Result<(), EditError> {
    match value {
        Some(value) => document.set_param(id, param, value),
        None if document.node(id).is_some_and(|node| node.params.contains_key(param)) => {
            document.remove_param(id, param)
        }
        None => Ok(()),
    }
}

/// Whether a parameter names a file or folder.
pub fn is_path(ty: &ParamType) -> bool {
    matches!(ty, ParamType::Path | ParamType::OutputPath)
}

pub mod convert;
pub mod layout;

#[cfg(test)]
mod tests;
