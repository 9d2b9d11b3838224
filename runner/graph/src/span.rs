//! Where each value of a JSON text stands.
//!
//! `serde_json` tells line and column of syntax errors only, yet a diagnostic about a value needs the bytes
//! of that value. One walk over the tokens finds them; what the tokens mean stays `serde_json`'s business.
//! The walk keeps its own stack, so that a text of a million `[` costs memory of the heap and nothing else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Containers nested deeper than this are not looked into: nothing in a graph needs it, and every later
/// walk over values may then be a plain recursive function.
pub const MAX_DEPTH: usize = 64;

/// No parent: the root, or a stray value of a malformed text.
pub(crate) const NONE: usize = usize::MAX;

/// Byte ranges of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its key with the quotes, when it stands in an object.
    pub key: Option<Range<usize>>,
    /// The value itself.
    pub value: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
    Scalar,
    /// A container below [`MAX_DEPTH`]; its content is not recorded.
    TooDeep,
}

/// One value; values stand in the order of the text, a container before its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Empty in arrays and at the root.
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) parent: usize,
    /// One past the last entry inside this one.
    pub(crate) end: usize,
    /// Position among its siblings.
    pub(crate) ordinal: usize,
    pub(crate) shape: Shape,
}

/// All values of a text, by JSON pointer (RFC 6901) and by position.
#[derive(Clone, Debug)]
pub struct Spans {
    text: Arc<str>,
    entries: Vec<Entry>,
    /// Containers that the text leaves open: only a malformed text has any.
    unclosed: Vec<usize>,
    /// (container, key or index) → value. Made when first asked for: a graph without faults never asks.
    index: OnceLock<HashMap<(usize, Box<str>), usize>>,
}

impl Spans {
    /// Walks `text` once. Malformed text gives what stands before the fault and, as far as tokens can be
    /// told apart, what stands after it.
    pub fn of(text: impl Into<Arc<str>>) -> Self {
        let text: Arc<str> = text.into();
        let (entries, unclosed) = Walk::over(&text);
        Self {
            text,
            entries,
            unclosed,
            index: OnceLock::new(),
        }
    }

    /// The spans of a text whose values are known already.
    pub(crate) fn from_parts(text: Arc<str>, entries: Vec<Entry>) -> Self {
        Self {
            text,
            entries,
            unclosed: Vec::new(),
            index: OnceLock::new(),
        }
    }

    /// The values, for those of another text to be made of.
    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The text walked.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text walked, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The value at `pointer`; of several values under one key the last, as everywhere.
    pub fn get(&self, pointer: &str) -> Option<Span> {
        self.find(pointer).map(|at| self.span(at))
    }

