//! A document becomes that of another text: read anew where the texts differ, taken over where they do not.
//!
//! An editor changes a node or two at a time. Where all that differs lies among the nodes, only those nodes are read;
//! whatever else there is to find (another outer form, a fault, an id that stands twice) is left to a reading of the whole.

use crate::document::{Document, Node};
use crate::lines::Lines;
use crate::parse;
use crate::span::{Entry, NONE, Shape, Spans};
use serde::de::IgnoredAny;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Texts are compared in blocks of this many bytes first: graphs may be large, and changes are small.
const BLOCK: usize = 256;

/// The smallest stretches, on the borders of characters, outside of which two texts are the same: `before[a]` stands where
/// `after[b]` does. None when they are the same.
pub fn difference(before: &str, after: &str) -> Option<(Range<usize>, Range<usize>)> {
    if before == after {
        return None;
    }
    let (a, b) = (before.as_bytes(), after.as_bytes());
    let mut start = same_ahead(a, b);
    while !before.is_char_boundary(start) || !after.is_char_boundary(start) {
        start -= 1;
    }
    let most = a.len().min(b.len()) - start;
    let mut end = same_behind(&a[a.len() - most..], &b[b.len() - most..]);
    while !before.is_char_boundary(a.len() - end) || !after.is_char_boundary(b.len() - end) {
        end -= 1;
    }
    Some((start..a.len() - end, start..b.len() - end))
}

/// How many bytes two texts begin with alike.
fn same_ahead(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK));
    let alike = BLOCK * blocks.take_while(|(x, y)| x == y).count();
    alike + a[alike..].iter().zip(&b[alike..]).take_while(|(x, y)| x == y).count()
}

/// How many bytes two texts end with alike.
fn same_behind(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.rchunks_exact(BLOCK).zip(b.rchunks_exact(BLOCK));
    let alike = BLOCK * blocks.take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - alike], &b[..b.len() - alike]);
    alike + a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}

impl Document {
    /// Becomes the document of another text. As [`parse`](crate::parse()), but faster where most nodes are the same.
    pub fn reread(&mut self, text: &str) {
        let Some((old, _)) = difference(self.text(), text) else {
            return;
        };
        let before = std::mem::replace(self, Self::nothing());
        *self = match Window::of(&before, text, &old) {
            Some(window) => window.read(before, text),
            None => parse::read(text, Some(before)),
        };
    }
}

/// The nodes that a change touches, and what stands in their place now.
struct Window {
    /// The entry of `nodes`.
    parent: usize,
    /// Which of its members are read anew.
    members: Range<usize>,
    /// Their entries.
    entries: Range<usize>,
    /// The entries that come in their place.
    fresh: Vec<Entry>,
    /// Bytes by which all that follows moves.
    shift: isize,
}

impl Window {
    /// None where the whole has to be read. `old` are the bytes of the text before that are gone.
    fn of(before: &Document, text: &str, old: &Range<usize>) -> Option<Self> {
        let spans = &before.spans;
        let entries = spans.entries();
        if before.broken || !before.findings.is_empty() {
            return None;
        }
        let parent = spans.find("/nodes").filter(|at| entries[*at].shape == Shape::Object)?;
        let inside = entries[parent].value.start + 1..entries[parent].value.end - 1;
        let children: Vec<usize> = spans.children(parent).collect();
        if old.start < inside.start || old.end > inside.end || children.len() != before.nodes.len() {
            return None;
        }
        // Members that are not even touched at an edge stay: no token of theirs goes on in what is new, nor the other way.
        let first = children.partition_point(|at| entries[*at].value.end < old.start);
        let rest = children.partition_point(|at| entries[*at].key.start <= old.end);
        let end = entries[parent].end;
        let around = Around {
            parent,
            ordinal: first,
            entry: children.get(first).copied().unwrap_or(end),
            from: match first.checked_sub(1) {
                Some(ahead) => entries[children[ahead]].value.end,
                None => inside.start,
            },
            ahead: first > 0,
            behind: rest < children.len(),
        };
        let to = children.get(rest).map_or(inside.end, |at| entries[*at].key.start);
        let shift = text.len().cast_signed() - before.text().len().cast_signed();
        let fresh = around.entries(text.get(around.from..to.checked_add_signed(shift)?)?)?;
        Some(Self {
            parent,
            members: first..rest,
            entries: around.entry..children.get(rest).copied().unwrap_or(end),
            fresh,
            shift,
        })
    }

