//! The list of what is inside the shared libraries, which `para plugin` holds a pack's manifest against.
//!
//! A change of it is a change of every node crate's build: a feature that some new dependency turns on compiles candle
//! again, and packs that were built before are refused. So it is kept in the repository, where a change is seen.

use crate::support::project;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const FILE: &str = "runner/src/kit/shared.json";

fn metadata() -> Json {
    let target = sdk::handshake::Claim::ours().target;
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            &target,
        ])
        .current_dir(project::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The part of a version that cargo takes as one crate: `1`, `0.8`, `0.0.3`.
fn compatible(version: &str) -> String {
    let parts: Vec<&str> = version.split(['.', '-', '+']).take(3).collect();
    let significant = parts.iter().position(|part| *part != "0").unwrap_or(2);
    parts[..=significant].join(".")
}

/// By name and compatible version: the features of every crate that `diffusion` links.
fn shared(metadata: &Json) -> Json {
    let list = |value: &Json| value.as_array().unwrap().clone();
    let packages: BTreeMap<String, Json> = list(&metadata["packages"])
        .into_iter()
        .map(|p| (p["id"].as_str().unwrap().to_owned(), p))
        .collect();
    let nodes: BTreeMap<String, Json> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|n| (n["id"].as_str().unwrap().to_owned(), n))
        .collect();
    let root = packages
        .iter()
        .find(|(_, package)| package["name"] == "diffusion")
        .unwrap()
        .0;
    let (mut open, mut seen) = (vec![root.clone()], BTreeSet::new());
    while let Some(id) = open.pop() {
        for edge in list(&nodes[&id]["deps"]) {
            let other = edge["pkg"].as_str().unwrap().to_owned();
            let linked = list(&edge["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let is_macro = |target: &Json| target["kind"] == json!(["proc-macro"]);
            let runs_in_the_compiler = list(&packages[&other]["targets"]).iter().any(is_macro);
            if linked && !runs_in_the_compiler && seen.insert(other.clone()) {
                open.push(other);
            }
        }
    }
    let mut all: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for id in seen.iter().filter(|id| !packages[*id]["source"].is_null()) {
        let package = &packages[id];
        let features = list(&nodes[id]["features"]);
        let features = features.iter().map(|f| f.as_str().unwrap().to_owned()).collect();
        let version = compatible(package["version"].as_str().unwrap());
        all.entry(package["name"].as_str().unwrap().to_owned())
            .or_default()
            .insert(version, features);
    }
    json!(all)
}

#[test]
fn the_list_of_shared_crates_is_up_to_date() {
    let fresh = shared(&metadata());
    assert!(
        fresh["candle-core"]["0.11"].is_array() && fresh["serde_json"]["1"].is_array(),
        "{fresh}"
    );
    let file = project::root().join(FILE);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&file, format!("{fresh:#}\n")).unwrap();
    }
    let kept: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap_or_default()).unwrap_or_default();
    assert_eq!(
        kept, fresh,
        "{FILE} is stale: a dependency changed what is inside the shared libraries. If that is meant, write it again: \
         UPDATE=1 cargo test --release --workspace --test all -- shared_crates"
    );
}
