//! Nodes that wait for each other.
//!
//! `petgraph`'s Kosaraju finds the strongly connected components with a stack of its own (its Tarjan recurses and
//! would overflow ours on a long chain). In each component a breadth-first search gives one shortest way round.

use super::{Context, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::resolve::Edge;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{HashMap, VecDeque};

pub(crate) const CODE: Code = Code::error("G029", "cycle", "Nodes wait for each other in a circle.");

/// Nodes of a cycle that are named; of a longer one the rest is counted.
const SHOWN: usize = 12;

pub(crate) fn check(cx: &mut Context<'_>, ids: &[&str], edges: &[Edge<'_>]) {
    let mut graph = DiGraph::<(), usize>::with_capacity(ids.len(), edges.len());
    for _ in ids {
        graph.add_node(());
    }
    for (at, edge) in edges.iter().enumerate() {
        graph.add_edge(NodeIndex::new(edge.from), NodeIndex::new(edge.to), at);
    }
    let mut component = vec![usize::MAX; ids.len()];
    let knots: Vec<_> = kosaraju_scc(&graph).into_iter().filter(|knot| knot.len() > 1).collect();
    for (at, knot) in knots.iter().enumerate() {
        knot.iter().for_each(|node| component[node.index()] = at);
    }
    for knot in knots {
        let Some(start) = knot.into_iter().min() else {
            continue;
        };
        let round = way_round(&graph, start, &component);
        let path: Vec<&Edge<'_>> = round.iter().filter_map(|&at| edges.get(at)).collect();
        if let Some(finding) = finding(ids, &path) {
            cx.report(finding);
        }
    }
}

/// Edges of a shortest way from `start` back to it, inside its component.
fn way_round(graph: &DiGraph<(), usize>, start: NodeIndex, component: &[usize]) -> Vec<usize> {
    let mut came: HashMap<NodeIndex, (NodeIndex, usize)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in graph.edges(node) {
            let next = edge.target();
            if next == start {
                let mut path = vec![*edge.weight()];
                let mut at = node;
                while let Some(&(before, weight)) = came.get(&at) {
                    path.push(weight);
                    at = before;
                }
                path.reverse();
                return path;
            }
            if component[next.index()] == component[start.index()] && !came.contains_key(&next) {
                came.insert(next, (node, *edge.weight()));
                queue.push_back(next);
            }
        }
    }
    Vec::new()
}

fn finding(ids: &[&str], path: &[&Edge<'_>]) -> Option<Finding> {
    let (first, last) = (path.first()?, path.last()?);
    let start = shorten(ids[first.from]);
    let inner = path.len() - 1;
    let mut steps = vec![format!("{start}.{}", first.output)];
    steps.extend(
        path[..inner]
            .iter()
            .take(SHOWN)
            .map(|edge| format!("{}.{}", shorten(ids[edge.to]), edge.input)),
    );
    if inner > SHOWN {
        steps.push(format!("({} more)", inner - SHOWN));
    }
    steps.push(start.clone());
    let finding = Finding::new(&CODE, format!("nodes wait for each other: {}", steps.join(" → ")))
        .expected("a graph without circles")
        .found(format!("a circle of {} nodes", path.len()))
        .help(format!(
            "remove one of these links, for example this one into `{start}`"
        ));
    Some(finding.at_value(last.pointer(ids)))
}
