//! A number below the least or above the greatest that the node can work with.

use super::{Label, show};
use crate::catalog::{Param, ParamType};
use crate::codes::Code;
use crate::diagnostic::Finding;
use serde_json::Value;

pub(crate) const CODE: Code = Code::error(
    "G033",
    "param_range",
    "A parameter's number is below its least or above its greatest value.",
);

/// `label` is `node.param`.
pub(crate) fn judge(label: Label<'_>, param: &Param, value: &Value) -> Option<Finding> {
    if !value.is_number() {
        return None;
    }
    let low = param.min.filter(|&min| below(value, min));
    let high = param.max.filter(|&max| above(value, max));
    let (word, bound) = low.map(|b| ("least", b)).or(high.map(|b| ("greatest", b)))?;
    let expected = match (param.min, param.max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        _ => format!("{bound} or less"),
    };
    let message = format!("`{label}` is out of range: {} where {bound} is the {word}", show(value));
    Some(
        Finding::new(&CODE, message)
            .expected(expected)
            .found(show(value))
            .help(format!("the nearest value allowed is {bound}"))
            .fix(Some(nearest(param, bound))),
    )
}

/// The bound as the parameter's type writes it.
fn nearest(param: &Param, bound: f64) -> Value {
    match param.ty {
        ParamType::Integer => Value::from(bound as i64),
        _ => Value::from(bound),
    }
}

/// Whole numbers are compared as such: as `f64`, neighbours above 2⁵³ are equal.
fn below(value: &Value, min: f64) -> bool {
    match whole(value) {
        Some(n) => n < min.ceil() as i128,
        None => value.as_f64().is_some_and(|n| n < min),
    }
}

fn above(value: &Value, max: f64) -> bool {
    match whole(value) {
        Some(n) => n > max.floor() as i128,
        None => value.as_f64().is_some_and(|n| n > max),
    }
}

fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}
