//! A fault of a graph with the line it is about, as a terminal shows it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use graph::{Diagnostic, Severity};
use std::ops::Range;

/// Bytes shown before and after the place in a very long line.
const AROUND: usize = 200;

/// What is wrong in the graph `text` of the file `name`, with its line.
pub fn explain(name: &str, text: &str, diagnostic: &Diagnostic, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
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
    // Only the line it is about: a graph may be megabytes long.
    let (line, span) = line_of(text, &diagnostic.span);
    let mark = AnnotationKind::Primary.span(span).label(label);
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code)
        .element(
            Snippet::source(line)
                .line_start(diagnostic.line)
                .path(name)
                .annotation(mark),
        );
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The line that a span begins in, and the span within it. A span over several lines is cut at the first one's end.
fn line_of<'a>(text: &'a str, span: &Range<usize>) -> (&'a str, Range<usize>) {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let begin = boundary(span.start.min(text.len()));
    let start = text[..begin]
        .rfind('\n')
        .map_or(0, |at| at + 1)
        .max(boundary(begin.saturating_sub(AROUND)));
    let end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
    let end = end.min(boundary((begin + 2 * AROUND).min(text.len())));
    let stop = boundary(span.end.clamp(begin, end));
    (&text[start..end], begin - start..stop - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_within_their_line() {
        let text = "one\n  \"twö\": {\n 3 }\n";
        let (line, span) = line_of(text, &(6..18));
        assert_eq!((line, &line[span]), ("  \"twö\": {", "\"twö\": {"));
        let long = format!("[{}]", "ö".repeat(5000));
        let (line, span) = line_of(&long, &(2001..2003));
        assert!(
            line.len() <= 3 * AROUND && &line[span.clone()] == "ö",
            "{line} {span:?}"
        );
    }
}
