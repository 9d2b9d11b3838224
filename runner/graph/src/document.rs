//! A graph as its author wrote it.
//!
//! The text is the truth: a document keeps it whole, and everything else here is read from it. An edit is a
//! splice of the text followed by a new reading, so the model and the text cannot drift apart, and whatever this
//! version does not understand (node types of a missing plugin, keys of a later format, odd spacing) keeps its bytes.

use crate::diagnostic::{Diagnostic, Finding, Mark, place};
use crate::lines::Lines;
use crate::parse;
use crate::print;
use crate::span::Spans;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A node's JSON object: what migrations work on.
pub type NodeJson = Map<String, Value>;

/// A graph text and what could be read of it.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) spans: Spans,
    pub(crate) lines: Lines,
    pub(crate) nodes: IndexMap<String, Node>,
    /// All keys of the file but `nodes`.
    pub(crate) top: Map<String, Value>,
    /// What the parser found.
    pub(crate) findings: Vec<Finding>,
    /// Places whose value could not be read, so that checks do not complain of them a second time.
    pub(crate) unreadable: HashSet<String>,
    /// The text is not JSON.
    pub(crate) broken: bool,
    pub(crate) wiring: u64,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The node type as written.
    pub ty: TypeRef,
    /// What feeds each port, in the author's order.
    pub inputs: IndexMap<String, Links>,
    /// Parameters, in the author's order.
    pub params: Map<String, Value>,
    /// Whether the node is bypassed: it does not run, and what comes in goes out.
    pub bypass: bool,
    /// The stored result that stands for what the node would give: the key of a step. It does not run.
    pub frozen: Option<String>,
    /// Keys that mean nothing here.
    pub extra: Map<String, Value>,
}

/// `para/train` or `para/train@2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeRef {
    /// `para/train`; the whole text when what follows `@` is no version.
    pub name: String,
    /// `2`.
    pub version: Option<u32>,
}

/// What feeds one port.
#[derive(Clone, Debug, PartialEq)]
pub enum Links {
    /// A bare link: `"base.model"`.
    One(Link),
    /// A list, in order.
    List(Vec<Link>),
}

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// `"node.port"`.
    To {
        /// Node id.
        node: String,
        /// Output of that node.
        port: String,
    },
    /// Anything else; kept as it is.
    Malformed(Value),
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl Document {
    /// An empty graph.
    pub fn new() -> Self {
        Self::build(Map::new(), [])
    }

    /// A graph of these nodes, printed in canonical form. `top` holds the other keys of the file (`title` and so
    /// on); `paragraph` and `nodes` in it are ignored.
    pub fn build(top: Map<String, Value>, nodes: impl IntoIterator<Item = (String, Node)>) -> Self {
        let mut file = Map::new();
        file.insert("paragraph".to_owned(), Value::from(parse::FORMAT));
        let (head, tail): (Vec<_>, Vec<_>) = top
            .into_iter()
            .filter(|(key, _)| key != "paragraph" && key != "nodes")
            .partition(|(key, _)| key == "title" || key == "description");
        file.extend(head);
        let nodes = nodes
            .into_iter()
            .map(|(id, node)| (id, Value::Object(node.to_json())))
            .collect();
        file.insert("nodes".to_owned(), Value::Object(nodes));
        file.extend(tail);
        let text = print::file(&Value::Object(file).to_string());
        parse::parse(&text).0
    }

    /// The text: the author's bytes, with edits applied.
    pub fn text(&self) -> &str {
        self.spans.text()
    }

    /// The text, owned.
    pub fn to_text(&self) -> String {
        self.text().to_owned()
    }

    /// The text, shared: as long as somebody has it, it stays as it is.
    pub fn shared_text(&self) -> Arc<str> {
        self.spans.shared()
    }

    /// The text in canonical form: one layout for all, no value changed.
    pub fn canonical(&self) -> String {
        if self.broken {
            self.to_text()
        } else {
            print::file(self.text())
        }
    }

    /// Nodes in the author's order. Of several under one id the last.
    pub fn nodes(&self) -> &IndexMap<String, Node> {
        &self.nodes
    }

    /// A number that is another one as soon as the nodes, their order, their types or their links may be others; two
    /// documents of the same number have the same ones.
    pub fn wiring(&self) -> u64 {
        self.wiring
    }

    /// The node of that id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// `title`, when it is a text.
    pub fn title(&self) -> Option<&str> {
        self.top("title")?.as_str()
    }

    /// `description`, when it is a text.
    pub fn description(&self) -> Option<&str> {
        self.top("description")?.as_str()
    }

    /// The value of a key of the file other than `nodes`: `layout`, `comments`, `made`, …
    pub fn top(&self, key: &str) -> Option<&Value> {
        self.top.get(key)
    }

    /// What the parser found; also part of what [`check()`](crate::check()) gives.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.findings
            .iter()
            .cloned()
            .map(|f| f.locate(&self.spans, &self.lines))
            .collect()
    }

    /// A number for [`Self::wiring`] that no document has.
    pub(crate) fn next_wiring() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// No text at all.
    pub(crate) fn nothing() -> Self {
        parse::read("", None)
    }

    /// Whether the text could be read as JSON at all; if not, there are no nodes and edits are refused.
    pub fn is_readable(&self) -> bool {
        !self.broken
    }

    /// Where each value stands.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Line, column (both from 1) and bytes of the key at `pointer`, or of the nearest one around it: for
    /// messages about a node or a parameter that arise after the checks.
    pub fn locate(&self, pointer: &str) -> (usize, usize, Range<usize>) {
        let span = place(&self.spans, pointer, Mark::Key);
        let (line, column) = self.lines.position(span.start);
        (line, column, span)
    }
}

