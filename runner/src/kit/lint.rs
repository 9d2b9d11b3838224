//! What a pack's manifest may not say.
//!
//! Two crates with the same name and other features are two crates: their types differ, and a second candle numbers
//! its tensors anew, which gives gradients that are wrong without a word. A pack is compiled apart from the shared
//! libraries, so it cannot change them; what its manifest asks of them must hold all the same, or the pack would
//! mean one thing here and another as a member of the workspace.

use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is inside the shared libraries: by name and compatible version, the features they are compiled with.
/// Generated; `tests/house/generated.rs` says how.
const SHARED: &str = include_str!("shared.json");

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    uses_default_features: bool,
    features: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
}

/// Checks what `cargo metadata` says of the pack in `folder`; gives the package's name.
///
/// # Errors
/// A manifest that is no pack's, and one that asks for a second candle or for other features of what is shared.
pub(super) fn check(metadata: &[u8], folder: &Path) -> Result<String> {
    let manifest = folder.join("Cargo.toml");
    let refuse = |what: String| Failure::user(format!("{}: {what}", manifest.display()));
    let unreadable = |e: serde_json::Error| Failure::system(format!("cargo metadata says something unknown: {e}"));
    let metadata: Metadata = serde_json::from_slice(metadata).map_err(unreadable)?;
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let nodes = metadata
        .resolve
        .as_ref()
        .map(|resolve| resolve.nodes.as_slice())
        .unwrap_or_default();
    let nodes: BTreeMap<&str, &Node> = nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let root = metadata.resolve.as_ref().and_then(|resolve| resolve.root.as_deref());
    let Some(root) = root.and_then(|id| packages.get(id)) else {
        return Err(refuse("it is a workspace without a package of its own".into())
            .help("name the folder of one of its members"));
    };
    let loadable = |target: &Target| target.crate_types.iter().any(|ty| ty == "cdylib");
    if !root.targets.iter().any(loadable) {
        return Err(refuse("the crate is no loadable library".into())
            .help("add [lib] with crate-type = [\"cdylib\", \"rlib\"]"));
    }
    // The way from the pack to each crate, to say who asks for it.
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = vec![root.id.as_str()];
    while let Some(id) = open.pop() {
        for edge in nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default() {
            let known = edge.pkg == root.id || came_from.contains_key(edge.pkg.as_str());
            if !known {
                came_from.insert(&edge.pkg, id);
                open.push(&edge.pkg);
            }
        }
    }
    for id in came_from.keys() {
        let name = packages.get(id).map_or("", |package| package.name.as_str());
        if name.starts_with("candle") || name == "sdk" || name == "diffusion" {
            let mut way = vec![name];
            let mut at = *id;
            while let Some(before) = came_from.get(at) {
                way.push(packages.get(before).map_or("?", |package| package.name.as_str()));
                at = before;
            }
            way.reverse();
            return Err(refuse(format!(
                "it brings a second {name} into the process ({})",
                way.join(" → ")
            ))
            .help(
                "remove it: sdk and diffusion are there without being named, and candle is sdk::candle_core; \
                 two candles would give gradients that are silently wrong",
            ));
        }
    }
    let resolved = nodes
        .get(root.id.as_str())
        .map(|node| node.deps.as_slice())
        .unwrap_or_default();
    let resolved: Vec<&Package> = resolved
        .iter()
        .filter_map(|edge| packages.get(edge.pkg.as_str()).copied())
        .collect();
    for dependency in root.dependencies.iter().filter(|dependency| dependency.kind.is_none()) {
        let Some(package) = resolved.iter().find(|package| package.name == dependency.name) else {
            continue;
        };
        let more = more_than_shared(package, dependency)?;
        if !more.is_empty() {
            let plural = if more.len() == 1 { "feature" } else { "features" };
            return Err(refuse(format!(
                "{} {} would change a crate of the shared libraries: they are compiled without its {plural} {}",
                package.name,
                package.version,
                more.join(", ")
            ))
            .help(format!(
                "leave the {plural} out, or use what sdk passes on (sdk::serde, sdk::serde_json, sdk::candle_core, sdk::image); \
                 para plugin new shows a manifest"
            )));
        }
    }
    Ok(root.name.clone())
}

