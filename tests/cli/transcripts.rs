//! Transcripts of commands (`transcripts/*.trycmd`), word for word: help, messages, results.
//!
//! `TRYCMD=overwrite` writes what is said now; look at the difference as a reader would.

use crate::support::workspace::{Workspace, target};
use trycmd::TestCases;

/// Plays a transcript in a folder of its own, with a home and a store of its own.
fn play(name: &str) {
    let workspace = Workspace::new();
    let root = workspace.path("");
    let cases = TestCases::new();
    cases.register_bin("para", target().join("para"));
    cases.register_bin("mv", std::path::PathBuf::from("/bin/mv"));
    cases.register_bin("cp", std::path::PathBuf::from("/bin/cp"));
    // What the surroundings say is nobody's business here.
    for (name, value) in workspace.compiling(&[]).get_envs() {
        if let Some(value) = value {
            cases.env(name.to_string_lossy(), value.to_string_lossy());
        }
    }
    for (name, value) in [
        ("XDG_DATA_HOME", ""),
        ("XDG_CACHE_HOME", ""),
        ("PARA_PLUGINS", ""),
        ("PARA_MODELS", ""),
    ] {
        cases.env(name, value);
    }
    cases.env("PARA_STORE_SIZE", "");
    cases.env("COLUMNS", "100").env("CARGO_TERM_COLOR", "never");
    cases
        .insert_var("[HOME]", root.join("home").to_string_lossy().into_owned())
        .unwrap();
    cases
        .insert_var("[STORE]", root.join("store").to_string_lossy().into_owned())
        .unwrap();
    cases
        .insert_var("[PARA]", target().to_string_lossy().into_owned())
        .unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/transcripts");
    let file = folder.join(name).with_extension("trycmd");
    assert!(file.is_file(), "{}", file.display());
    cases.case(file).run();
}

#[test]
fn every_page_of_help() {
    play("help");
}

#[test]
fn packs_of_nodes() {
    play("plugin");
}

#[test]
fn graphs_that_travel() {
    play("share");
}

#[test]
fn the_store() {
    play("cache");
}