    fn read(self, mut before: Document, text: &str) -> Document {
        let text: Arc<str> = text.into();
        let start = self.entries.start;
        let end = start + self.fresh.len();
        let grown = self.fresh.len().cast_signed() - self.entries.len().cast_signed();
        let count = self.fresh.iter().filter(|entry| entry.parent == self.parent).count();
        let added = count.cast_signed() - self.members.len().cast_signed();
        let mut entries = std::mem::replace(&mut before.spans, Spans::of("")).into_entries();
        entries.splice(self.entries, self.fresh);
        let moved = |range: &Range<usize>| by(range.start, self.shift)..by(range.end, self.shift);
        for entry in &mut entries[end..] {
            if !entry.key.is_empty() {
                entry.key = moved(&entry.key);
            }
            entry.value = moved(&entry.value);
            entry.end = by(entry.end, grown);
            if entry.parent == self.parent {
                entry.ordinal = by(entry.ordinal, added);
            } else if entry.parent >= start && entry.parent != NONE {
                entry.parent = by(entry.parent, grown);
            }
        }
        for around in [0, self.parent] {
            entries[around].value.end = by(entries[around].value.end, self.shift);
            entries[around].end = by(entries[around].end, grown);
        }
        let spans = Spans::from_parts(Arc::clone(&text), entries);
        let lines = Lines::of(Arc::clone(&text));
        let mut fresh: Vec<(String, Node)> = Vec::with_capacity(count);
        let mut ids = HashSet::with_capacity(count);
        let mut at = start;
        while at < end {
            let id = spans.key(at).into_owned();
            let twice = before
                .nodes
                .get_index_of(&id)
                .is_some_and(|at| !self.members.contains(&at))
                || !ids.insert(id.clone());
            let Some(node) = parse::node(&spans, &lines, at, &id).filter(|_| !twice) else {
                return parse::read(&text, None);
            };
            fresh.push((id, node));
            at = spans.entries()[at].end;
        }
        let same = fresh.len() == self.members.len()
            && self.members.clone().zip(&fresh).all(|(at, (id, node))| {
                let known = before.nodes.get_index(at);
                known.is_some_and(|(key, old)| key == id && old.ty == node.ty && linked_alike(old, node))
            });
        let wiring = if same { before.wiring } else { Document::next_wiring() };
        if same {
            for (at, (_, node)) in self.members.zip(fresh) {
                before.nodes[at] = node;
            }
        } else {
            before.nodes.splice(self.members, fresh);
        }
        Document {
            spans,
            lines,
            wiring,
            ..before
        }
    }
}

/// Whether two nodes have the same links in the same order.
fn linked_alike(one: &Node, other: &Node) -> bool {
    one.inputs.len() == other.inputs.len() && one.inputs.iter().zip(&other.inputs).all(|(a, b)| a == b)
}

fn by(n: usize, shift: isize) -> usize {
    n.saturating_add_signed(shift)
}

/// What stands around members that are read anew.
struct Around {
    /// The entry of `nodes`.
    parent: usize,
    /// How many members stand before them.
    ordinal: usize,
    /// The entry of the first.
    entry: usize,
    /// The byte from which on the text is read: the end of the member before.
    from: usize,
    /// Whether there is one.
    ahead: bool,
    /// Whether one follows.
    behind: bool,
}

