//! An input that the node type does not have.

use super::{Context, shorten};
use crate::catalog::NodeType;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G020",
    "unknown_input",
    "A node is given an input that its type does not have.",
);

pub(crate) fn report(cx: &mut Context<'_>, id: &str, ty: &NodeType, port: &str) {
    let names = ty.inputs.iter().map(|i| i.name.as_str());
    let mut near = None;
    let help = if ty.params.iter().any(|p| p.name == port) {
        format!("`{port}` is a parameter: write it under `params`")
    } else {
        let none = || format!("`{}` takes no inputs", ty.name);
        let (help, name) = cx.suggest.or_list(port, "its inputs are", names);
        // A key that is there already cannot be written a second time.
        let inputs = cx.document.nodes().get(id).map(|node| &node.inputs);
        near = name.filter(|name| inputs.is_some_and(|inputs| !inputs.contains_key(*name)));
        help.unwrap_or_else(none)
    };
    let finding = Finding::new(
        &CODE,
        format!(
            "node `{}` (`{}`) has no input `{}`",
            shorten(id),
            ty.name,
            shorten(port)
        ),
    );
    cx.report(
        finding
            .found(shorten(port))
            .help(help)
            .fix(near)
            .at_key(pointer(&["nodes", id, "inputs", port])),
    );
}
