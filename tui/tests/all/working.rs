//! Editing, running, losing the worker, saving: what the state does and what it wants done.

use crate::support::Editor;
use protocol::{Ask, Event as Run, Kind, Reply, Summary};
use tui::effect::Effect;
use tui::event::{Event, FileEvent, Gone};
use tui::glyph::Mark;
use tui::layer::Layer;
use tui::mirror::Phase;
use tui::state::Worker;

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");

fn go(editor: &mut Editor, id: &str) {
    editor.press("/").type_text(id).press("enter");
}

fn editor() -> Editor {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    editor
}

fn param(editor: &Editor, id: &str, name: &str) -> Option<serde_json::Value> {
    editor.state.document.node(id)?.params.get(name).cloned()
}

#[test]
fn values_are_nudged_in_one_step_and_go_back_to_their_default() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("enter j l l l");
    assert_eq!(param(&editor, "dog", "rank"), Some(5.into()));
    editor.press("u");
    assert_eq!(
        param(&editor, "dog", "rank"),
        Some(2.into()),
        "three nudges are one step"
    );
    editor.press("del");
    assert_eq!(param(&editor, "dog", "rank"), None);
}

#[test]
fn what_is_typed_wrongly_is_said_and_not_taken() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("enter j enter ctrl-u").type_text("0").press("enter");
    assert!(editor.screen().contains("1 is the least"), "{}", editor.screen());
    editor.press("ctrl-u").type_text("8").press("enter");
    assert_eq!(param(&editor, "dog", "rank"), Some(8.into()));
}

#[test]
fn a_text_is_cleared_as_a_line_is_and_words_for_a_while_do_not_hold_escape() {
    let mut editor = editor();
    go(&mut editor, "prompt");
    editor.press("enter enter ctrl-u").type_text("a fox").press("enter");
    assert_eq!(param(&editor, "prompt", "prompt"), Some("a fox".into()));
    editor.state.say("something");
    editor.press("esc");
    assert_eq!(editor.state.pane, tui::regions::Pane::Canvas);
}

#[test]
fn tab_goes_from_field_to_field() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor
        .press("enter enter tab ctrl-u")
        .type_text("3")
        .press("tab ctrl-u")
        .type_text("99")
        .press("enter");
    assert_eq!(param(&editor, "dog", "rank"), Some(3.into()));
    assert_eq!(param(&editor, "dog", "steps"), Some(99.into()));
}

#[test]
fn the_last_change_is_repeated_on_another_node() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("b");
    go(&mut editor, "teapot");
    editor.press(".");
    assert!(editor.state.document.node("teapot").unwrap().bypass);
}

#[test]
fn nodes_go_through_the_clipboard_as_json() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("y p");
    assert!(editor.state.document.node("dog_2").is_some());
    let copied = editor.effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.clone()),
        _ => None,
    });
    let text = copied.unwrap();
    assert!(text.contains("\"paragraph\": 1"), "{text}");
    let mut other = Editor::new(120, 36);
    other.event(Event::Paste(text));
    assert_eq!(other.state.document.nodes().len(), 1);
}

#[test]
fn earlier_goes_back_in_time() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("d");
    editor.wait(600_000);
    go(&mut editor, "teapot");
    editor.press("d");
    editor.press(":").type_text("earlier 5m").press("enter");
    assert!(editor.state.document.node("teapot").is_some());
    assert!(editor.state.document.node("dog").is_none());
    editor.press(":").type_text("earlier 9").press("enter");
    assert_eq!(editor.text(), GRAPH);
}

#[test]
fn a_frozen_node_keeps_its_last_result_and_says_when_it_is_older() {
    let mut editor = editor();
    let key = "0a".repeat(32);
    go(&mut editor, "dog");
    editor.press("R");
    editor.run_event(Run::Done {
        node: "dog".to_owned(),
        seconds: 9.0,
        files: Vec::new(),
        key: key.clone(),
    });
    editor.run_ends(Summary::default());
    let below = editor.state.prints["both"];
    editor.press("B");
    assert_eq!(editor.state.document.node("dog").unwrap().frozen, Some(key.clone()));
    assert!(editor.screen().contains("❄ frozen"), "{}", editor.screen());
    editor.press("enter j l");
    let screen = editor.screen();
    assert!(screen.contains("frozen: older than its inputs"), "{screen}");
    assert_eq!(editor.state.prints["both"], below, "nothing changes below");
    editor.press("esc B");
    assert_eq!(editor.state.document.node("dog").unwrap().frozen, None);
    assert_ne!(editor.state.prints["both"], below);
    editor.press("u u u");
    assert_eq!(editor.text(), GRAPH);
    go(&mut editor, "base");
    editor.press("B");
    assert!(editor.screen().contains("makes models, which are not kept"));
}

