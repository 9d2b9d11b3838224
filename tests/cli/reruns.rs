//! What a second run executes: nothing, or what changed.

use crate::support::workspace::{Ran, Workspace};
use protocol::Event;
use std::fs;
use std::time::{Duration, SystemTime};

const QUICK: [&str; 4] = ["--set", "draw.steps=2", "--set", "draw.batch=2"];

fn hello() -> Workspace {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    workspace
}

fn run(workspace: &Workspace, more: &[&str]) -> Ran {
    workspace.run("hello.json", &[&QUICK, more].concat()).exits(0)
}

/// Executed and loaded nodes.
fn work(ran: &Ran) -> (Vec<String>, Vec<String>) {
    (ran.started(), ran.loaded())
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_second_run_executes_and_loads_nothing() {
    let workspace = hello();
    let first = run(&workspace, &[]);
    assert_eq!(
        work(&first),
        (names(&["draw", "picture", "prompt", "save"]), names(&["base"]))
    );
    let picture = fs::read(workspace.out("hello_00001.png")).unwrap();
    let files = workspace.files();
    let second = run(&workspace, &[]);
    assert_eq!(work(&second), (vec![], vec![]));
    assert_eq!((second.summary().executed, second.summary().cached), (0, 5));
    assert_eq!(fs::read(workspace.out("hello_00001.png")).unwrap(), picture);
    assert_eq!(workspace.files(), files);
    assert_eq!(second.written(), first.written(), "files are named again");
}

#[test]
fn a_frozen_node_keeps_its_result_whatever_feeds_it() {
    let workspace = hello();
    let first = run(&workspace, &[]);
    let picture = fs::read(workspace.out("hello_00001.png")).unwrap();
    let key = first.events().into_iter().find_map(|event| match event {
        Event::Done { node, key, .. } if node == "draw" => Some(key),
        _ => None,
    });
    let text = fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
    let (mut document, _) = graph::parse(&text);
    document.set_frozen("draw", key.as_deref()).unwrap();
    workspace.write("hello.json", document.text());
    let older = |ran: &Ran| {
        let nodes = ran.events().into_iter().filter_map(|event| match event {
            Event::Older { node } => Some(node),
            _ => None,
        });
        nodes.collect::<Vec<_>>()
    };
    let same = run(&workspace, &[]);
    assert_eq!((same.started(), older(&same)), (vec![], vec![]));

    // Another prompt: what feeds it runs, it does not, and says so; what it needs alone is not even asked for.
    let other = ["--set", "prompt.prompt=a drawing of a teapot"];
    let ran = run(&workspace, &other);
    assert_eq!((ran.started(), older(&ran)), (names(&["prompt"]), names(&["draw"])));
    assert_eq!(fs::read(workspace.out("hello_00001.png")).unwrap().len(), picture.len());
    let fresh = run(&workspace, &[&other[..], &["--fresh", "--target", "picture"]].concat());
    assert_eq!(work(&fresh), (names(&["picture"]), names(&["base"])));
    let plan = workspace.para(&[
        "plan",
        "hello.json",
        QUICK[0],
        QUICK[1],
        QUICK[2],
        QUICK[3],
        "--set",
        other[1],
    ]);
    assert!(plan.exits(0).stdout.contains("frozen: older than its inputs"));

    // It stays when there is no room, and when all other results go.
    let cleaned = workspace.para(&["cache", "gc", "--to", "0"]).exits(0).stdout;
    assert!(
        cleaned.contains("1 frozen result stays, since graphs stand on them"),
        "{cleaned}"
    );
    let cleaned = workspace.para(&["cache", "clear"]).exits(0).stdout;
    assert!(cleaned.contains("1 frozen result stays"), "{cleaned}");
    let still = run(&workspace, &[]);
    assert!(
        still.started().iter().all(|node| node != "draw"),
        "{:?}",
        still.started()
    );

    // On another machine its result is not there.
    workspace.para(&["cache", "clear", "--all"]).exits(0);
    let lost = workspace.run("hello.json", &QUICK).exits(3);
    assert!(lost.started().iter().all(|node| node != "draw"));
    let failed = lost.events().into_iter().find_map(|event| match event {
        Event::Failed { node, message, .. } => Some((node, message)),
        _ => None,
    });
    let (node, message) = failed.unwrap();
    assert!(node == "draw" && message.contains("not in this store"), "{message}");
}

#[test]
fn another_prompt_executes_the_four_nodes_after_it() {
    let workspace = hello();
    run(&workspace, &[]);
    let set = ["--set", "prompt.prompt=a drawing of a teapot"];
    let ran = run(&workspace, &set);
    assert_eq!(
        work(&ran),
        (names(&["draw", "picture", "prompt", "save"]), names(&["base"]))
    );
    let read = |n: usize| fs::read(workspace.out(&format!("hello_{n:05}.png"))).unwrap();
    assert_ne!(read(3), read(1));
    let text = fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
    assert!(text.contains("a fox in the snow"), "--set leaves the file alone");
    // Both results are kept, and both pictures: going back does nothing.
    let back = run(&workspace, &[]);
    assert_eq!(work(&back), (vec![], vec![]));
}

#[test]
fn another_prompt_trains_nothing_again() {
    let workspace = Workspace::new();
    workspace.take("multi_subject.json");
    let quick = [
        "dog.steps=2",
        "teapot.steps=2",
        "draw.steps=2",
        "draw.batch=1",
        "plain_draw.steps=2",
        "plain_draw.batch=1",
    ];
    let quick: Vec<&str> = quick.iter().flat_map(|set| ["--set", set]).collect();
    let first = workspace.run("multi_subject.json", &quick).exits(0);
    assert!(first.started().contains(&"dog".to_owned()));
    let again = [&quick[..], &["--set", "prompt.prompt=a sks dog in a sks teapot"]].concat();
    let ran = workspace.run("multi_subject.json", &again).exits(0);
    let expected = ["compare", "draw", "picture", "prompt", "save", "save_compare"];
    assert_eq!(work(&ran), (names(&expected), names(&["base", "model"])));
}

#[test]
fn pictures_that_went_or_changed_are_written_again_from_the_store() {
    let workspace = hello();
    run(&workspace, &[]);
    let file = workspace.out("hello_00002.png");
    let picture = fs::read(&file).unwrap();
    let damage: [(&str, &dyn Fn()); 4] = [
        ("deleted", &|| fs::remove_file(&file).unwrap()),
        ("changed", &|| fs::write(&file, "scribble").unwrap()),
        ("cut", &|| fs::write(&file, &picture[..100]).unwrap()),
        ("folder deleted", &|| {
            fs::remove_dir_all(file.parent().unwrap()).unwrap();
        }),
    ];
    for (what, damage) in damage {
        damage();
        let plan = workspace
            .para(&[&["plan", "hello.json", "--json"], &QUICK[..]].concat())
            .exits(0)
            .json();
        let state = plan
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["node"] == "save")
            .unwrap();
        assert_eq!(state["state"], "miss", "{what}: {state}");
        assert!(
            state["detail"].as_str().unwrap().contains("hello_0000"),
            "{what}: {state}"
        );
        let ran = run(&workspace, &[]);
        assert_eq!(work(&ran), (names(&["save"]), vec![]), "{what}");
        assert_eq!(fs::read(&file).unwrap(), picture, "{what}");
    }
}

