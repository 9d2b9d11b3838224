//! A node that does not say what it is, or says it in a way that cannot be read.

use super::{Context, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::document::Node;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G011",
    "bad_type",
    "A node's `type` is missing, empty, or has a version that is no number.",
);

/// Whether the type can be looked up.
pub(crate) fn check(cx: &mut Context<'_>, id: &str, node: &Node) -> bool {
    let name = &node.ty.name;
    if !name.is_empty() && !name.contains('@') {
        return true;
    }
    let place = pointer(&["nodes", id, "type"]);
    let expected = "`family/name`, or `family/name@version`";
    let shown = shorten(id);
    let finding = if name.is_empty() {
        Finding::new(&CODE, format!("node `{shown}` has no type"))
            .help("add `\"type\": \"family/name\"`; `para nodes` lists them")
            .at_key(place)
    } else {
        Finding::new(&CODE, format!("the type of node `{shown}` cannot be read"))
            .found(shorten(name))
            .help("a version is a whole number from 1: `para/train@1`")
            .at_value(place)
    };
    cx.report(finding.expected(expected));
    false
}