    /// Every value with its pointer, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (String, Span)> {
        (0..self.entries.len()).map(|at| (self.pointer(at), self.span(at)))
    }

    /// Pointer of the innermost value around byte `offset`; a key belongs to its value.
    pub fn pointer_at(&self, offset: usize) -> String {
        let before = self.entries.partition_point(|e| self.start(e) <= offset);
        let mut at = before.checked_sub(1);
        while let Some(i) = at {
            let Some(entry) = self.entries.get(i) else {
                break;
            };
            // A token without a key in an object: only a malformed text has that.
            let stray =
                entry.key.is_empty() && self.entries.get(entry.parent).is_some_and(|p| p.shape == Shape::Object);
            if offset < entry.value.end && !stray {
                return self.pointer(i);
            }
            at = Some(entry.parent).filter(|&p| p != NONE);
        }
        String::new()
    }

    fn start(&self, entry: &Entry) -> usize {
        if entry.key.is_empty() {
            entry.value.start
        } else {
            entry.key.start
        }
    }

    fn span(&self, at: usize) -> Span {
        let entry = &self.entries[at];
        Span {
            key: (!entry.key.is_empty()).then(|| entry.key.clone()),
            value: entry.value.clone(),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn unclosed(&self) -> &[usize] {
        &self.unclosed
    }

    /// The values directly inside `at`.
    pub(crate) fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.entries.get(at).map_or(0, |e| e.end);
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self.entries[child].end.max(child + 1);
                child
            })
        })
    }

    /// The bytes of the value at `at`.
    pub(crate) fn slice(&self, at: usize) -> &str {
        self.text.get(self.entries[at].value.clone()).unwrap_or_default()
    }

    /// The key of `at` as it is spelt, with its quotes; empty in arrays.
    pub(crate) fn key_token(&self, at: usize) -> &str {
        self.text.get(self.entries[at].key.clone()).unwrap_or_default()
    }

    /// The key of `at`, unescaped; empty in arrays.
    pub(crate) fn key(&self, at: usize) -> Cow<'_, str> {
        unquote(self.key_token(at))
    }

    /// The entry at `pointer`.
    pub(crate) fn find(&self, pointer: &str) -> Option<usize> {
        if self.index.get().is_none() && self.unclosed.is_empty() {
            return self.walk_to(pointer);
        }
        match self.nearest(pointer) {
            (at, true) => Some(at),
            _ => None,
        }
        .filter(|&at| at < self.entries.len())
    }

    /// As [`Self::find`], without the index, which takes longer to make than an edit needs it.
    fn walk_to(&self, pointer: &str) -> Option<usize> {
        let mut at = 0;
        self.entries.first()?;
        if pointer.is_empty() {
            return Some(at);
        }
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = unescape(token);
            let children = self.children(at);
            at = match self.entries[at].shape {
                Shape::Array => {
                    let nth: usize = token.parse().ok().filter(|nth: &usize| nth.to_string() == token)?;
                    children.into_iter().nth(nth)?
                }
                // Of several values under one key the last.
                _ => children.filter(|child| self.key(*child) == token).last()?,
            };
        }
        Some(at)
    }

    /// The entry at `pointer`, or the innermost one on the way to it, and whether it is the very one.
    pub(crate) fn nearest(&self, pointer: &str) -> (usize, bool) {
        let mut at = 0;
        if pointer.is_empty() {
            return (at, true);
        }
        let Some(path) = pointer.strip_prefix('/') else {
            return (at, false);
        };
        let index = self.index.get_or_init(|| self.build_index());
        for token in path.split('/') {
            match index.get(&(at, unescape(token).into())) {
                Some(&child) => at = child,
                None => return (at, false),
            }
        }
        (at, true)
    }

    fn build_index(&self) -> HashMap<(usize, Box<str>), usize> {
        let inner = self.entries.iter().enumerate().filter(|(_, e)| e.parent != NONE);
        inner.map(|(at, e)| ((e.parent, self.token(at).into()), at)).collect()
    }

    /// Key or index of `at` in its container.
    fn token(&self, at: usize) -> String {
        let entry = &self.entries[at];
        match self.entries.get(entry.parent).map(|p| p.shape) {
            Some(Shape::Array) => entry.ordinal.to_string(),
            _ => self.key(at).into_owned(),
        }
    }

    /// The pointer of entry `at`.
    pub(crate) fn pointer(&self, mut at: usize) -> String {
        let mut tokens = Vec::new();
        while self.entries.get(at).is_some_and(|e| e.parent != NONE) {
            tokens.push(escape(&self.token(at)));
            at = self.entries[at].parent;
        }
        tokens.iter().rev().flat_map(|t| ["/", t.as_str()]).collect()
    }
}

/// `~` and `/` as RFC 6901 writes them inside a pointer.
pub fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The pointer made of these tokens: `["nodes", "a/b"]` is `/nodes/a~1b`.
pub fn pointer(tokens: &[&str]) -> String {
    tokens.iter().map(|t| format!("/{}", escape(t))).collect()
}

/// The text of a string token; a token that is none (malformed text) stands for itself.
pub(crate) fn unquote(token: &str) -> Cow<'_, str> {
    match token.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => serde_json::from_str(token).map_or(Cow::Borrowed(token), Cow::Owned),
        None => Cow::Borrowed(token),
    }
}

struct Walk {
    entries: Vec<Entry>,
    /// Open containers, each with the number of values met in it.
    open: Vec<(usize, usize)>,
    key: Range<usize>,
    /// Open containers below [`MAX_DEPTH`].
    skipped: usize,
}

