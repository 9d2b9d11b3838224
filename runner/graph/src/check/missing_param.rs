//! A parameter without a default, left out.

use super::{Context, shorten};
use crate::catalog::Param;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::params::kind;
use crate::span::pointer;

pub(crate) const CODE: Code = Code::error("G031", "missing_param", "A parameter that has no default is not given.");

pub(crate) fn report(cx: &mut Context<'_>, id: &str, param: &Param) {
    let name = &param.name;
    let doc = if param.doc.is_empty() {
        String::new()
    } else {
        format!(": {}", param.doc)
    };
    let finding = Finding::new(&CODE, format!("node `{}` needs the parameter `{name}`", shorten(id)))
        .expected(kind(param))
        .help(format!("add `\"{name}\": …` under `params`{doc}"));
    cx.report(finding.at_key(pointer(&["nodes", id, "params", name])));
}
