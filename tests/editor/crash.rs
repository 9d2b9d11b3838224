//! Processes that are killed: the worker under the editor, the editor under its user.

use crate::support::screen::{Screen, signal};
use crate::support::scripted::{graph, worker};
use crate::support::workspace::Workspace;
use serde_json::json;

#[test]
fn a_killed_worker_takes_nothing_with_it_and_the_next_run_works() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let mut screen = Screen::start(&workspace, &["hello.json"], (120, 36));
    screen.sees("load/model").sees("draw sample/ddim").settle();
    screen.press("R").until("a node runs", |text| text.contains("▶ run"));
    let worker = screen.child();
    signal(worker, "KILL");
    screen.sees("the worker was killed by signal 9");
    assert!(screen.lives());
    let picture = workspace.path("graphs/out/hello_00001.png");
    screen.press("R").until("the run ends", |_| picture.is_file());
    assert!(screen.lives());
    assert_ne!(screen.child(), worker);
}

#[test]
fn a_node_shows_what_the_worker_said_before_it_died() {
    let workspace = Workspace::new();
    workspace.write("graph.json", graph(3));
    let events = [
        json!({ "event": "run_started", "nodes": 3 }),
        json!({ "event": "started", "node": "n0", "type": "test/node" }),
    ];
    let worker = worker(&workspace, &events, None);
    let program = std::fs::read_to_string(&worker).unwrap();
    let dies = "| cat; for n in 1 2 3 4 5 6 7; do echo \"frame $n of the stack\" >&2; done; kill -SEGV $$ ;;";
    assert!(program.contains("| cat & ;;"));
    std::fs::write(&worker, program.replace("| cat & ;;", dies)).unwrap();
    let mut screen = Screen::start(
        &workspace,
        &["--para", &worker.to_string_lossy(), "graph.json"],
        (120, 36),
    );
    screen.sees("test/node").sees(" cores").settle();
    screen.press("R").sees("it said last:").settle();
    let contents = screen.contents();
    let right = contents.lines().map(|line| line.chars().skip(84).collect::<String>());
    let inspector = right.collect::<Vec<_>>().join("\n");
    assert!(inspector.contains("was killed by signal"), "{contents}");
    for n in 1..=7 {
        let told = inspector.contains(&format!("frame {n} of the stack"));
        assert_eq!(told, n > 2, "line {n} of seven\n{contents}");
    }
    assert!(contents.contains("┗ ✖ failed"), "the node is marked\n{contents}");
}

#[test]
fn edits_survive_a_killed_editor() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let mut screen = Screen::start(&workspace, &["hello.json"], (120, 36));
    screen.sees("load/model").settle();
    screen
        .press("f2 ctrl-u")
        .type_text("renamed")
        .press("enter")
        .sees("renamed")
        .settle();
    let pid = screen.pid();
    // The journal is synced at most a second later.
    screen.listen(std::time::Duration::from_millis(1100));
    signal(pid, "KILL");
    screen.ends();
    let kept = std::fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
    assert!(!kept.contains("renamed"), "the file is written when asked to");
    let mut again = Screen::start(&workspace, &["hello.json"], (120, 36));
    again.until("it asks", |text| text.contains("1 unsaved change"));
    again.press("d").sees("unsaved changes").sees("- ").sees("+ ");
    let contents = again.contents();
    let told = |sign: &str, name: &str| contents.lines().any(|line| line.contains(sign) && line.contains(name));
    assert!(told("- ", "\"base\"") && told("+ ", "\"renamed\""), "{contents}");
    again.press("esc").sees("take the unsaved changes?");
    again
        .press("y")
        .until("the edit is back", |text| text.contains("renamed load/model"));
    again.settle().press("ctrl-s").until("it is saved", |_| {
        let text = std::fs::read_to_string(workspace.path("graphs/hello.json")).unwrap();
        text.contains("renamed.model")
    });
}
