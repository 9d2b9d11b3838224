//! The key of a step: everything its result depends on, and nothing else.

use graph::catalog::{NodeType, ParamType};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Computes the key of a step: BLAKE3 over the node type and version, the build of the plugin that implements
/// it (which covers the shared libraries), its parameters in canonical order with file names replaced by file
/// contents, and the content keys of its inputs in order. Parameters of manner do not count. Layout and comments of the graph never enter.
///
/// `params` are the checked parameters with paths resolved, `contents` the content of each input path by
/// parameter, `inputs` the content keys by port.
pub fn step(
    ty: &NodeType,
    build: &str,
    params: &Map<String, Json>,
    contents: &BTreeMap<String, String>,
    inputs: &[(&str, Vec<&str>)],
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        // Length first, so that no two lists of texts run together to the same bytes.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(&ty.name);
    add(&ty.version.to_string());
    add(build);
    for param in ty.params.iter().filter(|param| !param.manner) {
        let value = params.get(&param.name).unwrap_or(&Json::Null);
        add(&param.name);
        match (&param.ty, contents.get(&param.name)) {
            (ParamType::Path, Some(content)) => add(content),
            _ => add(&canonical(value)),
        }
    }
    for (port, contents) in inputs {
        add(port);
        add(&contents.len().to_string());
        for content in contents {
            add(content);
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// The content key of an output that lives in memory only.
pub fn memory_output(step: &str, port: &str) -> String {
    blake3::hash(format!("{step}.{port}").as_bytes()).to_hex().to_string()
}

/// A number as the same text however it was written: `1`, `1.0` and `1e0` are one learning rate.
fn canonical(value: &Json) -> String {
    match value {
        Json::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            if float.fract() == 0.0 && float.abs() < 9.0e15 {
                format!("{float:.0}")
            } else {
                format!("{float:e}")
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node() -> NodeType {
        serde_json::from_value(json!({"name": "t/n", "params": [
            {"name": "lr", "type": "number"}, {"name": "path", "type": "path"}, {"name": "often", "type": "integer", "manner": true}]}))
        .unwrap()
    }

    fn key(params: Json, content: &str, input: &str) -> String {
        let contents = BTreeMap::from([("path".to_owned(), content.to_owned())]);
        step(
            &node(),
            "build",
            params.as_object().unwrap(),
            &contents,
            &[("in", vec![input])],
        )
    }

    #[test]
    fn names_of_files_do_not_count_and_their_content_does() {
        let base = key(json!({"lr": 1, "path": "a"}), "c1", "i");
        assert_eq!(base, key(json!({"lr": 1.0, "path": "b"}), "c1", "i"));
        assert_eq!(base, key(json!({"lr": 1, "path": "a", "often": 3}), "c1", "i"));
        for other in [
            key(json!({"lr": 1.5, "path": "a"}), "c1", "i"),
            key(json!({"lr": 1, "path": "a"}), "c2", "i"),
            key(json!({"lr": 1, "path": "a"}), "c1", "j"),
        ] {
            assert_ne!(base, other);
        }
    }
}
