//! The text is not JSON: a comma too many, a quote too few.

use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::lines::Lines;
use crate::span::Spans;

pub(crate) const CODE: Code = Code::error("G001", "syntax", "The text is not JSON, so nothing in it can be read.");

/// What is wrong, from what `serde_json` says and what stands at that place.
pub(crate) fn finding(spans: &Spans, lines: &Lines, error: &serde_json::Error) -> Finding {
    let text = spans.text();
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        let help = "an empty graph is `{ \"paragraph\": 1, \"nodes\": { } }`";
        return Finding::new(&CODE, "the text is empty").at_bytes("", 0..0).help(help);
    }
    if error.is_eof() {
        let end = text.trim_end().len();
        return Finding::new(&CODE, "the text ends too early")
            .at_bytes(spans.pointer_at(end), end..end)
            .help(unclosed(spans, lines));
    }
    let offset = offset(text, lines, error);
    let (at, message, help) = explain(text, offset, &error.to_string());
    let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    Finding::new(&CODE, message)
        .at_bytes(spans.pointer_at(at), at..end)
        .help(help)
}

/// Byte of the offending character: `serde_json` counts columns in bytes, from 1 at that character.
fn offset(text: &str, lines: &Lines, error: &serde_json::Error) -> usize {
    let mark = if error.line() == 1 && text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    // Column 0 is the line break that ends the line before.
    let offset = (lines.start(error.line()) + mark + error.column()).saturating_sub(1);
    text.floor_char_boundary(offset)
}

fn unclosed(spans: &Spans, lines: &Lines) -> String {
    let Some(entry) = spans.unclosed().last().and_then(|&at| spans.entries().get(at)) else {
        return "a value is missing".to_owned();
    };
    let (line, _) = lines.position(entry.value.start);
    let open = spans.text().get(entry.value.start..=entry.value.start).unwrap_or("{");
    let close = if open == "[" { "]" } else { "}" };
    format!("the `{open}` in line {line} is never closed: add `{close}`, or close the text that is open before it")
}

/// What `serde_json` says of the inside of a text, with our sentence and its fix.
const IN_TEXTS: [(&str, &str, &str); 3] = [
    (
        "control character",
        "a line break or control character inside a text",
        "close the text with `\"`, or write a line break as `\\n`",
    ),
    ("invalid escape", BACKSLASH.0, BACKSLASH.1),
    ("unexpected end of hex escape", BACKSLASH.0, BACKSLASH.1),
];

const BACKSLASH: (&str, &str) = (
    "a backslash that JSON does not know",
    "write a backslash as `\\\\`, a folder separator as `/`",
);

/// The same for what stands between values.
const BETWEEN: [(&str, &str, &str); 5] = [
    (
        "expected `,` or",
        "a comma or a closing bracket is missing here",
        "put a comma between one value and the next",
    ),
    (
        "key must be a string",
        "a key must stand here, in double quotes",
        "write keys like `\"seed\": 1`",
    ),
    (
        "expected `:`",
        "a colon is missing between a key and its value",
        "write `\"key\": value`",
    ),
    (
        "trailing characters",
        "something follows the end of the graph",
        "remove it, or find the bracket that closes too early",
    ),
    (
        "invalid number",
        "not a number as JSON writes it",
        "write numbers like `3`, `-0.5` or `1e-3`",
    ),
];

/// The place to show, the sentence, the fix.
fn explain(text: &str, offset: usize, reason: &str) -> (usize, String, String) {
    let say = |at: usize, message: &str, help: &str| (at, message.to_owned(), help.to_owned());
    let about = |(start, ..): &&(&str, &str, &str)| reason.starts_with(start);
    let (before, rest) = text.split_at(offset);
    if let Some((_, message, help)) = IN_TEXTS.iter().find(about) {
        // Of control characters the reader names the place before.
        let control = rest.find(char::is_control).filter(|_| reason.starts_with("control"));
        return say(offset + control.unwrap_or(0), message, help);
    }
    let next = rest.chars().next().unwrap_or(' ');
    let kept = before.trim_end().len();
    match next {
        '}' | ']' if before[..kept].ends_with(',') => {
            return say(kept - 1, &format!("a comma stands before `{next}`"), "remove the comma");
        }
        '/' | '#' => {
            return say(
                offset,
                "JSON has no comments",
                "put the remark under the key `comments`",
            );
        }
        '\'' => return say(offset, "a text in single quotes", "use double quotes: `\"`"),
        _ => {}
    }
    let (start, word) = word(text, offset);
    match word.trim_start_matches(['-', '+']).to_lowercase().as_str() {
        "nan" | "inf" | "infinity" => {
            return say(start, "JSON has no NaN and no infinity", "write a finite number");
        }
        "true" | "false" | "none" => {
            let message = format!("`{word}` is not JSON");
            return say(start, &message, "write `true`, `false` or `null`");
        }
        _ => {}
    }
    if let Some((_, message, help)) = BETWEEN.iter().find(about) {
        return say(offset, message, help);
    }
    if word.is_empty() {
        let help = "write a text in double quotes, a number, `true`, `false`, `null`, a list or an object";
        return say(offset, "a value is missing here", help);
    }
    say(
        start,
        &format!("`{word}` is not a JSON value"),
        "a text needs double quotes",
    )
}

/// The word around `offset`, of at most 40 bytes to each side, and where it begins.
fn word(text: &str, offset: usize) -> (usize, &str) {
    let other = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '+' | '_' | '.');
    let left = text.floor_char_boundary(offset.saturating_sub(40));
    let right = text.floor_char_boundary(offset.saturating_add(40));
    let start = text[left..offset]
        .rfind(other)
        .map_or(left, |i| text.ceil_char_boundary(left + i + 1));
    let end = text[offset..right].find(other).map_or(right, |i| offset + i);
    (start, text.get(start..end).unwrap_or_default())
}
