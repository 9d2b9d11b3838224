//! Parameter fields: how a value is shown, typed and nudged, from what the node type says of it.

use graph::catalog::{Param, ParamType};
use serde_json::Value;

/// How a parameter is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// Flips.
    Flag,
    /// A list of words.
    Choice,
    /// A line.
    Line,
    /// A text of several lines.
    Text,
    /// One text a line.
    Lines,
    /// A file or folder.
    Path,
}

/// How a parameter is edited.
pub fn editor(param: &Param) -> Editor {
    match param.ty {
        ParamType::Boolean => Editor::Flag,
        ParamType::Choice { .. } => Editor::Choice,
        ParamType::Integer | ParamType::Number => Editor::Line,
        ParamType::String => Editor::Text,
        ParamType::Strings => Editor::Lines,
        ParamType::Path | ParamType::OutputPath => Editor::Path,
    }
}

/// A value for people: texts without quotes, lists with commas, null as a dash.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What stands in the field while it is edited.
pub fn typed(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(typed).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// The value that a typed text stands for; none for an emptied field, which takes its default again.
///
/// # Errors
/// The text is no such value, or out of range.
pub fn read(param: &Param, text: &str) -> Result<Option<Value>, String> {
    let word = text.trim();
    let value = match &param.ty {
        ParamType::Integer | ParamType::Number if word.is_empty() => {
            return empty(param);
        }
        ParamType::Integer => {
            let whole = word.parse::<u64>().map(Value::from);
            let whole = whole.or_else(|_| word.parse::<i64>().map(Value::from));
            whole.map_err(|_| "a whole number belongs here".to_owned())?
        }
        ParamType::Number => {
            let number = word.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| "a number belongs here".to_owned())?)
        }
        ParamType::Boolean => Value::Bool(word.parse().map_err(|_| "true or false belongs here".to_owned())?),
        ParamType::Choice { choices } if word.is_empty() && !choices.iter().any(String::is_empty) => {
            return empty(param);
        }
        ParamType::Choice { choices } => {
            if !choices.iter().any(|choice| choice == word) {
                return Err(format!("one of {} belongs here", choices.join(", ")));
            }
            Value::from(word)
        }
        ParamType::String if text.is_empty() && param.nullable => return Ok(None),
        ParamType::String => Value::from(text),
        ParamType::Path | ParamType::OutputPath if word.is_empty() => return empty(param),
        ParamType::Path | ParamType::OutputPath => Value::from(word),
        ParamType::Strings if word.is_empty() => return empty(param),
        ParamType::Strings => text.lines().map(Value::from).collect(),
    };
    in_range(param, &value)?;
    Ok(Some(value))
}

fn empty(param: &Param) -> Result<Option<Value>, String> {
    match param.default {
        Some(_) => Ok(None),
        None => Err(format!("{} needs a value", param.name)),
    }
}

fn in_range(param: &Param, value: &Value) -> Result<(), String> {
    let Some(number) = value.as_f64() else {
        return Ok(());
    };
    match (param.min, param.max) {
        (Some(min), _) if number < min => Err(format!("{min} is the least")),
        (_, Some(max)) if number > max => Err(format!("{max} is the most")),
        _ => Ok(()),
    }
}

/// The value one step lower or higher (`steps` of 10: much); none where there is nothing to step through.
pub fn nudge(param: &Param, value: &Value, steps: i64) -> Option<Value> {
    match &param.ty {
        ParamType::Boolean => Some(Value::Bool(!value.as_bool()?)),
        ParamType::Choice { choices } => {
            let at = choices
                .iter()
                .position(|choice| Some(choice.as_str()) == value.as_str())?;
            let next = at as i64 + steps.signum();
            Some(Value::from(choices.get(usize::try_from(next).ok()?)?.as_str()))
        }
        ParamType::Integer => {
            let now = value.as_i64().or_else(|| param.min.map(|min| min as i64)).unwrap_or(0);
            let low = param.min.map_or(i64::MIN, |min| min as i64);
            let high = param.max.map_or(i64::MAX, |max| max as i64);
            Some(Value::from(now.saturating_add(steps).clamp(low, high)))
        }
        ParamType::Number => {
            let now = value.as_f64().or(param.min).unwrap_or(0.0);
            let next = step_number(param, now, steps);
            let next = next.clamp(param.min.unwrap_or(f64::MIN), param.max.unwrap_or(f64::MAX));
            serde_json::Number::from_f64(next).map(Value::Number)
        }
        _ => None,
    }
}

