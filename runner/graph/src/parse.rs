//! From text to [`Document`]; never fails.
//!
//! `serde_json` judges the grammar (its skipping reader keeps no stack, so nesting cannot exhaust ours) and reads
//! numbers and strings; containers are put together from the [`Spans`], which know two things that a
//! `serde_json::Value` has forgotten: where each value stands, and that a key was there twice.

use crate::check::{
    duplicate_key, format_version, misspelt_key, syntax, too_deep, unknown_key, unreadable_value, wrong_shape,
};
use crate::diagnostic::{Diagnostic, Finding};
use crate::document::{Document, Node};
use crate::lines::Lines;
use crate::span::{Shape, Spans, pointer};
use indexmap::IndexMap;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Version of the file format: the value of `paragraph`.
pub const FORMAT: u64 = 1;

/// Keys of the file.
pub(crate) const TOP: [&str; 7] = [
    "paragraph",
    "title",
    "description",
    "nodes",
    "layout",
    "comments",
    "made",
];

/// Keys of a node.
pub(crate) const NODE: [&str; 5] = ["type", "inputs", "params", "bypass", "frozen"];

/// Reads a graph. The document holds whatever could be read and every byte of `text`; the diagnostics say what
/// could not. [`check()`](crate::check()) gives them again, with its own: show one list or the other.
pub fn parse(text: &str) -> (Document, Vec<Diagnostic>) {
    let document = read(text, None);
    let diagnostics = document.diagnostics();
    (document, diagnostics)
}

/// As [`parse`], without the diagnostics. Nodes whose text is that of `before` are taken over from it.
pub(crate) fn read(text: &str, before: Option<Document>) -> Document {
    let spans = Spans::of(text);
    let lines = Lines::of(spans.shared());
    let mut reader = Reader::new(&spans, &lines, before.and_then(Before::of));
    let grammar = serde_json::from_str::<IgnoredAny>(text.strip_prefix('\u{feff}').unwrap_or(text));
    let broken = grammar.is_err();
    match grammar {
        Ok(_) => reader.file(),
        Err(error) => reader.findings.push(syntax::finding(&spans, &lines, &error)),
    }
    let Reader {
        nodes,
        top,
        findings,
        unreadable,
        ..
    } = reader;
    Document {
        spans,
        lines,
        nodes,
        top,
        findings,
        unreadable,
        broken,
        wiring: Document::next_wiring(),
    }
}

/// The node at an entry; none when there is anything to say of it.
pub(crate) fn node(spans: &Spans, lines: &Lines, at: usize, id: &str) -> Option<Node> {
    let mut reader = Reader::new(spans, lines, None);
    let node = reader.node(at, id);
    reader.findings.is_empty().then_some(node)
}

/// An earlier reading without faults: its nodes in the order of its text, to be taken over one by one.
struct Before {
    spans: Spans,
    /// Entries of the nodes.
    places: Vec<usize>,
    nodes: IndexMap<String, Node>,
    /// The next one that may stand again.
    next: usize,
}

impl Before {
    fn of(document: Document) -> Option<Self> {
        if document.broken || !document.findings.is_empty() {
            return None;
        }
        let nodes = document.spans.find("/nodes")?;
        let places: Vec<usize> = document.spans.children(nodes).collect();
        (places.len() == document.nodes.len()).then_some(Self {
            spans: document.spans,
            places,
            nodes: document.nodes,
            next: 0,
        })
    }

    /// The node of that key and text, if it comes next: nodes between may be gone, and new ones may have come.
    fn take(&mut self, key: &str, text: &str) -> Option<Node> {
        let same = |at: &usize| {
            self.places
                .get(*at)
                .is_some_and(|place| self.spans.key_token(*place) == key)
        };
        let at = [self.next, self.next + 1].into_iter().find(same)?;
        self.next = at + 1;
        let (_, node) = self.nodes.get_index_mut(at)?;
        (self.spans.slice(self.places[at]) == text).then(|| std::mem::take(node))
    }
}

struct Reader<'a> {
    spans: &'a Spans,
    lines: &'a Lines,
    nodes: IndexMap<String, Node>,
    top: Map<String, Value>,
    findings: Vec<Finding>,
    unreadable: HashSet<String>,
    before: Option<Before>,
}

impl<'a> Reader<'a> {
    fn new(spans: &'a Spans, lines: &'a Lines, before: Option<Before>) -> Self {
        Self {
            spans,
            lines,
            nodes: IndexMap::new(),
            top: Map::new(),
            findings: Vec::new(),
            unreadable: HashSet::new(),
            before,
        }
    }

    /// Notes a value that cannot be read.
    fn lose(&mut self, finding: Finding) {
        self.unreadable.insert(finding.pointer.clone());
        self.findings.push(finding);
    }

