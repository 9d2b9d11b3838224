//! A graph made with a later version of a node type than the one at hand.

use super::{Context, shorten};
use crate::catalog::NodeType;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G013",
    "newer_version",
    "A node asks for a later version of its type than is loaded.",
);

pub(crate) fn report(cx: &mut Context<'_>, id: &str, ty: &NodeType, wanted: u32) {
    let message = format!(
        "node `{}` asks for version {wanted} of `{}`; version {} is loaded",
        shorten(id),
        ty.name,
        ty.version
    );
    let finding = Finding::new(&CODE, message)
        .expected(format!("`{0}@{1}` or `{0}`", ty.name, ty.version))
        .found(format!("{}@{wanted}", ty.name))
        .help(format!("update the node crate that brings `{}`", ty.name));
    cx.report(finding.at_value(pointer(&["nodes", id, "type"])));
}
