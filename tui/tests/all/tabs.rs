//! Several graphs at once, and what they are opened from.

use crate::support::Editor;
use protocol::{Ask, Entry, FolderEntry, Reply};
use std::path::PathBuf;
use tui::effect::Effect;
use tui::event::{Event, FileEvent};

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");
const OTHER: &str = include_str!("../../../graphs/hello.json");

/// The tab and the file that are wanted.
fn wanted(editor: &Editor) -> (u64, Option<PathBuf>) {
    let found = editor.effects.iter().rev().find_map(|effect| match effect {
        Effect::Open(sheet, path) => Some((*sheet, path.clone())),
        _ => None,
    });
    found.expect("nothing is opened")
}

fn opened(editor: &mut Editor, text: Option<&str>) {
    let (sheet, path) = wanted(editor);
    editor.event(Event::File(FileEvent::Opened {
        sheet,
        path: path.unwrap_or_default(),
        text: text.map(str::to_owned),
        recovered: None,
        picture: None,
    }));
}

/// Two graphs side by side, the second seen.
fn two() -> Editor {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    editor.press("ctrl-p").type_text("hello.json").press("enter");
    opened(&mut editor, Some(OTHER));
    editor
}

fn names(editor: &Editor) -> Vec<String> {
    let left = editor.state.left.iter().map(tui::state::Sheet::name);
    let right = editor.state.right.iter().map(tui::state::Sheet::name);
    left.chain([format!("*{}", editor.state.name())]).chain(right).collect()
}

#[test]
fn graphs_are_opened_side_by_side_and_changed_each_for_itself() {
    let mut editor = two();
    assert_eq!(names(&editor), ["two", "*hello"]);
    assert_eq!(editor.text(), OTHER);
    editor.press("b g t");
    assert_eq!(names(&editor), ["*two", "hello"]);
    assert_eq!(editor.text(), GRAPH);
    let screen = editor.screen();
    assert!(screen.starts_with(" two   hello ●   +"), "{screen}");
    editor.press("u");
    assert_eq!(editor.text(), GRAPH, "each has its own history");
    editor.press("g T u");
    assert_eq!(editor.text(), OTHER);
    // One that is open is gone to, not opened again.
    let before = editor.effects.len();
    editor.press(":").type_text("open two.json").press("enter");
    assert_eq!(names(&editor), ["*two", "hello"]);
    assert!(
        editor.effects[before..]
            .iter()
            .all(|effect| !matches!(effect, Effect::Open(..)))
    );
}

#[test]
fn nodes_are_copied_from_one_tab_to_another() {
    let mut editor = two();
    editor.press("g t /").type_text("dog").press("enter").press("y g t p");
    assert_eq!(names(&editor), ["two", "*hello"]);
    assert!(editor.state.document.node("dog").is_some());
    assert!(editor.text() != OTHER);
}

