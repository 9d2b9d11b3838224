use super::*;
use serde_json::json;

fn catalog() -> Catalog {
    let types: Vec<NodeType> = serde_json::from_value(json!([
        { "name": "load/model", "outputs": [{ "name": "model", "type": "model" }, { "name": "vae", "type": "vae" }],
          "params": [{ "name": "path", "type": "path" }] },
        { "name": "para/train", "inputs": [{ "name": "model", "type": "model" }, { "name": "vae", "type": "vae" }],
          "outputs": [{ "name": "adapter", "type": "adapter" }] },
        { "name": "para/apply", "inputs": [{ "name": "model", "type": "model" }, { "name": "adapters", "type": "adapter", "variadic": true }],
          "outputs": [{ "name": "model", "type": "model" }] }
    ]))
    .unwrap();
    let mut catalog = Catalog::default();
    for ty in types {
        catalog.insert(ty);
    }
    catalog
}

fn document(nodes: &str) -> Document {
    let (document, found) = graph::parse(&format!(r#"{{ "paragraph": 1, "nodes": {{ {nodes} }} }}"#));
    assert!(found.is_empty(), "{found:?}");
    document
}

#[test]
fn ids_are_the_last_part_of_the_type_and_free() {
    let document = document(r#""train": {"type": "t"}, "train_2": {"type": "t"}"#);
    assert_eq!(fresh_id(&document, "para/apply"), "apply");
    assert_eq!(fresh_id(&document, "para/train"), "train_3");
    assert_eq!(fresh_id(&document, "train_2"), "train_3");
    assert_eq!(fresh_id(&document, "/"), "node");
}

#[test]
fn a_new_node_is_fed_by_what_is_chosen_then_by_what_stands_above() {
    let mut doc = document(r#""base": {"type": "load/model"}, "other": {"type": "load/model"}"#);
    let catalog = catalog();
    let one = add(&mut doc, "para/train").unwrap();
    feed(&mut doc, &catalog, &one, &["base".to_owned()]).unwrap();
    let two = add(&mut doc, "para/train").unwrap();
    feed(&mut doc, &catalog, &two, &["base".to_owned()]).unwrap();
    let apply = add(&mut doc, "para/apply").unwrap();
    feed(&mut doc, &catalog, &apply, &[one, two]).unwrap();
    let inputs = &doc.node("apply").unwrap().inputs;
    assert_eq!(
        inputs["adapters"].to_json(),
        json!(["train.adapter", "train_2.adapter"])
    );
    assert_eq!(
        inputs["model"].to_json(),
        json!("base.model"),
        "above the trainings, not the other one"
    );
}

#[test]
fn what_is_not_the_only_one_is_not_guessed() {
    let mut doc = document(r#""base": {"type": "load/model"}, "other": {"type": "load/model"}"#);
    let id = add(&mut doc, "para/train").unwrap();
    assert_eq!(feed(&mut doc, &catalog(), &id, &[]).unwrap(), 0);
}

#[test]
fn wires_are_cut_one_by_one() {
    let mut doc = document(r#""a": {"type": "t"}, "b": {"type": "t", "inputs": {"x": ["a.o", "a.p"], "y": "a.o"}}"#);
    let wire = wires(&doc)[0].wire.owned();
    cut(&mut doc, &wire).unwrap();
    assert_eq!(doc.node("b").unwrap().inputs["x"].to_json(), json!(["a.p"]));
    let wire = wires(&doc)[0].wire.owned();
    cut(&mut doc, &wire).unwrap();
    assert!(!doc.node("b").unwrap().inputs.contains_key("x"));
}

#[test]
fn what_is_removed_leaves_no_wires_and_no_place() {
    let mut doc =
        document(r#""a": {"type": "t"}, "b": {"type": "t", "inputs": {"x": ["a.o", "c.o"]}}, "c": {"type": "t"}"#);
    layout::change(&mut doc, |layout| {
        layout.pins.insert("a".to_owned(), layout::Pin::default());
        layout.groups.insert(
            "g".to_owned(),
            layout::Group {
                nodes: vec!["a".to_owned(), "b".to_owned()],
                folded: true,
            },
        );
    })
    .unwrap();
    remove(&mut doc, &["a".to_owned()]).unwrap();
    assert_eq!(doc.node("b").unwrap().inputs["x"].to_json(), json!(["c.o"]));
    let layout = layout::read(&doc);
    assert!(layout.pins.is_empty());
    assert_eq!(layout.groups["g"].nodes, ["b"]);
    rename(&mut doc, "b", "bear").unwrap();
    assert_eq!(layout::read(&doc).groups["g"].nodes, ["bear"]);
}

#[test]
fn candidates_fit_and_close_no_circle() {
    let doc = document(
        r#""base": {"type": "load/model"}, "one": {"type": "para/apply", "inputs": {"model": "base.model"}},
           "two": {"type": "para/apply", "inputs": {"model": "one.model"}}"#,
    );
    let catalog = catalog();
    let port = |name: &str, ty: &str| Port {
        name: name.into(),
        ty: ty.to_owned(),
        required: false,
        variadic: false,
    };
    let found = candidates(&doc, &catalog, "two", Side::Output, &port("model", "model"));
    assert_eq!(found.unwrap_err(), "every port of type model would close a circle");
    let found = candidates(&doc, &catalog, "base", Side::Output, &port("model", "model")).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|end| (end.node.as_str(), end.taken.as_deref()))
        .collect();
    assert_eq!(names, [("one", Some("base.model")), ("two", Some("one.model"))]);
    let why = candidates(&doc, &catalog, "base", Side::Output, &port("vae", "vae")).unwrap_err();
    assert_eq!(why, "no node here takes vae; para/train would: press o");
}

#[test]
fn what_is_copied_can_be_pasted_anywhere() {
    let mut doc = document(
        r#""base": {"type": "load/model", "params": {"path": "x"}}, "train": {"type": "para/train", "inputs": {"model": "base.model"}}"#,
    );
    let text = copy(&doc, &["base".to_owned(), "train".to_owned()]);
    assert_eq!(paste(&mut doc, &text).unwrap(), ["base_2", "train_2"]);
    assert_eq!(
        doc.node("train_2").unwrap().inputs["model"].to_json(),
        json!("base_2.model")
    );
    let alone = copy(&doc, &["train".to_owned()]);
    let mut empty = Document::new();
    paste(&mut empty, &alone).unwrap();
    assert!(
        empty.node("train").unwrap().inputs.is_empty(),
        "the node that fed it is not there"
    );
    assert!(paste(&mut empty, "no graph").is_err());
}

#[test]
fn layouts_of_another_form_are_not_overwritten() {
    let (mut doc, _) = graph::parse(r#"{ "paragraph": 1, "nodes": {}, "layout": { "pins": 7 } }"#);
    let before = doc.to_text();
    let refused = layout::change(&mut doc, |layout| {
        layout.pins.insert("a".to_owned(), layout::Pin::default());
    });
    assert!(refused.is_err());
    assert_eq!(doc.text(), before);
}
