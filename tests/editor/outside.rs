//! The user's own editor, and sleep: the terminal is given away and taken back.

use crate::support::screen::{Screen, signal};
use crate::support::workspace::Workspace;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_users_editor_works_on_a_text_and_the_screen_comes_back() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let mut screen = Screen::start(&workspace, &["hello.json"], (120, 36));
    let editor = workspace.path("home").join("editor");
    std::fs::write(&editor, "#!/bin/sh\nprintf 'a badger' > \"$1\"\n").unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
    screen.sees("load/model").settle();
    screen
        .press("/")
        .type_text("prompt")
        .press("enter")
        .sees("a photo of a fox");
    screen.press("enter ctrl-e").sees("a badger");
    assert!(screen.lives());
    screen.press("u").sees("a photo of a fox");
}

#[test]
fn limits_of_memory_and_disk_are_those_of_the_worker() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let args = ["--memory", "123MB", "hello.json", "--store-size", "45GB"];
    let mut screen = Screen::edit(&workspace, &args, (120, 36));
    // The worker took them, and told its node types.
    screen.sees("load/model").settle();
    let line = std::fs::read(format!("/proc/{}/cmdline", screen.child())).unwrap();
    let words: Vec<&str> = line
        .split(|b| *b == 0)
        .map(|word| std::str::from_utf8(word).unwrap())
        .collect();
    assert_eq!(
        words[1..words.len() - 1],
        ["worker", "--memory=123000000", "--store-size=45000000000"]
    );
}

#[test]
fn it_sleeps_and_wakes() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let mut screen = Screen::start(&workspace, &["hello.json"], (120, 36));
    screen.sees("load/model").settle();
    let pid = screen.pid();
    screen.press("ctrl-z");
    let asleep = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    };
    screen.until("it sleeps", |_| asleep());
    signal(pid, "CONT");
    screen.press("a").sees("add a node");
}