#[test]
fn changes_go_to_the_journal_of_their_tab() {
    let mut editor = two();
    editor.press("b g t b");
    let journals = editor.effects.iter().filter_map(|effect| match effect {
        Effect::Journal(sheet, tui::effect::Entry::Change(_)) => Some(*sheet),
        _ => None,
    });
    assert_eq!(journals.collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn runs_belong_to_the_tab_that_they_began_in() {
    let mut editor = two();
    editor.press("R g t");
    editor.run_ends(protocol::Summary::default());
    assert!(editor.state.past.is_empty());
    assert!(editor.state.mirror.here().next().is_none());
    editor.press("g t");
    assert_eq!(editor.state.mirror.here().count(), 1);
}

#[test]
fn closing_and_leaving_ask_for_what_is_not_saved() {
    let mut editor = two();
    editor.press("b space x");
    assert!(editor.screen().contains("hello has changes that are not saved"));
    editor.press("c g t space q");
    let screen = editor.screen();
    assert!(
        screen.contains("other tabs have changes that are not saved: hello"),
        "{screen}"
    );
    editor.press("g");
    assert_eq!(names(&editor), ["two", "*hello"]);
    editor.press("space x s");
    let Some(Effect::Save { sheet, path, text, .. }) = editor.effects.pop() else {
        panic!("nothing is saved");
    };
    editor.event(Event::File(FileEvent::Saved { sheet, path, text }));
    assert_eq!(names(&editor), ["*two"]);
    assert!(editor.effects.iter().any(|effect| matches!(effect, Effect::Close(1))));
    editor.press("space x");
    assert!(editor.screen().contains("the only graph"));
}

#[test]
fn a_new_tab_is_empty_and_is_used_by_what_is_opened_next() {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    editor.press("space N");
    opened(&mut editor, None);
    assert_eq!(names(&editor), ["two", "*new graph"]);
    editor.press(":").type_text("open hello.json").press("enter");
    assert_eq!(wanted(&editor).0, 1, "nothing is in it");
    opened(&mut editor, Some(OTHER));
    assert_eq!(names(&editor), ["two", "*hello"]);
}

#[test]
fn tabs_are_chosen_with_the_mouse() {
    let mut editor = two();
    let click = |editor: &mut Editor, column: u16| {
        editor.screen();
        let kind = crossterm::event::MouseEventKind::Down(crossterm::event::MouseButton::Left);
        editor.event(Event::Mouse(crossterm::event::MouseEvent {
            kind,
            column,
            row: 0,
            modifiers: crossterm::event::KeyModifiers::NONE,
        }));
    };
    click(&mut editor, 2);
    assert_eq!(names(&editor), ["*two", "hello"]);
    let place = editor.screen().lines().next().unwrap().find('+').unwrap();
    click(&mut editor, place as u16);
    assert_eq!(wanted(&editor), (2, None));
}

#[test]
fn graphs_to_open_are_files_of_this_machine_whatever_the_worker() {
    let mut editor = Editor::new(120, 36);
    editor.state.remote = true;
    editor.open(GRAPH);
    editor.press("ctrl-p");
    let Some(Effect::List(id, folder)) = editor.effects.pop() else {
        panic!("no folder is read");
    };
    assert_eq!(folder, std::path::Path::new("/graphs"));
    let entry = |name: &str, kind| FolderEntry {
        name: name.to_owned(),
        kind,
        size: 1,
        modified: 0,
    };
    let entries = vec![
        entry("out", Entry::Folder),
        entry("a.json", Entry::File),
        entry("a.txt", Entry::File),
        entry("b.png", Entry::File),
    ];
    editor.event(Event::File(FileEvent::Folder(id, entries)));
    let screen = editor.screen();
    assert!(
        screen.contains("a.json") && screen.contains("b.png") && !screen.contains("a.txt"),
        "{screen}"
    );
    // Paths of parameters are the worker's, from its own folder.
    editor
        .press("esc /")
        .type_text("dogs")
        .press("enter")
        .press("enter enter ctrl-u");
    assert!(matches!(&editor.asked.last().unwrap().ask, Ask::ListFolder { path } if path == "."));
    editor.press("esc esc R");
    let Ask::Run(run) = &editor.asked.last().unwrap().ask else {
        panic!("no run");
    };
    assert_eq!(run.graph.path, None);
    editor.hear(0, Reply::Noted { nodes: Vec::new() });
}

#[test]
fn the_graph_of_a_picture_is_a_new_graph_where_its_paths_are_right() {
    let mut editor = Editor::new(120, 36);
    editor.event(Event::File(FileEvent::Opened {
        sheet: 0,
        path: "/graphs/hello_00001.json".into(),
        text: None,
        recovered: None,
        picture: Some(OTHER.to_owned()),
    }));
    assert_eq!(editor.text(), OTHER);
    assert!(editor.state.is_changed(), "no file holds it yet");
    assert!(
        editor.screen().contains("the graph that made this picture"),
        "{}",
        editor.screen()
    );
}
