//! What node types exist: the one source from which checks, `para nodes`, the JSON Schema and the docs derive.
//!
//! A node crate carries its descriptors as JSON in a section of its file (see `sdk::plugin!`), so the
//! catalogue can be read without running anything.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the engine treats a node type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Executes, and its outputs are kept in the store.
    #[default]
    Step,
    /// Its outputs live in memory only and are made when a step that executes needs them (models).
    Lazy,
    /// Executes, and writes files the user asked for; done only while those files are as written.
    Effect,
}

/// An input port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Name in the graph file.
    pub name: String,
    /// Type of the values that may be linked to it.
    #[serde(rename = "type")]
    pub ty: String,
    /// Whether the node can run without it.
    #[serde(default)]
    pub optional: bool,
    /// Whether it takes a list of links, in order.
    #[serde(default)]
    pub variadic: bool,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
}

/// An output port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Name in the graph file.
    pub name: String,
    /// Type of the value.
    #[serde(rename = "type")]
    pub ty: String,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
}

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ParamType {
    /// A whole number: `3`, never `3.0` or `"3"`.
    Integer,
    /// A finite number.
    Number,
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    Choice {
        /// The words.
        choices: Vec<String>,
    },
    /// A file or folder that the node reads; relative to the graph file. Its content is part of the step's key.
    Path,
    /// A file or folder that the node writes; relative to the graph file.
    OutputPath,
    /// A list of texts.
    Strings,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Name in the graph file.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub ty: ParamType,
    /// Whether `null` is a value of its own.
    #[serde(default)]
    pub nullable: bool,
    /// The value when the graph gives none; without one the parameter is required.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub default: Option<serde_json::Value>,
    /// Least value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Whether it changes only how the work is done, never the result: such a parameter is no part of the step's key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub manner: bool,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Keeps `"default": null` apart from no default.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(d).map(Some)
}

/// A node type, as its crate describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Name in the graph file, `family/name`.
    pub name: String,
    /// Version; `para/train@2` in a graph names one.
    #[serde(default = "one")]
    pub version: u32,
    /// How the engine treats it.
    #[serde(default)]
    pub kind: NodeKind,
    /// The help page: the doc comment of the node's function.
    #[serde(default)]
    pub doc: String,
    /// Input ports, in order.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Output ports, in order.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Parameters, in order.
    #[serde(default)]
    pub params: Vec<Param>,
}

const fn one() -> u32 {
    1
}

/// All node types known to one run.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    types: IndexMap<String, Arc<NodeType>>,
}

impl Catalog {
    /// Adds a node type; gives back the one of the same name that was there.
    pub fn insert(&mut self, node: NodeType) -> Option<Arc<NodeType>> {
        self.types.insert(node.name.clone(), Arc::new(node))
    }

    /// The node type of that name (without `@version`).
    pub fn get(&self, name: &str) -> Option<&Arc<NodeType>> {
        self.types.get(name)
    }

    /// All node types, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<NodeType>> {
        self.types.values()
    }

    /// Sorts by name, so that listings do not depend on the order of files in a folder.
    pub fn sort(&mut self) {
        self.types.sort_keys();
    }
}