impl Node {
    /// A node of type `ty` (`para/train`, `para/train@2`) without inputs and parameters.
    pub fn new(ty: &str) -> Self {
        Self {
            ty: TypeRef::read(ty),
            ..Self::default()
        }
    }

    /// The node's object: `type`, then `inputs`, `params`, `bypass`, `frozen` where they hold something, then the rest.
    pub fn to_json(&self) -> NodeJson {
        let mut json = Map::new();
        json.insert("type".to_owned(), self.ty.to_string().into());
        if !self.inputs.is_empty() {
            let inputs = self
                .inputs
                .iter()
                .map(|(port, links)| (port.clone(), links.to_json()))
                .collect();
            json.insert("inputs".to_owned(), Value::Object(inputs));
        }
        if !self.params.is_empty() {
            json.insert("params".to_owned(), Value::Object(self.params.clone()));
        }
        if self.bypass {
            json.insert("bypass".to_owned(), true.into());
        }
        if let Some(key) = &self.frozen {
            json.insert("frozen".to_owned(), key.clone().into());
        }
        json.extend(self.extra.clone());
        json
    }

    /// Reads a node's object. Parts of the wrong JSON type are left out; the second value names them with what
    /// was found there.
    pub fn from_json(json: NodeJson) -> (Self, Vec<(&'static str, Value)>) {
        let mut node = Self::default();
        let mut wrong = Vec::new();
        for (key, value) in json {
            match (key.as_str(), value) {
                ("type", Value::String(ty)) => node.ty = TypeRef::read(&ty),
                ("type", other) => wrong.push(("type", other)),
                ("inputs", Value::Object(inputs)) => {
                    node.inputs = inputs
                        .into_iter()
                        .map(|(port, links)| (port, Links::read(links)))
                        .collect();
                }
                ("inputs", other) => wrong.push(("inputs", other)),
                ("params", Value::Object(params)) => node.params = params,
                ("params", other) => wrong.push(("params", other)),
                ("bypass", Value::Bool(bypass)) => node.bypass = bypass,
                ("bypass", other) => wrong.push(("bypass", other)),
                ("frozen", Value::String(key)) if is_step_key(&key) => node.frozen = Some(key),
                ("frozen", other) => wrong.push(("frozen", other)),
                (_, value) => drop(node.extra.insert(key, value)),
            }
        }
        (node, wrong)
    }
}

impl TypeRef {
    /// Reads `name` or `name@version`.
    pub fn read(text: &str) -> Self {
        let versioned = text.rsplit_once('@').and_then(|(name, version)| {
            let digits = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
            let number = version
                .parse::<u32>()
                .ok()
                .filter(|&v| digits && v > 0 && !version.starts_with('0'))?;
            Some(Self {
                name: name.to_owned(),
                version: Some(number),
            })
        });
        versioned.unwrap_or_else(|| Self {
            name: text.to_owned(),
            version: None,
        })
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Links {
    fn read(value: Value) -> Self {
        match value {
            Value::Array(list) => Self::List(list.into_iter().map(Link::read).collect()),
            other => Self::One(Link::read(other)),
        }
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> Value {
        match self {
            Self::One(link) => link.to_json(),
            Self::List(links) => Value::Array(links.iter().map(Link::to_json).collect()),
        }
    }

    /// The links, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        match self {
            Self::One(link) => std::slice::from_ref(link).iter(),
            Self::List(links) => links.iter(),
        }
    }
}

impl Link {
    /// A link to output `port` of `node`.
    pub fn to(node: &str, port: &str) -> Self {
        Self::To {
            node: node.to_owned(),
            port: port.to_owned(),
        }
    }

    fn read(value: Value) -> Self {
        let parts = value.as_str().and_then(|text| text.split_once('.'));
        match parts {
            Some((node, port)) if is_id(node) && is_name(port) => Self::to(node, port),
            _ => Self::Malformed(value),
        }
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> Value {
        match self {
            Self::To { node, port } => Value::String(format!("{node}.{port}")),
            Self::Malformed(value) => value.clone(),
        }
    }
}

/// Longest node id, in characters.
pub const MAX_ID: usize = 64;

/// Whether `text` may name a node: 1 to [`MAX_ID`] ASCII letters, digits, `_` and `-`.
pub fn is_id(text: &str) -> bool {
    text.chars().take(MAX_ID + 1).count() <= MAX_ID && is_name(text)
}

/// Whether `text` may be the key of a step: 64 hexadecimal digits.
pub fn is_step_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
