//! A node that is bypassed: what comes in goes out. Each of its outputs stands for whatever feeds its first input of the
//! same type. An optional input that is fed by nothing that passes through is left empty.

use super::{Context, Label, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::document::{Link, Links};
use crate::resolve::Resolved;
use crate::span::pointer;
use std::collections::HashMap;

pub(crate) const CODE: Code = Code::error(
    "G036",
    "bypassed",
    "An input needs an output of a bypassed node for which that node has no input of the same type.",
);

/// The nodes that are not bypassed, linked around those that are.
pub(crate) fn pass_through<'a>(cx: &mut Context<'_>, resolved: Vec<Resolved<'a>>) -> Vec<Resolved<'a>> {
    if !resolved.iter().any(|entry| entry.node.bypass) {
        return resolved;
    }
    let (around, mut kept): (Vec<_>, Vec<_>) = resolved.into_iter().partition(|entry| entry.node.bypass);
    let around: HashMap<&str, Resolved<'a>> = around.into_iter().map(|entry| (entry.id, entry)).collect();
    for entry in &mut kept {
        let is_around = |link: &Link| matches!(link, Link::To { node, .. } if around.contains_key(node.as_str()));
        if !entry.node.inputs.values().any(|links| links.iter().any(is_around)) {
            continue;
        }
        let (id, ty) = (entry.id, entry.ty);
        entry.node.to_mut().inputs.retain(|port, links| {
            let input = ty.and_then(|ty| ty.inputs.iter().find(|input| input.name == *port));
            let needed = input.is_none_or(|input| !input.optional);
            let mut lost = None;
            let mut follow = |link: &Link| {
                let end = end_of(&around, link);
                if end.is_none() {
                    lost = Some(link.clone());
                }
                end
            };
            let left = match links {
                Links::One(link) => follow(link).map(Links::One),
                Links::List(list) => {
                    let left: Vec<Link> = list.iter().filter_map(follow).collect();
                    (!left.is_empty() || list.is_empty()).then_some(Links::List(left))
                }
            };
            match (left, lost) {
                (Some(left), _) => *links = left,
                (None, Some(Link::To { node, port: output })) if needed => {
                    cx.report(
                        finding(Label(id, port), &node, &output).at_value(pointer(&["nodes", id, "inputs", port])),
                    );
                    cx.excused.push((id.to_owned(), port.clone()));
                    return false;
                }
                (None, _) => return false,
            }
            true
        });
    }
    kept
}

/// What a link comes to: itself, or what passes through the bypassed nodes that it names.
fn end_of(around: &HashMap<&str, Resolved<'_>>, link: &Link) -> Option<Link> {
    let mut link = link.clone();
    // As many as there are, so that a circle of them ends.
    for _ in 0..=around.len() {
        let Link::To { node, port } = &link else {
            return Some(link);
        };
        let Some(entry) = around.get(node.as_str()) else {
            return Some(link);
        };
        let ty = entry.ty?;
        let output = ty.outputs.iter().find(|output| output.name == *port)?;
        let mut fed = ty.inputs.iter().filter(|input| input.ty == output.ty);
        let next = fed.find_map(|input| entry.node.inputs.get(&input.name)?.iter().next().cloned());
        link = next?;
    }
    None
}

fn finding(label: Label<'_>, node: &str, output: &str) -> Finding {
    let (node, output) = (shorten(node), shorten(output));
    Finding::new(
        &CODE,
        format!("`{label}` is fed by `{node}.{output}`, but `{node}` is bypassed and nothing passes through"),
    )
    .expected("a bypassed node with an input of that type")
    .help(format!(
        "remove `bypass` from `{node}`, or link the input to another node"
    ))
}
