//! The shipped graphs, as JSON, and how to run them in seconds.

use super::project;
use serde_json::Value as Json;
use std::path::Path;

/// Names of all graphs in `graphs/`, without the schema.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(project::root().join("graphs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json") && name != "graph.schema.json")
        .collect();
    names.sort();
    assert!(names.contains(&"hello.json".to_owned()), "{names:?}");
    names
}

/// A shipped graph.
pub(crate) fn read(name: &str) -> Json {
    read_file(&project::root().join("graphs").join(name))
}

/// A graph.
pub(crate) fn read_file(file: &Path) -> Json {
    let text = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Arguments that make the trainings and drawings of a graph short.
pub(crate) fn shortened(graph: &Json) -> Vec<String> {
    let mut arguments = Vec::new();
    for (id, node) in graph["nodes"].as_object().unwrap() {
        let ty = node["type"].as_str().unwrap();
        let mut set = |param: &str, value: u64| {
            arguments.extend(["--set".to_owned(), format!("{id}.{param}={value}")]);
        };
        if ty.ends_with("/train") {
            set("steps", 3);
        } else if ty == "sample/ddim" {
            set("steps", 2);
            set("batch", node["params"]["batch"].as_u64().unwrap_or(1).min(2));
        }
    }
    arguments
}
