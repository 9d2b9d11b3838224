//! `kill -9` at random moments: nothing unreadable is left, and the next run ends as if nothing had happened.
//!
//! `cargo test` kills a few times; the full numbers: `cargo test --release --workspace --test all -- --ignored kills`.

use crate::support::workspace::Workspace;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Pseudo-random numbers (xorshift), so that a failure can be repeated.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn start(workspace: &Workspace, graph: &str) -> Child {
    workspace
        .command(&["run", graph, "--events", "quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill_after(mut child: Child, time: Duration) {
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Nothing in the store is other than it was written.
fn whole(workspace: &Workspace) {
    let found = workspace.para(&["cache", "verify", "--json"]).exits(0).json();
    assert_eq!(found["damaged"], serde_json::json!([]), "{found}");
    assert_eq!(found["forgotten"], 0, "{found}");
}

fn several_nodes(times: usize) {
    let graph = |workspace: &Workspace| {
        workspace.take("hello.json");
        let text = std::fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
        let mut graph: serde_json::Value = serde_json::from_str(&text).unwrap();
        graph["nodes"]["draw"]["params"]["steps"] = 4.into();
        graph["nodes"]["draw"]["params"]["batch"] = 2.into();
        workspace.write("hello.json", graph.to_string());
    };
    let reference = Workspace::new();
    graph(&reference);
    reference.run("hello.json", &[]).exits(0);
    let workspace = Workspace::new();
    graph(&workspace);
    let mut moments = Moments(0x5eed);
    for _ in 0..times {
        kill_after(
            start(&workspace, "hello.json"),
            Duration::from_millis(moments.below(700)),
        );
        whole(&workspace);
        // What was finished is not repeated for ever: begin anew now and then.
        if moments.below(3) == 0 {
            workspace.para(&["cache", "clear"]).exits(0);
            let _ = std::fs::remove_dir_all(workspace.path("graphs/out"));
        }
    }
    workspace.run("hello.json", &[]).exits(0);
    whole(&workspace);
    for name in ["hello_00001.png", "hello_00002.png"] {
        let read = |workspace: &Workspace| image::open(workspace.out(name)).unwrap().to_rgb8();
        assert!(read(&workspace) == read(&reference), "{name} differs");
    }
    assert_eq!(workspace.run("hello.json", &[]).exits(0).summary().executed, 0);
}

#[test]
fn runs_of_several_nodes_survive_kills() {
    several_nodes(5);
}

#[test]
#[ignore = "200 kills take some minutes"]
fn runs_of_several_nodes_survive_200_kills() {
    several_nodes(200);
}

#[test]
#[ignore = "20 kills of a training take some minutes"]
fn a_training_survives_20_kills_each_with_the_same_bytes() {
    let graph = r#"
        "base": { "type": "load/model", "params": { "path": "assets/emoji-xl" } },
        "dogs": { "type": "load/images", "params": { "path": "assets/subjects/dog" } },
        "dog": { "type": "para/train", "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images" },
                 "params": { "prompt": "a sks dog", "rank": 2, "steps": 30, "checkpoint_every": 3, "seed": 3 } },
        "save": { "type": "adapter/save", "inputs": { "adapter": "dog.adapter" }, "params": { "path": "out/dog.safetensors" } }"#;
    let adapter = |workspace: &Workspace| std::fs::read(workspace.out("dog.safetensors")).unwrap();
    let reference = Workspace::new();
    reference.graph("g.json", graph);
    let begun = std::time::Instant::now();
    reference.run("g.json", &[]).exits(0);
    let whole_run = begun.elapsed().as_millis() as u64;
    let mut moments = Moments(0xadab7e5);
    for round in 0..20 {
        let workspace = Workspace::new();
        workspace.graph("g.json", graph);
        let moment = Duration::from_millis(moments.below(whole_run));
        kill_after(start(&workspace, "g.json"), moment);
        whole(&workspace);
        workspace.run("g.json", &[]).exits(0);
        assert!(
            adapter(&workspace) == adapter(&reference),
            "round {round}, killed after {moment:?}"
        );
    }
}
