//! A link to a node that is not there.

use super::{Context, Label, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;

pub(crate) const CODE: Code = Code::error(
    "G023",
    "missing_node",
    "A link names a node that the graph does not have.",
);

/// `label` is the linking input.
pub(crate) fn report(cx: &mut Context<'_>, place: String, label: Label<'_>, node: &str, port: &str) {
    let near = cx.suggest.nearest(node, cx.document.nodes().keys().map(String::as_str));
    let help = match near {
        Some(near) => format!("did you mean `{}.{}`?", shorten(near), shorten(port)),
        None => format!("add a node `{}`, or link to another", shorten(node)),
    };
    let message = format!("`{label}` links to the node `{}`, which does not exist", shorten(node));
    cx.report(
        Finding::new(&CODE, message)
            .expected("the id of a node of this graph")
            .found(shorten(node))
            .help(help)
            .fix(near.map(|near| format!("{near}.{port}")))
            .at_value(place),
    );
}