/// Small numbers go through 1, 2, 5, 10; shares by twentieths; others by halves.
fn step_number(param: &Param, now: f64, steps: i64) -> f64 {
    let default = param.default.as_ref().and_then(Value::as_f64).unwrap_or(now);
    let is_share = param.max == Some(1.0) && param.min == Some(0.0);
    if default > 0.0 && default < 0.01 && now > 0.0 {
        return ladder(now, steps);
    }
    let step = if is_share { 0.05 } else { 0.5 };
    ((now + step * steps as f64) / step).round() * step
}

fn ladder(now: f64, steps: i64) -> f64 {
    let many = if steps.abs() >= 10 { 3 * steps.signum() } else { steps };
    let rung = (now.log10() * 3.0).round() as i64 + many;
    let (decade, place) = (rung.div_euclid(3), rung.rem_euclid(3));
    // Through its digits, so that 0.002 is 0.002.
    let digit = ["1", "2", "5"][place as usize];
    format!("{digit}e{decade}").parse().unwrap_or(now)
}

/// What a field takes, in a few words: `whole number 1..4096`.
pub fn takes(param: &Param) -> String {
    let kind = match &param.ty {
        ParamType::Integer => "whole number",
        ParamType::Number => "number",
        ParamType::String => "text",
        ParamType::Boolean => "true or false",
        ParamType::Choice { choices } => return choices.join(" · "),
        ParamType::Path => "file or folder to read",
        ParamType::OutputPath => "file or folder to write",
        ParamType::Strings => "texts",
    };
    match (param.min, param.max) {
        (Some(min), Some(max)) => format!("{kind}, {min} to {max}"),
        (Some(min), None) => format!("{kind} from {min}"),
        (None, Some(max)) => format!("{kind} up to {max}"),
        (None, None) => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn param(json: Value) -> Param {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn texts_become_values_of_the_right_kind() {
        let rank = param(json!({"name": "rank", "type": "integer", "default": 4, "min": 1, "max": 64}));
        assert_eq!(read(&rank, " 8 "), Ok(Some(json!(8))));
        assert_eq!(read(&rank, ""), Ok(None));
        assert_eq!(read(&rank, "0").unwrap_err(), "1 is the least");
        assert_eq!(read(&rank, "3.5").unwrap_err(), "a whole number belongs here");
        let prompt = param(json!({"name": "prompt", "type": "string"}));
        assert_eq!(read(&prompt, " a\nb"), Ok(Some(json!(" a\nb"))));
        let path = param(json!({"name": "path", "type": "path"}));
        assert_eq!(read(&path, " ").unwrap_err(), "path needs a value");
        let labels = param(json!({"name": "labels", "type": "strings"}));
        assert_eq!(read(&labels, "a\nb"), Ok(Some(json!(["a", "b"]))));
        assert_eq!(typed(&json!(["a", "b"])), "a\nb");
    }

    #[test]
    fn numbers_are_nudged_within_their_range() {
        let rank = param(json!({"name": "rank", "type": "integer", "default": 4, "min": 1, "max": 64}));
        assert_eq!(nudge(&rank, &json!(4), 1), Some(json!(5)));
        assert_eq!(nudge(&rank, &json!(4), -10), Some(json!(1)));
        let lr = param(json!({"name": "lr", "type": "number", "default": 0.001, "min": 1e-12, "max": 1.0}));
        assert_eq!(nudge(&lr, &json!(0.001), 1), Some(json!(0.002)));
        assert_eq!(nudge(&lr, &json!(0.001), -10), Some(json!(0.0001)));
        let share = param(json!({"name": "eta", "type": "number", "default": 0.0, "min": 0.0, "max": 1.0}));
        assert_eq!(nudge(&share, &json!(0.0), 1), Some(json!(0.05)));
        let mode = param(json!({"name": "mode", "type": "choice", "choices": ["merge", "sequential"]}));
        assert_eq!(nudge(&mode, &json!("merge"), 1), Some(json!("sequential")));
        assert_eq!(nudge(&mode, &json!("merge"), -1), None);
    }
}
