//! A link that is not `"node.port"`.

use super::{Context, shorten, show};
use crate::codes::Code;
use crate::diagnostic::Finding;
use serde_json::Value;

pub(crate) const CODE: Code = Code::error("G022", "bad_link", "A link is not written as \"node.port\".");

/// `outputs` are those of the node that the text names, if it names one.
pub(crate) fn report(cx: &mut Context<'_>, place: String, found: &Value, outputs: Option<Vec<&str>>) {
    let help = match (found, outputs.as_deref()) {
        (Value::String(node), Some([first, ..])) => {
            format!("name an output of it: `\"{}.{first}\"`", shorten(node))
        }
        (Value::Null, _) => "remove the input if it shall be fed by nothing".to_owned(),
        (Value::Number(_) | Value::Bool(_), _) => "inputs take links; values belong under `params`".to_owned(),
        _ => "write the id of a node, a dot, and one of its outputs: `\"base.model\"`".to_owned(),
    };
    let finding = Finding::new(&CODE, "this is not a link")
        .expected("`\"node.port\"`")
        .found(show(found))
        .help(help);
    cx.report(finding.at_value(place));
}
