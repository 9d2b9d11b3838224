//! Graphs of hundreds of nodes: the keys do not wait for the picture.

use crate::support::Editor;
use tui::effect::Effect;
use tui::event::Event;
use tui::state::Spot;
use tui::survey::{LARGE, Surveyed};

#[path = "../../../tests/support/rows.rs"]
mod rows;

fn graph(count: usize) -> String {
    rows::graph(count, |_| String::new())
}

fn large() -> Editor {
    let mut editor = Editor::new(120, 36);
    editor.open(&graph(LARGE + 50));
    editor.surveys_at_once = false;
    editor
}

/// The looks that are wanted, taken; the newest last.
fn surveys(editor: &mut Editor) -> Vec<Surveyed> {
    let (wanted, others) = editor
        .effects
        .drain(..)
        .partition(|effect| matches!(effect, Effect::Survey(_)));
    editor.effects = others;
    let run = |effect| match effect {
        Effect::Survey(survey) => survey.run(),
        other => panic!("{other:?} is no survey"),
    };
    wanted.into_iter().map(run).collect()
}

fn told(editor: &mut Editor, surveyed: Surveyed) {
    editor.event(Event::Surveyed(Box::new(surveyed)));
}

fn has_place(editor: &Editor, id: &str) -> bool {
    let index = editor.state.drawing.index(id).unwrap();
    editor.state.drawing.scene.tile_of_node(index).is_some()
}

#[test]
fn an_edit_is_done_at_once_and_the_old_picture_stays_until_the_new_one_comes() {
    let mut editor = large();
    editor.press("/").type_text("n25").press("enter");
    editor.press("D");
    assert_eq!(
        editor.state.node(),
        Some("n_2"),
        "the copy is chosen, though it has no place yet"
    );
    assert!(!has_place(&editor, "n_2"));
    assert!(
        editor.screen().contains("n25 "),
        "the old picture is there:\n{}",
        editor.screen()
    );
    // Further keys need no picture.
    editor.press("f2 ctrl-u").type_text("renamed").press("enter");
    assert_eq!(editor.state.node(), Some("renamed"));
    let mut surveys = surveys(&mut editor);
    let newest = surveys.pop().unwrap();
    assert!(!surveys.is_empty());
    for old in surveys {
        told(&mut editor, old);
        assert!(
            !has_place(&editor, "renamed"),
            "a picture of an earlier graph is not taken"
        );
    }
    told(&mut editor, newest);
    assert!(has_place(&editor, "renamed"));
    assert!(editor.state.pending.is_none());
    assert!(editor.screen().contains("renamed"), "it is shown:\n{}", editor.screen());
}

#[test]
fn what_is_taken_away_leaves_the_picture_at_once() {
    let mut editor = large();
    editor.press("/").type_text("n25").press("enter").press("d");
    assert!(editor.state.drawing.index("n25").is_none());
    assert!(editor.state.node().is_some_and(|id| id != "n25"));
    editor.screen();
    editor.press("u");
    assert_eq!(editor.state.document.text(), graph(LARGE + 50));
    let newest = surveys(&mut editor).pop().unwrap();
    told(&mut editor, newest);
    assert!(has_place(&editor, "n25"));
}

#[test]
fn the_picture_of_a_large_graph_is_that_of_a_layout_at_once() {
    let mut editor = large();
    editor.press("/").type_text("n25").press("enter").press("d u D");
    let newest = surveys(&mut editor).pop().unwrap();
    told(&mut editor, newest);
    let scene = &editor.state.drawing.scene;
    assert_eq!(scene.tiles.len(), LARGE + 51);
    assert!(
        editor
            .state
            .drawing
            .model
            .wires
            .iter()
            .enumerate()
            .all(|(at, _)| scene.path(at).is_some())
    );
}

#[test]
fn a_value_asks_for_no_picture_but_problems_follow() {
    let mut editor = large();
    editor.press(":").type_text("set n25.seed=1").press("enter");
    let surveyed = surveys(&mut editor).pop().unwrap();
    assert!(surveyed.scene.is_none());
    assert_eq!(surveyed.problems.len(), editor.state.problems.len());
    told(&mut editor, surveyed);
    // A run judges the graph as it is now, whatever was told.
    editor.press(":").type_text("set n25.in=1").press("enter");
    editor.state.problems.clear();
    editor.press("R");
    assert!(
        editor.state.mirror.runs.is_empty(),
        "the types are unknown, so nothing runs"
    );
    assert!(!editor.state.problems.is_empty());
}

#[test]
fn a_large_graph_is_opened_at_the_level_that_fits() {
    let mut editor = Editor::new(120, 36);
    editor.surveys_at_once = false;
    editor.open(&graph(LARGE + 50));
    assert!(editor.screen().contains("being laid out"), "{}", editor.screen());
    for _ in 0..4 {
        for surveyed in surveys(&mut editor) {
            told(&mut editor, surveyed);
        }
    }
    assert!(editor.state.pending.is_none());
    assert_eq!(editor.state.level, canvas::Level::Compact);
    let Some(Spot::Node(first)) = editor.state.cursor.clone() else {
        panic!("{:?} is chosen", editor.state.cursor);
    };
    assert!(editor.screen().contains(&format!("{first} ")), "{}", editor.screen());
}
