//! A required input that nothing feeds.

use super::{Context, shorten};
use crate::catalog::Input;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;
use crate::suggest::list;

pub(crate) const CODE: Code = Code::error(
    "G021",
    "missing_input",
    "An input that a node cannot run without is linked to nothing.",
);

/// `offers` are outputs in the graph that would fit.
pub(crate) fn report(cx: &mut Context<'_>, id: &str, input: &Input, offers: &[String]) {
    let name = &input.name;
    let help = match offers.first() {
        Some(first) => format!(
            "link it: `\"{name}\": \"{first}\"` ({} would fit)",
            list(offers.iter().map(String::as_str))
        ),
        None => format!(
            "add a node with an output of type `{}` and link it{}",
            input.ty,
            super::makers(cx.catalog, &input.ty)
        ),
    };
    let finding = Finding::new(&CODE, format!("node `{}` lacks its input `{name}`", shorten(id)))
        .expected(format!("a link to an output of type `{}`", input.ty))
        .help(help);
    cx.report(finding.at_key(pointer(&["nodes", id, "inputs", name])));
}
