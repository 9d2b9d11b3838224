//! Graphs from elsewhere, damaged in every way: whatever a text holds, nothing panics and everything ends.

use crate::support::damage::{self, Damage, damaged};
use crate::support::workspace::{Workspace, target};
use crate::support::{graphs, project};
use canvas::Level;
use graph::{Catalog, Diagnostic, Document, Links, Migrations, Node};
use proptest::collection::vec;
use proptest::prelude::*;
use runner::content::Contents;
use runner::explain::explain;
use runner::host::{Places, Registry};
use runner::plan::plan;
use runner::reading::Unwatched;
use runner::resolve::{Session, Steps};
use runner::share::find::Finder;
use runner::share::lock::{Lock, missing_nodes};
use runner::share::need::needs;
use runner::source::Source;
use runner::store::Store;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use tui::scene::Drawing;

/// The shipped graphs with all that a file may hold besides nodes: an editor's layout, a lock, where it was made.
fn texts() -> Vec<String> {
    let texts = graphs::names().into_iter().map(|name| {
        let text = std::fs::read_to_string(project::root().join("graphs").join(name)).unwrap();
        let mut document = graph::parse(&text).0;
        let ids: Vec<String> = document.nodes().keys().cloned().collect();
        let layout = json!({
            "pins": { &ids[0]: { "column": 2, "slot": 0 }, "group:some": { "slot": 3 } },
            "levels": { &ids[1]: "detail" },
            "groups": { "some": { "nodes": &ids[..2], "folded": true } },
            "notes": { "1": { "text": "mind the rank", "beside": &ids[1] } }
        });
        let file =
            json!({ "node": "base", "param": "path", "path": "assets/emoji-xl", "blake3": "0".repeat(64), "size": 9 });
        let pack =
            json!({ "name": "far", "version": "1.0.0", "nodes": ["far/away"], "source": "https://example.org/far#1" });
        let lock = json!({ "paragraph_lock": 1, "para": "0.1.0", "files": [file], "packs": [pack] });
        document.set_top("layout", layout).unwrap();
        document
            .set_top(
                "made",
                json!({ "para": "0.1.0", "base": "..", "place": "out", "lock": lock }),
            )
            .unwrap();
        document.to_text()
    });
    texts.collect()
}

/// What a graph meets here: node types, results, files.
struct Here {
    workspace: Workspace,
    session: Session,
}

impl Here {
    fn new() -> Self {
        let workspace = Workspace::new();
        let places = Places {
            home: target().to_owned(),
            ..Places::default()
        };
        let registry = Registry::discover(&places).unwrap();
        let store = Store::open(workspace.path("store")).unwrap();
        Self {
            session: Session::new(registry, store),
            workspace,
        }
    }

    fn catalog(&self) -> &Catalog {
        self.session.registry.catalog()
    }

    /// Everything that is done with a graph before it runs.
    fn meet(&self, text: &str) {
        let (document, found) = graph::parse(text);
        assert_eq!(document.text(), text, "every byte is kept");
        let faults = self.check(&document);
        for fault in found.iter().chain(&faults) {
            show(text, fault);
        }
        self.repair(text, &faults);
        edit(&document, self.catalog());
        self.draw(&document);
        self.look_after_files(&document);
    }

    /// Checks it, and plans what can run. Gives what is wrong.
    fn check(&self, document: &Document) -> Vec<Diagnostic> {
        let folder = self.workspace.path("graphs");
        let checked = match graph::check(document, self.catalog()) {
            Ok(checked) => checked,
            Err(faults) => return faults,
        };
        // With the files that are here, or told which are not.
        if let Ok(steps) = Steps::new(&self.session, &checked, &folder, &[], false, &Unwatched) {
            assert_eq!(plan(&steps).len(), checked.nodes.len());
            let lock = Lock::of(&steps, self.session.registry.home()).unwrap();
            lock.verify(&steps, &[]).unwrap();
            if let Ok(Some(other)) = Lock::beside(&folder.join("g.json"), document) {
                let _ = other.verify(&steps, &["base.path=x".to_owned()]);
            }
        }
        checked.warnings
    }

