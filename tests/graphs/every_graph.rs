//! The shipped graphs, run as a user would, with short trainings: exactly what they promise is written.

use crate::support::graphs;
use crate::support::workspace::Workspace;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_graph_runs_writes_pictures_and_runs_again_from_the_store() {
    for name in graphs::names() {
        let graph = graphs::read(&name);
        let workspace = Workspace::new();
        workspace.take(&name);
        let short = graphs::shortened(&graph);
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        let first = workspace.run(&name, &short).exits(0);
        assert_eq!(first.summary().skipped, 0, "{name}");

        let written: BTreeMap<String, Vec<String>> = first.written().into_iter().collect();
        assert!(!written.is_empty(), "{name} writes nothing");
        for (node, files) in &written {
            let expected = expected(&graph, node, &workspace);
            if let Some((count, _)) = expected {
                assert_eq!(files.len(), count, "{name}: {node} wrote {files:?}");
            }
            for file in files {
                let file = workspace.shown(file);
                let file = file.as_path();
                match file.extension().and_then(|e| e.to_str()) {
                    Some("png") => picture(&name, file, expected.map(|(_, size)| size)),
                    Some("safetensors") => adapter(&name, file),
                    Some("csv") => {
                        let text = std::fs::read_to_string(file).unwrap();
                        assert!(text.lines().count() > 1, "{name}: {} is empty", file.display());
                    }
                    Some("json") => drop(graphs::read_file(file)),
                    _ => panic!("{name} writes {}, which this test cannot judge", file.display()),
                }
            }
        }
        let savers = graph["nodes"].as_object().unwrap().iter();
        let savers = savers.filter(|(_, node)| node["type"].as_str().unwrap().ends_with("/save"));
        assert_eq!(written.len(), savers.count(), "{name}: every saver saves");

        let second = workspace.run(&name, &short).exits(0);
        assert_eq!((second.started(), second.loaded()), (vec![], vec![]), "{name}");
        assert_eq!(
            second.summary().cached,
            graph["nodes"].as_object().unwrap().len(),
            "{name}"
        );
    }
}

/// How many pictures a saver of decoded drawings writes, and their width and height. Other savers depend on their
/// nodes' layout.
fn expected(graph: &Json, saver: &str, workspace: &Workspace) -> Option<(usize, (u32, u32))> {
    let node = |link: &str| &graph["nodes"][link.split('.').next().unwrap()];
    let decode = node(graph["nodes"][saver]["inputs"]["images"].as_str()?);
    if decode["type"] != "vae/decode" {
        return None;
    }
    let draw = node(decode["inputs"]["latent"].as_str()?);
    let base = node(decode["inputs"]["vae"].as_str()?);
    if draw["type"] != "sample/ddim" || !draw["inputs"]["latent"].is_null() {
        return None;
    }
    let folder = workspace.path("graphs").join(base["params"]["path"].as_str()?);
    let config = |part: &str| graphs::read_file(&folder.join(part).join("config.json"));
    let blocks = config("vae")["block_out_channels"].as_array()?.len();
    let own = config("unet")["sample_size"].as_u64()? << (blocks - 1);
    let side = |name: &str| draw["params"][name].as_u64().unwrap_or(own) as u32;
    let batch = draw["params"]["batch"].as_u64().unwrap_or(1).min(2);
    Some((batch as usize, (side("width"), side("height"))))
}

fn picture(graph: &str, file: &Path, size: Option<(u32, u32)>) {
    let name = file.display();
    let picture = image::open(file)
        .unwrap_or_else(|e| panic!("{graph}: {name}: {e}"))
        .to_rgb8();
    match size {
        Some(size) => assert_eq!(picture.dimensions(), size, "{graph}: {name}"),
        None => assert!(picture.width() >= 16 && picture.height() >= 16, "{graph}: {name}"),
    }
    let (low, high) = picture
        .as_raw()
        .iter()
        .fold((255, 0), |(low, high), &v| (v.min(low), v.max(high)));
    assert!(high - low > 40, "{graph}: {name} is one colour, {low} to {high}");
    let bytes = std::fs::read(file).unwrap();
    assert!(
        runner::provenance::graph_in_png(&bytes).is_ok(),
        "{graph}: {name} carries no graph"
    );
}

fn adapter(graph: &str, file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let tensors =
        safetensors::SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{graph}: {}: {e}", file.display()));
    assert!(!tensors.is_empty(), "{graph}: {} holds no tensor", file.display());
}