/// The features that a dependency asks of a shared crate and that are not on.
fn more_than_shared(package: &Package, dependency: &Dependency) -> Result<Vec<String>> {
    let shared: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = serde_json::from_str(SHARED)
        .map_err(|e| Failure::new(crate::failure::Kind::Bug, format!("the list of shared crates: {e}")))?;
    let Some(on) = shared
        .get(&package.name)
        .and_then(|versions| versions.get(&compatible(&package.version)))
    else {
        return Ok(Vec::new());
    };
    let mut asked = BTreeSet::new();
    let mut open: Vec<&str> = dependency.features.iter().map(String::as_str).collect();
    if dependency.uses_default_features {
        open.push("default");
    }
    while let Some(feature) = open.pop() {
        // `dep:x` and `x/y` are about other crates.
        if package.features.contains_key(feature) && asked.insert(feature) {
            open.extend(package.features[feature].iter().map(String::as_str));
        }
    }
    // An empty `default` changes nothing.
    asked.retain(|feature| *feature != "default" || !package.features["default"].is_empty());
    Ok(asked
        .into_iter()
        .filter(|feature| !on.contains(*feature))
        .map(str::to_owned)
        .collect())
}

/// The part of a version that cargo takes as one crate: `1`, `0.8`, `0.0.3`.
fn compatible(version: &str) -> String {
    let parts: Vec<&str> = version.split(['.', '-', '+']).take(3).collect();
    let significant = parts.iter().position(|part| *part != "0").unwrap_or(2);
    parts[..=significant.min(parts.len() - 1)].join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn package(name: &str, version: &str, features: Json, dependencies: Json) -> Json {
        json!({"id": name, "name": name, "version": version, "features": features, "dependencies": dependencies,
            "targets": [{"crate_types": ["cdylib", "rlib"]}]})
    }

    fn asks(name: &str, features: Json) -> Json {
        json!({"name": name, "kind": null, "uses_default_features": true, "features": features})
    }

    fn checked(packages: Vec<Json>, nodes: Json) -> Result<String> {
        let metadata = json!({"packages": packages, "resolve": {"root": "pack", "nodes": nodes}});
        check(&serde_json::to_vec(&metadata).unwrap(), Path::new("pack"))
    }

    fn serde_json(features: Json) -> Result<String> {
        let theirs = json!({"default": ["std"], "std": ["serde_core/std"], "preserve_order": ["dep:indexmap"],
            "arbitrary_precision": [], "raw_value": []});
        checked(
            vec![
                package("pack", "0.1.0", json!({}), json!([asks("serde_json", features)])),
                package("serde_json", "1.0.154", theirs, json!([])),
            ],
            json!([{"id": "pack", "deps": [{"pkg": "serde_json"}]}, {"id": "serde_json", "deps": []}]),
        )
    }

    #[test]
    fn other_features_of_what_is_shared_are_refused() {
        assert_eq!(serde_json(json!(["raw_value", "preserve_order"])).unwrap(), "pack");
        let refused = serde_json(json!(["arbitrary_precision"])).unwrap_err();
        assert!(
            refused.message.contains("without its feature arbitrary_precision"),
            "{refused}"
        );
        assert!(
            refused.message.starts_with("pack/Cargo.toml: serde_json 1.0.154"),
            "{refused}"
        );
    }

    #[test]
    fn a_second_candle_is_refused_however_deep_it_lies() {
        let refused = checked(
            vec![
                package("pack", "0.1.0", json!({}), json!([asks("helper", json!([]))])),
                package("helper", "2.0.0", json!({}), json!([])),
                package("candle-core", "0.9.2", json!({}), json!([])),
            ],
            json!([{"id": "pack", "deps": [{"pkg": "helper"}]}, {"id": "helper", "deps": [{"pkg": "candle-core"}]},
                {"id": "candle-core", "deps": []}]),
        )
        .unwrap_err();
        assert!(refused.message.contains("pack → helper → candle-core"), "{refused}");
    }

    #[test]
    fn a_crate_that_cannot_be_loaded_is_refused() {
        let mut plain = package("pack", "0.1.0", json!({}), json!([]));
        plain["targets"] = json!([{"crate_types": ["lib"]}]);
        let refused = checked(vec![plain], json!([{"id": "pack", "deps": []}])).unwrap_err();
        assert!(refused.help.unwrap().contains("cdylib"));
    }

    #[test]
    fn versions_that_cargo_takes_as_one() {
        for (version, key) in [
            ("1.0.154", "1"),
            ("0.8.5", "0.8"),
            ("0.0.3", "0.0.3"),
            ("2.0.0-rc.1", "2"),
        ] {
            assert_eq!(compatible(version), key);
        }
    }
}
