//! A node fed by itself.

use super::{Context, shorten};
use crate::codes::Code;
use crate::diagnostic::Finding;

pub(crate) const CODE: Code = Code::error("G028", "self_link", "A node is linked to its own output.");

pub(crate) fn report(cx: &mut Context<'_>, place: String, id: &str, input: &str, output: &str) {
    let id = shorten(id);
    let message = format!(
        "node `{id}` waits for itself: {id}.{} → {id}.{}",
        shorten(output),
        shorten(input)
    );
    cx.report(
        Finding::new(&CODE, message)
            .expected("an output of another node")
            .help("link to another node")
            .at_value(place),
    );
}
