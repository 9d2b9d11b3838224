//! From [`Document`] to [`Checked`], or to everything that is wrong.
//!
//! All faults are collected before any is shown: an author fixes a file once, not once for every fault. One file under
//! `check/` holds one diagnostic: its code, its sentence, its fix. Every walk is iterative and all work grows with
//! the length of the text, so that a graph of a hundred thousand nodes is checked in a fraction of a second on any stack.

pub(crate) mod bad_id;
pub(crate) mod bad_link;
pub(crate) mod bad_type;
pub(crate) mod bypassed;
pub(crate) mod cycle;
pub(crate) mod duplicate_key;
pub(crate) mod empty_list;
pub(crate) mod format_version;
pub(crate) mod frozen;
pub(crate) mod list_for_single;
pub(crate) mod missing_input;
pub(crate) mod missing_node;
pub(crate) mod missing_param;
pub(crate) mod missing_port;
pub(crate) mod misspelt_key;
pub(crate) mod newer_version;
pub(crate) mod nothing_to_run;
pub(crate) mod null_param;
pub(crate) mod older_version;
pub(crate) mod param_choice;
pub(crate) mod param_range;
pub(crate) mod param_type;
pub(crate) mod self_link;
pub(crate) mod syntax;
pub(crate) mod too_deep;
pub(crate) mod type_mismatch;
pub(crate) mod unknown_input;
pub(crate) mod unknown_key;
pub(crate) mod unknown_param;
pub(crate) mod unknown_type;
pub(crate) mod unreadable_value;
pub(crate) mod wrong_shape;

use crate::catalog::{Catalog, NodeType};
use crate::diagnostic::{Diagnostic, Finding};
use crate::document::{Document, Node};
use crate::migrate::Migrations;
use crate::params;
use crate::resolve::{self, Edge, Resolved};
use crate::suggest::{Suggest, list};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

/// A graph that can run. Only [`check()`] makes one.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Nodes in the author's order.
    pub nodes: Vec<CheckedNode>,
    /// Indices into `nodes`, every node after all that feed it; among those that could come next, the author's
    /// first.
    pub order: Vec<usize>,
    /// What is likely not as meant.
    pub warnings: Vec<Diagnostic>,
    index: HashMap<String, usize>,
}

/// A node that can run.
#[derive(Clone, Debug)]
pub struct CheckedNode {
    /// Name in the graph.
    pub id: String,
    /// Its type.
    pub ty: Arc<NodeType>,
    /// Every declared parameter, in the declared order, defaults filled in. Those of type `number` are floats, so that
    /// `7` and `7.0` are the same.
    pub params: Map<String, Value>,
    /// Every declared input, in the declared order.
    pub inputs: Vec<CheckedInput>,
    /// The key of the step whose stored result stands for what it would give.
    pub frozen: Option<String>,
}

/// An input of a node that can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInput {
    /// Name of the port.
    pub port: String,
    /// What feeds it, in order; empty when nothing does.
    pub links: Vec<Source>,
}

/// An output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Index into [`Checked::nodes`].
    pub node: usize,
    /// Index into the outputs of that node's type.
    pub output: usize,
}

impl Checked {
    /// Index of the node of that id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// For each node, the nodes that it feeds: each once, in the author's order.
    pub fn consumers(&self) -> Vec<Vec<usize>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            for link in node.inputs.iter().flat_map(|input| &input.links) {
                let fed: &mut Vec<usize> = &mut consumers[link.node];
                if fed.last() != Some(&at) {
                    fed.push(at);
                }
            }
        }
        consumers
    }

    /// For each node, whether it is one of `targets` (indices) or feeds one, however indirectly; a frozen node needs nothing.
    pub fn needed(&self, targets: &[usize]) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut open = targets.to_vec();
        while let Some(at) = open.pop() {
            let Some(node) = self.nodes.get(at).filter(|_| !reached[at]) else {
                continue;
            };
            reached[at] = true;
            if node.frozen.is_some() {
                continue;
            }
            open.extend(node.inputs.iter().flat_map(|input| &input.links).map(|link| link.node));
        }
        reached
    }
}

/// What the checks share.
pub(crate) struct Context<'a> {
    pub(crate) document: &'a Document,
    pub(crate) catalog: &'a Catalog,
    pub(crate) suggest: Suggest,
    /// Inputs (node, port) that lack a link for a reason that was reported already.
    pub(crate) excused: Vec<(String, String)>,
    findings: Vec<Finding>,
}

impl Context<'_> {
    pub(crate) fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Checks `document` against the node types of `catalog`.
///
/// # Errors
/// Everything that is wrong, in the order of the text, warnings and what the parser found included.
pub fn check(document: &Document, catalog: &Catalog) -> Result<Checked, Vec<Diagnostic>> {
    check_with(document, catalog, &Migrations::builtin())
}

