//! Building graphs as a new user would: with what the screen offers. Texts typed into fields and filters do not count.

use crate::support::Editor;
use graph::{Catalog, check, parse};
use protocol::Ask;
use tui::layer::Layer;

/// Everything that the graph lacks, as the engine would say it.
fn errors(editor: &Editor) -> Vec<String> {
    let mut catalog = Catalog::default();
    for node in crate::support::catalogue() {
        catalog.insert(node.ty);
    }
    match check(&parse(editor.text()).0, &catalog) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(ToString::to_string).collect(),
    }
}

fn node(editor: &Editor, id: &str) -> String {
    let node = editor
        .state
        .document
        .node(id)
        .unwrap_or_else(|| panic!("no {id} in {}", editor.text()));
    serde_json::Value::Object(node.to_json()).to_string()
}

/// `o`, a filter, Enter; then the needed fields, one Enter each.
fn after(editor: &mut Editor, filter: &str, fields: &[&str]) {
    editor.press("o").type_text(filter).press("enter");
    for field in fields {
        editor.type_text(field).press("enter");
    }
}

fn add(editor: &mut Editor, filter: &str, fields: &[&str]) {
    editor.press("a").type_text(filter).press("enter");
    for field in fields {
        editor.type_text(field).press("enter");
    }
}

fn go(editor: &mut Editor, id: &str) {
    editor.press("/").type_text(id).press("enter");
}

