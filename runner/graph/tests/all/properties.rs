//! Whatever the text: no panic, no lost byte, spans that mean what they say.

use crate::support::{EXAMPLE, catalog};
use graph::{Document, Links, Node, Spans, check, parse, print};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,4}",
        2 => prop::sample::select(vec!["type", "inputs", "params", "nodes", "paragraph", "title", "rank", "images", "model"]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => prop::sample::select(vec!["", "~", "/", "a/b~", "\"", "\\", "\u{1b}", "0"]).prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        key().prop_map(Value::from),
        prop::sample::select(vec!["base.model", "a.b", "para/train", "load/model@2", "test/pass"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A file of a right outer form with anything in its nodes.
fn file() -> impl Strategy<Value = String> {
    prop::collection::vec((key(), value()), 0..6).prop_map(|nodes| {
        let nodes: Map<_, _> = nodes.into_iter().collect();
        let file = serde_json::json!({ "paragraph": 1, "nodes": nodes });
        format!("{file:#}")
    })
}

/// Reads, checks and edits `text`; nothing of it may panic, and every place must lie in the text.
fn exercise(text: &str) -> Document {
    let (document, found) = parse(text);
    assert_eq!(document.text(), text);
    let wrong = check(&document, &catalog()).map_or_else(|wrong| wrong, |checked| checked.warnings);
    for diagnostic in found.iter().chain(&wrong) {
        assert!(text.get(diagnostic.span.clone()).is_some(), "{diagnostic:?}");
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
        assert!(diagnostic.line <= text.matches('\n').count() + 1);
    }
    document.canonical();
    let mut edited = document.clone();
    for id in document.nodes().keys().take(3) {
        let _ = edited.set_param(id, "rank", 3);
        let _ = edited.set_input(id, "images", &Links::List(Vec::new()));
        let _ = edited.remove_input(id, "model");
        let _ = edited.rename_node(id, "renamed");
        let _ = edited.remove_node("renamed");
    }
    let some: Vec<String> = edited.nodes().keys().skip(1).take(3).cloned().collect();
    let _ = edited.remove_nodes(&some);
    for key in ["title", "layout", ""] {
        let _ = edited.set_top(key, 1);
        let _ = edited.remove_top(key);
    }
    let _ = edited.insert_node("inserted", &Node::new("test/pass"));
    assert_eq!(edited.is_readable(), document.is_readable(), "edits keep JSON valid");
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn spans_slice_to_their_values(value in value(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let spans = Spans::of(text.as_str());
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let mut count = 0;
        for (pointer, span) in spans.iter() {
            let slice: Value = serde_json::from_str(&text[span.value.clone()]).unwrap();
            prop_assert_eq!(Some(&slice), parsed.pointer(&pointer), "{}", pointer);
            prop_assert_eq!(spans.get(&pointer), Some(span.clone()));
            prop_assert_eq!(spans.pointer_at(span.value.start), pointer.clone());
            if let Some(key) = span.key {
                let key: String = serde_json::from_str(&text[key]).unwrap();
                let last = pointer.rsplit('/').next().unwrap().replace("~1", "/").replace("~0", "~");
                prop_assert_eq!(key, last);
            }
            count += 1;
        }
        fn size(value: &Value) -> usize {
            1 + match value {
                Value::Object(m) => m.values().map(size).sum(),
                Value::Array(a) => a.iter().map(size).sum(),
                _ => 0,
            }
        }
        prop_assert_eq!(count, size(&parsed));
    }

    #[test]
    fn layout_changes_no_value_and_settles(value in value(), indent in 0..8_usize) {
        let text = value.to_string();
        let laid = print::value(&text, indent, indent);
        prop_assert_eq!(serde_json::from_str::<Value>(&laid).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        prop_assert_eq!(print::value(&laid, indent, indent), laid.clone());
        prop_assert_eq!(print::value(&format!("{value:#}"), indent, indent), laid);
    }

    #[test]
    fn any_nodes_round_trip_and_edits_stay_local(text in file(), name in key(), put in value(), pick in any::<prop::sample::Index>()) {
        let document = exercise(&text);
        prop_assert!(document.is_readable());
        let again = parse(&document.canonical()).0;
        prop_assert_eq!(again.nodes(), document.nodes());
        let ids: Vec<String> = document.nodes().keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let id = pick.get(&ids);
        let mut edited = document.clone();
        if edited.set_param(id, &name, put.clone()).is_ok() {
            // Through text and back, as numbers may lose a bit that JSON does not carry.
            let put: Value = serde_json::from_str(&put.to_string()).unwrap();
            prop_assert_eq!(edited.node(id).unwrap().params.get(&name), Some(&put));
            exercise(edited.text());
            for other in ids.iter().filter(|other| *other != id) {
                let slice = |d: &Document| d.spans().get(&graph::span::pointer(&["nodes", other])).map(|s| d.text()[s.value].to_owned());
                prop_assert_eq!(slice(&edited), slice(&document), "another node keeps its bytes");
            }
            edited.remove_param(id, &name).unwrap();
            prop_assert_eq!(edited.node(id).unwrap().params.get(&name), None);
        } else {
            prop_assert_eq!(edited.text(), text.as_str(), "a refused edit changes nothing");
        }
        edited.remove_node(id).unwrap();
        prop_assert_eq!(edited.nodes().len(), ids.len() - 1);
        prop_assert!(edited.is_readable());
    }

    #[test]
    fn damaged_texts_never_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, ".{0,3}|[\\[\\]{}\",:0-9eE.\\\\-]{0,3}"), 1..6)) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        exercise(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text_at_all(text in "\\PC{0,80}|[\\[\\]{}\",:0-9a-f\\\\ \n\u{feff}-]{0,60}") {
        exercise(&text);
        let _ = Document::new().set("a.b", &text, &catalog());
    }
}

#[test]
fn every_truncation() {
    for end in (0..=EXAMPLE.len()).filter(|&end| EXAMPLE.is_char_boundary(end)) {
        let whole = EXAMPLE[end..].trim().is_empty();
        let document = exercise(&EXAMPLE[..end]);
        assert_eq!(document.is_readable(), whole, "{end}");
    }
}