    /// A fix that is offered is one: what it mends is not said again.
    fn repair(&self, text: &str, faults: &[Diagnostic]) {
        for fault in faults.iter().filter(|fault| fault.fix.is_some()).take(4) {
            let fix = fault.fix.as_ref().unwrap();
            let mut mended = text.to_owned();
            mended.replace_range(fix.span.clone(), &fix.text);
            let (document, _) = graph::parse(&mended);
            let left = graph::check(&document, self.catalog()).map_or_else(|faults| faults, |checked| checked.warnings);
            let same = |other: &&Diagnostic| {
                (other.code, &other.message, &other.pointer) == (fault.code, &fault.message, &fault.pointer)
            };
            let before = faults.iter().filter(same).count();
            assert!(
                left.iter().filter(same).count() < before,
                "{fault:?} is not mended by its fix"
            );
        }
    }

    /// As the editor draws it.
    fn draw(&self, document: &Document) {
        let mut drawing = Drawing::default();
        for level in [Level::Normal, Level::Detail] {
            drawing = Drawing::new(document, self.catalog(), level, drawing, None).0;
            assert_eq!(drawing.model.nodes.len(), document.nodes().len());
        }
        // And from inside of a group, if it still is one.
        Drawing::new(document, self.catalog(), Level::Normal, drawing, Some("some"));
    }

    /// As `para doctor` and `para open` do.
    fn look_after_files(&self, document: &Document) {
        let folder = self.workspace.path("graphs");
        let lock = Lock::beside(&folder.join("g.json"), document);
        let lock = lock.ok().flatten();
        missing_nodes(document, &self.session.registry, lock.as_ref());
        let contents = &self.session.contents;
        let finder = || Finder::new(contents, &[]).0;
        for need in needs(document, self.catalog(), &folder, lock.as_ref(), contents, &finder) {
            need.words();
        }
    }
}

/// A fault stands in the text, can be shown, and reaches an editor as it is.
fn show(text: &str, fault: &Diagnostic) {
    assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
    assert!(fault.line >= 1 && fault.column >= 1 && fault.line <= text.matches('\n').count() + 1);
    let shown = explain("g.json", text, fault, false);
    assert!(
        shown.contains(fault.code) && shown.len() < 20_000,
        "{} bytes",
        shown.len()
    );
    let line = serde_json::to_string(fault).unwrap();
    assert_eq!(&serde_json::from_str::<Diagnostic>(&line).unwrap(), fault);
}

fn edit(document: &Document, catalog: &Catalog) {
    let printed = graph::parse(&document.canonical()).0;
    assert_eq!(printed.nodes(), document.nodes(), "printing changes no value");
    let mut edited = document.clone();
    edited.migrate(catalog, &Migrations::builtin());
    for id in document.nodes().keys().take(3) {
        let _ = edited.set(&format!("{id}.steps"), "3", catalog);
        let _ = edited.set_param(id, "rank", 3);
        let _ = edited.set_input(id, "images", &Links::List(Vec::new()));
        let _ = edited.set_bypass(id, true);
        let _ = edited.rename_node(id, "renamed");
        let _ = edited.remove_node("renamed");
    }
    let _ = edited.insert_node("inserted", &Node::new("image/grid"));
    let _ = edited.set_top("title", "t");
    let _ = edited.remove_top("layout");
    assert_eq!(edited.is_readable(), document.is_readable(), "edits keep JSON valid");
    // The folder of a graph comes from the file too.
    let _ = Source::new(document.text(), Path::new("/a/b"), &["a.b=c".to_owned()], catalog);
}

fn damages(texts: usize) -> impl Strategy<Value = (usize, Vec<Damage>)> {
    (0..texts, vec(damage::damage(), 1..5))
}

/// So many graphs of `graphs/`, each with one to four changes, are checked, planned, shown, repaired, edited, drawn.
fn all_survive(cases: u32) {
    let (texts, here) = (texts(), Arc::new(Here::new()));
    for text in &texts {
        here.meet(text);
        let checked = graph::check(&graph::parse(text).0, here.catalog());
        assert!(checked.is_ok(), "what is damaged was whole: {:?}", checked.err());
    }
    let count = texts.len();
    damage::survives(cases, &damages(count), move |(at, changes)| {
        let text = changes
            .iter()
            .fold(texts[*at].clone(), |text, change| damaged(&text, change));
        here.meet(&text);
    });
}