#[test]
fn touched_files_change_nothing_and_changed_files_do() {
    let workspace = Workspace::new();
    let picture = fs::read(workspace.path("graphs/assets/subjects/dog/0.png")).unwrap();
    let file = workspace.write("mine/a.png", &picture);
    workspace.graph(
        "g.json",
        r#""i": { "type": "load/images", "params": { "path": "mine" } },
        "s": { "type": "image/resize", "inputs": { "images": "i.images" }, "params": { "width": 16, "height": 16 } },
        "w": { "type": "image/save", "inputs": { "images": "s.images" } }"#,
    );
    let first = workspace.run("g.json", &[]).exits(0);
    assert_eq!(first.started(), ["i", "s", "w"]);
    let later = SystemTime::now() + Duration::from_secs(90);
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_eq!(workspace.run("g.json", &[]).exits(0).started(), Vec::<String>::new());
    fs::write(
        &file,
        fs::read(workspace.path("graphs/assets/subjects/cat/0.png")).unwrap(),
    )
    .unwrap();
    assert_eq!(workspace.run("g.json", &[]).exits(0).started(), ["i", "s", "w"]);
}

#[test]
fn layout_title_and_order_of_nodes_do_not_count() {
    let workspace = hello();
    run(&workspace, &[]);
    let text = fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
    let mut graph: serde_json::Value = serde_json::from_str(&text).unwrap();
    graph["title"] = "another".into();
    graph["layout"] = serde_json::json!({"draw": {"at": [3, 4]}});
    workspace.write("hello.json", graph.to_string());
    assert_eq!(work(&run(&workspace, &[])).0, Vec::<String>::new());
}

#[test]
fn plan_says_what_run_does() {
    let workspace = hello();
    let plan = |more: &[&str]| {
        let args = [&["plan", "hello.json", "--json"], &QUICK[..], more].concat();
        let plan = workspace.para(&args).exits(0).json();
        let line = |line: &serde_json::Value| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            format!("{} {}", text("node"), text("state"))
        };
        plan.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    let files = workspace.files();
    assert_eq!(
        plan(&[]),
        [
            "base load",
            "prompt miss",
            "draw depends_on",
            "picture depends_on",
            "save depends_on"
        ]
    );
    assert_eq!(workspace.files(), files, "planning makes nothing");
    run(&workspace, &[]);
    assert_eq!(
        plan(&[]),
        ["base hit", "prompt hit", "draw hit", "picture hit", "save hit"]
    );
    assert_eq!(
        plan(&["--set", "draw.seed=5"]),
        [
            "base load",
            "prompt hit",
            "draw miss",
            "picture depends_on",
            "save depends_on"
        ]
    );
}

#[test]
fn fresh_executes_everything_to_the_same_bytes() {
    let workspace = hello();
    run(&workspace, &[]);
    let picture = fs::read(workspace.out("hello_00001.png")).unwrap();
    let ran = run(&workspace, &["--fresh"]);
    assert_eq!(
        work(&ran),
        (names(&["draw", "picture", "prompt", "save"]), names(&["base"]))
    );
    assert_eq!(fs::read(workspace.out("hello_00001.png")).unwrap(), picture);
}
