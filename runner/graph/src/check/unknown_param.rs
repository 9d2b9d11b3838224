//! A parameter that the node type does not have.

use super::{Context, shorten};
use crate::catalog::NodeType;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;
use crate::suggest::Suggest;

pub(crate) const CODE: Code = Code::error(
    "G030",
    "unknown_param",
    "A node is given a parameter that its type does not have.",
);

pub(crate) fn check(cx: &mut Context<'_>, id: &str, ty: &NodeType, name: &str) {
    let finding = finding(&cx.suggest, id, ty, name);
    cx.report(finding.at_key(pointer(&["nodes", id, "params", name])));
}

/// Without a place, for edits.
pub(crate) fn finding(suggest: &Suggest, id: &str, ty: &NodeType, name: &str) -> Finding {
    let mut near = None;
    let help = if ty.inputs.iter().any(|i| i.name == name) {
        format!("`{name}` is an input: link it under `inputs`")
    } else {
        let names = ty.params.iter().map(|p| p.name.as_str());
        let (help, name) = suggest.or_list(name, "its parameters are", names);
        near = name;
        help.unwrap_or_else(|| format!("`{}` has no parameters", ty.name))
    };
    let message = format!(
        "node `{}` (`{}`) has no parameter `{}`",
        shorten(id),
        ty.name,
        shorten(name)
    );
    Finding::new(&CODE, message).found(shorten(name)).help(help).fix(near)
}
