//! Ctrl-C and kill in the middle of a training, and going on from there.

use crate::support::workspace::{Ran, Workspace};
use protocol::Event;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STEPS: u64 = 40;

fn training() -> Workspace {
    let workspace = Workspace::new();
    workspace.graph("g.json", &format!(r#"
        "base": {{ "type": "load/model", "params": {{ "path": "assets/emoji-xl" }} }},
        "dogs": {{ "type": "load/images", "params": {{ "path": "assets/subjects/dog" }} }},
        "dog": {{ "type": "para/train", "inputs": {{ "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images" }},
                 "params": {{ "prompt": "a sks dog", "rank": 2, "steps": {STEPS}, "checkpoint_every": 5, "seed": 3 }} }},
        "save": {{ "type": "adapter/save", "inputs": {{ "adapter": "dog.adapter" }}, "params": {{ "path": "out/dog.safetensors", "precision": "f32" }} }},
        "losses": {{ "type": "table/save", "inputs": {{ "table": "dog.losses" }}, "params": {{ "path": "out/losses.csv" }} }}"#));
    workspace
}

/// Starts a run and waits until the training has done `step` steps.
fn until_step(workspace: &Workspace, step: u64) -> Child {
    let mut child = workspace
        .command(&["run", "g.json", "--events", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before step {step}");
        match serde_json::from_str(&line).unwrap() {
            Event::Progress { node, done, .. } if node == "dog" && done >= step => break,
            _ => {}
        }
    }
    // The rest is read, so that the child never waits for a reader.
    std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for the end; gives what was said and how long it took.
fn ended(workspace: &Workspace, child: Child) -> (Ran, Duration) {
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    (workspace.ran(output), asked.elapsed())
}

/// First step reported by a run.
fn first_step(ran: &Ran) -> u64 {
    let of_dog = |event: Event| match event {
        Event::Progress { node, done, .. } if node == "dog" => Some(done),
        _ => None,
    };
    ran.events().into_iter().find_map(of_dog).unwrap()
}

fn uninterrupted() -> (Vec<u8>, Vec<u8>) {
    let workspace = training();
    workspace.run("g.json", &[]).exits(0);
    results(&workspace)
}

fn results(workspace: &Workspace) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| fs::read(workspace.out(name)).unwrap();
    (read("dog.safetensors"), read("losses.csv"))
}

#[test]
fn a_stopped_or_killed_training_ends_with_the_same_bytes() {
    let expected = uninterrupted();
    assert_eq!(
        expected.1.iter().filter(|&&byte| byte == b'\n').count() as u64,
        STEPS + 1
    );

    let workspace = training();
    let child = until_step(&workspace, 7);
    signal(&child, "INT");
    let (ran, took) = ended(&workspace, child);
    let ran = ran.exits(130);
    assert!(
        took < Duration::from_secs(3),
        "it stops after the step that it is in: {took:?}"
    );
    assert!(
        ran.stderr
            .contains("stopping at the next step; what is finished is kept"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("help: what was finished is kept: the same command goes on from there"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.path("graphs/out").exists(), "nothing half-done is written");

    // Stopped once more, by the system's way of asking, then killed without being asked.
    let child = until_step(&workspace, 14);
    signal(&child, "TERM");
    ended(&workspace, child).0.exits(130);
    let child = until_step(&workspace, 22);
    signal(&child, "KILL");
    assert_eq!(ended(&workspace, child).0.code, None);

    let last = workspace.run("g.json", &[]).exits(0);
    let first = first_step(&last);
    assert!((20..STEPS).contains(&first), "it goes on from a checkpoint, at {first}");
    assert_eq!(
        last.started(),
        ["dog", "losses", "save"],
        "the pictures are in the store"
    );
    assert!(last.stdout.contains("goes on from step "), "{}", last.stdout);
    let found = results(&workspace);
    assert_eq!(found.1, expected.1, "losses");
    assert!(
        found.0 == expected.0,
        "the adapter differs from that of an uninterrupted training"
    );
    let scratch: Vec<String> = workspace
        .files()
        .into_iter()
        .filter(|file| file.ends_with(".checkpoint"))
        .collect();
    assert_eq!(
        scratch,
        Vec::<String>::new(),
        "checkpoints go when the training is done"
    );
}

#[test]
fn damaged_checkpoints_cost_time_and_nothing_else() {
    let workspace = training();
    let child = until_step(&workspace, 12);
    signal(&child, "KILL");
    ended(&workspace, child);
    let checkpoints: Vec<String> = workspace
        .files()
        .into_iter()
        .filter(|file| file.ends_with(".checkpoint"))
        .collect();
    assert_eq!(checkpoints.len(), 2, "{checkpoints:?}");
    let newest = workspace.path(checkpoints.last().unwrap());
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let ran = workspace.run("g.json", &["--target", "save"]).exits(0);
    assert!(ran.stdout.contains("cannot be used"), "{}", ran.stdout);
    assert_eq!(first_step(&ran), 5, "the one before is used");
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let args = [
        "run",
        "hello.json",
        "--events",
        "quiet",
        "--set",
        "draw.steps=2",
        "--set",
        "draw.batch=1",
    ];
    let start = || {
        workspace
            .command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (first, second) = (start(), start());
    for child in [first, second] {
        ended(&workspace, child).0.exits(0);
    }
    assert_eq!(workspace.run("hello.json", &args[4..]).exits(0).summary().executed, 0);
}

/// A graph whose one file would take minutes to read.
pub(super) fn endless(workspace: &Workspace) {
    let file = workspace.write("huge/a.png", "");
    fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    workspace.graph(
        "g.json",
        r#""pictures": { "type": "load/images", "params": { "path": "huge" } }"#,
    );
}

#[test]
fn long_reading_of_files_is_heard_of_and_stops() {
    let workspace = Workspace::new();
    endless(&workspace);
    let run = |style: &str| {
        let mut command = workspace.command(&["run", "g.json", "--events", style]);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut child = run("json");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let first: Event = serde_json::from_str(&line).unwrap();
    let Event::Reading {
        node,
        files: 0,
        of_files: 1,
        bytes,
        of_bytes,
        ..
    } = &first
    else {
        panic!("{first:?}")
    };
    assert!(node == "pictures" && *of_bytes == 1 << 40 && (1..*of_bytes).contains(bytes));
    signal(&child, "INT");
    let (ran, _) = ended(&workspace, child);
    let stderr = ran.exits(130).stderr;
    assert!(
        stderr.contains("stopped while [ROOT]/graphs/huge was read for node `pictures`"),
        "{stderr}"
    );
    // For people without a terminal.
    let mut child = run("lines");
    line.clear();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("  reading  pictures  ") && line.contains("of 1.1 TB read"),
        "{line}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_folder_without_end_is_refused() {
    let workspace = Workspace::new();
    workspace.write("loop/a.png", "");
    std::os::unix::fs::symlink("..", workspace.path("graphs/loop/up")).unwrap();
    workspace.graph(
        "g.json",
        r#""pictures": { "type": "load/images", "params": { "path": "loop" } }"#,
    );
    let stderr = workspace.run("g.json", &[]).exits(1).stderr;
    let wanted = "node `pictures` (load/images): parameter `path` names [ROOT]/graphs/loop, which cannot be read: \
                  [ROOT]/graphs/loop/up is a link to [ROOT]/graphs, which holds it";
    assert!(stderr.contains(wanted), "{stderr}");
}