impl Walk {
    fn over(text: &str) -> (Vec<Entry>, Vec<usize>) {
        let bytes = text.as_bytes();
        let mut walk = Self {
            entries: Vec::new(),
            open: Vec::new(),
            key: 0..0,
            skipped: 0,
        };
        let mut at = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        while let Some(&byte) = bytes.get(at) {
            let end = match byte {
                b'"' => string_end(bytes, at),
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'{' | b'}' | b'[' | b']' => at + 1,
                _ => scalar_end(bytes, at),
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => {}
                b'{' => walk.enter(at, Shape::Object),
                b'[' => walk.enter(at, Shape::Array),
                b'}' | b']' => walk.leave(end),
                b'"' if walk.awaits_key() => walk.key = at..end,
                _ if walk.skipped == 0 => walk.push(at..end, Shape::Scalar),
                _ => {}
            }
            at = end;
        }
        for &(i, _) in &walk.open {
            walk.entries[i].end = walk.entries.len();
            walk.entries[i].value.end = text.len();
        }
        let unclosed = walk.open.iter().map(|&(i, _)| i).collect();
        (walk.entries, unclosed)
    }

    fn awaits_key(&self) -> bool {
        let inside = self.open.last().map(|&(i, _)| self.entries[i].shape);
        self.skipped == 0 && self.key.is_empty() && inside == Some(Shape::Object)
    }

    fn push(&mut self, value: Range<usize>, shape: Shape) {
        let (parent, ordinal) = match self.open.last_mut() {
            Some((parent, count)) => {
                *count += 1;
                (*parent, *count - 1)
            }
            None => (NONE, 0),
        };
        let key = std::mem::replace(&mut self.key, 0..0);
        let end = self.entries.len() + 1;
        self.entries.push(Entry {
            key,
            value,
            parent,
            end,
            ordinal,
            shape,
        });
    }

    fn enter(&mut self, at: usize, shape: Shape) {
        if self.skipped > 0 {
            self.skipped += 1;
        } else if self.open.len() >= MAX_DEPTH {
            self.push(at..at + 1, Shape::TooDeep);
            self.skipped = 1;
        } else {
            self.push(at..at + 1, shape);
            self.open.push((self.entries.len() - 1, 0));
        }
    }

    fn leave(&mut self, end: usize) {
        if self.skipped > 0 {
            self.skipped -= 1;
            if let (0, Some(last)) = (self.skipped, self.entries.last_mut()) {
                last.value.end = end;
            }
        } else if let Some((i, _)) = self.open.pop() {
            self.entries[i].value.end = end;
            self.entries[i].end = self.entries.len();
            self.key = 0..0;
        }
    }
}

/// One past the closing quote, or the end of the text.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn scalar_end(bytes: &[u8], start: usize) -> usize {
    let ends = |b: &u8| {
        matches!(
            b,
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']'
        )
    };
    bytes[start..].iter().position(ends).map_or(bytes.len(), |n| start + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_find_the_bytes_of_their_value() {
        let text = r#"{ "a": [10, {"b~/c": "x"}], "a": true, "é\u0041": null }"#;
        let spans = Spans::of(text);
        let at = |p: &str| &text[spans.get(p).unwrap().value];
        assert_eq!(at(""), text);
        assert_eq!(at("/a"), "true", "the last of two equal keys counts");
        assert_eq!(at("/éA"), "null");
        assert_eq!(spans.get("/nope"), None);
        let inner = text.find("\"x\"").unwrap();
        assert_eq!(spans.pointer_at(inner), "/a/1/b~0~1c");
        assert_eq!(spans.pointer_at(text.len() - 1), "");
    }

    #[test]
    fn deep_and_unclosed_texts_are_walked_without_recursion() {
        let deep = "[".repeat(1_000_000);
        let spans = Spans::of(deep.as_str());
        assert_eq!(spans.entries().len(), MAX_DEPTH + 1);
        assert_eq!(spans.unclosed().len(), MAX_DEPTH);
        assert_eq!(Spans::of("").get(""), None);
        assert_eq!(Spans::of("").pointer_at(3), "");
    }
}
