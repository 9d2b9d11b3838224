//! A frozen node whose results are not kept: models are made anew in memory, and files outside are written, not kept.

use super::{Context, shorten};
use crate::catalog::{NodeKind, NodeType};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::document::Node;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G037",
    "frozen",
    "A node is frozen, but its type makes models or writes files: it leaves no result that could stand for it.",
);

pub(crate) fn check(cx: &mut Context<'_>, id: &str, ty: &NodeType, node: &Node) {
    let does = match ty.kind {
        NodeKind::Step => return,
        NodeKind::Lazy => "makes models, which are not kept",
        NodeKind::Effect => "writes files and gives nothing else",
    };
    if node.frozen.is_none() {
        return;
    }
    let id_shown = shorten(id);
    cx.report(
        Finding::new(&CODE, format!("node `{id_shown}` is frozen, but `{}` {does}", ty.name))
            .expected("a node whose results are kept")
            .help(format!("remove `frozen` from `{id_shown}`"))
            .at_value(pointer(&["nodes", id, "frozen"])),
    );
}
