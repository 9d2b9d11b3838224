//! Everything that is said to people: on standard error, so that standard output can be piped.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is the terminal's side of para"
)]

use crate::failure::Failure;
use crate::host::Refusal;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use graph::{Diagnostic, Severity};

/// A line of result, on standard output. A closed pipe is the reader's choice, not an error.
pub(super) fn result(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line for people.
pub(super) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn tagged(tag: &str, code: &str, message: &str, help: Option<&str>) {
    let (on, bold, off) = if super::colour() {
        (code, "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    say(&format!("{on}{tag}{off}{bold}: {message}{off}"));
    if let Some(help) = help {
        say(&format!(
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
    let renderer = if super::colour() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut label = String::new();
        if let Some(expected) = &diagnostic.expected {
            label.push_str(&format!("expected {expected}"));
        }
        if let Some(found) = &diagnostic.found {
            label.push_str(&format!("{}found {found}", if label.is_empty() { "" } else { ", " }));
        }
        let mark = AnnotationKind::Primary.span(diagnostic.span.clone()).label(label);
        let mut group = level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code)
            .element(Snippet::source(text).path(name).fold(true).annotation(mark));
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        say(&renderer.render(&[group]));
    }
}
