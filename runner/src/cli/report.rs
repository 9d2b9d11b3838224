//! Everything that is said to people: on standard error, so that standard output can be piped.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is the terminal's side of para"
)]

use crate::explain::explain;
use crate::failure::Failure;
use crate::host::Refusal;
use graph::Diagnostic;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether results got lost on their way to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// A line of result, on standard output. A closed pipe is the reader's choice; a full disk is not.
pub(super) fn result(line: &str) {
    use std::io::{ErrorKind, Write};
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// # Errors
/// When standard output could not take all results.
pub(super) fn all_written() -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    let flushed = std::io::stdout().flush();
    match LOST.load(Ordering::Relaxed) || flushed.is_err_and(|e| e.kind() != ErrorKind::BrokenPipe) {
        false => Ok(()),
        true => Err(Failure::system("not all results could be written to standard output").help("is the disk full?")),
    }
}

/// A line for people.
pub(super) fn say(line: &str) {
    write(&plain(line));
}

fn write(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn tagged(tag: &str, code: &str, message: &str, help: Option<&str>) {
    let (on, bold, off) = if super::colour() {
        (code, "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    write(&format!("{on}{tag}{off}{bold}: {}{off}", plain(message)));
    if let Some(help) = help.map(plain) {
        write(&format!(
            "{}help{off}: {help}",
            if on.is_empty() { "" } else { "\x1b[36m" }
        ));
    }
}

/// Something that ends the command.
pub(super) fn failure(failure: &Failure) {
    tagged("error", "\x1b[1;31m", &failure.message, failure.help.as_deref());
}

/// Something that does not.
pub(super) fn warning(message: &str, help: Option<&str>) {
    tagged("warning", "\x1b[1;33m", message, help);
}

/// Plugin files that were not loaded: once for each reason, however many there are.
pub(super) fn refusals(refused: &[Refusal]) {
    let mut told: Vec<&Refusal> = Vec::new();
    for refusal in refused {
        if told.iter().any(|earlier| earlier.reason == refusal.reason) {
            continue;
        }
        told.push(refusal);
        let same = refused.iter().filter(|other| other.reason == refusal.reason).count();
        let more = if same > 1 {
            format!(" ({} more files for the same reason)", same - 1)
        } else {
            String::new()
        };
        warning(&format!("{refusal}{more}"), Some(&refusal.help));
    }
}

/// What is wrong with a graph, with the lines it is about.
pub(super) fn diagnostics(name: &str, text: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics.iter().take(SHOWN) {
        write(&explain(name, text, diagnostic, super::colour()));
    }
    if diagnostics.len() > SHOWN {
        say(&format!("… and {} more", diagnostics.len() - SHOWN));
    }
}

/// Diagnostics shown at once; whoever has more mends these first.
const SHOWN: usize = 50;

/// Text of a graph, a file name or a node may hold escape sequences; they must not reach the terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harmful) {
        text.chars()
            .flat_map(|c| {
                if harmful(c) {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect::<String>()
            .into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\nc");
        assert!(matches!(plain("ä plain text"), Cow::Borrowed(_)));
    }
}
