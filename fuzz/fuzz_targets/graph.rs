//! Any bytes as a graph file: read, checked, mended by the fixes that are offered, printed, edited.
#![no_main]

use graph::{Catalog, Diagnostic, Document, Links, Migrations, Node};
use std::sync::LazyLock;

/// The node types of a `para`, as the editor's tests know them.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let types: Vec<graph::catalog::NodeType> =
        serde_json::from_str(include_str!("../../tui/tests/fixtures/catalogue.json")).expect("our own file");
    let mut catalog = Catalog::default();
    for ty in types {
        catalog.insert(ty);
    }
    catalog
});

fn faults(document: &Document) -> Vec<Diagnostic> {
    graph::check(document, &CATALOG).map_or_else(|faults| faults, |checked| checked.warnings)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (document, _) = graph::parse(text);
    assert_eq!(document.text(), text, "a text is kept as it is");
    let found = faults(&document);
    for fault in &found {
        assert!(text.get(fault.span.clone()).is_some(), "{fault}");
    }
    for fix in found.iter().filter_map(|fault| fault.fix.as_ref()).take(3) {
        let mut mended = text.to_owned();
        mended.replace_range(fix.span.clone(), &fix.text);
        faults(&graph::parse(&mended).0);
    }
    assert_eq!(graph::parse(&document.canonical()).0.nodes(), document.nodes(), "printing changes no value");
    let mut edited = document.clone();
    edited.migrate(&CATALOG, &Migrations::builtin());
    for id in document.nodes().keys().take(2) {
        let _ = edited.set(&format!("{id}.steps"), "3", &CATALOG);
        let _ = edited.set_input(id, "images", &Links::List(Vec::new()));
        let _ = edited.rename_node(id, "renamed");
        let _ = edited.remove_node("renamed");
    }
    let _ = edited.insert_node("inserted", &Node::new("image/grid"));
    let _ = edited.remove_top("layout");
    assert_eq!(edited.is_readable(), document.is_readable(), "edits keep JSON valid");
});
