//! A graph made with an earlier version of a node type, from which no migration leads to the one at hand.

use super::{Context, shorten};
use crate::catalog::NodeType;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G014",
    "older_version",
    "A node asks for an earlier version of its type that cannot be brought up to date.",
);

/// `stuck` is the version from which no step leads on.
pub(crate) fn report(cx: &mut Context<'_>, id: &str, ty: &NodeType, wanted: u32, stuck: u32) {
    let message = format!(
        "node `{}` asks for version {wanted} of `{}`; version {} is loaded",
        shorten(id),
        ty.name,
        ty.version
    );
    let help = format!(
        "no migration leads from version {stuck} on: compare the node with `para nodes {0}`, then write `{0}@{1}`",
        ty.name, ty.version
    );
    let finding = Finding::new(&CODE, message)
        .expected(format!("`{}@{}`", ty.name, ty.version))
        .found(format!("{}@{wanted}", ty.name))
        .help(help);
    cx.report(finding.at_value(pointer(&["nodes", id, "type"])));
}
