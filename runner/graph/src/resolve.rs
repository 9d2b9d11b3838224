//! From links as written to links as indices.

use crate::catalog::{Input, NodeType};
use crate::check::type_mismatch::{self, Ends};
use crate::check::{CheckedInput, Context, Label, Source};
use crate::check::{
    bad_link, empty_list, list_for_single, missing_input, missing_node, missing_port, self_link, unknown_input,
};
use crate::document::{Link, Links, Node};
use crate::span::pointer;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A node with its type looked up.
pub(crate) struct Resolved<'a> {
    pub(crate) id: &'a str,
    pub(crate) node: Cow<'a, Node>,
    /// None when the type, or the version of it that the node is written for, is not known.
    pub(crate) ty: Option<&'a Arc<NodeType>>,
}

/// A link between two nodes of the graph.
pub(crate) struct Edge<'a> {
    pub(crate) from: usize,
    pub(crate) output: &'a str,
    pub(crate) to: usize,
    pub(crate) input: &'a str,
    /// Position in the list of links, if it is one.
    item: Option<usize>,
}

impl Edge<'_> {
    pub(crate) fn pointer(&self, ids: &[&str]) -> String {
        place(ids[self.to], self.input, self.item)
    }
}

/// Outputs in the graph by type, three of each: what a missing input could be linked to.
#[derive(Default)]
pub(crate) struct Offers(Option<HashMap<String, Vec<(usize, String)>>>);

impl Offers {
    fn of(&mut self, all: &[Resolved<'_>], ty: &str, not: usize) -> Vec<String> {
        let table = self.0.get_or_insert_with(|| {
            let mut table: HashMap<String, Vec<(usize, String)>> = HashMap::new();
            for (at, node) in all.iter().enumerate() {
                for output in node.ty.iter().flat_map(|ty| &ty.outputs) {
                    let offers = table.entry(output.ty.clone()).or_default();
                    if offers.len() < 4 {
                        offers.push((at, format!("{}.{}", node.id, output.name)));
                    }
                }
            }
            table
        });
        let others = table.get(ty).into_iter().flatten().filter(|(at, _)| *at != not);
        others.map(|(_, name)| name.clone()).take(3).collect()
    }
}

fn place(id: &str, port: &str, item: Option<usize>) -> String {
    match item {
        Some(item) => pointer(&["nodes", id, "inputs", port, &item.to_string()]),
        None => pointer(&["nodes", id, "inputs", port]),
    }
}

/// Checks the inputs of node `at`, gives its declared ones with what feeds them, and adds its links to `edges`.
pub(crate) fn inputs<'a>(
    cx: &mut Context<'_>,
    all: &'a [Resolved<'a>],
    index: &HashMap<&str, usize>,
    offers: &mut Offers,
    at: usize,
    edges: &mut Vec<Edge<'a>>,
) -> Vec<CheckedInput> {
    let Resolved { id, node, ty } = &all[at];
    let declared = ty.map_or(&[][..], |ty| &ty.inputs);
    let mut fed: Vec<Option<Vec<Source>>> = vec![None; declared.len()];
    for (port, links) in &node.inputs {
        let number = declared.iter().position(|input| input.name == *port);
        if let (None, Some(ty)) = (number, ty) {
            unknown_input::report(cx, id, ty, port);
            continue;
        }
        let input = number.and_then(|number| declared.get(number));
        if let (Links::List(list), Some(input)) = (links, input) {
            if !input.variadic {
                list_for_single::report(cx, id, input, list.len());
            } else if list.is_empty() && !input.optional {
                empty_list::report(cx, id, input);
            }
        }
        let listed = matches!(links, Links::List(_));
        let mut found = Vec::new();
        for (item, link) in links.iter().enumerate() {
            let mut target = Target {
                cx,
                all,
                index,
                at,
                port,
                input,
                item: listed.then_some(item),
            };
            found.extend(target.resolve(link, edges));
        }
        if let Some(fed) = number.and_then(|number| fed.get_mut(number)) {
            *fed = Some(found);
        }
    }
    let mut checked = Vec::with_capacity(declared.len());
    for (input, links) in declared.iter().zip(fed) {
        let excused = || cx.excused.iter().any(|(node, port)| node == id && *port == input.name);
        if links.is_none() && !input.optional && !excused() {
            let offers = offers.of(all, &input.ty, at);
            missing_input::report(cx, id, input, &offers);
        }
        checked.push(CheckedInput {
            port: input.name.clone(),
            links: links.unwrap_or_default(),
        });
    }
    checked
}

/// The input end of a link.
struct Target<'c, 'd, 'a> {
    cx: &'c mut Context<'d>,
    all: &'a [Resolved<'a>],
    index: &'c HashMap<&'c str, usize>,
    at: usize,
    port: &'a str,
    input: Option<&'a Input>,
    item: Option<usize>,
}

impl<'a> Target<'_, '_, 'a> {
    fn resolve(&mut self, link: &'a Link, edges: &mut Vec<Edge<'a>>) -> Option<Source> {
        let id = self.all[self.at].id;
        let place = || place(id, self.port, self.item);
        let (node, output) = match link {
            Link::To { node, port } => (node, port),
            Link::Malformed(value) => {
                let meant = value
                    .as_str()
                    .and_then(|text| self.index.get(text))
                    .and_then(|&at| self.all[at].ty);
                let outputs = meant.map(|ty| ty.outputs.iter().map(|o| o.name.as_str()).collect());
                bad_link::report(self.cx, place(), value, outputs);
                return None;
            }
        };
        if node == id {
            self_link::report(self.cx, place(), id, self.port, output);
            return None;
        }
        let Some(&from) = self.index.get(node.as_str()) else {
            missing_node::report(self.cx, place(), Label(id, self.port), node, output);
            return None;
        };
        edges.push(Edge {
            from,
            output,
            to: self.at,
            input: self.port,
            item: self.item,
        });
        let source = self.all[from].ty?;
        let Some((number, given)) = source.outputs.iter().enumerate().find(|(_, o)| o.name == *output) else {
            missing_port::report(self.cx, place(), node, source, output);
            return None;
        };
        if let (Some(ty), Some(input)) = (self.all[self.at].ty, self.input)
            && input.ty != given.ty
        {
            let label = Label(id, self.port);
            type_mismatch::report(
                self.cx,
                place(),
                &Ends {
                    label,
                    ty,
                    input,
                    node,
                    source,
                    output: given,
                },
            );
            return None;
        }
        Some(Source {
            node: from,
            output: number,
        })
    }
}