    fn file(&mut self) {
        let spans = self.spans;
        if spans.entries().first().is_none_or(|e| e.shape != Shape::Object) {
            return self.lose(wrong_shape::file(spans.slice(0)));
        }
        self.duplicates(0);
        let mut version = None;
        for at in spans.children(0) {
            let key = spans.key(at).into_owned();
            match key.as_str() {
                "nodes" => {
                    self.nodes(at);
                    continue;
                }
                "paragraph" => version = Some(at),
                "title" | "description" if !spans.slice(at).starts_with('"') => {
                    self.lose(wrong_shape::text(&key, spans.slice(at)));
                }
                _ if !TOP.contains(&key.as_str()) => self.findings.push(unknown_key::of_file(&key)),
                _ => {}
            }
            let value = self.value(at, &mut |_| {});
            self.top.insert(key, value);
        }
        if let Some(finding) = format_version::finding(version.map(|at| spans.slice(at))) {
            self.findings.push(finding);
        }
    }

    fn nodes(&mut self, at: usize) {
        let spans = self.spans;
        self.nodes.clear();
        if spans.entries()[at].shape != Shape::Object {
            return self.lose(wrong_shape::nodes(spans.slice(at)));
        }
        self.duplicates(at);
        for child in spans.children(at) {
            let id = spans.key(child).into_owned();
            let before = self.before.as_mut();
            let known = before.and_then(|before| before.take(spans.key_token(child), spans.slice(child)));
            let node = known.unwrap_or_else(|| self.node(child, &id));
            self.nodes.insert(id, node);
        }
    }

    fn node(&mut self, at: usize, id: &str) -> Node {
        let spans = self.spans;
        for inner in at..spans.entries()[at].end {
            match spans.entries()[inner].shape {
                Shape::Object => self.duplicates(inner),
                Shape::TooDeep => self.lose(too_deep::finding(spans.pointer(inner))),
                Shape::Array | Shape::Scalar => {}
            }
        }
        let mut lost = Vec::new();
        let value = self.value(at, &mut |inner| lost.push(inner));
        for inner in lost {
            self.lose(unreadable_value::finding(spans.pointer(inner), spans.slice(inner)));
        }
        let Value::Object(json) = value else {
            self.lose(wrong_shape::node(id, spans.slice(at)));
            return Node::default();
        };
        let (node, wrong) = Node::from_json(json);
        for (part, found) in wrong {
            self.lose(wrong_shape::part(id, part, &found));
        }
        for key in node.extra.keys() {
            let place = pointer(&["nodes", id, key]);
            self.findings
                .push(misspelt_key::finding(id, key, &place).unwrap_or_else(|| unknown_key::of_node(id, key, &place)));
        }
        node
    }

    /// The value at `at`; scalars that cannot be read are `null` and given to `lost`.
    fn value(&self, at: usize, lost: &mut dyn FnMut(usize)) -> Value {
        let spans = self.spans;
        match spans.entries()[at].shape {
            Shape::Object => {
                let members = spans
                    .children(at)
                    .map(|c| (spans.key(c).into_owned(), self.value(c, lost)));
                Value::Object(members.collect())
            }
            Shape::Array => Value::Array(spans.children(at).map(|c| self.value(c, lost)).collect()),
            Shape::TooDeep => Value::Null,
            Shape::Scalar => match plain_string(spans.slice(at)) {
                Some(text) => Value::String(text.to_owned()),
                None => serde_json::from_str(spans.slice(at)).unwrap_or_else(|_| {
                    lost(at);
                    Value::Null
                }),
            },
        }
    }

    /// Whether no two of a few keys are equal; spelt with escapes, they may be.
    fn differ(&self, children: &[usize]) -> bool {
        let key = |at: usize| self.spans.key_token(at);
        children
            .iter()
            .enumerate()
            .all(|(n, &at)| !key(at).contains('\\') && children[..n].iter().all(|&other| key(other) != key(at)))
    }

    /// Reports keys that stand twice in the object at `at`.
    fn duplicates(&mut self, at: usize) {
        let spans = self.spans;
        let children: Vec<usize> = spans.children(at).collect();
        if children.len() < 2 {
            return;
        }
        if children.len() <= 8 && self.differ(&children) {
            return;
        }
        let mut first = HashMap::with_capacity(children.len());
        for child in children {
            let earlier = *first.entry(spans.key(child)).or_insert(child);
            if earlier != child {
                self.findings
                    .push(duplicate_key::finding(spans, self.lines, child, earlier));
            }
        }
    }
}

/// The text of a string token without escapes, which is most of them.
fn plain_string(token: &str) -> Option<&str> {
    let inner = token.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}