#[test]
fn damaged_graphs_harm_nobody() {
    all_survive(2_000);
}

#[test]
#[ignore = "the full form: `cargo test --release --workspace --test all -- --ignored damaged`"]
fn ten_thousand_damaged_graphs_harm_nobody() {
    all_survive(10_000);
}

/// The changes reach everything: some graphs stay whole, some plan, each fault of the language is among them.
#[test]
fn damage_is_of_every_kind() {
    let (texts, here) = (texts(), Here::new());
    let (mut codes, mut whole, mut broken) = (std::collections::BTreeSet::new(), 0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let values = damages(texts.len());
    for _ in 0..4000 {
        let (at, changes) = proptest::strategy::ValueTree::current(&values.new_tree(&mut runner).unwrap());
        let text = changes
            .iter()
            .fold(texts[at].clone(), |text, change| damaged(&text, change));
        let document = graph::parse(&text).0;
        broken += usize::from(!document.is_readable());
        match graph::check(&document, here.catalog()) {
            Ok(_) => whole += 1,
            Err(faults) => codes.extend(faults.into_iter().map(|fault| fault.code)),
        }
    }
    assert!(
        whole > 100 && broken > 400 && broken < 2500,
        "{whole} whole, {broken} broken"
    );
    let missing: Vec<&str> = graph::codes::ALL
        .iter()
        .filter(|code| code.severity == graph::Severity::Error && !codes.contains(code.id))
        .map(|code| code.id)
        .collect();
    // Every node type is in its first version: there is no older one. Few inputs take a list that may not be empty.
    let rare = |code: &&str| ["G014", "G027"].contains(code);
    assert!(missing.iter().all(rare), "never met: {missing:?}");
}

/// A lock lies beside a graph that comes from elsewhere, or in a picture.
#[test]
fn damaged_locks_are_told_or_believed_and_never_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = json!({ "node": "a", "param": "path", "path": "m", "blake3": "0".repeat(64), "size": 9, "folder": true, "origin": "x" });
    let pack =
        json!({ "name": "far", "version": "1.0.0", "nodes": ["far/away"], "source": "https://example.org/far#1" });
    let lock = json!({ "paragraph_lock": 1, "para": "0.1.0", "files": [file], "packs": [pack] }).to_string();
    let text = r#"{ "paragraph": 1, "nodes": { "a": { "type": "far/away", "params": { "path": "m" } } } }"#;
    let document = graph::parse(text).0;
    let (graph, registry) = (folder.path().join("g.json"), Registry::default());
    let kept = Lock::path_for(&graph);
    let meet = move |changes: &Vec<Damage>| {
        let damaged = changes.iter().fold(lock.clone(), |text, change| damaged(&text, change));
        std::fs::write(&kept, &damaged).unwrap();
        let read = Lock::beside(&graph, &document);
        let valid = serde_json::from_str::<Json>(&damaged).is_ok();
        let Ok(Some(lock)) = read else {
            let failure = read.unwrap_err();
            assert!(failure.message.contains("g.lock.json is damaged"), "{failure}");
            return;
        };
        assert!(valid);
        missing_nodes(&document, &registry, Some(&lock));
        let contents = Contents::default();
        let finder = || Finder::new(&contents, &[]).0;
        for need in needs(
            &document,
            registry.catalog(),
            graph.parent().unwrap(),
            Some(&lock),
            &contents,
            &finder,
        ) {
            assert!(!need.is_here());
            need.words();
        }
    };
    meet(&Vec::new());
    let later = json!({ "paragraph_lock": 2, "para": "0.1.0", "files": [], "packs": [] });
    assert!(
        Lock::from_json(later).is_err(),
        "what a later format means is not known"
    );
    damage::survives(1000, &vec(damage::damage(), 1..4), meet);
    drop(folder);
}
