//! The terminal: drawn to without flicker, at any size, given back whatever happens.

use crate::support::screen::{Screen, signal, ticks};
use crate::support::workspace::{Workspace, target};
use std::time::Duration;

pub(super) const BEGIN: &[u8] = b"\x1b[?2026h";
pub(super) const END: &[u8] = b"\x1b[?2026l";
const LEAVE: &[u8] = b"\x1b[?1049l";

pub(super) fn positions(raw: &[u8], what: &[u8]) -> Vec<usize> {
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
    let to = screen.raw.len();
    let raw = &screen.raw[from..to];
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
    // Asked to, it draws everything anew, in one frame too.
    let before = screen.contents();
    screen.press("ctrl-l").settle();
    let raw = &screen.raw[to..];
    assert_eq!(positions(raw, b"\x1b[2J").len(), 1);
    assert!(
        raw.starts_with(BEGIN) && raw.ends_with(END),
        "{:?}",
        String::from_utf8_lossy(raw)
    );
    assert!(screen.lives());
    assert_eq!(screen.contents(), before);
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

/// Asked from outside or by a key, the editor stops as any program does, and goes on where it was.
#[test]
fn put_to_sleep_it_gives_the_terminal_back_until_it_is_woken() {
    let workspace = Workspace::new();
    workspace.take("multi_subject.json");
    let mut shell = Screen::shell(&workspace, (100, 30));
    shell.sees("ready:");
    let editor = format!(
        "{} --no-pictures multi_subject.json",
        target().join("para-tui").display()
    );
    shell
        .type_text(&editor)
        .press("enter")
        .sees("CANVAS")
        .sees("load/model")
        .settle();
    let pid = shell.child();
    for way in ["TSTP", "ctrl-z"] {
        let from = shell.raw.len();
        if way == "TSTP" {
            signal(pid, way);
        } else {
            shell.press(way);
        }
        // The shell has the terminal once it says so.
        shell.until("it sleeps", |text| {
            text.contains("Stopped") && text.trim_end().ends_with("ready:")
        });
        assert_eq!(positions(&shell.raw[from..], LEAVE).len(), 1, "{way}");
        shell
            .type_text("stty -a; echo end of $((1 + 1))")
            .press("enter")
            .sees("end of 2");
        let said = shell.contents();
        assert!(said.contains(" icanon") && said.contains(" echo "), "{way}: {said}");
        let from = shell.raw.len();
        shell
            .type_text("clear; fg")
            .press("enter")
            .sees("CANVAS")
            .sees("load/model")
            .settle();
        assert_eq!(positions(&shell.raw[from..], b"\x1b[?1049h").len(), 1, "{way}");
        // Keys are the editor's again, and are not echoed.
        shell
            .press("?")
            .sees("All actions, with their keys")
            .press("esc")
            .settle();
    }
    shell.press("space q");
    shell.until("it ends", |text| text.trim_end().ends_with("ready:"));
    shell
        .type_text("stty -a; echo end of $((1 + 2))")
        .press("enter")
        .sees("end of 3");
    let said = shell.contents();
    assert!(said.contains(" icanon") && said.contains(" echo "), "{said}");
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
