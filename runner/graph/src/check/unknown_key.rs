//! A key that means nothing here. It is kept: a later version may know it.

use super::shorten;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::parse::{NODE, TOP};
use crate::span::pointer;
use crate::suggest::{Suggest, list};

pub(crate) const CODE: Code = Code::warning(
    "G007",
    "unknown_key",
    "A key of the file or of a node that means nothing; kept and ignored.",
);

/// A key of the file.
pub(crate) fn of_file(key: &str) -> Finding {
    let near = Suggest::default().nearest(key, TOP);
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}; remarks go under `comments`", list(TOP.into_iter())),
    };
    Finding::new(
        &CODE,
        format!("the key `{}` means nothing and is ignored", shorten(key)),
    )
    .at_key(pointer(&[key]))
    .help(help)
    .fix(near)
}

/// A key of a node.
pub(crate) fn of_node(id: &str, key: &str, place: &str) -> Finding {
    let message = format!(
        "the key `{}` of node `{}` means nothing and is ignored",
        shorten(key),
        shorten(id)
    );
    let help = format!(
        "known are {}; remarks go under `comments` of the file",
        list(NODE.into_iter())
    );
    Finding::new(&CODE, message).at_key(place).help(help)
}