#[test]
fn results_of_earlier_sessions_are_frozen_too() {
    let mut editor = editor();
    let row = |key: &str| protocol::PlanRow {
        node: "dog".to_owned(),
        ty: "para/train".to_owned(),
        state: protocol::Forecast::Hit,
        detail: String::new(),
        key: key.to_owned(),
    };
    go(&mut editor, "dog");
    for key in [String::new(), "0b".repeat(32)] {
        editor.press("B");
        let request = editor.asked.last().unwrap();
        assert!(matches!(&request.ask, Ask::Plan { targets, .. } if *targets == ["dog"]));
        let id = request.id;
        editor.hear(
            id,
            Reply::Planned {
                rows: vec![row(&key)],
                diagnostics: Vec::new(),
            },
        );
        let frozen = editor.state.document.node("dog").unwrap().frozen.clone();
        assert_eq!(frozen.unwrap_or_default(), key);
    }
    // The engine says it of results that this session knows nothing of.
    let mut later = Editor::new(120, 36);
    later.open(editor.text());
    go(&mut later, "dog");
    later.press("R");
    later.run_event(Run::Older { node: "dog".to_owned() });
    assert!(
        later.screen().contains("frozen: older than its inputs"),
        "{}",
        later.screen()
    );
}

#[test]
fn a_run_is_frozen_and_what_changes_since_is_stale() {
    let mut editor = editor();
    editor.press("R");
    editor.run_event(Run::RunStarted { nodes: 18 });
    editor.run_event(Run::Cached {
        node: "dogs".to_owned(),
        files: Vec::new(),
        key: String::new(),
        frozen: false,
    });
    let mark = |editor: &Editor, id: &str| {
        let print = editor.state.prints.get(id).copied();
        editor.state.mirror.shown(id, print).unwrap().mark
    };
    assert_eq!(mark(&editor, "dogs"), Mark::Cached);
    assert_eq!(mark(&editor, "dog"), Mark::Queued);
    editor.press(":").type_text("set dogs.path=elsewhere").press("enter");
    assert_eq!(mark(&editor, "dogs"), Mark::Stale);
    assert!(!editor.state.mirror.runs[0].graph.contains("elsewhere"));
    editor.press("R");
    assert_eq!(editor.state.mirror.runs.len(), 1, "R does not start another beside it");
    editor.press("Q");
    assert_eq!(editor.state.mirror.runs.len(), 2);
    assert!(editor.state.mirror.runs[1].graph.contains("elsewhere"));
}

#[test]
fn r_runs_up_to_the_chosen_node() {
    let mut editor = editor();
    go(&mut editor, "prompt");
    editor.press("r");
    let Ask::Run(run) = &editor.asked.last().unwrap().ask else {
        panic!("no run");
    };
    assert_eq!(run.targets, ["prompt"]);
    let nodes: Vec<_> = editor.state.mirror.runs[0].nodes.keys().cloned().collect();
    assert_eq!(nodes, ["base", "prompt"]);
}

#[test]
fn a_worker_that_dies_leaves_the_graph_and_is_replaced_by_the_next_run() {
    let mut editor = editor();
    editor.press("R");
    editor.run_event(Run::Started {
        node: "dog".to_owned(),
        ty: "para/train".to_owned(),
    });
    editor.event(Event::WorkerGone(Gone {
        how: "was killed by signal 9".to_owned(),
        last: vec!["out of memory".to_owned()],
        number: 1,
    }));
    assert_eq!(editor.text(), GRAPH);
    assert_eq!(editor.state.mirror.runs[0].phase, Phase::Broken);
    let shown = editor.state.mirror.shown("dog", None).unwrap();
    assert_eq!(shown.mark, Mark::Failed);
    assert!(editor.screen().contains("killed by signal 9"), "{}", editor.screen());
    assert!(matches!(editor.state.worker, Worker::Gone { .. }));
    editor.press("R");
    assert!(
        editor
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::StartWorker))
    );
    assert!(matches!(editor.asked.last().unwrap().ask, Ask::Run(_)));
}

