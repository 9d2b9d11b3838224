//! The JSON Schema against the checks: what it says of the example, and that it holds together.

use crate::support::{EXAMPLE, catalog};
use graph::{Catalog, parse, schema};
use serde_json::{Value, json};

/// Every `$ref` inside `value`.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn references_resolve() {
    let schema = schema(&catalog());
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > catalog().iter().count());
    for reference in found {
        assert!(
            schema.pointer(reference.strip_prefix('#').unwrap()).is_some(),
            "{reference}"
        );
    }
    assert_eq!(graph::schema(&Catalog::default())["$defs"]["node"].get("allOf"), None);
}

#[test]
fn every_port_and_parameter_is_described() {
    let schema = schema(&catalog());
    for ty in catalog().iter() {
        let node = &schema["$defs"][format!("type:{}", ty.name)];
        for (part, names) in [
            ("inputs", ty.inputs.iter().map(|i| &i.name).collect::<Vec<_>>()),
            ("params", ty.params.iter().map(|p| &p.name).collect()),
        ] {
            let listed: Vec<&String> = node["properties"][part]["properties"]
                .as_object()
                .unwrap()
                .keys()
                .collect();
            assert_eq!(listed, names);
            assert_eq!(node["properties"][part]["additionalProperties"], false);
        }
    }
    let train = &schema["$defs"]["type:para/train"];
    assert_eq!(train["required"], json!(["inputs", "params"]));
    assert_eq!(train["properties"]["params"]["required"], json!(["prompt"]));
    assert_eq!(
        train["properties"]["params"]["properties"]["rank"],
        json!({ "type": "integer", "minimum": 1, "maximum": 1024, "default": 4 })
    );
    assert_eq!(
        schema["$defs"]["type:image/grid"]["properties"]["params"]["properties"]["columns"]["type"],
        json!(["integer", "null"])
    );
}

#[test]
fn the_examples_nodes_name_known_definitions_and_required_members() {
    let schema = schema(&catalog());
    let rules = schema["$defs"]["node"]["allOf"].as_array().unwrap();
    let (document, _) = parse(EXAMPLE);
    for node in document.nodes().values() {
        let applies = |rule: &&Value| {
            rule["if"]["properties"]["type"]["enum"]
                .as_array()
                .unwrap()
                .contains(&node.ty.to_string().into())
        };
        let rule: Vec<&Value> = rules.iter().filter(applies).collect();
        assert_eq!(rule.len(), 1, "{}", node.ty);
        let definition = schema
            .pointer(rule[0]["then"]["$ref"].as_str().unwrap().strip_prefix('#').unwrap())
            .unwrap();
        let json = node.to_json();
        for part in definition["required"].as_array().into_iter().flatten() {
            let part = part.as_str().unwrap();
            for name in definition["properties"][part]["required"].as_array().unwrap() {
                assert!(json[part].get(name.as_str().unwrap()).is_some());
            }
        }
    }
}
