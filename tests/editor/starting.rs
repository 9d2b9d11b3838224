//! The first moments: nothing is waited for, and nothing that is typed is lost.

use super::terminal::{END, positions};
use crate::support::screen::{QUESTION, Screen};
use crate::support::workspace::Workspace;

#[test]
fn the_first_frame_waits_for_no_worker() {
    let workspace = Workspace::new();
    workspace.take("multi_subject.json");
    let mut screen = Screen::start(&workspace, &["--worker", "sleep 600", "multi_subject.json"], (120, 36));
    screen.sees("load/model").sees("CANVAS");
    assert!(!screen.contents().contains(" cores"), "{}", screen.contents());
    screen.press("d").sees("deleted base");
}

#[test]
fn a_terminal_that_never_answers_is_not_waited_for() {
    let workspace = Workspace::new();
    workspace.take("multi_subject.json");
    let mut screen = Screen::silent(&workspace, &["--worker", "sleep 600", "multi_subject.json"], (120, 36));
    // Typed before anything is drawn, and before the graph is read.
    screen.press("d").sees("deleted base");
    let asked = positions(&screen.raw, QUESTION);
    assert_eq!(asked.len(), 1, "the terminal is asked once");
    let first = positions(&screen.raw, END)[0];
    assert!(first < asked[0], "the first frame comes before the question");
}

#[test]
fn types_are_chosen_before_they_are_known() {
    let workspace = Workspace::new();
    let mut screen = Screen::silent(&workspace, &["fox.json"], (120, 36));
    screen.type_text("addim").sees("add a node").sees("sample/ddim");
    screen.press("enter").sees("ddim sample/ddim");
    // All in one go: what takes a type waits until there are some.
    let mut screen = Screen::silent(&workspace, &["wolf.json"], (120, 36));
    screen.send(b"addim\rodecode\r");
    screen.sees("ddim sample/ddim").sees("decode vae/decode");
    // A worker that says nothing keeps nobody.
    let mut screen = Screen::silent(&workspace, &["--worker", "sleep 600", "hare.json"], (120, 36));
    screen.send(b"addim\rodecode\r");
    screen.sees("the node types are on their way").press("esc").settle();
    screen.press("?").sees("All actions, with their keys");
}
