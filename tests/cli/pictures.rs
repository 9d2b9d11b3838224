//! Saved pictures: the graph in them, and files of others beside them.

use crate::support::workspace::Workspace;
use std::fs;

const QUICK: [&str; 4] = ["--set", "draw.steps=2", "--set", "draw.batch=1"];

fn drawn() -> Workspace {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    workspace.run("hello.json", &QUICK).exits(0);
    workspace
}

#[test]
fn a_picture_runs_as_the_graph_that_made_it() {
    let workspace = drawn();
    let ran = workspace.run("out/hello_00001.png", &[]).exits(0);
    assert_eq!(
        ran.summary().executed,
        0,
        "with the --set that it was made with: {ran:#?}"
    );
    let checked = workspace.para(&["check", "out/hello_00001.png"]).exits(0);
    assert!(checked.stderr.contains("no errors, 5 nodes"), "{}", checked.stderr);
    // On another store it is made again, to the same bytes.
    let file = workspace.out("hello_00001.png");
    let picture = fs::read(&file).unwrap();
    let ran = workspace.run("out/hello_00001.png", &["--store", "../other"]).exits(0);
    assert_eq!(ran.summary().executed, 4);
    assert_eq!(fs::read(&file).unwrap(), picture);
}

#[test]
fn a_picture_from_elsewhere_says_what_is_missing() {
    let workspace = drawn();
    let moved = workspace.path("letters/from/a/friend.png");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::copy(workspace.out("hello_00001.png"), &moved).unwrap();
    let files = workspace.files();
    let ran = workspace.para(&["run", moved.to_str().unwrap()]).exits(1);
    for words in [
        "node `base` (load/model): parameter `path` names assets/emoji-xl, which does not exist",
        "help: ",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert_eq!(workspace.files(), files);
    // As the message says.
    let model = workspace.path("graphs/assets/emoji-xl");
    let set = format!("base.path={}", model.display());
    let ran = workspace.run(moved.to_str().unwrap(), &["--set", &set]).exits(0);
    assert_eq!(ran.started(), ["save"], "the model is known by its content");
}

#[test]
fn a_picture_says_which_files_made_it() {
    let workspace = drawn();
    let bytes = fs::read(workspace.out("hello_00001.png")).unwrap();
    let text = runner::provenance::graph_in_png(&bytes).unwrap();
    let graph: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(graph["nodes"]["draw"]["params"]["steps"], 2);
    let used = &graph["made"]["lock"]["files"][0];
    assert_eq!(
        (&used["node"], &used["path"]),
        (&"base".into(), &"assets/emoji-xl".into()),
        "{graph}"
    );
    assert!(
        used["blake3"].as_str().unwrap().len() == 64 && used["size"].as_u64().unwrap() > 1_000_000,
        "{used}"
    );
    let packs: Vec<_> = graph["made"]["lock"]["packs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pack| &pack["name"])
        .collect();
    assert_eq!(
        packs,
        ["node-image", "node-load", "node-sample", "node-text", "node-vae"]
    );
    assert_eq!(graph["made"]["base"], "..");
    let root = workspace.path("");
    assert!(!text.contains(root.to_str().unwrap()), "no path of the machine: {text}");
}

#[test]
fn no_picture_is_ever_replaced() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let theirs = workspace.write("out/hello_00001.png", "my holiday");
    let files = |numbers: &[usize]| -> Vec<_> {
        let name = |n: &usize| workspace.out(&format!("hello_{n:05}.png"));
        numbers.iter().map(name).collect()
    };
    let there = || {
        let entries = fs::read_dir(theirs.parent().unwrap()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let ran = workspace.run("hello.json", &QUICK).exits(0);
    assert!(ran.stdout.contains("hello_00002.png"), "{}", ran.stdout);
    assert_eq!(there(), files(&[1, 2]));
    assert_eq!(fs::read(&theirs).unwrap(), b"my holiday");
    let first = fs::read(&files(&[2])[0]).unwrap();

    // Another prompt is another picture, and the first one is still there when its prompt comes back.
    let other = [&QUICK[..], &["--set", "prompt.prompt=a fox"]].concat();
    workspace.run("hello.json", &other).exits(0);
    assert_eq!(there(), files(&[1, 2, 3]));
    assert_eq!(fs::read(&files(&[2])[0]).unwrap(), first);
    let back = workspace.run("hello.json", &QUICK).exits(0);
    assert!(back.started().is_empty(), "{:?}", back.started());

    // One that is gone is written again where it was, and one that somebody changed is kept beside it.
    fs::remove_file(&files(&[2])[0]).unwrap();
    let ran = workspace.run("hello.json", &QUICK).exits(0);
    assert_eq!(ran.started(), ["save"]);
    assert_eq!(there(), files(&[1, 2, 3]));
    fs::write(&files(&[2])[0], "painted over").unwrap();
    workspace.run("hello.json", &QUICK).exits(0);
    assert_eq!(fs::read(&files(&[2])[0]).unwrap(), first);
    assert_eq!(
        fs::read(workspace.out("hello_00002.kept-1.png")).unwrap(),
        b"painted over"
    );
}

#[test]
fn pictures_of_another_store_may_be_replaced() {
    let workspace = drawn();
    let ran = workspace.run(
        "hello.json",
        &[&QUICK[..], &["--store", "../other", "--set", "draw.seed=9"]].concat(),
    );
    ran.exits(0);
}

#[test]
fn pictures_without_a_graph_are_no_graphs() {
    let workspace = drawn();
    let png = fs::read(workspace.out("hello_00001.png")).unwrap();
    workspace.write("cut.png", &png[..png.len() / 2]);
    let mut flipped = png.clone();
    flipped[18] ^= 0xff;
    workspace.write("flipped.png", flipped);
    workspace.write("bytes.json", [0xff, 0xfe, 0x00, 0x41]);
    for (name, words) in [
        ("assets/subjects/dog/0.png", "it is a picture without a graph in it"),
        ("flipped.png", "it is a damaged PNG"),
        ("bytes.json", "it is not text (byte 0 is not UTF-8)"),
    ] {
        let ran = workspace.para(&["run", name]).exits(1);
        assert!(
            ran.stderr.contains(words) && ran.stderr.contains("help: "),
            "{name}: {}",
            ran.stderr
        );
    }
    // The graph stands before the pixels: a picture whose download was cut still has it.
    workspace.para(&["check", "cut.png"]).exits(0);
}
