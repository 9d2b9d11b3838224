//! `3.9` for a whole number, `"12"` for a number. Nothing is converted on the quiet.

use super::{Label, show};
use crate::catalog::{Param, ParamType};
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::params::kind;
use serde_json::Value;

pub(crate) const CODE: Code = Code::error(
    "G032",
    "param_type",
    "A parameter's value is of another type than the parameter.",
);

/// `label` is `node.param`.
pub(crate) fn judge(label: Label<'_>, param: &Param, value: &Value) -> Option<Finding> {
    let fits = match param.ty {
        ParamType::Integer => value.is_i64() || value.is_u64(),
        ParamType::Number => value.as_f64().is_some_and(f64::is_finite),
        ParamType::Boolean => value.is_boolean(),
        ParamType::String | ParamType::Choice { .. } | ParamType::Path | ParamType::OutputPath => value.is_string(),
        ParamType::Strings => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
    };
    if fits {
        return None;
    }
    let message = format!("`{label}` must be {}", kind(param));
    Some(
        Finding::new(&CODE, message)
            .expected(kind(param))
            .found(show(value))
            .maybe_help(help(&param.ty, value)),
    )
}

fn help(ty: &ParamType, value: &Value) -> Option<String> {
    let help = match (ty, value) {
        (ParamType::Integer, Value::Number(number)) => match number.as_f64() {
            Some(n) if n.abs() >= 9_007_199_254_740_992.0 => "whole numbers end at 18446744073709551615".to_owned(),
            Some(n) if n.fract() == 0.0 => format!("write it without a fraction: `{n}`"),
            Some(n) => format!("write `{}` or `{}`", n.floor(), n.ceil()),
            None => return None,
        },
        (ParamType::Integer | ParamType::Number, Value::String(text))
            if text.trim().parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            format!("remove the quotes: `{}`", text.trim())
        }
        (ParamType::Boolean, Value::String(text)) if matches!(text.as_str(), "true" | "false") => {
            format!("remove the quotes: `{text}`")
        }
        (ParamType::Boolean, Value::Number(_)) => "write `true` or `false`".to_owned(),
        (ParamType::Strings, Value::String(_)) => format!("put it in a list: `[{}]`", show(value)),
        (
            ParamType::String | ParamType::Path | ParamType::OutputPath | ParamType::Choice { .. },
            Value::Number(_) | Value::Bool(_),
        ) => {
            format!("put it in quotes: `\"{value}\"`")
        }
        _ => return None,
    };
    Some(help)
}
