//! Ports of different types, joined through a node that makes the one of the other: pictures to latents through `vae/encode`.

use super::{Candidate, add, candidates, connect, feed};
use crate::shape::{Port, Side};
use graph::catalog::{NodeKind, NodeType};
use graph::{Catalog, Document, EditError};

/// A way from a port to another through a new node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converter {
    /// Type of the new node.
    pub ty: String,
    /// Its input that is joined.
    pub input: Port,
    /// Its output that is joined.
    pub output: Port,
    /// The other end.
    pub end: Candidate,
}

/// Ways from a port to others, the simplest first: nodes that need nothing else to be said, free ends before taken ones.
pub fn converters(document: &Document, catalog: &Catalog, id: &str, side: Side, port: &Port) -> Vec<Converter> {
    let mut found: Vec<(usize, Converter)> = Vec::new();
    for ty in catalog.iter().filter(|ty| converts(ty)) {
        let needed = ty.inputs.iter().filter(|input| !input.optional);
        for input in needed.clone() {
            for output in &ty.outputs {
                let (here, there) = match side {
                    Side::Output => (&input.ty, &output.ty),
                    Side::Input => (&output.ty, &input.ty),
                };
                if *here != port.ty || there == here {
                    continue;
                }
                let wanted = Port {
                    ty: there.clone(),
                    ..port.clone()
                };
                let ends = candidates(document, catalog, id, side, &wanted).unwrap_or_default();
                found.extend(ends.into_iter().filter(|end| end.port.ty == *there).map(|end| {
                    let order = needed.clone().count() + if end.taken.is_some() { 100 } else { 0 };
                    let way = Converter {
                        ty: ty.name.clone(),
                        input: crate::shape::input(input),
                        output: crate::shape::output(output),
                        end,
                    };
                    (order, way)
                }));
            }
        }
    }
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, way)| way).collect()
}

/// A node that only turns one thing into another: it writes no files, and all its parameters have defaults.
fn converts(ty: &NodeType) -> bool {
    ty.kind != NodeKind::Effect && ty.params.iter().all(|param| param.default.is_some())
}

/// Joins a port to an end through a new node, which is fed like any other; gives its name.
///
/// # Errors
/// The text of the graph is broken.
pub fn convert(
    document: &mut Document,
    catalog: &Catalog,
    one: (&str, Side, &Port),
    way: &Converter,
) -> Result<String, EditError> {
    let new = add(document, &way.ty)?;
    let (id, side, port) = one;
    let end = (way.end.node.as_str(), &*way.end.port.name);
    let (from, to, variadic) = match side {
        Side::Output => ((id, &*port.name), end, way.end.port.variadic),
        Side::Input => (end, (id, &*port.name), port.variadic),
    };
    connect(document, from, (&new, &way.input.name), way.input.variadic)?;
    connect(document, (&new, &way.output.name), to, variadic)?;
    feed(document, catalog, &new, &[from.0.to_owned()])?;
    Ok(new)
}
