//! Whole-system tests, in one binary: what a user sees of the built `para`, and what the house promises of its sources.
//!
//! They use the files in the target folder, so build first: `cargo build --release --workspace`.
//! `UPDATE=1` rewrites what is generated (`graphs/graph.schema.json`); snapshots follow `INSTA_UPDATE`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support {
    pub(crate) mod archive;
    pub(crate) mod damage;
    pub(crate) mod graphs;
    pub(crate) mod installation;
    pub(crate) mod plugin;
    pub(crate) mod project;
    pub(crate) mod rows;
    pub(crate) mod screen;
    pub(crate) mod scripted;
    pub(crate) mod svg;
    pub(crate) mod tensors;
    pub(crate) mod workspace;
}

mod house {
    mod documented;
    mod files;
    mod generated;
    mod imports;
    mod shared;
    mod unsafety;
}

mod plugins {
    mod kit;
    mod linked_once;
    mod refused;
    mod reload;
    mod worker;
}

mod cli {
    mod broken_files;
    mod broken_graphs;
    mod damaged_shares;
    mod failing_disk;
    mod kills;
    mod memory;
    mod pictures;
    mod reruns;
    mod sharing;
    mod sizes;
    mod stopping;
    mod transcripts;
    mod usage;
    mod worker;
}

mod editor {
    mod building;
    mod crash;
    mod demo;
    mod outside;
    mod plugins;
    mod pointing;
    mod previews;
    mod remote;
    mod starting;
    mod terminal;
    mod watching;
}

mod graphs {
    mod damaged;
    mod every_graph;
}

#[test]
fn no_file_of_these_tests_is_forgotten() {
    let mut declared = Vec::new();
    let mut folder = "";
    for line in include_str!("main.rs").lines() {
        let line = line.trim().trim_start_matches("pub(crate) ");
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            folder = name;
        } else if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            declared.push(format!("{folder}/{name}.rs"));
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<String> = support::project::files_below(root)
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
        .map(|file| file.strip_prefix(root).unwrap().to_string_lossy().into_owned())
        .filter(|file| file != "main.rs" && !file.starts_with("benches/"))
        .collect();
    declared.sort();
    found.sort();
    assert_eq!(found, declared, "main.rs declares every file, and no other");
}