#[test]
fn three_nodes_and_a_run_in_twelve_keys() {
    let mut editor = Editor::new(120, 36);
    add(&mut editor, "load/model", &["assets/emoji-xl"]);
    after(&mut editor, "text/encode", &["a fox"]);
    after(&mut editor, "ddim", &[]);
    editor.press("r");
    assert_eq!(errors(&editor), Vec::<String>::new());
    assert!(node(&editor, "ddim").contains(r#""model":"model.model","conditioning":"encode.conditioning""#));
    assert!(matches!(editor.asked.last().unwrap().ask, Ask::Run(_)));
    assert!(editor.keys <= 12, "{} keys", editor.keys);
}

#[test]
fn from_a_prompt_to_a_picture_in_forty_keys() {
    let mut editor = Editor::new(80, 24);
    add(&mut editor, "load/model", &["assets/emoji-xl"]);
    after(&mut editor, "text/encode", &["a fox in the snow"]);
    after(&mut editor, "ddim", &[]);
    after(&mut editor, "decode", &[]);
    after(&mut editor, "image/save", &[]);
    editor.press("R");
    assert_eq!(errors(&editor), Vec::<String>::new());
    assert!(node(&editor, "decode").contains(r#""vae":"model.vae","latent":"ddim.latent""#));
    assert!(editor.keys <= 40, "{} keys", editor.keys);
}

#[test]
fn two_subjects_from_an_empty_canvas_in_120_keys() {
    for (width, height) in [(120, 36), (80, 24)] {
        let mut editor = Editor::new(width, height);
        add(&mut editor, "load/model", &["assets/emoji-xl"]);
        for subject in ["dog", "teapot"] {
            add(&mut editor, "load/images", &[&format!("assets/subjects/{subject}")]);
            after(&mut editor, "para/train", &[&format!("a photo of a sks {subject}")]);
            // Only the name is left to be said.
            editor.press("f2 ctrl-u").type_text(subject).press("enter");
        }
        // Both trainings at once: marked, then combined.
        editor.press("v");
        go(&mut editor, "dog");
        editor.press("v");
        after(&mut editor, "combine", &[]);
        after(&mut editor, "para/apply", &[]);
        after(&mut editor, "ddim", &[]);
        editor
            .press("O")
            .type_text("encode")
            .press("enter")
            .type_text("a sks dog with a sks teapot")
            .press("enter");
        go(&mut editor, "ddim");
        after(&mut editor, "decode", &[]);
        after(&mut editor, "image/save", &[]);
        editor.press("R");
        assert_eq!(errors(&editor), Vec::<String>::new(), "{}", editor.text());
        assert!(matches!(editor.asked.last().unwrap().ask, Ask::Run(_)));
        assert!(node(&editor, "combine").contains(r#""adapters":["dog.adapter","teapot.adapter"]"#));
        assert!(node(&editor, "apply").contains(r#""model":"model.model""#));
        assert!(
            node(&editor, "ddim").contains(r#""model":"apply.model""#),
            "the nearest model, not the base"
        );
        assert!(editor.keys <= 120, "{} keys", editor.keys);
    }
}

#[test]
fn a_port_is_connected_by_its_label() {
    let mut editor = Editor::new(120, 36);
    add(&mut editor, "load/model", &["m"]);
    add(&mut editor, "text/encode", &["a fox"]);
    // The input that lacks something comes first; the other end is the only one.
    editor.press("c enter");
    let screen = editor.screen();
    assert!(screen.contains("CONNECT"), "{screen}");
    editor.press("f");
    assert!(node(&editor, "encode").contains(r#""text":"model.text""#));
    editor.press("u");
    assert!(!node(&editor, "encode").contains("model.text"));
}

#[test]
fn what_does_not_fit_is_connected_through_a_node_that_converts() {
    let mut editor = Editor::new(120, 36);
    add(&mut editor, "load/model", &["m"]);
    after(&mut editor, "text/encode", &["a fox"]);
    after(&mut editor, "ddim", &[]);
    add(&mut editor, "load/images", &["p"]);
    editor.press("c");
    let screen = editor.screen();
    assert!(screen.contains("no node here takes images"), "{screen}");
    assert!(screen.contains("through vae/encode: images to latent"), "{screen}");
    editor.press("enter");
    let new = node(&editor, "encode_2");
    assert!(
        new.contains("vae/encode")
            && new.contains(r#""vae":"model.vae""#)
            && new.contains(r#""images":"images.images""#),
        "{new}"
    );
    assert!(node(&editor, "ddim").contains(r#""latent":"encode_2.latent""#));
    assert_eq!(errors(&editor), Vec::<String>::new());
    editor.press("u");
    assert!(editor.state.document.node("encode_2").is_none(), "one step");
    // From the other end, where something fits too.
    add(&mut editor, "image/save", &[]);
    go(&mut editor, "save");
    editor.press("c enter !");
    let screen = editor.screen();
    assert!(
        screen.contains("ddim.latent") && screen.contains("through vae/decode: latent to images"),
        "{screen}"
    );
}

#[test]
fn when_nothing_fits_the_reason_is_said() {
    let mut editor = Editor::new(120, 36);
    add(&mut editor, "load/images", &["p"]);
    editor.press("c");
    assert!(
        editor.screen().contains("no node here takes images"),
        "{}",
        editor.screen()
    );
}

#[test]
fn of_types_that_match_as_well_the_one_that_is_meant_comes_first() {
    let first = |nodes: &str, keys: &str, typed: &str| {
        let mut editor = Editor::new(120, 36);
        editor.open(&format!(r#"{{ "paragraph": 1, "nodes": {{ {nodes} }} }}"#));
        editor.press(keys).type_text(typed);
        let Some(Layer::List(list)) = editor.state.layers.last() else {
            panic!("no list");
        };
        list.chosen().unwrap().value.clone()
    };
    // Of the larger family; of one that the graph uses.
    assert_eq!(first("", "a", "train"), "para/train");
    assert_eq!(first(r#""a": { "type": "lora/apply" }"#, "a", "train"), "lora/train");
    // What lacks the fewest inputs.
    assert_eq!(first("", "a", "encode"), "text/encode");
    assert_eq!(first(r#""a": { "type": "load/images" }"#, "o", "encode"), "vae/encode");
    // What gives what is needed rather than what could be.
    let drawn = r#""v": { "type": "vae/decode" }, "d": { "type": "sample/ddim" }"#;
    assert_eq!(first(drawn, "/ d enter O", "encode"), "text/encode");
}