#[test]
fn a_graph_that_is_wrong_is_not_run_and_the_problem_is_shown() {
    let mut editor = editor();
    editor.open(&GRAPH.replace("\"rank\": 2", "\"rank\": 0"));
    editor.press("R");
    assert!(editor.state.mirror.runs.is_empty());
    assert!(editor.screen().contains("out of range"), "{}", editor.screen());
    assert_eq!(editor.state.node(), Some("dog"));
}

#[test]
fn a_proposed_fix_is_applied_and_can_be_undone() {
    let mut editor = editor();
    let broken = GRAPH
        .replace("dogs.images", "dog.images")
        .replace("\"dog.images\"", "\"dogz.images\"");
    editor.open(&broken);
    editor.press("] d f");
    assert_eq!(
        editor.state.problems.iter().filter(|problem| problem.error).count(),
        1,
        "{:?}",
        editor.state.problems
    );
    editor.press("u");
    assert_eq!(editor.text(), broken);
}

#[test]
fn what_the_worker_refuses_is_said() {
    let mut editor = editor();
    editor.press("R");
    let id = editor.run_id();
    editor.hear(
        id,
        Reply::Error(protocol::Error {
            kind: Kind::User,
            message: "node `base` (load/model): parameter `path` names assets/x, which does not exist".to_owned(),
            help: Some("correct the path".to_owned()),
            diagnostics: Vec::new(),
        }),
    );
    assert!(editor.screen().contains("does not exist"));
    assert!(editor.state.mirror.open().next().is_none());
}

#[test]
fn runs_are_kept_and_their_graph_can_be_taken_back() {
    let mut editor = editor();
    editor.press("R");
    editor.run_event(Run::RunStarted { nodes: 18 });
    editor.run_ends(Summary::default());
    assert!(editor.effects.iter().any(|effect| matches!(effect, Effect::Keep(_))));
    go(&mut editor, "dog");
    editor.press("d");
    assert_ne!(editor.text(), GRAPH);
    editor.press("space G");
    assert_eq!(editor.text(), GRAPH);
    editor.press("u");
    assert_ne!(editor.text(), GRAPH);
}

#[test]
fn changes_run_by_themselves_while_watching() {
    let mut editor = editor();
    editor.press("w");
    editor.wait(10);
    assert_eq!(editor.state.mirror.runs.len(), 1);
    editor.run_ends(Summary::default());
    editor.press(":").type_text("set dog.rank=3").press("enter");
    editor.wait(100);
    assert_eq!(editor.state.mirror.runs.len(), 1, "not while one is still at it");
    editor.wait(500);
    assert_eq!(editor.state.mirror.runs.len(), 2);
}

#[test]
fn a_file_that_somebody_else_changed_is_not_overwritten_by_surprise() {
    let mut editor = editor();
    go(&mut editor, "dog");
    editor.press("d ctrl-s");
    let Some(Effect::Save { expected, path, .. }) = editor.effects.pop() else {
        panic!("nothing was saved");
    };
    assert_eq!(expected, Some(Some(GRAPH.to_owned())));
    editor.event(Event::File(FileEvent::Changed {
        sheet: 0,
        path,
        found: Some("{}".to_owned()),
    }));
    assert!(
        editor.screen().contains("somebody else changed it"),
        "{}",
        editor.screen()
    );
    editor.press("o");
    let saved = editor.effects.iter().rev().find_map(|effect| match effect {
        Effect::Save { expected, .. } => Some(expected.clone()),
        _ => None,
    });
    assert_eq!(saved, Some(None), "now it is meant");
}

