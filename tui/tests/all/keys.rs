//! The keys: each does what its row says, and `docs/editor.md` lists them all.

use crate::support::Editor;
use std::fmt::Write;
use tui::action::{ACTIONS, Scope};
use tui::keymap::{Keymap, Mode, written};
use tui::layer::Layer;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/editor.md");

/// The table of keys, as Markdown.
fn table() -> String {
    let keymap = Keymap::builtin().unwrap();
    let mut text = "| keys | action | what it does |\n|---|---|---|\n".to_owned();
    let modes = [Mode::Anywhere, Mode::List, Mode::Text, Mode::Connect, Mode::Page];
    for row in ACTIONS {
        let mut keys: Vec<String> = Vec::new();
        for mode in modes
            .iter()
            .filter(|mode| (row.scope == Scope::Anywhere) == (**mode == Mode::Anywhere))
        {
            let of_mode = keymap.bindings(*mode).iter().filter(|binding| binding.verb == row.verb);
            for binding in of_mode {
                let key = format!("`{}`", written(&binding.keys));
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        let _ = writeln!(text, "| {} | `{}` | {} |", keys.join(" "), row.name, row.doc);
    }
    text
}

#[test]
fn the_page_of_the_editor_lists_them() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once("<!-- keys -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- /keys -->").unwrap();
    let fresh = format!("{head}<!-- keys -->\n{}<!-- /keys -->{tail}", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, &fresh).unwrap();
    } else {
        assert!(
            page == fresh,
            "docs/editor.md is stale: UPDATE=1 cargo test --release -p tui rewrites it"
        );
    }
}

/// The palette holds every action, and each can be taken from it.
#[test]
fn every_action_is_in_the_palette() {
    for row in ACTIONS.iter().filter(|row| row.scope == Scope::Anywhere) {
        let mut editor = Editor::new(120, 36);
        editor.press("space space").type_text(row.name);
        let Some(Layer::List(list)) = editor.state.layers.last() else {
            panic!("no list");
        };
        assert_eq!(list.chosen().unwrap().value, row.name);
        editor.press("enter");
        editor.screen();
    }
}

/// Keys that say nothing at all would leave a user in the dark.
#[test]
fn a_key_without_meaning_says_so() {
    let mut editor = Editor::new(120, 36);
    editor.press("g x");
    assert!(editor.screen().contains("g x does nothing here"), "{}", editor.screen());
}

#[test]
fn pending_keys_are_explained_after_a_moment() {
    let mut editor = Editor::new(120, 36);
    editor.press("space");
    assert!(!editor.screen().contains("All actions, with their keys"));
    editor.wait(400);
    assert!(
        editor.screen().contains("All actions, with their keys"),
        "{}",
        editor.screen()
    );
}
