//! Node crates that are built and replaced while the editor is open.

use crate::support::Editor;
use protocol::{Ask, Build, BuildMessage, Event as Run, Message, Reply};
use tui::event::Event;
use tui::regions::Tab;

const GRAPH: &str = include_str!("../../../graphs/hello.json");

/// What a worker tells that watches sources.
fn told(editor: &mut Editor, changed: &[&str], build: Option<Build>) {
    let reply = Reply::Reloaded {
        changed: changed.iter().map(|ty| (*ty).to_owned()).collect(),
        plugins: Vec::new(),
        refused: Vec::new(),
        build,
    };
    editor.event(Event::Worker(Message { id: None, reply }));
}

fn broken() -> Build {
    serde_json::from_value(serde_json::json!({ "seconds": 1.0, "ok": false, "messages": [
        { "level": "error", "file": "demo/src/lib.rs", "line": 27, "message": "cannot find value `blue`", "rendered": "" }
    ] }))
    .unwrap()
}

#[test]
fn a_new_build_is_told_and_its_types_are_asked_for() {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    let before = editor.asked.len();
    told(&mut editor, &["demo/gradient"], None);
    // The watch tells that there is nothing new whenever it looked; that must not take the words away.
    told(&mut editor, &[], None);
    let screen = editor.screen();
    assert!(screen.contains("│demo/gradient live│"), "{screen}");
    assert!(screen.contains("new build of demo/gradient"), "{screen}");
    let asked: Vec<&Ask> = editor.asked[before..].iter().map(|request| &request.ask).collect();
    assert!(matches!(asked[..], [Ask::Catalogue]), "{asked:?}");
    // Asked for, the answer is said.
    editor.press("space R");
    let id = editor.id_of(|ask| matches!(ask, Ask::Reload));
    editor.hear(
        id,
        Reply::Reloaded {
            changed: Vec::new(),
            plugins: Vec::new(),
            refused: Vec::new(),
            build: None,
        },
    );
    assert!(editor.screen().contains("nothing new"));
}

#[test]
fn what_runs_is_said_to_end_with_the_old_code() {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    editor.press("R");
    editor.run_event(Run::RunStarted { nodes: 5 });
    told(&mut editor, &["demo/gradient"], None);
    assert!(
        editor.screen().contains("live; what runs ends with the old code"),
        "{}",
        editor.screen()
    );
}

#[test]
fn a_build_that_fails_is_a_problem_until_one_does_not() {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    told(&mut editor, &[], Some(broken()));
    assert_eq!(editor.state.tab, Tab::Problems);
    let screen = editor.screen();
    assert!(
        screen.contains("a node crate does not build; what was loaded stays"),
        "{screen}"
    );
    assert!(
        screen.contains("demo/src/lib.rs:27 cannot find value `blue`"),
        "{screen}"
    );
    editor.wait(9000);
    editor.press("3 enter");
    assert!(editor.screen().contains("│demo/src/lib.rs:27│"), "{}", editor.screen());
    let good = Build {
        messages: Vec::<BuildMessage>::new(),
        ..broken()
    };
    told(&mut editor, &[], Some(good));
    let screen = editor.screen();
    assert!(
        screen.contains("no problems") && screen.contains("node crates build again"),
        "{screen}"
    );
}
