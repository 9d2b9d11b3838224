//! An editor that panics gives the terminal back first.

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ratatui::backend::CrosstermBackend;
use std::io::Read;
use tui::terminal::{Guard, Screen, draw};

/// Not a test: what the test below starts behind a terminal of its own.
#[test]
#[ignore = "panics on purpose, in a terminal of its own"]
fn dies_in_the_middle_of_a_frame() {
    let _guard = Guard::take(true).unwrap();
    let mut screen = Screen::new(CrosstermBackend::new(std::io::stdout())).unwrap();
    draw(&mut screen, false, |_| panic!("on purpose")).unwrap();
}

#[test]
fn the_terminal_is_as_it_was_after_a_panic() {
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new("sh");
    command.env("TERM", "xterm");
    command.arg("-c");
    let this = std::env::current_exe().unwrap();
    let name = "panics::dies_in_the_middle_of_a_frame";
    command.arg(format!(
        "'{}' --exact {name} --ignored --nocapture; stty -a; echo the end",
        this.display()
    ));
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    // On Linux the last read of a terminal whose programs have ended is an error.
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        said.extend(&buffer[..n]);
    }
    child.wait().unwrap();
    let said = String::from_utf8_lossy(&said);
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("no {what:?} in {said:?}"));
    assert!(at("\x1b[?1049h") < at("\x1b[?1049l"), "the other screen is left");
    assert!(
        at("\x1b[?1049l") < at("on purpose"),
        "the message comes after it, where it can be read"
    );
    assert!(at("\x1b[?25h") < at("on purpose"), "the cursor is shown again");
    for mode in ["\x1b[?1000l", "\x1b[?1002l", "\x1b[?2004l", "\x1b[?2026l"] {
        at(mode);
    }
    let modes = &said[at("on purpose")..];
    assert!(
        modes.contains(" icanon") && modes.contains(" echo ") && modes.contains("the end"),
        "{modes}"
    );
}
