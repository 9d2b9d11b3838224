//! `parms` for `params`: ignoring it would run the node with other parameters than the author wrote.

use super::shorten;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::parse::NODE;
use crate::suggest::Suggest;

pub(crate) const CODE: Code = Code::error(
    "G008",
    "misspelt_key",
    "A key of a node that is almost `type`, `inputs`, `params`, `bypass` or `frozen`.",
);

/// A finding when `key` is nearly one that counts.
pub(crate) fn finding(id: &str, key: &str, place: &str) -> Option<Finding> {
    let singular = NODE.into_iter().find(|name| name.strip_suffix('s') == Some(key));
    let near = singular.or_else(|| Suggest::default().nearest(key, NODE))?;
    let message = format!("node `{}` has a key `{}`", shorten(id), shorten(key));
    Some(
        Finding::new(&CODE, message)
            .at_key(place)
            .expected(near)
            .found(shorten(key))
            .help(format!("did you mean `{near}`?"))
            .fix(Some(near)),
    )
}
