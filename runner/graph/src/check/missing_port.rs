//! A link to an output that the node does not have.

use super::{Context, shorten};
use crate::catalog::NodeType;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::suggest::list;

pub(crate) const CODE: Code = Code::error(
    "G024",
    "missing_port",
    "A link names an output that its node does not have.",
);

pub(crate) fn report(cx: &mut Context<'_>, place: String, node: &str, ty: &NodeType, port: &str) {
    let names = || ty.outputs.iter().map(|o| o.name.as_str());
    let known = list(names());
    let near = cx.suggest.nearest(port, names());
    let help = match near {
        Some(near) => format!("did you mean `{}.{near}`?", shorten(node)),
        None if known.is_empty() => format!("`{}` has no outputs", ty.name),
        None => format!("link to one of {known}"),
    };
    let message = format!(
        "node `{}` (`{}`) has no output `{}`",
        shorten(node),
        ty.name,
        shorten(port)
    );
    let expected = if known.is_empty() {
        "a node with outputs".to_owned()
    } else {
        known
    };
    cx.report(
        Finding::new(&CODE, message)
            .expected(expected)
            .found(shorten(port))
            .help(help)
            .fix(near.map(|near| format!("{node}.{near}")))
            .at_value(place),
    );
}
