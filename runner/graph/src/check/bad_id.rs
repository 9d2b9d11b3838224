//! A node id that links could not name.

use super::{Context, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::document::{MAX_ID, is_id};
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error(
    "G010",
    "bad_id",
    "A node id holds other characters than letters, digits, `_` and `-`, or too many.",
);

pub(crate) fn check(cx: &mut Context<'_>, id: &str) {
    if is_id(id) {
        return;
    }
    let clean: String = id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(MAX_ID)
        .collect();
    let help = if clean.is_empty() {
        "give the node a name".to_owned()
    } else {
        format!("call it `{clean}`")
    };
    let finding = Finding::new(&CODE, format!("`{}` cannot be the id of a node", shorten(id)))
        .expected(format!("1 to {MAX_ID} letters (a to z, A to Z), digits, `_` or `-`"))
        .found(shorten(id))
        .help(help);
    cx.report(finding.at_key(pointer(&["nodes", id])));
}