/// As [`check()`], with other migrations than those built in.
///
/// # Errors
/// As [`check()`].
pub fn check_with(document: &Document, catalog: &Catalog, migrations: &Migrations) -> Result<Checked, Vec<Diagnostic>> {
    let mut cx = Context {
        document,
        catalog,
        suggest: Suggest::default(),
        excused: Vec::new(),
        findings: Vec::new(),
    };
    let mut nodes = Vec::new();
    let mut order = Vec::new();
    if document.is_readable() {
        nothing_to_run::check(&mut cx);
        let resolved = types(&mut cx, migrations);
        let ids: Vec<&str> = resolved.iter().map(|node| node.id).collect();
        let edges;
        (nodes, edges) = bodies(&mut cx, &resolved);
        cycle::check(&mut cx, &ids, &edges);
        order = topological(ids.len(), &edges);
    }
    let Context { findings, .. } = cx;
    let own = findings
        .into_iter()
        .filter(|finding| !is_lost(document, &finding.pointer));
    let mut diagnostics: Vec<Diagnostic> = document
        .findings
        .iter()
        .cloned()
        .chain(own)
        .map(|finding| finding.locate(&document.spans, &document.lines))
        .collect();
    diagnostics.sort_by_key(|d| d.span.start);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    let index = nodes
        .iter()
        .enumerate()
        .map(|(at, node): (usize, &CheckedNode)| (node.id.clone(), at))
        .collect();
    Ok(Checked {
        nodes,
        order,
        warnings: diagnostics,
        index,
    })
}

/// Looks up what each node is, brought up to date where the graph names an older version.
fn types<'a>(cx: &mut Context<'a>, migrations: &Migrations) -> Vec<Resolved<'a>> {
    let (document, catalog) = (cx.document, cx.catalog);
    let mut resolved = Vec::with_capacity(document.nodes().len());
    for (id, node) in document.nodes() {
        bad_id::check(cx, id);
        let ty = if bad_type::check(cx, id, node) {
            catalog.get(&node.ty.name)
        } else {
            None
        };
        let mut entry = Resolved {
            id,
            node: Cow::Borrowed(node),
            ty,
        };
        match (ty, node.ty.version) {
            (None, _) if node.ty.name.is_empty() || node.ty.name.contains('@') => {}
            (None, _) => unknown_type::report(cx, id, node),
            (Some(ty), Some(wanted)) if wanted > ty.version => {
                newer_version::report(cx, id, ty, wanted);
            }
            (Some(ty), Some(wanted)) if wanted < ty.version => {
                let mut json = node.to_json();
                match migrations.upgrade(&mut json, &ty.name, wanted, ty.version) {
                    Ok(()) => entry.node = Cow::Owned(Node::from_json(json).0),
                    Err(stuck) => older_version::report(cx, id, ty, wanted, stuck),
                }
            }
            _ => {}
        }
        // What another version of the type takes is not known, so nothing is said about it.
        if entry
            .node
            .ty
            .version
            .is_some_and(|version| ty.is_some_and(|ty| ty.version != version))
        {
            entry.ty = None;
        }
        resolved.push(entry);
    }
    bypassed::pass_through(cx, resolved)
}

/// Checks inputs and parameters of every node.
fn bodies<'a>(cx: &mut Context<'_>, resolved: &'a [Resolved<'a>]) -> (Vec<CheckedNode>, Vec<Edge<'a>>) {
    let index: HashMap<&str, usize> = resolved.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
    let mut offers = resolve::Offers::default();
    let mut nodes = Vec::with_capacity(resolved.len());
    let mut edges = Vec::new();
    for (at, entry) in resolved.iter().enumerate() {
        let inputs = resolve::inputs(cx, resolved, &index, &mut offers, at, &mut edges);
        let Some(ty) = entry.ty else { continue };
        let params = params::fill(cx, entry.id, ty, &entry.node.params);
        frozen::check(cx, entry.id, ty, &entry.node);
        nodes.push(CheckedNode {
            id: entry.id.to_owned(),
            ty: Arc::clone(ty),
            params,
            inputs,
            frozen: entry.node.frozen.clone(),
        });
    }
    (nodes, edges)
}

/// Kahn's order; ties in the author's order. Nodes on cycles are left out, and then there is an error anyway.
fn topological(count: usize, edges: &[Edge<'_>]) -> Vec<usize> {
    let mut waits = vec![0_usize; count];
    let mut feeds = vec![Vec::new(); count];
    for edge in edges {
        waits[edge.to] += 1;
        feeds[edge.from].push(edge.to);
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..count).filter(|&at| waits[at] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for &next in &feeds[at] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    order
}

/// Whether `pointer` lies in something that could not be read, of which the parser has spoken already.
fn is_lost(document: &Document, pointer: &str) -> bool {
    let lost = &document.unreadable;
    !lost.is_empty()
        && (lost.contains(pointer)
            || pointer
                .match_indices('/')
                .any(|(end, _)| lost.contains(&pointer[..end])))
}

/// `text` fit for a message: at most 60 characters, none that would steer a terminal.
pub(crate) fn shorten(text: &str) -> String {
    let mut chars = text.chars();
    let mut short = String::new();
    for c in chars.by_ref().take(60) {
        if c.is_control() {
            short.extend(c.escape_default());
        } else {
            short.push(c);
        }
    }
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// `node.name`, fit for a message.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a>(pub(crate) &'a str, pub(crate) &'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", shorten(self.0), shorten(self.1))
    }
}

/// `value` as JSON, fit for a message.
pub(crate) fn show(value: &Value) -> String {
    shorten(&value.to_string())
}

/// `; TYPE makes one`, when some node type does.
pub(crate) fn makers(catalog: &Catalog, ty: &str) -> String {
    let makers = catalog.iter().filter(|node| node.outputs.iter().any(|o| o.ty == ty));
    let names = list(makers.map(|node| node.name.as_str()));
    if names.is_empty() {
        String::new()
    } else {
        format!("; `{ty}` is made by {names}")
    }
}
