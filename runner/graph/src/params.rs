//! Parameters: whether a value suits, and what stands where the graph gives none.

use crate::catalog::{NodeType, Param, ParamType};
use crate::check::{Context, Label, missing_param, null_param, param_choice, param_range, param_type, unknown_param};
use crate::diagnostic::Finding;
use crate::span::pointer;
use crate::suggest::Suggest;
use serde_json::{Map, Value};

/// What a parameter holds, for people.
pub(crate) fn kind(param: &Param) -> String {
    let kind = match &param.ty {
        ParamType::Integer => "a whole number".to_owned(),
        ParamType::Number => "a number".to_owned(),
        ParamType::String => "a text".to_owned(),
        ParamType::Boolean => "`true` or `false`".to_owned(),
        ParamType::Choice { choices } => match choices.as_slice() {
            [only] => format!("`{only}`"),
            some => format!(
                "one of {}",
                some.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")
            ),
        },
        ParamType::Path => "the path of a file or folder".to_owned(),
        ParamType::OutputPath => "the path of a file or folder to write".to_owned(),
        ParamType::Strings => "a list of texts".to_owned(),
    };
    if param.nullable {
        format!("{kind}, or null")
    } else {
        kind
    }
}

/// What is wrong with `value` for `param`, if anything. `label` is `node.param`.
pub(crate) fn judge(suggest: &Suggest, label: Label<'_>, param: &Param, value: &Value) -> Option<Finding> {
    if value.is_null() {
        return null_param::judge(label, param, value);
    }
    param_type::judge(label, param, value)
        .or_else(|| param_range::judge(label, param, value))
        .or_else(|| param_choice::judge(suggest, label, param, value))
}

/// Checks the parameters of a node and gives every declared one.
pub(crate) fn fill(cx: &mut Context<'_>, id: &str, ty: &NodeType, given: &Map<String, Value>) -> Map<String, Value> {
    for name in given.keys() {
        if !ty.params.iter().any(|param| param.name == *name) {
            unknown_param::check(cx, id, ty, name);
        }
    }
    let mut filled = Map::new();
    for param in &ty.params {
        let value = match given.get(&param.name) {
            Some(value) => {
                let label = Label(id, &param.name);
                if let Some(finding) = judge(&cx.suggest, label, param, value) {
                    cx.report(finding.at_value(pointer(&["nodes", id, "params", &param.name])));
                }
                value
            }
            None => match &param.default {
                Some(default) => default,
                None => {
                    missing_param::report(cx, id, param);
                    continue;
                }
            },
        };
        filled.insert(param.name.clone(), plain(param, value));
    }
    filled
}

/// One spelling for equal numbers: where a float is meant, `7` is `7.0` and `-0.0` is `0.0`.
fn plain(param: &Param, value: &Value) -> Value {
    match (&param.ty, value.as_f64()) {
        (ParamType::Number, Some(number)) => Value::from(number + 0.0),
        _ => value.clone(),
    }
}
