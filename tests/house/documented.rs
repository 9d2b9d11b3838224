//! The catalogue explains itself: help pages, schema and editor have no other source.

use crate::support::workspace::Workspace;
use serde_json::Value as Json;

fn catalogue() -> Vec<Json> {
    let ran = Workspace::new().para(&["nodes", "--json"]).exits(0);
    ran.json().as_array().unwrap().clone()
}

#[test]
fn every_node_port_and_parameter_is_documented() {
    let mut faults = Vec::new();
    let nodes = catalogue();
    for node in &nodes {
        let name = node["name"].as_str().unwrap();
        let doc = node["doc"].as_str().unwrap_or_default();
        let first = doc.lines().next().unwrap_or_default();
        if !first.ends_with(['.', '…', ')']) || first.len() < 15 {
            faults.push(format!("{name}: the first line is no sentence: {first:?}"));
        }
        for list in ["inputs", "outputs", "params"] {
            for item in node[list].as_array().unwrap() {
                if item["doc"].as_str().unwrap_or_default().trim().len() < 4 {
                    faults.push(format!("{name}: {list}: {} has no doc", item["name"]));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(nodes.len() >= 18, "{} node types", nodes.len());
}

#[test]
fn the_nodes_of_the_design_are_there() {
    let nodes = catalogue();
    let names: Vec<&str> = nodes.iter().map(|n| n["name"].as_str().unwrap()).collect();
    for name in [
        "load/model",
        "load/images",
        "load/adapter",
        "text/encode",
        "para/train",
        "para/apply",
        "para/combine",
        "lora/apply",
        "lora/train",
        "sample/ddim",
        "vae/encode",
        "vae/decode",
        "image/save",
        "image/grid",
        "image/resize",
        "adapter/save",
        "table/save",
    ] {
        assert!(names.contains(&name), "{name} is missing among {names:?}");
    }
}

#[test]
fn each_type_has_a_page_with_all_its_names() {
    let workspace = Workspace::new();
    for node in catalogue() {
        let name = node["name"].as_str().unwrap();
        let page = workspace.para(&["nodes", name]).exits(0).stdout;
        assert!(page.starts_with(name), "{page}");
        for list in ["inputs", "outputs", "params"] {
            for item in node[list].as_array().unwrap() {
                let item = item["name"].as_str().unwrap();
                assert!(page.contains(&format!("\n  {item}: ")), "{item} in\n{page}");
            }
        }
    }
    let listed = workspace.para(&["nodes"]).exits(0).stdout;
    assert_eq!(listed.lines().count(), catalogue().len());
    let misspelt = workspace.para(&["nodes", "para/tarin"]).exits(1);
    assert!(misspelt.stderr.contains("did you mean para/train?"), "{misspelt:?}");
}
