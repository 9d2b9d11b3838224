//! Brings nodes of older versions of their type up to date.
//!
//! A graph may name the version of a node type that it was made for (`para/train@1`). When the type has moved on,
//! one registered function for each step between the versions rewrites the node's object, so that old graphs keep
//! their meaning. A node without `@version` is taken to mean the present one.

use crate::document::NodeJson;
use serde_json::Value;
use std::collections::HashMap;

/// Rewrites a node's object from one version of its type to the next. It need not touch `type`.
pub type Step = fn(&mut NodeJson);

/// The steps that this version of Paragraph knows: node type, version the step starts from, the step. One line is
/// added for every node type whose parameters or ports change, together with a test.
const BUILTIN: &[(&str, u32, Step)] = &[];

/// Which steps exist.
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    steps: HashMap<String, HashMap<u32, Step>>,
}

impl Migrations {
    /// No steps.
    pub fn none() -> Self {
        Self::default()
    }

    /// The steps that come with Paragraph.
    pub fn builtin() -> Self {
        let mut all = Self::none();
        for (ty, from, step) in BUILTIN {
            all.add(ty, *from, *step);
        }
        all
    }

    /// Registers the step of node type `ty` from version `from` to `from + 1`.
    pub fn add(&mut self, ty: &str, from: u32, step: Step) {
        self.steps.entry(ty.to_owned()).or_default().insert(from, step);
    }

    /// Brings `node`, of type `ty` at version `from`, to version `to`, and its `type` with it.
    ///
    /// # Errors
    /// The version from which no step leads on; `node` is then as it was.
    pub fn upgrade(&self, node: &mut NodeJson, ty: &str, from: u32, to: u32) -> Result<(), u32> {
        let known = self.steps.get(ty);
        let steps: Vec<Step> = (from..to)
            .map(|version| known.and_then(|steps| steps.get(&version)).copied().ok_or(version))
            .collect::<Result<_, _>>()?;
        for step in steps {
            step(node);
        }
        node.insert("type".to_owned(), Value::String(format!("{ty}@{to}")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Version 2 called `lr` what version 1 called `learning_rate`.
    fn rename(node: &mut NodeJson) {
        if let Some(params) = node.get_mut("params").and_then(Value::as_object_mut)
            && let Some(rate) = params.shift_remove("learning_rate")
        {
            params.insert("lr".to_owned(), rate);
        }
    }

    /// Version 3 made `steps` explicit.
    fn fill(node: &mut NodeJson) {
        if let Some(params) = node.get_mut("params").and_then(Value::as_object_mut) {
            params.entry("steps").or_insert(json!(100));
        }
    }

    #[test]
    fn steps_run_in_order_and_a_gap_changes_nothing() {
        let mut migrations = Migrations::none();
        migrations.add("para/train", 1, rename);
        migrations.add("para/train", 2, fill);
        let old = json!({ "type": "para/train@1", "params": { "learning_rate": 0.5 }, "note": "kept" });
        let mut node = old.as_object().unwrap().clone();
        assert_eq!(migrations.upgrade(&mut node, "para/train", 1, 4), Err(3));
        assert_eq!(Value::Object(node.clone()), old);
        assert_eq!(migrations.upgrade(&mut node, "para/train", 1, 3), Ok(()));
        let new = json!({ "type": "para/train@3", "params": { "lr": 0.5, "steps": 100 }, "note": "kept" });
        assert_eq!(Value::Object(node.clone()), new);
        assert_eq!(migrations.upgrade(&mut node, "lora/train", 1, 2), Err(1));
        assert!(Migrations::builtin().upgrade(&mut node, "para/train", 3, 3).is_ok());
    }
}
