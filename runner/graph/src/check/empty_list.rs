//! `[]` for an input that must be fed.

use super::{Context, shorten};
use crate::catalog::Input;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G027",
    "empty_list",
    "An empty list feeds an input that a node cannot run without.",
);

pub(crate) fn report(cx: &mut Context<'_>, id: &str, input: &Input) {
    let name = &input.name;
    let finding = Finding::new(
        &CODE,
        format!("the input `{name}` of node `{}` needs at least one link", shorten(id)),
    )
    .expected(format!("links to outputs of type `{}`", input.ty))
    .found("an empty list")
    .help(format!("write `\"{name}\": [\"node.port\"]`"));
    cx.report(finding.at_value(pointer(&["nodes", id, "inputs", name])));
}
