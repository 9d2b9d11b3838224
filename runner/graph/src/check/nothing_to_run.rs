//! A graph without nodes.

use super::Context;
use crate::codes::Code;
use crate::diagnostic::Finding;

pub(crate) const CODE: Code = Code::error("G009", "nothing_to_run", "The graph has no nodes.");

pub(crate) fn check(cx: &mut Context<'_>) {
    if cx.document.nodes().is_empty() {
        let help = "add one: `\"nodes\": { \"base\": { \"type\": \"load/model\", \"params\": { \"path\": \"…\" } } }`";
        cx.report(
            Finding::new(&CODE, "nothing to run: the graph has no nodes")
                .at_key("/nodes")
                .expected("at least one node")
                .help(help),
        );
    }
}
