//! Broken graphs, each a file in `broken_graphs/` with all that is said of it in a snapshot beside it.

use crate::support::project;
use crate::support::workspace::{Workspace, snapshot};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn graphs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/broken_graphs");
    let files = project::files_below(&folder);
    files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "json"))
        .collect()
}

#[test]
fn each_is_explained_and_none_runs() {
    let workspace = Workspace::new();
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let graphs = graphs();
    assert!(graphs.len() >= 20, "{}", graphs.len());
    for file in &graphs {
        let name = file.file_name().unwrap().to_str().unwrap();
        workspace.write(name, std::fs::read(file).unwrap());
        let before = workspace.files();
        let ran = workspace.run(name, &[]).exits(2);
        assert_eq!(ran.stdout, "", "{name}: nothing began");
        assert_eq!(workspace.files(), before, "{name}: nothing was written");
        assert_eq!(
            workspace.para(&["check", name]).exits(2).stderr,
            ran.stderr,
            "{name}: check says the same"
        );
        assert_eq!(
            workspace.para(&["plan", name]).exits(2).stderr,
            ran.stderr,
            "{name}: plan says the same"
        );

        assert!(
            ran.stderr.starts_with("error[G0") || ran.stderr.starts_with("warning[G0"),
            "{name}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(&format!("--> {name}:")),
            "{name}: no file and line\n{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("help: ") || ran.stderr.contains("expected "),
            "{name}: no way out\n{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(&format!("{name} cannot run: ")), "{}", ran.stderr);
        let sentences: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("[G0")).collect();
        if let Some(other) = said.insert(sentences.join("\n"), name.to_owned()) {
            panic!("{name} and {other} are told alike: {sentences:#?}");
        }
        snapshot("cli/broken_graphs", name.trim_end_matches(".json"), &ran.stderr);
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let workspace = Workspace::new();
    let file = graphs()
        .into_iter()
        .find(|file| file.ends_with("several.json"))
        .unwrap();
    workspace.write("g.json", std::fs::read(file).unwrap());
    let ran = workspace.run("g.json", &[]).exits(2);
    assert!(ran.stderr.matches("error[G").count() >= 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("g.json cannot run: 5 errors"), "{}", ran.stderr);
}
