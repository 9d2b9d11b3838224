//! Who may import whom, from `cargo metadata`.

use crate::support::project;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::process::Command;

/// What a package may depend on.
struct Rule {
    /// Packages of this workspace; nothing else of ours.
    ours: &'static [&'static str],
    /// When given, the only packages of others (development apart).
    others_only: Option<&'static [&'static str]>,
    /// Packages of others that are refused.
    never: &'static [&'static str],
}

const TERMINAL: [&str; 2] = ["ratatui", "crossterm"];
const LOADING: [&str; 2] = ["libloading", "object"];

/// The rule of a package; none for one that nobody has thought about.
fn rule(package: &str) -> Option<Rule> {
    let rule = |ours, never| Rule {
        ours,
        others_only: None,
        never,
    };
    Some(match package {
        "graph" => Rule {
            ours: &[],
            // Pure: nothing here opens files, speaks to a network or computes with tensors. png finds the graph in a picture's bytes.
            others_only: Some(&["indexmap", "petgraph", "png", "serde", "serde_json", "strsim"]),
            never: &[],
        },
        "protocol" => Rule {
            ours: &["graph"],
            others_only: Some(&["base64", "serde", "serde_json"]),
            never: &[],
        },
        "sdk-macros" => Rule {
            ours: &[],
            others_only: Some(&["proc-macro2", "quote", "syn"]),
            never: &[],
        },
        "canvas" => rule(&[], &["ratatui", "crossterm", "candle-core", "libloading"]),
        "sdk" => rule(
            &["graph", "sdk-macros"],
            &["ratatui", "crossterm", "libloading", "object", "clap"],
        ),
        "diffusion" => rule(&["sdk"], &["ratatui", "crossterm", "libloading", "object", "clap"]),
        "runner" => rule(&["graph", "protocol", "sdk"], &["ratatui", "crossterm", "candle-core"]),
        "tui" | "para-tui" => rule(
            &["canvas", "graph", "protocol"],
            &["candle-core", "libloading", "object"],
        ),
        // Run by itself, it must not choose features for what node crates share.
        "xtask" => rule(&[], &["candle-core", "libloading"]),
        node if node.starts_with("node-") => rule(
            &["sdk", "diffusion"],
            &["ratatui", "crossterm", "libloading", "object", "clap"],
        ),
        // Tests look at everything; nobody looks at them, since no rule names them.
        "tests" => rule(&["canvas", "graph", "protocol", "runner", "sdk", "tui"], &[]),
        _ => return None,
    })
}

/// What is wrong with the dependencies of the packages of `cargo metadata`.
fn violations(metadata: &Json) -> Vec<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some(rule) = rule(name) else {
            found.push(format!("{name}: no rule says what it may import"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let normal = dependency["kind"].is_null();
            let allowed = if ours.contains(other) {
                rule.ours.contains(&other)
            } else {
                // Candle comes from sdk, which alone decides its features; a second one would compute wrong gradients.
                let candle = other.starts_with("candle") && !["sdk", "diffusion", "tests"].contains(&name);
                !candle
                    && !rule.never.contains(&other)
                    && (!normal || rule.others_only.is_none_or(|only| only.contains(&other)))
            };
            if !allowed {
                found.push(format!("{name} imports {other}"));
            }
        }
    }
    found
}

fn metadata() -> Json {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(project::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn arrows_point_as_designed() {
    let found = violations(&metadata());
    assert!(found.is_empty(), "{found:#?}");
}

/// `cargo test` would otherwise choose other features than `cargo build`, and replace the shared libraries by ones
/// that the built node crates do not fit.
#[test]
fn tests_and_builds_choose_the_same_features() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let names = |kind: Json, package: &str| -> BTreeSet<String> {
        let of = |p: &&Json| package.is_empty() || p["name"] == package;
        packages
            .iter()
            .filter(of)
            .flat_map(|p| p["dependencies"].as_array().unwrap())
            .filter(|d| d["kind"] == kind)
            .map(|d| d["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let dev = names("dev".into(), "");
    assert!(dev.contains("proptest"), "{dev:?}");
    let missing: Vec<_> = dev.difference(&names(Json::Null, "tests")).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "name them in tests/Cargo.toml too");
}

#[test]
fn a_wrong_arrow_is_found() {
    let mut metadata = metadata();
    let packages = metadata["packages"].as_array_mut().unwrap();
    for (name, other) in [
        ("node-load", "node-para"),
        ("node-load", "runner"),
        ("node-image", "candle-nn"),
        ("runner", "diffusion"),
        ("runner", TERMINAL[0]),
        ("runner", "candle-core"),
        ("graph", "tempfile"),
        ("graph", "sdk"),
        ("protocol", "sdk"),
        ("diffusion", LOADING[0]),
        ("sdk", "diffusion"),
    ] {
        let package = packages.iter_mut().find(|p| p["name"] == name).unwrap();
        let dependencies = package["dependencies"].as_array_mut().unwrap();
        dependencies.push(serde_json::json!({"name": other, "kind": null}));
    }
    packages.push(serde_json::json!({"name": "surprise", "dependencies": []}));
    packages.push(serde_json::json!({"name": "canvas", "dependencies": [{"name": "graph", "kind": null}]}));
    packages.push(serde_json::json!({"name": "tui", "dependencies": [
        {"name": "canvas", "kind": null}, {"name": "ratatui", "kind": null}, {"name": "sdk", "kind": null}]}));
    let found = violations(&metadata);
    assert_eq!(found.len(), 14, "{found:#?}");
}
