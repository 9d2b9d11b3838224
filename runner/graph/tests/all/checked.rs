//! What the engine gets.

use crate::support::{EXAMPLE, catalog, file};
use graph::document::NodeJson;
use graph::{Checked, Migrations, Source, check, check_with, parse};
use serde_json::{Value, json};

fn checked(text: &str) -> Checked {
    let (document, found) = parse(text);
    assert_eq!(found, []);
    check(&document, &catalog()).unwrap()
}

#[test]
fn the_example_is_resolved() {
    let checked = checked(EXAMPLE);
    assert_eq!(checked.warnings, []);
    let ids: Vec<&str> = checked.nodes.iter().map(|n| n.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "both", "base", "bears", "bear", "can", "with", "words", "ddim", "see", "save"
        ]
    );
    let order: Vec<&str> = checked.order.iter().map(|&at| ids[at]).collect();
    assert_eq!(
        order,
        [
            "base", "bears", "bear", "can", "both", "with", "words", "ddim", "see", "save"
        ]
    );
    let at = |id: &str| checked.find(id).unwrap();
    assert_eq!(checked.find("nobody"), None);

    let both = &checked.nodes[at("both")];
    assert_eq!(
        both.inputs[0].links,
        [Source {
            node: at("base"),
            output: 0
        }]
    );
    assert_eq!(
        both.inputs[1].links,
        [
            Source {
                node: at("bear"),
                output: 0
            },
            Source {
                node: at("can"),
                output: 0
            }
        ]
    );
    assert_eq!(
        checked.nodes[at("save")].inputs[0].links.len(),
        2,
        "the same link twice is two pictures"
    );
    let ddim = &checked.nodes[at("ddim")];
    assert_eq!(
        ddim.inputs.iter().map(|i| i.port.as_str()).collect::<Vec<_>>(),
        ["model", "conditioning", "latent"]
    );
    assert_eq!(ddim.inputs[2].links, []);

    let params = serde_json::to_string(&checked.nodes[at("bear")].params).unwrap();
    assert_eq!(
        params,
        r#"{"prompt":"a photo of a sks teddy bear","rank":4,"steps":200,"lr":0.001,"subset":"ExCA","resume":true,"seed":1}"#
    );
    assert_eq!(
        checked.nodes[at("can")].params["lr"].to_string(),
        "1.0",
        "a float is a float"
    );
    assert_eq!(checked.nodes[at("words")].params["negative"], Value::Null);
}

#[test]
fn consumers_and_what_is_needed() {
    let checked = checked(EXAMPLE);
    let at = |id: &str| checked.find(id).unwrap();
    let consumers = checked.consumers();
    assert_eq!(
        consumers[at("base")],
        ["both", "bear", "can", "with", "words", "see"].map(at)
    );
    assert_eq!(consumers[at("see")], [at("save")], "each consumer once");
    let needed = checked.needed(&[at("words"), at("bear"), 999]);
    let ids: Vec<&str> = checked
        .nodes
        .iter()
        .zip(needed)
        .filter(|(_, up)| *up)
        .map(|(n, _)| n.id.as_str())
        .collect();
    assert_eq!(ids, ["base", "bears", "bear", "words"]);
}

#[test]
fn ties_are_in_the_authors_order() {
    let node =
        |id: &str, from: &str| format!("\"{id}\": {{ \"type\": \"test/pass\", \"inputs\": {{ \"in\": [{from}] }} }}");
    let text = file(
        &[
            node("z", "\"m\\u002eout\""),
            node("y", ""),
            node("m", ""),
            node("a", "\"y.out\""),
            node("b", ""),
        ]
        .join(",\n"),
    );
    assert_eq!(checked(&text).order, [1, 2, 0, 3, 4]);
}

#[test]
fn warnings_do_not_stop_a_graph() {
    let (document, found) = parse(&file("\"a\": { \"type\": \"test/pass\", \"note\": \"x\" }").replacen(
        "\"nodes\"",
        "\"Layout\": 1, \"nodes\"",
        1,
    ));
    assert_eq!(found.len(), 2);
    let checked = check(&document, &catalog()).unwrap();
    assert_eq!(
        checked.warnings.iter().map(|d| d.code).collect::<Vec<_>>(),
        ["G007", "G007"]
    );
    assert_eq!(document.node("a").unwrap().extra["note"], "x");
}

#[test]
fn older_nodes_are_brought_up_to_date() {
    fn rename(node: &mut NodeJson) {
        if let Some(params) = node.get_mut("params").and_then(Value::as_object_mut)
            && let Some(words) = params.shift_remove("text")
        {
            params.insert("prompt".to_owned(), words);
        }
    }
    let mut migrations = Migrations::none();
    migrations.add("para/train", 1, rename);
    let text = EXAMPLE
        .replace("\"para/train@2\"", "\"para/train@1\"")
        .replace("\"prompt\": \"a can\"", "\"text\": \"a can\"");
    let (mut document, _) = parse(&text);
    assert_eq!(check(&document, &catalog()).unwrap_err()[0].code, "G014");
    let checked = check_with(&document, &catalog(), &migrations).unwrap();
    assert_eq!(checked.nodes[checked.find("can").unwrap()].params["prompt"], "a can");
    assert_eq!(document.to_text(), text, "checking edits nothing");

    assert_eq!(document.migrate(&catalog(), &migrations), ["can"]);
    let (before, rest) = text.split_once("\"can\":   {").unwrap();
    let after = &rest[rest.find("\n    \"with\"").unwrap()..];
    let laid = r#""can":   {
      "type": "para/train@2",
      "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "bears.images" },
      "params": { "lr": 1, "prompt": "a can" }
    },"#;
    assert_eq!(document.text(), format!("{before}{laid}{after}"));
    assert!(check(&document, &catalog()).is_ok());

    // A fault in a migrated node is shown at what stands in the text.
    let (document, _) = parse(&text.replace("\"a can\"", "7"));
    let wrong = check_with(&document, &catalog(), &migrations).unwrap_err();
    assert_eq!(
        (wrong[0].code, wrong[0].pointer.as_str(), wrong[0].line),
        ("G032", "/nodes/can/params/prompt", 9)
    );
}

#[test]
fn made_and_layout_mean_nothing() {
    let text = EXAMPLE.replacen(
        "\"layout\"",
        "\"made\": { \"base\": \"b\", \"used\": { \"x\": 1e999, \"x\": 2 } }, \"layout\"",
        1,
    );
    let with = checked(&text);
    let without = checked(EXAMPLE);
    assert_eq!(format!("{:?}", with.nodes), format!("{:?}", without.nodes));
    assert_eq!(parse(&text).0.top("made").unwrap()["base"], json!("b"));
}

/// A bypassed node is no part of what runs; what fed it feeds what it fed.
#[test]
fn bypassed_nodes_pass_on_what_they_take() {
    let text = |bypass: &str| {
        file(&format!(
            r#""i": {{ "type": "load/images", "params": {{ "path": "x" }} }},
               "one": {{ "type": "image/grid", "inputs": {{ "images": ["i.images"] }}{bypass} }},
               "two": {{ "type": "image/grid", "inputs": {{ "images": "one.images" }}{bypass} }},
               "save": {{ "type": "image/save", "inputs": {{ "images": ["two.images", "i.images"] }} }}"#
        ))
    };
    assert_eq!(checked(&text("")).nodes.len(), 4);
    let left = checked(&text(r#", "bypass": true"#));
    let ids: Vec<_> = left.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["i", "save"]);
    let images = Source { node: 0, output: 0 };
    assert_eq!(left.nodes[1].inputs[0].links, [images, images]);
}