#[test]
fn leaving_with_changes_asks() {
    let mut editor = editor();
    editor.press("space q");
    assert!(matches!(editor.effects.pop(), Some(Effect::Quit)));
    let mut editor = self::editor();
    go(&mut editor, "dog");
    editor.press("d space q");
    assert!(matches!(editor.state.layers.last(), Some(Layer::Question(_))));
    editor.press("d");
    assert!(matches!(editor.effects.pop(), Some(Effect::Quit)));
}

#[test]
fn paths_come_from_the_worker_and_are_completed() {
    let mut editor = Editor::new(120, 36);
    editor
        .press("a")
        .type_text("load/images")
        .press("enter")
        .type_text("as");
    let id = editor.id_of(|ask| matches!(ask, Ask::ListFolder { .. }));
    let entry = |name: &str, kind| protocol::FolderEntry {
        name: name.to_owned(),
        kind,
        size: 7,
        modified: 0,
    };
    editor.hear(
        id,
        Reply::Folder {
            path: "/graphs".to_owned(),
            entries: vec![
                entry("assets", protocol::Entry::Folder),
                entry("a.json", protocol::Entry::File),
            ],
        },
    );
    editor.press("tab");
    let Ask::ListFolder { path } = &editor.asked.last().unwrap().ask else {
        panic!("the next folder was not asked for");
    };
    assert!(path.ends_with("assets"), "{path}");
    editor.type_text("subjects/dog").press("enter");
    assert_eq!(param(&editor, "images", "path"), Some("assets/subjects/dog".into()));
}

#[test]
fn progress_alone_waits_for_its_turn() {
    let mut editor = editor();
    editor.press("R");
    editor.run_event(Run::Started {
        node: "dog".to_owned(),
        ty: "para/train".to_owned(),
    });
    editor.state.dirty = tui::state::Dirty::No;
    editor.run_event(Run::Progress {
        node: "dog".to_owned(),
        done: 1,
        total: 2,
        note: String::new(),
    });
    assert_eq!(editor.state.dirty, tui::state::Dirty::Progress);
    // It is seen whole, and something else is chosen.
    editor.press("0 z f 0");
    go(&mut editor, "dogs");
    editor.wait(9000);
    let before = editor.terminal().backend().buffer().clone();
    for done in [2, 3] {
        editor.run_event(Run::Progress {
            node: "dog".to_owned(),
            done,
            total: 250,
            note: "loss 0.1".to_owned(),
        });
    }
    let after = editor.terminal().backend().buffer().clone();
    let dog = editor.state.drawing.index("dog").unwrap();
    let rect = editor.state.drawing.scene.tile_of_node(dog).unwrap().rect;
    let canvas = tui::regions::inside(editor.state.regions().canvas);
    let origin = editor.state.view.origin;
    let foot = i32::from(canvas.y) + rect.bottom() - 1 - origin.y;
    let left = i32::from(canvas.x) + rect.x - origin.x;
    let changed = before.diff(&after);
    assert!(
        (canvas.y..canvas.bottom()).contains(&(foot as u16)),
        "the node that runs is in view"
    );
    assert!(!changed.is_empty());
    for (x, y, cell) in changed {
        let in_foot = i32::from(y) == foot && (left..left + rect.w).contains(&i32::from(x));
        let in_lines = y == 0 || y == after.area.height - 1;
        assert!(
            in_foot || in_lines,
            "{:?} at {x}, {y} changed for a tick\n{}",
            cell.symbol(),
            editor.screen()
        );
    }
}

#[test]
fn the_tour_goes_on_as_one_does_what_it_says() {
    let mut editor = Editor::new(120, 36);
    editor.press("space t");
    for (step, keys) in ["a esc", "o esc", "enter esc", "r", "u", "?"].into_iter().enumerate() {
        assert_eq!(editor.state.tour, Some(step), "{keys}");
        editor.press(keys);
    }
    assert_eq!(editor.state.tour, None);
    assert!(editor.effects.iter().any(|effect| matches!(effect, Effect::TourSeen)));
}

#[test]
fn a_tour_that_is_ended_does_not_come_back() {
    let mut editor = Editor::new(120, 36);
    editor.press("space t");
    assert_eq!(editor.state.tour, Some(0));
    editor.press("esc");
    assert_eq!(editor.state.tour, None);
    assert!(editor.effects.iter().any(|effect| matches!(effect, Effect::TourSeen)));
}
