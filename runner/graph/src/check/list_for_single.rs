//! A list of links for a port that takes one.

use super::{Context, shorten};
use crate::catalog::Input;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G026",
    "list_for_single",
    "A list of links feeds an input that takes exactly one.",
);

pub(crate) fn report(cx: &mut Context<'_>, id: &str, input: &Input, count: usize) {
    let name = &input.name;
    let help = if count == 1 {
        "remove the brackets"
    } else {
        "keep one link, without brackets"
    };
    let finding = Finding::new(
        &CODE,
        format!(
            "the input `{name}` of node `{}` takes one link, not a list",
            shorten(id)
        ),
    )
    .expected("`\"node.port\"`")
    .found(format!("a list of {count}"))
    .help(help);
    cx.report(finding.at_value(pointer(&["nodes", id, "inputs", name])));
}
