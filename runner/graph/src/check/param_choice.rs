//! A word that is none of those a parameter knows.

use super::{Label, show};
use crate::catalog::{Param, ParamType};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::suggest::{Suggest, list};
use serde_json::Value;

pub(crate) const CODE: Code = Code::error("G034", "param_choice", "A parameter's word is none of its choices.");

/// `label` is `node.param`.
pub(crate) fn judge(suggest: &Suggest, label: Label<'_>, param: &Param, value: &Value) -> Option<Finding> {
    let (ParamType::Choice { choices }, Value::String(word)) = (&param.ty, value) else {
        return None;
    };
    if choices.contains(word) {
        return None;
    }
    let names = || choices.iter().map(String::as_str);
    let near = suggest.nearest(word, names());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("choose one of {}", list(names())),
    };
    let message = format!("`{label}` cannot be {}", show(value));
    let choices = choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    Some(
        Finding::new(&CODE, message)
            .expected(choices)
            .found(show(value))
            .help(help)
            .fix(near),
    )
}
