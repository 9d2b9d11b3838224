//! Graphs on their way to somebody else: `para pack`, `para open`, `para doctor`, and pictures.

use crate::support::archive::archive;
use crate::support::project;
use crate::support::workspace::{Ran, Workspace};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use tar::EntryType;

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    for file in project::files_below(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
}

/// A folder `a/` with a graph, a model that is nobody else's, and pictures; packed as `g.para.tar.gz`.
fn packed(more: &[&str]) -> Workspace {
    let workspace = Workspace::new();
    let assets = project::root().join("graphs/assets");
    copy(&assets.join("emoji-xl"), &workspace.path("a/models/first"));
    let index = workspace.path("a/models/first/model_index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text + "\n").unwrap();
    copy(&assets.join("subjects/dog"), &workspace.path("a/pictures"));
    fs::remove_file(workspace.path("a/pictures/4.png")).unwrap();
    workspace.graph(
        "../a/g.json",
        r#""base": { "type": "load/model", "params": { "path": "models/first" } },
        "dogs": { "type": "load/images", "params": { "path": "pictures" } },
        "prompt": { "type": "text/encode", "inputs": { "text": "base.text" }, "params": { "prompt": "a fox" } },
        "draw": { "type": "sample/ddim", "inputs": { "model": "base.model", "conditioning": "prompt.conditioning" }, "params": { "steps": 2 } },
        "picture": { "type": "vae/decode", "inputs": { "vae": "base.vae", "latent": "draw.latent" } },
        "save": { "type": "image/save", "inputs": { "images": ["picture.images", "dogs.images"] } }"#,
    );
    let pack = ["pack", "../a/g.json", "--out", "../g.para.tar.gz"];
    workspace.para(&[&pack[..], more].concat()).exits(0);
    workspace
}

fn says(ran: &Ran, words: &str) {
    assert!(
        ran.stdout.contains(words) || ran.stderr.contains(words),
        "{words:?} is not in {ran:#?}"
    );
}

#[test]
fn a_bundle_runs_elsewhere_with_all_models_renamed_and_other_bytes_are_refused() {
    let workspace = packed(&["--origin", "base.path=https://example.org/first"]);
    workspace.run("../a/g.json", &[]).exits(0);
    fs::create_dir(workspace.path("b")).unwrap();
    fs::rename(workspace.path("a/models/first"), workspace.path("b/second")).unwrap();
    fs::rename(workspace.path("a/pictures"), workspace.path("b/of my dog")).unwrap();
    fs::remove_dir_all(workspace.path("a")).unwrap();
    fs::create_dir(workspace.path("far")).unwrap();
    fs::rename(workspace.path("b"), workspace.path("far/b")).unwrap();
    fs::create_dir(workspace.path("c")).unwrap();
    fs::rename(workspace.path("g.para.tar.gz"), workspace.path("c/g.para.tar.gz")).unwrap();

    let open = ["open", "../c/g.para.tar.gz", "--into", "../d/e"];
    let found = workspace.para(&[&open[..], &["--search", "../far"]].concat()).exits(0);
    says(&found, "found    base.path  [ROOT]/far/b/second (was models/first)");
    says(&found, "found    dogs.path  [ROOT]/far/b/of my dog (was pictures)");
    let again = workspace.run("../d/e/g.json", &[]).exits(0);
    assert_eq!(again.started(), ["save"], "everything else is known by its content");
    workspace.para(&["doctor", "../d/e/g.json"]).exits(0);
    // What is there is not written over.
    says(&workspace.para(&open).exits(1), "../d/e is there already");

    // The same name with other bytes.
    let weights = workspace.path("far/b/second/unet/config.json");
    let text = fs::read_to_string(&weights).unwrap();
    fs::write(&weights, text.clone() + " ").unwrap();
    let words = "base.path: [ROOT]/far/b/second is there with other bytes than this graph was made with";
    says(&workspace.run("../d/e/g.json", &[]).exits(1), words);
    says(
        &workspace.para(&["doctor", "../d/e/g.json"]).exits(1),
        "holds other bytes",
    );
    says(&workspace.run("../d/e/out/image_00001.png", &[]).exits(1), words);
    workspace
        .run("../d/e/g.json", &["--unlocked", "--target", "prompt"])
        .exits(0);
    let base = workspace.path("far/b/second");
    let set = format!("base.path={}", base.display());
    workspace
        .run("../d/e/g.json", &["--set", &set, "--target", "prompt"])
        .exits(0);
    let none = workspace
        .para(&["open", "../c/g.para.tar.gz", "--into", "../f", "--search", "../far"])
        .exits(1);
    says(&none, "missing  base.path  models/first (folder, 27 MB, hash ");
    says(&none, ", from https://example.org/first)");
    says(&none, "found    dogs.path");

    // When it comes, under whatever name, the graph is made whole.
    fs::write(&weights, text).unwrap();
    fs::rename(base, workspace.path("far/third")).unwrap();
    says(
        &workspace
            .para(&["doctor", "../f/g.json", "--search", "../far"])
            .exits(1),
        "it is [ROOT]/far/third",
    );
    workspace
        .para(&["doctor", "../f/g.json", "--search", "../far", "--fix"])
        .exits(0);
    assert_eq!(workspace.run("../f/g.json", &[]).exits(0).started(), ["save"]);
    // A picture carries the same lock.
    workspace
        .para(&[
            "open",
            "../d/e/out/image_00001.png",
            "--into",
            "../h",
            "--search",
            "../far",
        ])
        .exits(0);
    let graph = fs::read_to_string(workspace.path("h/image_00001.json")).unwrap();
    assert!(graph.contains("far/third") && !graph.contains("\"made\""), "{graph}");
}

#[test]
fn an_archive_with_its_files_needs_nothing_else() {
    let workspace = packed(&["--files", "10"]);
    says(
        &workspace
            .para(&["pack", "../a/g.json", "--out", "../g.para.tar.gz"])
            .exits(1),
        "is there already",
    );
    fs::rename(workspace.path("a/models/first"), workspace.path("model")).unwrap();
    fs::remove_dir_all(workspace.path("a")).unwrap();
    let opened = workspace.para(&["open", "../g.para.tar.gz"]).exits(0);
    says(&opened, "packed   dogs.path  pictures");
    says(&opened, "found    base.path  [ROOT]/model");
    assert!(workspace.path("graphs/g/pictures/0.png").is_file());
    workspace.run("g/g.json", &["--target", "dogs"]).exits(0);
}

/// One picture of a folder, and the folder, in an order in which the one is in the way of the other.
#[test]
fn what_lies_in_what_is_packed_too() {
    let workspace = Workspace::new();
    copy(
        &project::root().join("graphs/assets/subjects/dog"),
        &workspace.path("a/pictures"),
    );
    for (first, second) in [("pictures/0.png", "pictures"), ("pictures", "pictures/0.png")] {
        let _ = fs::remove_dir_all(workspace.path("b"));
        workspace.graph(
            "../a/g.json",
            &format!(
                r#""one": {{ "type": "load/images", "params": {{ "path": "{first}" }} }},
                "other": {{ "type": "load/images", "params": {{ "path": "{second}" }} }}"#
            ),
        );
        let pack = ["pack", "../a/g.json", "--out", "../b/g.para.tar.gz", "--files"];
        fs::create_dir(workspace.path("b")).unwrap();
        workspace.para(&pack).exits(0);
        fs::rename(workspace.path("a/pictures"), workspace.path("away")).unwrap();
        let open = ["open", "../b/g.para.tar.gz", "--into", "../b/g", "--store", "../other"];
        workspace.para(&open).exits(0);
        let ran = workspace
            .run("../b/g/g.json", &["--fresh", "--store", "../other"])
            .exits(0);
        assert_eq!(ran.started(), ["one", "other"], "{first}");
        fs::rename(workspace.path("away"), workspace.path("a/pictures")).unwrap();
    }
}

#[test]
fn a_doctor_names_node_types_that_are_not_here() {
    let workspace = Workspace::new();
    workspace.graph(
        "g.json",
        r#""a": { "type": "far/away", "params": { "path": "model" } }"#,
    );
    says(
        &workspace.para(&["doctor", "g.json"]).exits(1),
        "missing  node type far/away: no package that is here has it",
    );
    let lock = json!({"paragraph_lock": 1, "para": "0.1.0",
        "files": [{"node": "a", "param": "path", "path": "model", "blake3": "0".repeat(64), "size": 5}],
        "packs": [{"name": "far", "version": "0.3.0", "nodes": ["far/away"], "source": "https://example.org/far#77aa"}]});
    workspace.write("g.lock.json", lock.to_string());
    let told = workspace.para(&["doctor", "g.json"]).exits(1);
    says(
        &told,
        "it is in far 0.3.0: para plugin add https://example.org/far#77aa",
    );
    says(&told, "missing  a.path  model (file 5 B, hash 000000000000)");
    let told = workspace.para(&["doctor", "g.json", "--json"]).exits(1).json();
    assert_eq!(
        (&told["ok"], &told["files"][0]["state"]),
        (&false.into(), &"missing".into())
    );
    assert_eq!(
        workspace.files(),
        ["graphs/g.json", "graphs/g.lock.json"],
        "a doctor looks and changes nothing"
    );
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let workspace = Workspace::new();
    let graph: &[u8] = b"{ \"paragraph\": 1, \"nodes\": {} }";
    let content = blake3::hash(b"12345").to_hex().to_string();
    let file =
        json!({"node": "a", "param": "path", "path": "../../escape", "blake3": content, "size": 5, "packed": true});
    let head = |name: &str, files: Json| {
        let lock = json!({"paragraph_lock": 1, "para": "0.1.0", "files": files, "packs": []});
        json!({"paragraph_bundle": 1, "graph": name, "lock": lock})
            .to_string()
            .into_bytes()
    };
    let good = head("g.json", json!([file]));
    let inside = format!("files/{content}");
    let deep = format!("files/{content}/../../../../evil");
    let regular = EntryType::Regular;
    let with = |name: &str, ty: EntryType, bytes: &[u8]| {
        archive(&[
            ("bundle.json", regular, &good),
            ("graph.json", regular, graph),
            (name, ty, bytes),
        ])
    };
    let huge = head(
        "g.json",
        json!([{"node": "a", "param": "path", "path": "x", "blake3": content, "size": 1u64 << 60, "packed": true}]),
    );
    let zeros = vec![0; 260 << 20];
    let whole = with(&inside, regular, b"12345");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("up", with("../evil", regular, b"x"), "leads elsewhere"),
        ("deep", with(&deep, regular, b"x"), "leads elsewhere"),
        ("absolute", with("/tmp/evil", regular, b"x"), "leads elsewhere"),
        ("symlink", with(&inside, EntryType::Symlink, b""), "is no plain file"),
        ("hardlink", with(&inside, EntryType::Link, b""), "is no plain file"),
        ("device", with(&inside, EntryType::Char, b""), "is no plain file"),
        ("folder", with(&inside, EntryType::Directory, b""), "is no plain file"),
        (
            "stranger",
            with("evil.sh", regular, b"x"),
            "which is not part of the format",
        ),
        (
            "unknown",
            with(&format!("files/{}", "0".repeat(64)), regular, b"x"),
            "which its lock does not know",
        ),
        (
            "inside",
            with(&format!("{inside}/more"), regular, b"x"),
            "which its lock does not know",
        ),
        (
            "bytes",
            with(&inside, regular, b"54321"),
            "the bytes of a.path (../../escape) are not those of its lock",
        ),
        (
            "lacking",
            archive(&[("bundle.json", regular, &good), ("graph.json", regular, graph)]),
            "are not those of its lock",
        ),
        ("twice", with("graph.json", regular, graph), "it holds graph.json twice"),
        (
            "headless",
            archive(&[("graph.json", regular, graph)]),
            "which is not part of the format",
        ),
        (
            "graphless",
            archive(&[("bundle.json", regular, &good)]),
            "it has no graph.json",
        ),
        (
            "name",
            archive(&[
                ("bundle.json", regular, &head("../g.json", json!([]))),
                ("graph.json", regular, graph),
            ]),
            "which is no file name",
        ),
        (
            "huge",
            archive(&[("bundle.json", regular, &huge), ("graph.json", regular, graph)]),
            "--largest allows more",
        ),
        (
            "bomb",
            with(&inside, regular, &zeros),
            "it unpacks to more than it declares",
        ),
        (
            "bomb_of_text",
            archive(&[("bundle.json", regular, &zeros[..200 << 20])]),
            "no archive of para pack, or damaged",
        ),
        (
            "long_name",
            archive(&[("././@LongLink", EntryType::GNULongName, &zeros[..200 << 20])]),
            "it unpacks to more than it declares",
        ),
        (
            "text",
            b"not an archive".to_vec(),
            "no archive of para pack, or damaged",
        ),
        (
            "cut",
            whole[..whole.len() - 40].to_vec(),
            "no archive of para pack, or damaged",
        ),
        ("empty", Vec::new(), "no archive of para pack, or damaged"),
    ];
    for (name, bytes, words) in &cases {
        workspace.write("x.tar.gz", bytes);
        let before = workspace.files();
        let ran = workspace.para(&["open", "x.tar.gz"]).exits(1);
        assert!(ran.stderr.contains(words), "{name}: {words:?} is not in {}", ran.stderr);
        assert_eq!(workspace.files(), before, "{name}");
        assert!(
            !workspace.path("evil").exists() && !workspace.path("graphs/x").exists(),
            "{name}"
        );
    }
    // The archive that they were made from is refused for one thing only: its graph has no such node.
    workspace.write("x.tar.gz", whole);
    says(
        &workspace.para(&["open", "x.tar.gz"]).exits(1),
        "the lock names a.path, which the graph does not have",
    );
    let graph: &[u8] = br#"{ "paragraph": 1, "nodes": { "a": { "type": "load/images", "params": { "path": "x" } } } }"#;
    workspace.write(
        "x.tar.gz",
        archive(&[
            ("bundle.json", regular, &good),
            ("graph.json", regular, graph),
            (&inside, regular, b"12345"),
        ]),
    );
    workspace.para(&["open", "x.tar.gz"]).exits(0);
    let escaped = format!("graphs/x/files/{}/escape", &content[..12]);
    assert_eq!(fs::read(workspace.path(&escaped)).unwrap(), b"12345", "it stays inside");
}
