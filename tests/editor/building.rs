//! Graphs built from nothing with the keyboard alone, on the real editor and its real worker.

use crate::support::screen::Screen;
use crate::support::workspace::Workspace;

/// `a` or `o`, a filter, Enter; then the fields that are asked for, one Enter each.
fn add(screen: &mut Screen, key: &str, filter: &str, fields: &[&str]) {
    screen
        .press(key)
        .settle()
        .type_text(filter)
        .settle()
        .press("enter")
        .settle();
    for field in fields {
        screen.type_text(field).settle().press("enter").settle();
    }
}

#[test]
fn a_picture_from_an_empty_canvas() {
    let workspace = Workspace::new();
    let mut screen = Screen::start(&workspace, &["fox.json"], (120, 36));
    // The worker is there, and with it the types of nodes.
    screen.sees("CANVAS").sees(" cores").settle();
    add(&mut screen, "a", "load/model", &["assets/emoji-xl"]);
    screen.sees("load/model");
    insta::assert_snapshot!("one_node", tidy(&screen.contents()));
    add(&mut screen, "o", "text/encode", &["a fox"]);
    add(&mut screen, "o", "ddim", &[]);
    screen.sees("sample/ddim").settle();
    insta::assert_snapshot!("three_nodes", tidy(&screen.contents()));
    screen
        .press("ctrl-s")
        .until("it is saved", |_| workspace.path("graphs/fox.json").exists());
    let text = std::fs::read_to_string(workspace.path("graphs/fox.json")).unwrap();
    for link in ["model.text", "model.model", "encode.conditioning"] {
        assert!(text.contains(link), "{link} in {text}");
    }
    let checked = workspace.para(&["check", "fox.json"]);
    assert!(checked.stderr.contains("no errors"), "{checked:?}");
}

/// Times of day are not compared, nor the first line's right end, which tells of the machine.
pub(super) fn tidy(screen: &str) -> String {
    let mut clean = String::new();
    for (at, line) in screen.lines().enumerate() {
        let mut rest: String = line.chars().take(if at == 0 { 60 } else { usize::MAX }).collect();
        while let Some(at) = clock(&rest) {
            rest.replace_range(at..at + 8, "hh:mm:ss");
        }
        clean.push_str(rest.trim_end());
        clean.push('\n');
    }
    clean
}

/// Where a time such as `14:02:07` begins.
fn clock(line: &str) -> Option<usize> {
    line.as_bytes().windows(8).position(|part| {
        part.iter().enumerate().all(|(at, byte)| {
            if at == 2 || at == 5 {
                *byte == b':'
            } else {
                byte.is_ascii_digit()
            }
        })
    })
}
