//! Groups: made, folded, looked into, taken out into a file.

use crate::support::Editor;
use tui::effect::Effect;
use tui::event::{Event, FileEvent};
use tui::state::Spot;

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");

fn go(editor: &mut Editor, id: &str) {
    editor.press("/").type_text(id).press("enter");
}

/// The graph with the two trainings in a group.
fn grouped() -> Editor {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    go(&mut editor, "teapot");
    editor.press("v");
    go(&mut editor, "dog");
    editor.press("v space g g").type_text("trainings").press("enter");
    editor
}

fn shown(editor: &Editor) -> Vec<String> {
    editor.state.drawing.ids().map(str::to_owned).collect()
}

fn members(editor: &Editor) -> Vec<String> {
    editor.state.drawing.layout.groups["trainings"].nodes.clone()
}

#[test]
fn enter_looks_into_a_folded_group_and_backspace_leads_out() {
    let mut editor = grouped();
    editor.press("z a");
    assert_eq!(editor.state.cursor, Some(Spot::Group("trainings".to_owned())));
    editor.press("enter");
    assert_eq!(shown(&editor), ["dog", "teapot"]);
    let screen = editor.screen();
    assert!(screen.contains("▸ trainings") && screen.contains("2 nodes"), "{screen}");
    // Its inputs are fed from outside, and that is seen.
    assert!(screen.contains("▸● model"), "{screen}");
    editor.press("backspace");
    assert_eq!(editor.state.cursor, Some(Spot::Group("trainings".to_owned())));
    assert_eq!(shown(&editor).len(), editor.state.document.nodes().len());
    editor.press("enter esc");
    assert!(editor.state.inside.is_none(), "Esc leads out too");
}

#[test]
fn what_is_added_inside_belongs_to_the_group() {
    let mut editor = grouped();
    go(&mut editor, "dog");
    editor.press("space g i a").type_text("image/grid").press("enter");
    assert_eq!(members(&editor), ["dog", "teapot", "grid"]);
    editor.press("y p");
    assert_eq!(shown(&editor).len(), 4);
    editor.press("u u");
    assert_eq!(members(&editor), ["dog", "teapot"]);
    assert_eq!(editor.state.inside.as_deref(), Some("trainings"));
}

#[test]
fn going_to_a_node_outside_leaves_the_group() {
    let mut editor = grouped();
    editor.press("space g i %");
    assert_eq!(editor.state.marked.len(), 2, "all that is seen is selected");
    go(&mut editor, "prompt");
    assert_eq!(editor.state.node(), Some("prompt"));
    assert!(editor.state.inside.is_none());
    go(&mut editor, "dog");
    editor.press("space g i space g u");
    assert!(editor.state.inside.is_none(), "the group is gone");
}

#[test]
fn an_open_group_has_a_frame_with_its_name() {
    let mut editor = grouped();
    let screen = editor.screen();
    assert!(screen.contains("┌ trainings ┄"), "{screen}");
}

#[test]
fn a_group_goes_to_a_file_with_all_that_feeds_it() {
    let mut editor = grouped();
    editor.press("space g e").type_text("parts/one").press("enter");
    assert!(editor.screen().contains("without a folder"));
    editor.press("z a space g e").type_text("trainings").press("enter");
    let Some(Effect::Extract { path, text, count }) = editor.effects.pop() else {
        panic!("no file");
    };
    assert_eq!(path, std::path::Path::new("/graphs/trainings.json"));
    let graph = graph::parse(&text).0;
    assert!(graph.diagnostics().is_empty());
    for id in ["dog", "teapot", "base"] {
        assert_eq!(graph.node(id), editor.state.document.node(id), "{id}");
    }
    assert!(graph.node("prompt").is_none());
    assert_eq!(count, (2, graph.nodes().len() - 2));
    editor.event(Event::File(FileEvent::Extracted { path, count }));
    assert!(editor.screen().contains("2 nodes and"), "{}", editor.screen());
}