impl Around {
    /// The entries of the members in the text between those ahead and behind; none where it does more than list members.
    fn entries(&self, between: &str) -> Option<Vec<Entry>> {
        // As deep as in the file, with a member ahead and behind where there is one, for the commas.
        let head = if self.ahead { "{\"\":{\"\":0" } else { "{\"\":{" };
        let tail = if self.behind { "\"\":0}}" } else { "}}" };
        let text = [head, between, tail].concat();
        serde_json::from_str::<IgnoredAny>(&text).ok()?;
        let spans = Spans::of(text);
        let all = spans.entries();
        let (start, end) = (2 + usize::from(self.ahead), all.len() - usize::from(self.behind));
        if all[1].end != all.len() || all[end..].iter().any(|last| last.parent != 1) {
            return None;
        }
        let entry = |at: usize| at - start + self.entry;
        let byte = |range: &Range<usize>| {
            let byte = |at: usize| at - head.len() + self.from;
            byte(range.start)..byte(range.end)
        };
        let entries = all[start..end].iter().map(|old| Entry {
            key: if old.key.is_empty() { 0..0 } else { byte(&old.key) },
            value: byte(&old.value),
            parent: if old.parent == 1 {
                self.parent
            } else {
                entry(old.parent)
            },
            end: entry(old.end),
            ordinal: if old.parent == 1 {
                old.ordinal - usize::from(self.ahead) + self.ordinal
            } else {
                old.ordinal
            },
            shape: old.shape,
        });
        Some(entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"{ "paragraph": 1, "title": "é",
  "nodes": {
    "base": { "type": "load/model", "params": { "path": "assets/x" } },
    "bear":{"type":"para/train","inputs":{"model":"base.model","images":["a.b","base.\u0063"]},"params":{"rank":4,"lr":1e-3}},
    "odd": { "type": "who/knows@7", "params": { "z": [1.0, {"a": []}, "\"é"] }, "bypass": true },
    "save": { "type": "image/save" }
  },
  "layout": { "pins": { "bear": { "column": 1 } } }
}
"#;

    /// Whether two documents are the same in all there is to them.
    fn same(one: &Document, other: &Document) {
        assert_eq!(one.text(), other.text());
        assert_eq!(one.spans.entries(), other.spans.entries());
        assert_eq!(one.spans.unclosed(), other.spans.unclosed());
        let nodes = |document: &Document| -> Vec<(String, Node)> {
            let nodes = document.nodes.iter();
            nodes.map(|(id, node)| (id.clone(), node.clone())).collect()
        };
        assert_eq!(nodes(one), nodes(other));
        assert_eq!(
            (&one.top, &one.unreadable, one.broken),
            (&other.top, &other.unreadable, other.broken)
        );
        assert_eq!(one.diagnostics(), other.diagnostics());
        assert_eq!(one.locate("/nodes/save"), other.locate("/nodes/save"));
    }

    fn changed(text: &str, at: usize, length: usize, put: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at % (chars.len() + 1);
        let end = (at + length).min(chars.len());
        chars.splice(at..end, put.chars());
        chars.into_iter().collect()
    }

    /// What could be mistaken for something else, among the nodes and elsewhere.
    fn piece() -> impl Strategy<Value = String> {
        let pieces = vec![
            "",
            "1",
            "\"",
            "\\",
            ",",
            "{",
            "}",
            "[",
            "]",
            ":",
            " ",
            "\n",
            "é",
            "\"save\"",
            "\"x\": {}",
            "}, \"x\": {",
            "\"new\": { \"type\": \"a/b\" },",
            ", \"bear\": 1",
            "\"base\": {\"type\":\"q/r\"},",
            "} }, \"layout\": { \"a\": {",
        ];
        prop_oneof![3 => prop::sample::select(pieces).prop_map(str::to_owned), 1 => "[a-z{}\\[\\]\":,\\\\ ]{0,4}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_anew_is_what_a_whole_reading_gives(edits in prop::collection::vec((any::<u16>(), 0..14_usize, piece(), any::<bool>()), 1..6)) {
            let mut document = parse::read(TEXT, None);
            let mut text = TEXT.to_owned();
            for (at, length, put, back) in edits {
                let next = changed(&text, at.into(), length, &put);
                document.reread(&next);
                same(&document, &parse::read(&next, None));
                if back {
                    document.reread(&text);
                    same(&document, &parse::read(&text, None));
                } else {
                    text = next;
                }
            }
        }
    }

    #[test]
    fn only_the_nodes_that_a_change_touches_are_read() {
        let document = parse::read(TEXT, None);
        let read = |from: &str, to: &str| {
            let text = TEXT.replacen(from, to, 1);
            let (old, _) = difference(TEXT, &text).unwrap();
            let window = Window::of(&document, &text, &old);
            let mut again = document.clone();
            again.reread(&text);
            same(&again, &parse::read(&text, None));
            window.map(|window| window.members)
        };
        assert_eq!(read("\"rank\":4", "\"rank\":16"), Some(1..2));
        assert_eq!(
            read("\"save\": {", "\"more\": { \"type\": \"a/b\" }, \"save\": {"),
            Some(3..4)
        );
        assert_eq!(read("    \"base\"", "    \"first\": { },\n    \"base\""), Some(0..1));
        assert_eq!(read("\"image/save\" }", "\"image/save\" }, \"more\": { }"), Some(3..4));
        // A quote that would close at the key behind; nodes that end before their end; and what is not about nodes.
        read("    \"save\"", "     \"x\\\"save\"");
        assert_eq!(read("\"image/save\" }", "\"image/save\" } }, \"x\": {"), None);
        assert_eq!(read("\"bypass\": true }", "\"bypass\": true"), None);
        assert_eq!(read("\"column\": 1", "\"column\": 2"), None);
    }

    #[test]
    fn the_number_of_the_wiring_stays_while_only_values_change() {
        let wiring = |from: &str, to: &str| {
            let mut document = parse::read(TEXT, None);
            let before = document.wiring();
            document.reread(&TEXT.replacen(from, to, 1));
            assert_ne!(document.text(), TEXT);
            document.wiring() == before
        };
        assert!(wiring("\"rank\":4", "\"rank\":16"));
        assert!(wiring("\"bypass\": true", "\"bypass\": false"));
        assert!(wiring("\"type\": \"image/save\"", "\"type\" : \"image/save\""));
        for (from, to) in [
            ("\"image/save\"", "\"image/show\""),
            ("base.model", "base.other"),
            ("[\"a.b\",", "["),
            ("\"model\":\"base.model\",", ""),
            ("\"save\": {", "\"last\": {"),
            ("\"save\": {", "\"more\": { }, \"save\": {"),
            ("who/knows@7", "who/knows@8"),
            (
                "\"inputs\":{\"model\":\"base.model\",\"images\":[\"a.b\",\"base.\\u0063\"]}",
                "\"inputs\":{\"images\":[\"a.b\",\"base.c\"],\"model\":\"base.model\"}",
            ),
        ] {
            assert!(!wiring(from, to), "{from} -> {to}");
        }
    }

    #[test]
    fn differences_of_long_texts_are_found_to_the_byte() {
        let text = "0123456789".repeat(120);
        for at in [0, 1, 255, 256, 257, 511, 512, 900, 1198, 1199] {
            let mut other = text.clone();
            other.replace_range(at..=at, "xyz");
            assert_eq!(difference(&text, &other), Some((at..at + 1, at..at + 3)));
        }
        assert_eq!(difference(&text, &text), None);
        assert_eq!(difference("aé", "aè"), Some((1..3, 1..3)));
    }
}
