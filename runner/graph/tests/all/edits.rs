//! Edits touch what they edit.

use crate::support::{EXAMPLE, catalog, file};
use graph::{Document, Link, Links, Node, check, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

fn open(text: &str) -> Document {
    parse(text).0
}

#[test]
fn an_unedited_text_comes_back_byte_for_byte() {
    let odd = "\u{feff}\r\n{\"nodes\" :{ \"x\":{\"type\":\"who/knows@7\",\"z\":[1.0,1e2,\"\\u0041\"],\"inputs\":5}},\t\"paragraph\":1, \"q\":{}}\r\n";
    for text in [EXAMPLE, odd, "", "{", "nonsense", "\u{0}"] {
        assert_eq!(open(text).to_text(), text);
    }
}

#[test]
fn changing_a_value_changes_its_bytes_only() {
    let mut document = open(EXAMPLE);
    document.set_param("bear", "rank", 16).unwrap();
    assert_eq!(document.text(), EXAMPLE.replace("\"rank\": 4", "\"rank\": 16"));
    document.set_param("bear", "rank", 4).unwrap();
    assert_eq!(document.text(), EXAMPLE, "undone");
    document
        .set_input(
            "with",
            "adapters",
            &Links::List(vec![Link::to("bear", "adapter"), Link::to("can", "adapter")]),
        )
        .unwrap();
    assert_eq!(
        document.text(),
        EXAMPLE.replace("\"both.adapter\"", "[\"bear.adapter\", \"can.adapter\"]")
    );
}

#[test]
fn adding_a_key_lays_out_its_node_only() {
    let mut document = open(EXAMPLE);
    document.set_param("bear", "steps", 300).unwrap();
    let laid = r#""bear":  {
      "type": "para/train",
      "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "bears.images" },
      "params": { "prompt": "a photo of a sks teddy bear", "rank": 4, "lr": 1e-3, "seed": 1, "steps": 300 }
    },"#;
    let (before, rest) = EXAMPLE.split_once("\"bear\":  {").unwrap();
    let after = &rest[rest.find("\n    \"can\"").unwrap()..];
    assert_eq!(document.text(), format!("{before}{laid}{after}"));

    let mut document = open(EXAMPLE);
    document.set_param("with", "strength", json!(0.5)).unwrap();
    document.remove_input("ddim", "conditioning").unwrap();
    document
        .set_input("base", "a", &Links::One(Link::to("see", "images")))
        .unwrap();
    let expected = EXAMPLE
        .replace(
            r#"{ "type": "para/apply", "inputs": { "model": "base.model", "adapters": "both.adapter" } }"#,
            r#"{
      "type": "para/apply",
      "inputs": { "model": "base.model", "adapters": "both.adapter" },
      "params": { "strength": 0.5 }
    }"#,
        )
        .replace(r#", "conditioning": "words.conditioning""#, "")
        .replace(
            r#""load/model",  "params""#,
            r#""load/model", "inputs": { "a": "see.images" }, "params""#,
        );
    assert_eq!(document.text(), expected);
    document.remove_param("with", "strength").unwrap();
    assert!(document.text().contains(r#""both.adapter" }, "params": { } }"#));
    assert!(document.remove_param("with", "strength").is_err());
}

#[test]
fn unknown_nodes_keep_their_bytes_through_edits() {
    let foreign = r#""odd" :{"type":"their/node@9",   "x":[1.0,  1e2,"\u0041"],"params":{"a":1,"a":2}}"#;
    let mut document = open(&file(&format!("\"a\": {{ \"type\": \"test/pass\" }},\n{foreign}")));
    document.set_param("a", "x", "é\n\"").unwrap();
    document.insert_node("b", &Node::new("test/pass@1")).unwrap();
    document.set_top("title", "t").unwrap();
    assert!(document.text().contains(foreign), "{}", document.text());
    assert_eq!(document.node("a").unwrap().params["x"], "é\n\"");
    assert_eq!(document.nodes().keys().collect::<Vec<_>>(), ["a", "odd", "b"]);
    assert_eq!(document.title(), Some("t"));
    document.set_param("odd", "n", 1).unwrap();
    assert!(
        document
            .text()
            .contains(r#""x": [1.0, 1e2, "\u0041"], "params": { "a": 1, "a": 2, "n": 1 }"#),
        "numbers keep their spelling: {}",
        document.text()
    );
}

#[test]
fn nodes_come_and_go() {
    let mut document = open(EXAMPLE);
    let mut grid = Node::new("image/grid");
    grid.inputs
        .insert("images".into(), Links::One(Link::to("see", "images")));
    document.insert_node("grid", &grid).unwrap();
    assert!(
        document.text().contains(
            "] } },\n    \"grid\": { \"type\": \"image/grid\", \"inputs\": { \"images\": \"see.images\" } }\n  },\n"
        ),
        "{}",
        document.text()
    );
    assert_eq!(document.node("grid"), Some(&grid));
    assert!(document.insert_node("grid", &grid).is_err());
    assert!(document.insert_node("a.b", &grid).is_err());
    for id in ["grid", "save", "both"] {
        document.remove_node(id).unwrap();
        assert!(document.node(id).is_none() && document.is_readable());
    }
    assert!(
        document.text().starts_with(
            "{ \"paragraph\": 1, \"title\": \"Two subjects, one picture\",\n  \"nodes\": {\n    \"base\":"
        )
    );
    for id in document.nodes().keys().cloned().collect::<Vec<_>>() {
        document.remove_node(&id).unwrap();
    }
    assert_eq!(check(&document, &catalog()).unwrap_err()[0].code, "G009");
    document.insert_node("again", &Node::new("test/pass")).unwrap();
    assert!(check(&document, &catalog()).is_ok(), "{}", document.text());
}

#[test]
fn nodes_go_with_the_links_to_them() {
    let mut document = open(EXAMPLE);
    document.remove_nodes(&["base".to_owned(), "can".to_owned()]).unwrap();
    let text = document.text();
    assert!(!text.contains("base.") && !text.contains("can."), "{text}");
    assert!(
        text.contains(r#""both":  { "type": "para/combine", "inputs": { "adapters": ["bear.adapter"] }"#),
        "{text}"
    );
    let before = document.to_text();
    assert!(document.remove_nodes(&["save".to_owned(), "can".to_owned()]).is_err());
    assert_eq!(document.text(), before, "all or none");
}

proptest! {
    #[test]
    fn nodes_that_go_together_leave_what_they_leave_one_by_one(gone in proptest::sample::subsequence(parse(EXAMPLE).0.nodes().keys().cloned().collect::<Vec<_>>(), 0..8)) {
        let mut together = open(EXAMPLE);
        together.remove_nodes(&gone).unwrap();
        let mut one_by_one = open(EXAMPLE);
        for id in &gone {
            one_by_one.remove_nodes(std::slice::from_ref(id)).unwrap();
        }
        prop_assert_eq!(together.nodes(), one_by_one.nodes());
        prop_assert_eq!(together.canonical(), one_by_one.canonical());
        // And what is left of it by hand.
        let mut by_hand = open(EXAMPLE);
        for (id, node) in open(EXAMPLE).nodes() {
            for (port, links) in &node.inputs {
                let left: Vec<Link> = links.iter().filter(|link| !matches!(link, Link::To { node, .. } if gone.contains(node))).cloned().collect();
                if left.is_empty() {
                    by_hand.remove_input(id, port).unwrap();
                } else if left.len() < links.iter().count() {
                    by_hand.set_input(id, port, &Links::List(left)).unwrap();
                }
            }
        }
        for id in &gone {
            by_hand.remove_node(id).unwrap();
        }
        prop_assert_eq!(together.nodes(), by_hand.nodes());
        prop_assert_eq!(together.canonical(), by_hand.canonical());
    }
}

#[test]
fn items_of_a_misplaced_list_are_no_parameters() {
    let mut document = open(&file(r#""a": { "type": "test/pass", "params": [1] }"#));
    let before = document.to_text();
    assert!(document.set_param("a", "0", 2).is_err());
    assert!(document.remove_param("a", "0").is_err());
    assert_eq!(document.text(), before);
}

#[test]
fn renaming_takes_links_along() {
    let mut document = open(EXAMPLE);
    document.rename_node("base", "m").unwrap();
    let expected = EXAMPLE
        .replace("\"base.", "\"m.")
        .replacen("\"base\":  {", "\"m\":  {", 1);
    assert_eq!(document.text(), expected);
    assert!(check(&document, &catalog()).is_ok());
    assert!(document.rename_node("m", "bear").is_err());
    assert!(
        document
            .rename_node("base", "x")
            .unwrap_err()
            .to_string()
            .contains("no node `base`")
    );
}

#[test]
fn keys_of_the_file() {
    let mut document = Document::new();
    assert_eq!(document.text(), "{\n  \"paragraph\": 1,\n  \"nodes\": { }\n}\n");
    document.set_top("made", json!({ "base": "x" })).unwrap();
    document.insert_node("a", &Node::new("test/pass")).unwrap();
    assert_eq!(
        document.text(),
        "{\n  \"paragraph\": 1,\n  \"nodes\": {\n    \"a\": { \"type\": \"test/pass\" }\n  },\n  \"made\": { \"base\": \"x\" }\n}\n"
    );
    document.set_top("made", Value::Null).unwrap();
    assert_eq!(document.top("made"), Some(&Value::Null));
    document.remove_top("made").unwrap();
    document.remove_top("made").unwrap();
    assert_eq!(document.canonical(), document.text());
    assert!(document.set_top("nodes", json!({})).is_err());
    let mut bare = open("{}");
    bare.insert_node("a", &Node::new("test/pass")).unwrap();
    bare.set_top("title", "x").unwrap();
    assert_eq!(
        bare.node("a").map(|n| n.ty.name.as_str()),
        Some("test/pass"),
        "{}",
        bare.text()
    );
    assert!(open("[]").set_top("title", "x").is_err());
    assert!(open("{ \"a\": ").set_top("title", "x").is_err());
}

#[test]
fn built_documents_are_canonical() {
    let top = json!({ "layout": {}, "title": "T", "nodes": 5 });
    let document = Document::build(top.as_object().unwrap().clone(), [("a".to_owned(), Node::new("x/y@2"))]);
    let expected = "{\n  \"paragraph\": 1,\n  \"title\": \"T\",\n  \"nodes\": {\n    \"a\": { \"type\": \"x/y@2\" }\n  },\n  \"layout\": { }\n}\n";
    assert_eq!(document.text(), expected);
    assert_eq!(document.node("a").unwrap().ty.version, Some(2));
    let example = open(EXAMPLE);
    let again = open(&example.canonical());
    assert_eq!(again.nodes(), example.nodes());
    assert!(again.text().contains("\"lr\": 1e-3"));
}

#[test]
fn values_from_the_command_line() {
    let catalog = catalog();
    let mut document = open(EXAMPLE);
    let mut set = |target: &str, text: &str| document.set(target, text, &catalog).map_err(|e| e.to_string());
    for (target, text) in [
        ("bear.rank", " 8 "),
        ("bear.lr", "1e-4"),
        ("can.prompt", "7"),
        ("words.prompt", "a \"b\" c"),
        ("words.negative", "null"),
        ("bear.prompt", "\"quoted\""),
        ("bear.resume", "false"),
        ("both.mode", "sequential"),
        ("base.path", "/x y"),
        ("can.seed", "18446744073709551615"),
    ] {
        set(target, text).unwrap();
    }
    let refused = [
        ("rank", "8", "names no parameter"),
        ("baer.rank", "8", "did you mean `bear`?"),
        ("bear.rnk", "8", "did you mean `rank`?"),
        ("bear.rank", "3.9", "`3` or `4`"),
        ("bear.rank", "many", "whole number"),
        ("bear.rank", "0", "nearest value allowed is 1"),
        ("bear.lr", "1e400", "a number"),
        ("both.mode", "merg", "did you mean `merge`?"),
        ("both.mode", "3", "choose one of `merge`, `sequential`"),
        ("bear.model", "x", "is an input"),
    ];
    for (target, text, words) in refused {
        let error = set(target, text).unwrap_err();
        assert!(error.contains(words), "{target}={text}: {error}");
    }
    let param = |id: &str, name: &str| document.node(id).unwrap().params[name].clone();
    assert_eq!(param("bear", "rank"), 8);
    assert_eq!(param("bear", "lr"), 1e-4);
    assert!(document.text().contains("\"lr\": 1e-4"), "spelt as given");
    assert_eq!(param("can", "prompt"), "7");
    assert_eq!(param("words", "prompt"), "a \"b\" c");
    assert_eq!(param("words", "negative"), Value::Null);
    assert_eq!(param("bear", "prompt"), "quoted");
    assert_eq!(param("bear", "resume"), false);
    assert_eq!(param("base", "path"), "/x y");
    assert!(check(&document, &catalog).is_ok());
    let mut foreign = open(&file("\"a\": { \"type\": \"their/node\" }"));
    foreign.set("a.x", "[1]", &catalog).unwrap();
    foreign.set("a.y", "[1", &catalog).unwrap();
    assert_eq!(
        Value::Object(foreign.node("a").unwrap().params.clone()),
        json!({ "x": [1], "y": "[1" })
    );
}

proptest! {
    /// What is taken over from an earlier reading is what reading it again would give.
    #[test]
    fn another_text_is_read_as_if_for_the_first_time(
        before in prop::collection::vec((0..6_usize, 0..5_usize), 0..7),
        after in prop::collection::vec((0..6_usize, 0..5_usize), 0..7),
    ) {
        let bodies = [
            r#"{ "type": "a/b" }"#,
            r#"{ "type": "a/b", "params": { "x": 1 } }"#,
            r#"{ "type": "c/d", "inputs": { "in": ["a.out", "b.out"] } }"#,
            r#"{ "type": "c/d", "strange": 1 }"#,
            r#"{ "type": 5 }"#,
        ];
        let text = |nodes: &[(usize, usize)]| {
            let nodes: Vec<String> = nodes.iter().map(|(id, body)| format!("\"n{id}\": {}", bodies[*body])).collect();
            format!("{{ \"paragraph\": 1, \"nodes\": {{ {} }} }}", nodes.join(", "))
        };
        let mut document = open(&text(&before));
        document.reread(&text(&after));
        let fresh = open(&text(&after));
        prop_assert_eq!(document.nodes(), fresh.nodes());
        prop_assert_eq!(document.text(), fresh.text());
        prop_assert_eq!(document.diagnostics(), fresh.diagnostics());
        let keys = |document: &Document| document.nodes().keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(keys(&document), keys(&fresh));
    }
}
