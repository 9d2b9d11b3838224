//! A latent where pictures belong.

use super::{Context, Label, shorten};
use crate::catalog::{Catalog, Input, NodeType, Output};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::suggest::list;

pub(crate) const CODE: Code = Code::error(
    "G025",
    "type_mismatch",
    "A link joins an output to an input of another type.",
);

/// The two ends of a link.
pub(crate) struct Ends<'a> {
    /// The input.
    pub(crate) label: Label<'a>,
    pub(crate) ty: &'a NodeType,
    pub(crate) input: &'a Input,
    pub(crate) node: &'a str,
    pub(crate) source: &'a NodeType,
    pub(crate) output: &'a Output,
}

pub(crate) fn report(cx: &mut Context<'_>, place: String, ends: &Ends<'_>) {
    let (wanted, given) = (&ends.input.ty, &ends.output.ty);
    let from = format!("{}.{}", shorten(ends.node), ends.output.name);
    let message = format!("`{from}` is of type `{given}`, but `{}` takes `{wanted}`", ends.label);
    let finding = Finding::new(&CODE, message)
        .expected(wanted.as_str())
        .found(given.as_str());
    cx.report(finding.help(help(cx.catalog, ends)).at_value(place));
}

/// The nearest way out: another output of that node, another input of this one, a node that converts, or who
/// takes such a value at all.
fn help(catalog: &Catalog, ends: &Ends<'_>) -> String {
    let (wanted, given) = (ends.input.ty.as_str(), ends.output.ty.as_str());
    if let Some(other) = ends.source.outputs.iter().find(|o| o.ty == wanted) {
        return format!("`{}.{}` is of type `{wanted}`", shorten(ends.node), other.name);
    }
    if let Some(other) = ends.ty.inputs.iter().find(|i| i.ty == given) {
        return format!("the input `{}` of this node takes `{given}`", other.name);
    }
    let takes = |ty: &NodeType| ty.inputs.iter().any(|i| i.ty == given);
    let turns = |ty: &NodeType| takes(ty) && ty.outputs.iter().any(|o| o.ty == wanted);
    if let Some(between) = catalog.iter().find(|ty| turns(ty)) {
        let needs = between.inputs.iter().filter(|i| !i.optional || i.ty == given);
        let needs = list(needs.map(|i| i.ty.as_str()));
        return format!("put `{}` between: it takes {needs} and gives `{wanted}`", between.name);
    }
    let takers = list(catalog.iter().filter(|ty| takes(ty)).map(|ty| ty.name.as_str()));
    if takers.is_empty() {
        return format!("no node takes `{given}`{}", super::makers(catalog, wanted));
    }
    format!("`{given}` is taken by {takers}{}", super::makers(catalog, wanted))
}
