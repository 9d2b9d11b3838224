//! `null` for a parameter that has no such value.

use super::Label;
use crate::catalog::Param;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::params::kind;
use serde_json::Value;

pub(crate) const CODE: Code = Code::error(
    "G035",
    "null_param",
    "`null` is given to a parameter that must have a value.",
);

/// `label` is `node.param`.
pub(crate) fn judge(label: Label<'_>, param: &Param, value: &Value) -> Option<Finding> {
    if !value.is_null() || param.nullable {
        return None;
    }
    let help = match &param.default {
        Some(default) => format!("leave it out for its default, {}", super::show(default)),
        None => "give it a value".to_owned(),
    };
    Some(
        Finding::new(&CODE, format!("`{label}` cannot be null"))
            .expected(kind(param))
            .found("null")
            .help(help),
    )
}
