//! A node type that no loaded node crate brings.

use super::{Context, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::document::Node;
use crate::span::pointer;
use crate::suggest::list;

pub(crate) const CODE: Code = Code::error(
    "G012",
    "unknown_type",
    "No loaded node crate brings a node of this type.",
);

pub(crate) fn report(cx: &mut Context<'_>, id: &str, node: &Node) {
    let name = node.ty.name.as_str();
    let names = || cx.catalog.iter().map(|ty| ty.name.as_str());
    let family = name.split_once('/').map_or(name, |(family, _)| family);
    let relatives = names().filter(|n| n.split_once('/').is_some_and(|(f, _)| f == family));
    let near = cx.suggest.nearest(name, names());
    let help = match (near, list(relatives)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, known) if !known.is_empty() => format!("`{}` has {known}", shorten(family)),
        (None, _) => format!(
            "it needs a node crate with the family `{}`; `para nodes` lists what is loaded",
            shorten(family)
        ),
    };
    let finding = Finding::new(
        &CODE,
        format!("node `{}` has the unknown type `{}`", shorten(id), shorten(name)),
    )
    .expected("a type that a loaded node crate brings")
    .found(shorten(name))
    .help(help)
    .fix(near);
    cx.report(finding.at_value(pointer(&["nodes", id, "type"])));
}
