//! The JSON Schema of graph files, for editors that complete and underline.
//!
//! Made from the catalogue, which is data, so that it lists exactly the nodes that are there. Node types that the
//! catalogue does not have are let through unjudged: a schema is written once and shipped, while the packs that
//! somebody has installed differ; whether a type exists is for [`check()`](crate::check()) to say. The schema is weaker than the
//! checks (it knows no links between nodes), never stricter on what it lists.

use crate::catalog::{Catalog, Input, NodeType, Param, ParamType};
use crate::document::MAX_ID;
use crate::parse::FORMAT;
use serde_json::{Map, Value, json};

/// JSON Schema (draft 2020-12) of graph files that use the node types of `catalog`.
pub fn schema(catalog: &Catalog) -> Value {
    let names: Vec<&str> = catalog.iter().map(|ty| ty.name.as_str()).collect();
    let rules: Vec<Value> = catalog.iter().map(|ty| rule(ty)).collect();
    let mut definitions = Map::new();
    definitions.insert("link".to_owned(), link());
    definitions.insert("node".to_owned(), node(&names, rules));
    definitions.extend(catalog.iter().map(|ty| (definition(ty), node_type(ty))));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Paragraph graph",
        "description": "Nodes that personalise a text-to-image model, and what feeds them.",
        "type": "object",
        "required": ["paragraph", "nodes"],
        "properties": {
            "paragraph": { "description": "Version of the file format.", "const": FORMAT },
            "title": { "description": "One line.", "type": "string" },
            "description": { "description": "What the graph does.", "type": "string" },
            "nodes": {
                "description": "Nodes by id.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": format!("^[A-Za-z0-9_-]{{1,{MAX_ID}}}$") },
                "additionalProperties": { "$ref": "#/$defs/node" }
            },
            "layout": { "description": "Where the editor draws the nodes. Changes no result." },
            "comments": { "description": "Remarks. Changes no result." },
            "made": { "description": "Written into pictures by Paragraph: what the graph used. Changes no result." }
        },
        "$defs": definitions
    })
}

fn link() -> Value {
    json!({
        "description": "An output of another node: `node.port`.",
        "type": "string",
        "pattern": format!("^[A-Za-z0-9_-]{{1,{MAX_ID}}}\\.[A-Za-z0-9_-]+$")
    })
}

fn node(names: &[&str], rules: Vec<Value>) -> Value {
    let mut node = json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {
                "description": "What the node does: `family/name`, or `family/name@version`.",
                "anyOf": [{ "enum": names }, { "type": "string", "pattern": "^[^@]+(@[1-9][0-9]*)?$" }]
            },
            "inputs": {
                "description": "What feeds each port.",
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{ "$ref": "#/$defs/link" }, { "type": "array", "items": { "$ref": "#/$defs/link" } }]
                }
            },
            "params": { "description": "Parameters by name.", "type": "object" },
            "bypass": {
                "description": "The node does not run; what comes in goes out: each output is the first input of its type.",
                "type": "boolean"
            },
            "frozen": {
                "description": "The key of a stored result: the node does not run, and this is what it gives.",
                "type": "string",
                "pattern": "^[0-9a-f]{64}$"
            }
        }
    });
    // An empty `allOf` is not valid.
    if !rules.is_empty() {
        node["allOf"] = Value::Array(rules);
    }
    node
}

fn definition(ty: &NodeType) -> String {
    format!("type:{}", ty.name)
}

/// Nodes of this type, in the version at hand, are judged by its definition.
fn rule(ty: &NodeType) -> Value {
    let versioned = format!("{}@{}", ty.name, ty.version);
    json!({
        "if": { "properties": { "type": { "enum": [ty.name, versioned] } }, "required": ["type"] },
        "then": { "$ref": format!("#/$defs/{}", crate::span::escape(&definition(ty))) }
    })
}

fn node_type(ty: &NodeType) -> Value {
    let inputs = ty.inputs.iter().map(|i| (i.name.clone(), input(i))).collect();
    let inputs = members(
        inputs,
        ty.inputs.iter().filter(|i| !i.optional).map(|i| i.name.as_str()),
    );
    let params = ty.params.iter().map(|p| (p.name.clone(), param(p))).collect();
    let params = members(
        params,
        ty.params
            .iter()
            .filter(|p| p.default.is_none())
            .map(|p| p.name.as_str()),
    );
    let parts = [("inputs", &inputs), ("params", &params)];
    let required: Vec<&str> = parts
        .iter()
        .filter(|(_, part)| part.get("required").is_some())
        .map(|(name, _)| *name)
        .collect();
    let mut schema = json!({ "description": ty.doc, "properties": { "inputs": inputs, "params": params } });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn members<'a>(properties: Map<String, Value>, required: impl Iterator<Item = &'a str>) -> Value {
    let required: Vec<&str> = required.collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn input(input: &Input) -> Value {
    let one = json!({ "$ref": "#/$defs/link" });
    let mut schema = if input.variadic {
        let least = u8::from(!input.optional);
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": least }] })
    } else {
        one
    };
    schema["description"] = match input.doc.as_str() {
        "" => format!("Takes `{}`.", input.ty).into(),
        doc => format!("Takes `{}`. {doc}", input.ty).into(),
    };
    schema
}

fn param(param: &Param) -> Value {
    let mut schema = Map::new();
    if !param.doc.is_empty() {
        schema.insert("description".to_owned(), param.doc.clone().into());
    }
    let name = match &param.ty {
        ParamType::Integer => "integer",
        ParamType::Number => "number",
        ParamType::String | ParamType::Choice { .. } | ParamType::Path | ParamType::OutputPath => "string",
        ParamType::Boolean => "boolean",
        ParamType::Strings => "array",
    };
    schema.insert(
        "type".to_owned(),
        if param.nullable {
            json!([name, "null"])
        } else {
            json!(name)
        },
    );
    match &param.ty {
        ParamType::Strings => drop(schema.insert("items".to_owned(), json!({ "type": "string" }))),
        ParamType::Choice { choices } => {
            let null = param.nullable.then_some(Value::Null);
            let words = choices.iter().cloned().map(Value::String).chain(null).collect();
            schema.insert("enum".to_owned(), Value::Array(words));
        }
        _ => {}
    }
    let bounds = [("minimum", param.min), ("maximum", param.max)];
    schema.extend(
        bounds
            .into_iter()
            .filter_map(|(key, bound)| Some((key.to_owned(), number(bound?)))),
    );
    if let Some(default) = &param.default {
        schema.insert("default".to_owned(), default.clone());
    }
    Value::Object(schema)
}

/// `1`, not `1.0`, where the number is whole.
fn number(n: f64) -> Value {
    if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
        Value::from(n as i64)
    } else {
        Value::from(n)
    }
}
