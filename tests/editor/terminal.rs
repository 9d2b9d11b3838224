//! The terminal: drawn to without flicker, at any size, given back whatever happens.

use crate::support::screen::{Screen, signal, ticks};
use crate::support::workspace::Workspace;
use std::time::Duration;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const LEAVE: &[u8] = b"\x1b[?1049l";

fn positions(raw: &[u8], what: &[u8]) -> Vec<usize> {
    raw.windows(what.len())
        .enumerate()
        .filter(|(_, part)| *part == what)
        .map(|(at, _)| at)
        .collect()
}

fn opened(workspace: &Workspace, size: (u16, u16)) -> Screen {
    workspace.take("multi_subject.json");
    let mut screen = Screen::start(workspace, &["multi_subject.json"], size);
    screen.sees("load/model").settle();
    screen
}

#[test]
fn every_frame_is_inside_one_synchronised_update_and_nothing_is_cleared() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace, (120, 36));
    let from = screen.raw.len();
    for key in ["l", "j", "+", "tab", "?", "esc"] {
        screen.press(key).settle();
    }
    let raw = &screen.raw[from..];
    let (begin, end) = (positions(raw, BEGIN), positions(raw, END));
    assert_eq!(begin.len(), end.len());
    assert!(begin.len() >= 5, "{} frames", begin.len());
    let mut last = 0;
    for (begin, end) in begin.iter().zip(&end) {
        assert_eq!(last, *begin, "bytes between two frames");
        assert!(begin < end);
        last = end + END.len();
    }
    assert_eq!(last, raw.len(), "bytes after the last frame");
    assert!(positions(raw, b"\x1b[2J").is_empty(), "a full clear");
}

#[test]
fn sizes_down_to_one_cell_do_no_harm_and_the_last_one_is_drawn() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace, (120, 36));
    for step in 0_u16..50 {
        screen.resize((1 + step * 37 % 200, 1 + step * 17 % 60));
        screen.listen(Duration::from_millis(5));
    }
    for size in [(1, 1), (2, 1), (1, 40), (300, 2)] {
        screen.resize(size);
        screen.listen(Duration::from_millis(10));
    }
    screen.resize((100, 30));
    screen.until("the last size", |text| {
        text.contains("load/model") && text.contains("CANVAS")
    });
    assert!(screen.lives());
    let contents = screen.contents();
    assert_eq!(contents.lines().count(), 30, "{contents}");
}

#[test]
fn sigterm_gives_the_terminal_back() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace, (80, 24));
    let pid = screen.pid();
    signal(pid, "TERM");
    screen.ends();
    assert_eq!(positions(&screen.raw, LEAVE).len(), 1);
    assert!(
        !positions(&screen.raw, b"\x1b[?25h").is_empty(),
        "the cursor is shown again"
    );
}

#[test]
fn nothing_is_written_and_nothing_computed_while_nothing_happens() {
    let workspace = Workspace::new();
    let mut screen = opened(&workspace, (120, 36));
    let before = ticks(screen.pid());
    // The bench waits ten seconds; here a few have to do.
    assert_eq!(
        screen.listen(Duration::from_secs(3)),
        0,
        "bytes written by an idle editor"
    );
    let used = ticks(screen.pid()) - before;
    assert!(used <= 1, "{used} ticks of a hundredth of a second in three seconds");
}
