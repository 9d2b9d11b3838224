//! The mouse, the clipboard and the focus as terminals tell of them.

use crate::support::screen::Screen;
use crate::support::workspace::Workspace;
use std::time::Duration;

const GRAPH: &str = r#"{ "paragraph": 1, "nodes": {
  "base": { "type": "load/model", "params": { "path": "assets/emoji-xl" } },
  "draw": { "type": "sample/ddim" }
} }
"#;

fn opened(workspace: &Workspace) -> Screen {
    workspace.write("graph.json", GRAPH);
    let mut screen = Screen::start(workspace, &["graph.json"], (120, 36));
    screen.sees("sample/ddim").sees(" cores").settle();
    screen
}

/// The column and row of a text, or of the `down`-th row below it.
fn place(screen: &Screen, text: &str) -> (usize, usize) {
    let contents = screen.contents();
    let rows = contents.lines().enumerate();
    let mut found = rows.filter_map(|(row, line)| {
        let byte = line.find(text)?;
        Some((line[..byte].chars().count(), row))
    });
    found.next().unwrap_or_else(|| panic!("no {text} in\n{contents}"))
}

/// A report of the mouse: button, column and row from 0, pressed (`M`) or let go (`m`).
fn report(screen: &mut Screen, button: u8, (column, row): (usize, usize), end: char) {
    screen.send(format!("\x1b[<{button};{};{}{end}", column + 1, row + 1).as_bytes());
}

fn drag(screen: &mut Screen, from: (usize, usize), to: (usize, usize)) {
    report(screen, 0, from, 'M');
    report(screen, 32, to, 'M');
    report(screen, 0, to, 'm');
    screen.settle();
}

fn saved(screen: &mut Screen, workspace: &Workspace, wanted: &str) {
    let path = workspace.path("graphs/graph.json");
    screen
        .press("ctrl-s")
        .until(wanted, |_| std::fs::read_to_string(&path).unwrap().contains(wanted));
}

#[test]
fn the_mouse_chooses_connects_adds_lists_and_pans() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace);
    // A click chooses.
    let draw = place(&screen, "draw sample/ddim");
    report(&mut screen, 0, draw, 'M');
    report(&mut screen, 0, draw, 'm');
    screen.sees("┏ draw sample/ddim").settle();
    // From port to port.
    let output = place(&screen, "model ●");
    let input = place(&screen, "● model");
    drag(&mut screen, (output.0 + 6, output.1), input);
    saved(&mut screen, &workspace, r#""model": "base.model""#);
    // From a port onto nothing: what could be there.
    let latent = place(&screen, "latent ◆");
    drag(&mut screen, (latent.0 + 7, latent.1), (70, 22));
    screen
        .sees("add after draw")
        .type_text("decode")
        .press("enter")
        .sees("decode vae/decode")
        .settle();
    saved(&mut screen, &workspace, r#""latent": "draw.latent""#);
    // The right button lists what can be done there; a click takes it.
    let node = place(&screen, "┏ decode vae/decode");
    report(&mut screen, 2, node, 'M');
    report(&mut screen, 2, node, 'm');
    screen.sees("menu").sees("run-here").settle();
    let delete = place(&screen, "delete");
    for _ in 0..2 {
        report(&mut screen, 0, delete, 'M');
        report(&mut screen, 0, delete, 'm');
    }
    screen.until("it is deleted", |text| !text.contains("vae/decode"));
    // The wheel pans, where there is more than fits.
    screen.press("0 z z + +").settle();
    let before = place(&screen, "base load/model");
    report(&mut screen, 65, (40, 12), 'M');
    screen.settle();
    let after = screen.contents();
    let moved = !after.contains("base load/model") || place(&screen, "base load/model") != before;
    assert!(moved, "{after}");
}

#[test]
fn a_copy_is_in_the_clipboard_of_the_terminal_and_a_paste_comes_from_it() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace);
    screen.press("g g");
    let from = screen.raw.len();
    screen.press("y");
    screen.until_raw("a word to the clipboard", |raw| {
        raw[from..].windows(7).any(|part| part == b"\x1b]52;c;")
    });
    screen.settle();
    let raw = String::from_utf8_lossy(&screen.raw[from..]).into_owned();
    let copied = raw.split("\x1b]52;c;").nth(1).unwrap();
    let copied = copied.split(['\x07', '\x1b']).next().unwrap();
    let copied: protocol::Bytes = serde_json::from_value(serde_json::json!(copied)).unwrap();
    let copied = String::from_utf8(copied.0).unwrap();
    assert!(
        copied.contains("\"load/model\"") && copied.contains("assets/emoji-xl"),
        "{copied}"
    );
    // The terminal pastes it, as if it came from another machine.
    let text = copied.replace("\"base\"", "\"other\"");
    screen.send(format!("\x1b[200~{text}\x1b[201~").as_bytes());
    screen.sees("other load/model").sees("3 nodes");
}

#[test]
fn a_file_that_changed_while_one_was_elsewhere_is_asked_about() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace);
    screen.send(b"\x1b[O");
    screen.listen(Duration::from_millis(50));
    workspace.write("graph.json", GRAPH.replace("draw", "paint"));
    screen.send(b"\x1b[I");
    screen
        .sees("is not what was opened")
        .press("r")
        .sees("paint sample/ddim");
}
