//! What each node depends on, as a number: its own text and that of everything above it.

use graph::{Document, Link, Links, Node};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers that change when a node or anything above it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prints {
    /// What each node gives depends on this. Nodes in a circle have none.
    pub all: HashMap<String, u64>,
    /// Frozen nodes whose result is known to be older than their parameters or inputs, or not to be.
    pub older: HashMap<String, bool>,
}

/// The numbers of a graph. `known` are those of stored results, by their key: of a frozen node, the number of its result counts.
pub fn fingerprints(document: &Document, known: &HashMap<String, u64>) -> Prints {
    let nodes = document.nodes();
    let above: Vec<Vec<usize>> = nodes
        .values()
        .map(|node| {
            let links = node.inputs.values().flat_map(|links| links.iter());
            links
                .filter_map(|link| match link {
                    Link::To { node, .. } => nodes.get_index_of(node),
                    Link::Malformed(_) => None,
                })
                .collect()
        })
        .collect();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting: Vec<usize> = above.iter().map(Vec::len).collect();
    for (at, sources) in above.iter().enumerate() {
        for source in sources {
            below[*source].push(at);
        }
    }
    let mut older = HashMap::new();
    let mut found: Vec<Option<u64>> = vec![None; nodes.len()];
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|at| waiting[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        let mut hasher = DefaultHasher::new();
        if let Some((_, node)) = nodes.get_index(at) {
            hash(node, &mut hasher);
        }
        for source in &above[at] {
            found[*source].hash(&mut hasher);
        }
        let mut print = hasher.finish();
        if let Some((id, key)) = nodes
            .get_index(at)
            .and_then(|(id, node)| Some((id, node.frozen.as_ref()?)))
        {
            let frozen = known.get(key).copied();
            if let Some(frozen) = frozen {
                older.insert(id.clone(), frozen != print);
            }
            print = frozen.unwrap_or_else(|| {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                hasher.finish()
            });
        }
        found[at] = Some(print);
        for next in &below[at] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    let all = nodes.keys().zip(found);
    Prints {
        all: all.filter_map(|(id, found)| Some((id.clone(), found?))).collect(),
        older,
    }
}

/// Takes in all that a node says.
fn hash(node: &Node, hasher: &mut DefaultHasher) {
    (&node.ty.name, node.ty.version, node.bypass).hash(hasher);
    for (port, links) in &node.inputs {
        (port, matches!(links, Links::List(_))).hash(hasher);
        for link in links.iter() {
            match link {
                Link::To { node, port } => (1_u8, node, port).hash(hasher),
                Link::Malformed(value) => values(value, hasher),
            }
        }
    }
    for (name, value) in node.params.iter().chain(&node.extra) {
        name.hash(hasher);
        values(value, hasher);
    }
    (node.inputs.len(), node.params.len()).hash(hasher);
}

/// Takes in a value with all that is inside, each part with its kind before it.
fn values(value: &Value, hasher: &mut DefaultHasher) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        std::mem::discriminant(value).hash(hasher);
        match value {
            Value::Null => {}
            Value::Bool(value) => value.hash(hasher),
            Value::Number(number) => number.hash(hasher),
            Value::String(text) => text.hash(hasher),
            Value::Array(list) => {
                list.len().hash(hasher);
                open.extend(list);
            }
            Value::Object(map) => {
                map.len().hash(hasher);
                for (key, value) in map {
                    key.hash(hasher);
                    open.push(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reaches_what_stands_below() {
        let text = |seed: u32| {
            format!(
                r#"{{"paragraph":1,"nodes":{{"a":{{"type":"t","params":{{"seed":{seed}}}}},"b":{{"type":"t","inputs":{{"x":"a.o"}}}},"c":{{"type":"t"}}}}}}"#
            )
        };
        let prints = |seed| fingerprints(&graph::parse(&text(seed)).0, &HashMap::new()).all;
        let (one, two) = (prints(1), prints(2));
        assert_ne!(one["a"], two["a"]);
        assert_ne!(one["b"], two["b"]);
        assert_eq!(one["c"], two["c"]);
    }

    #[test]
    fn below_a_frozen_node_nothing_changes() {
        let text = |seed: u32, frozen: &str| {
            let text = format!(
                r#"{{"paragraph":1,"nodes":{{"a":{{"type":"t","params":{{"seed":{seed}}}{frozen}}},"b":{{"type":"t","inputs":{{"x":"a.o"}}}}}}}}"#
            );
            graph::parse(&text).0
        };
        let key = "0a".repeat(32);
        let frozen = format!(r#","frozen":"{key}""#);
        let free = fingerprints(&text(1, ""), &HashMap::new());
        let known = HashMap::from([(key, free.all["a"])]);
        let same = fingerprints(&text(1, &frozen), &known);
        assert_eq!((&same.all, same.older["a"]), (&free.all, false));
        let changed = fingerprints(&text(2, &frozen), &known);
        assert_eq!((&changed.all, changed.older["a"]), (&free.all, true));
    }
}
