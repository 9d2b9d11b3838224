//! What is kept: pictures of runs, files that others changed, saving by itself; and what the mouse offers.

use crate::support::Editor;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use protocol::{Ask, Bytes, Event as Run, Picture, Reply, Summary};
use tui::effect::Effect;
use tui::event::{Event, FileEvent};

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");

fn editor() -> Editor {
    let mut editor = Editor::new(120, 36);
    editor.open(GRAPH);
    editor
}

fn answered(editor: &mut Editor, id: u64, png: &[u8]) {
    let path = "/graphs/out/a.png".to_owned();
    let picture = Picture {
        width: 1,
        height: 1,
        png: Bytes(png.to_vec()),
    };
    editor.hear(
        id,
        Reply::Picture {
            path,
            full_width: 9,
            full_height: 9,
            picture,
        },
    );
}

#[test]
fn pictures_of_a_run_stay_what_they_were() {
    let mut editor = editor();
    editor.press("R");
    editor.run_event(Run::Done {
        node: "save".to_owned(),
        seconds: 1.0,
        files: vec!["/graphs/out/a.png".to_owned()],
        key: String::new(),
    });
    editor.run_ends(Summary::default());
    let asked = editor.asked.iter().rev().find_map(|request| match &request.ask {
        Ask::ReadPicture { path, width: 384, .. } => Some((request.id, path.clone())),
        _ => None,
    });
    let (id, path) = asked.expect("a small copy is asked for");
    assert_eq!(path, "/graphs/out/a.png");
    answered(&mut editor, id, b"small");
    let began = editor.state.past[0].began;
    let kept = editor.effects.iter().find_map(|effect| match effect {
        Effect::KeepPicture(run, nth, bytes) => Some((*run, *nth, bytes.clone())),
        _ => None,
    });
    assert_eq!(kept, Some((began, 0, b"small".to_vec())));

    // Looked at again: the kept one is read, not the file.
    let before = editor.asked.len();
    editor.press("space r enter");
    let read = editor.effects.iter().find_map(|effect| match effect {
        Effect::ReadKept(key, run, 0) if *run == began => Some(*key),
        _ => None,
    });
    let key = read.expect("the kept picture is read");
    editor.event(Event::File(FileEvent::Kept(key, Some(b"small".to_vec()))));
    assert!(matches!(editor.effects.last(), Some(Effect::Encode { key: made, .. }) if *made == key));
    assert_eq!(editor.asked.len(), before);
    // A run of a time when none were kept: the file, whatever it is.
    editor.event(Event::File(FileEvent::Kept(key, None)));
    assert!(matches!(&editor.asked.last().unwrap().ask, Ask::ReadPicture { path, .. } if path == "/graphs/out/a.png"));
}

#[test]
fn a_file_that_changed_meanwhile_is_noticed_and_shown() {
    let mut editor = editor();
    editor.event(Event::Focus(true));
    let Some(Effect::Look { sheet, path, expected }) = editor.effects.pop() else {
        panic!("nobody looks");
    };
    assert_eq!(expected, GRAPH);
    let found = GRAPH.replacen("Two subjects", "Three subjects", 1);
    let changed = |found: &str| {
        Event::File(FileEvent::Changed {
            sheet,
            path: path.clone(),
            found: Some(found.to_owned()),
        })
    };
    editor.event(changed(&found));
    editor.press("d");
    let screen = editor.screen();
    assert!(
        screen.contains("- ") && screen.contains("Three subjects") && screen.contains("+ "),
        "{screen}"
    );
    editor.press("esc c");
    editor.event(changed(&found));
    assert!(editor.state.layers.is_empty(), "what was declined is not asked again");
    editor.event(changed("{}"));
    editor.press("r");
    assert!(matches!(editor.effects.last(), Some(Effect::Open(0, Some(_)))));
}

#[test]
fn changes_are_saved_by_themselves_where_that_is_wanted() {
    let mut editor = editor();
    editor.press("b");
    editor.wait(3000);
    let saves = |editor: &Editor| {
        editor
            .effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Save { .. }))
            .count()
    };
    assert_eq!(saves(&editor), 0);
    editor.press("space S");
    editor.wait(10);
    assert_eq!(saves(&editor), 1);
    let Some(Effect::Save { sheet, path, text, .. }) =
        editor.effects.iter().rev().find(|e| matches!(e, Effect::Save { .. }))
    else {
        panic!("nothing is saved");
    };
    let (sheet, path, text) = (*sheet, path.clone(), text.clone());
    editor.event(Event::File(FileEvent::Saved { sheet, path, text }));
    editor.press("b");
    editor.wait(500);
    editor.press("u");
    editor.press("b");
    assert!(editor.state.deadline().is_some_and(|at| at > editor.state.now));
    editor.wait(2100);
    assert_eq!(saves(&editor), 2);
    editor.press("space S b");
    editor.wait(3000);
    assert_eq!(saves(&editor), 2);
}

