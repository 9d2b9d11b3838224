//! A list where an object belongs, a number where a text belongs.

use super::shorten;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::pointer;
use serde_json::Value;

pub(crate) const CODE: Code = Code::error(
    "G005",
    "wrong_shape",
    "A part of the file has another JSON type than it must have.",
);

/// The file itself.
pub(crate) fn file(token: &str) -> Finding {
    Finding::new(&CODE, "a graph is a JSON object")
        .expected("`{ \"paragraph\": 1, \"nodes\": { … } }`")
        .found(kind(token))
        .at_key("")
}

/// `nodes`.
pub(crate) fn nodes(token: &str) -> Finding {
    let finding = Finding::new(&CODE, "`nodes` must be an object")
        .expected("`{ \"id\": { \"type\": … }, … }`")
        .found(kind(token))
        .at_key("/nodes");
    if token.starts_with('[') {
        return finding
            .help("a workflow of another program keeps its nodes in a list; here each node has its id as key");
    }
    finding
}

/// `title` or `description`.
pub(crate) fn text(key: &str, token: &str) -> Finding {
    let message = format!("`{key}` must be a text");
    Finding::new(&CODE, message)
        .expected("a text in double quotes")
        .found(kind(token))
        .at_value(pointer(&[key]))
}

/// A node.
pub(crate) fn node(id: &str, token: &str) -> Finding {
    Finding::new(&CODE, format!("node `{}` must be an object", shorten(id)))
        .expected("`{ \"type\": …, \"inputs\": { … }, \"params\": { … } }`")
        .found(kind(token))
        .at_value(pointer(&["nodes", id]))
}

/// `type`, `inputs`, `params`, `bypass` or `frozen` of a node.
pub(crate) fn part(id: &str, part: &str, found: &Value) -> Finding {
    let (what, expected) = match part {
        "type" => ("a text", "the name of a node type: `\"para/train\"`"),
        "inputs" => ("an object", "ports with their links: `{ \"model\": \"base.model\" }`"),
        "bypass" => ("true or false", "`true` or `false`"),
        "frozen" => (
            "the key of a stored result",
            "the 64 hexadecimal digits that `B` in the editor writes",
        ),
        _ => ("an object", "names with their values: `{ \"seed\": 1 }`"),
    };
    Finding::new(&CODE, format!("`{part}` of node `{}` must be {what}", shorten(id)))
        .expected(expected)
        .found(super::show(found))
        .at_value(pointer(&["nodes", id, part]))
}

fn kind(token: &str) -> &'static str {
    match token.bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}
