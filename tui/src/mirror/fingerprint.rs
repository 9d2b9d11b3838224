//! What each node depends on, as a number: its own text and that of everything above it.

use graph::{Document, Link};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// For each node a number that changes when it or anything above it changes. Nodes in a circle have none.
pub fn fingerprints(document: &Document) -> HashMap<String, u64> {
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
    let mut found: Vec<Option<u64>> = vec![None; nodes.len()];
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|at| waiting[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        let mut hasher = DefaultHasher::new();
        if let Some((_, node)) = nodes.get_index(at) {
            serde_json::Value::Object(node.to_json()).to_string().hash(&mut hasher);
        }
        for source in &above[at] {
            found[*source].hash(&mut hasher);
        }
        found[at] = Some(hasher.finish());
        for next in &below[at] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    nodes
        .keys()
        .zip(found)
        .filter_map(|(id, found)| Some((id.clone(), found?)))
        .collect()
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
        let prints = |seed| fingerprints(&graph::parse(&text(seed)).0);
        let (one, two) = (prints(1), prints(2));
        assert_ne!(one["b"], two["b"]);
        assert_eq!(one["c"], two["c"]);
    }
}
