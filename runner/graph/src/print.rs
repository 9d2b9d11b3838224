//! The house's layout of a graph file: two spaces a level, whatever fits on a line stays on it.
//!
//! Works on tokens, not on values: numbers and strings keep the spelling that their author gave them
//! (`1e-3` stays `1e-3`), and keys that stand twice stay twice.

use crate::span::{Shape, Spans};

/// Longest line, where a choice exists.
pub const WIDTH: usize = 120;

/// Lays out a whole file: its object and `nodes` always take several lines, so that each node has its own.
pub fn file(text: &str) -> String {
    let spans = Spans::of(text);
    let nodes = spans.find("/nodes");
    let mut out = render(&spans, 0, 0, &|at| at == 0 || Some(at) == nodes);
    out.push('\n');
    out
}

/// Lays out one value that begins at column `column` (from 0) of a line indented by `indent` spaces.
pub fn value(text: &str, indent: usize, column: usize) -> String {
    render(&Spans::of(text), indent, column, &|_| false)
}

struct Open {
    /// One past the last entry inside.
    end: usize,
    flat: bool,
    object: bool,
    indent: usize,
    empty: bool,
}

fn render(spans: &Spans, indent: usize, mut column: usize, broken: &dyn Fn(usize) -> bool) -> String {
    let entries = spans.entries();
    let mut out = String::with_capacity(spans.text().len() * 2);
    let mut open: Vec<Open> = Vec::new();
    let last = entries.first().map_or(0, |e| e.end);
    for (at, (entry, width)) in entries.iter().zip(widths(spans)).enumerate().take(last) {
        while let Some(done) = open.pop_if(|o| at >= o.end) {
            close(&mut out, &mut column, &done);
        }
        let mut level = indent;
        let mut flat = false;
        if let Some(parent) = open.last_mut() {
            (level, flat) = (parent.indent + 2, parent.flat);
            match (parent.empty, flat) {
                (true, true) if parent.object => put(&mut out, &mut column, " "),
                (true, true) => {}
                (false, true) => put(&mut out, &mut column, ", "),
                (first, false) => {
                    out.push_str(if first { "\n" } else { ",\n" });
                    column = 0;
                    put(&mut out, &mut column, &" ".repeat(level));
                }
            }
            parent.empty = false;
        }
        if let Some(key) = spans.text().get(entry.key.clone()).filter(|k| !k.is_empty()) {
            put(&mut out, &mut column, key);
            put(&mut out, &mut column, ": ");
        }
        match entry.shape {
            Shape::Scalar | Shape::TooDeep => put(&mut out, &mut column, spans.slice(at)),
            shape => {
                // One more for the comma behind it.
                let flat = flat || (!broken(at) && column + width < WIDTH);
                let object = shape == Shape::Object;
                put(&mut out, &mut column, if object { "{" } else { "[" });
                open.push(Open {
                    end: entry.end,
                    flat,
                    object,
                    indent: level,
                    empty: true,
                });
            }
        }
    }
    while let Some(done) = open.pop() {
        close(&mut out, &mut column, &done);
    }
    out
}

fn close(out: &mut String, column: &mut usize, open: &Open) {
    if open.flat || open.empty {
        put(out, column, if open.object { " }" } else { "]" });
        return;
    }
    out.push('\n');
    *column = 0;
    put(out, column, &" ".repeat(open.indent));
    put(out, column, if open.object { "}" } else { "]" });
}

fn put(out: &mut String, column: &mut usize, text: &str) {
    out.push_str(text);
    *column += text.chars().count();
}

/// Characters that each value takes on one line, without its key.
fn widths(spans: &Spans) -> Vec<usize> {
    let entries = spans.entries();
    let mut widths = vec![0; entries.len()];
    for at in (0..entries.len()).rev() {
        let entry = &entries[at];
        widths[at] += match entry.shape {
            Shape::Scalar | Shape::TooDeep => spans.slice(at).chars().count(),
            Shape::Object => 3,
            Shape::Array => 2,
        };
        let key = spans.text().get(entry.key.clone()).map_or(0, |k| k.chars().count() + 2);
        let whole = widths[at] + if entry.key.is_empty() { 2 } else { key + 2 };
        if let Some(parent) = widths.get_mut(entry.parent) {
            *parent = parent.saturating_add(whole);
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stay_on_one_line_and_tokens_keep_their_spelling() {
        let text = r#"{"paragraph":1,"nodes":{"a":{"type":"x","params":{"lr":1e-3,"n":1.50,"e":{},"l":[]}},"b":{"type":"y","params":{"p":"PPP"}}}}"#
            .replace("PPP", &"p".repeat(90));
        let long = "p".repeat(90);
        let expected = format!(
            r#"{{
  "paragraph": 1,
  "nodes": {{
    "a": {{ "type": "x", "params": {{ "lr": 1e-3, "n": 1.50, "e": {{ }}, "l": [] }} }},
    "b": {{
      "type": "y",
      "params": {{ "p": "{long}" }}
    }}
  }}
}}
"#
        );
        assert_eq!(file(&text), expected);
        assert_eq!(file(&expected), expected, "a second time changes nothing");
        assert_eq!(value("[1,2]", 0, 0), "[1, 2]");
        assert_eq!(value("[1,2]", 0, 200), "[\n  1,\n  2\n]");
    }
}
