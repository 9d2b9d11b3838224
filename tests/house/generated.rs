//! What is generated from the catalogue, and the shipped graphs' form.

use crate::support::workspace::Workspace;
use crate::support::{graphs, project};

#[test]
fn the_schema_is_up_to_date() {
    let fresh = Workspace::new().para(&["nodes", "--schema"]).exits(0).stdout;
    let file = project::root().join("graphs/graph.schema.json");
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&file, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == fresh,
        "graphs/graph.schema.json is stale; write it again: UPDATE=1 cargo test --release --workspace --test all -- schema"
    );
}

/// The editor's own tests know the node types from a file, so that they need no engine.
#[test]
fn the_catalogue_in_the_editors_tests_is_that_of_para() {
    let fresh = Workspace::new().para(&["nodes", "--json"]).exits(0).stdout;
    let file = project::root().join("tui/tests/fixtures/catalogue.json");
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&file, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == fresh,
        "tui/tests/fixtures/catalogue.json is stale; write it again: UPDATE=1 cargo test --release --workspace --test all -- catalogue"
    );
}

#[test]
fn shipped_graphs_are_right_and_laid_out_by_the_house() {
    let workspace = Workspace::new();
    for name in graphs::names() {
        workspace.take(&name);
        let ran = workspace.para(&["check", &name]).exits(0);
        assert!(
            ran.stderr.starts_with(&format!("{name}: no errors, ")),
            "{name}: {ran:#?}"
        );
        let file = project::root().join("graphs").join(&name);
        let text = std::fs::read_to_string(&file).unwrap();
        let (document, _) = graph::parse(&text);
        let canonical = document.canonical();
        if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
            std::fs::write(&file, &canonical).unwrap();
        } else {
            assert_eq!(text, canonical, "{name} is laid out otherwise");
        }
        assert!(
            document.title().is_some() && document.description().is_some(),
            "{name} has no title or description"
        );
    }
}