fn mouse(editor: &mut Editor, kind: MouseEventKind, column: u16, row: u16) {
    editor.screen();
    editor.event(Event::Mouse(MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    }));
}

/// Where a text stands on the screen.
fn place(editor: &mut Editor, text: &str) -> (u16, u16) {
    let screen = editor.screen();
    let found = screen.lines().enumerate().find_map(|(row, line)| {
        let at = line.find(text)?;
        Some((line[..at].chars().count() as u16, row as u16))
    });
    found.unwrap_or_else(|| panic!("no {text} in\n{screen}"))
}

#[test]
fn the_right_button_offers_what_fits_the_place() {
    let mut editor = editor();
    let (x, y) = place(&mut editor, "dog para/train");
    mouse(&mut editor, MouseEventKind::Down(MouseButton::Right), x, y);
    assert_eq!(editor.state.node(), Some("dog"));
    let screen = editor.screen();
    assert!(screen.contains("freeze") && !screen.contains("quit-now"), "{screen}");
    editor.type_text("bypass").press("enter");
    assert!(editor.state.document.node("dog").unwrap().bypass);
    mouse(&mut editor, MouseEventKind::Down(MouseButton::Right), 2, 2);
    let screen = editor.screen();
    assert!(screen.contains("paste") && !screen.contains("freeze"), "{screen}");
}

#[test]
fn dragging_over_the_map_moves_the_view() {
    let mut editor = editor();
    editor.press("0");
    let (x, y) = place(&mut editor, "─ map ─");
    mouse(&mut editor, MouseEventKind::Down(MouseButton::Left), x, y + 2);
    let first = editor.state.view.origin;
    mouse(&mut editor, MouseEventKind::Drag(MouseButton::Left), x + 12, y + 2);
    let second = editor.state.view.origin;
    assert!(second.x > first.x, "{first:?} {second:?}");
    mouse(&mut editor, MouseEventKind::Up(MouseButton::Left), x + 12, y + 2);
    assert_eq!(editor.state.view.origin, second);
}

#[test]
fn nodes_and_wires_are_dragged() {
    let mut editor = editor();
    let (x, y) = place(&mut editor, "dogs load/images");
    let target = y - 4;
    mouse(&mut editor, MouseEventKind::Down(MouseButton::Left), x, y);
    mouse(&mut editor, MouseEventKind::Drag(MouseButton::Left), x, target);
    mouse(&mut editor, MouseEventKind::Up(MouseButton::Left), x, target);
    assert!(
        editor.state.drawing.layout.pins.contains_key("dogs"),
        "{}",
        editor.text()
    );
    editor.press("u");
    assert_eq!(editor.text(), GRAPH, "one step");

    let mut editor = Editor::new(120, 36);
    for (ty, typed) in [("load/model", "m"), ("text/encode", "a fox")] {
        editor
            .press("a")
            .type_text(ty)
            .press("enter")
            .type_text(typed)
            .press("enter");
    }
    editor.press("0");
    let (from, from_y) = place(&mut editor, "text △");
    let (to, to_y) = place(&mut editor, "△ text   c");
    mouse(&mut editor, MouseEventKind::Down(MouseButton::Left), from + 5, from_y);
    mouse(&mut editor, MouseEventKind::Drag(MouseButton::Left), to + 1, to_y);
    mouse(&mut editor, MouseEventKind::Up(MouseButton::Left), to, to_y);
    assert!(editor.text().contains("model.text"), "{}", editor.text());
}

#[test]
fn a_double_click_edits_and_the_wheel_pans_and_changes_the_level() {
    let mut editor = editor();
    let (x, y) = place(&mut editor, "dog para/train");
    for _ in 0..2 {
        mouse(&mut editor, MouseEventKind::Down(MouseButton::Left), x, y);
        mouse(&mut editor, MouseEventKind::Up(MouseButton::Left), x, y);
    }
    assert_eq!(editor.state.pane, tui::regions::Pane::Inspector);
    editor.press("esc 0");
    editor.state.view.origin.y = editor.state.drawing.scene.bounds.y;
    let before = editor.state.view.origin;
    mouse(&mut editor, MouseEventKind::ScrollDown, x, y);
    assert!(editor.state.view.origin.y > before.y);
    let level = editor.state.level;
    editor.screen();
    editor.event(Event::Mouse(MouseEvent {
        kind: MouseEventKind::ScrollDown,
        column: x,
        row: y,
        modifiers: KeyModifiers::CONTROL,
    }));
    assert!(editor.state.level < level);
}
