//! What is wrong, where, and how to put it right: plain data, for a terminal and an editor alike.

use crate::codes::{self, Code};
use crate::lines::Lines;
use crate::span::Spans;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Whether the graph can run all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It can; something is likely not as meant.
    Warning,
}

/// Behind an alias, since serde's derive would borrow a visible `&'static str` from its input.
type Id = &'static str;

/// One fault of a graph text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning; fixed for each code.
    pub severity: Severity,
    /// `G001` and so on; [`codes::ALL`] says what each means.
    #[serde(deserialize_with = "known_code")]
    pub code: Id,
    /// One sentence.
    pub message: String,
    /// JSON pointer (RFC 6901) of the value at fault. Where something is missing, the pointer it would have;
    /// line, column and span are then those of the nearest value around it.
    pub pointer: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes to underline: the key when the name is at fault, else the value.
    pub span: Range<usize>,
    /// What should stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// How to fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A change of the text that mends it, where there is one to propose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A change of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Bytes to replace.
    pub span: Range<usize>,
    /// What to put there.
    pub text: String,
}

impl Diagnostic {
    /// Whether it keeps the graph from running.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(
            f,
            "{severity}[{}] {}:{}: {}",
            self.code, self.line, self.column, self.message
        )?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected: {expected}")?;
        }
        if let Some(found) = &self.found {
            write!(f, "\n  found: {found}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

fn known_code<'de, D: serde::Deserializer<'de>>(d: D) -> Result<&'static str, D::Error> {
    let name = String::deserialize(d)?;
    let unknown = || {
        serde::de::Error::custom(format!(
            "unknown diagnostic code `{name}`: the sender is of another version"
        ))
    };
    codes::get(&name).map(|code| code.id).ok_or_else(unknown)
}

/// Which bytes of the place are at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Key,
    Value,
}

/// A diagnostic before its place in the text is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) code: &'static Code,
    pub(crate) pointer: String,
    mark: Mark,
    /// A place that no pointer names.
    exact: Option<Range<usize>>,
    message: String,
    expected: Option<String>,
    found: Option<String>,
    help: Option<String>,
    /// What to put in place of the marked bytes.
    fix: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            pointer: String::new(),
            mark: Mark::Value,
            exact: None,
            message,
            expected: None,
            found: None,
            help: None,
            fix: None,
        }
    }

    pub(crate) fn at_key(self, pointer: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            mark: Mark::Key,
            ..self
        }
    }

    pub(crate) fn at_value(self, pointer: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            mark: Mark::Value,
            ..self
        }
    }

    pub(crate) fn at_bytes(self, pointer: impl Into<String>, bytes: Range<usize>) -> Self {
        Self {
            pointer: pointer.into(),
            exact: Some(bytes),
            ..self
        }
    }

    pub(crate) fn expected(self, expected: impl Into<String>) -> Self {
        Self {
            expected: Some(expected.into()),
            ..self
        }
    }

    pub(crate) fn found(self, found: impl Into<String>) -> Self {
        Self {
            found: Some(found.into()),
            ..self
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }

    /// A JSON value, or a key, to put in place of the one at fault.
    pub(crate) fn fix(self, value: Option<impl Into<serde_json::Value>>) -> Self {
        let fix = value.map(|value| value.into().to_string());
        Self { fix, ..self }
    }

    /// The message with its fix, for edits, which have no place in a text.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.message, self.help)
    }

    /// Looks the place up.
    pub(crate) fn locate(self, spans: &Spans, lines: &Lines) -> Diagnostic {
        let span = self
            .exact
            .clone()
            .unwrap_or_else(|| place(spans, &self.pointer, self.mark));
        let (line, column) = lines.position(span.start);
        // Only what really stands there can be replaced.
        let there = || spans.nearest(&self.pointer).1 && !span.is_empty();
        let fix = self.fix.filter(|_| there()).map(|text| Fix {
            span: span.clone(),
            text,
        });
        Diagnostic {
            severity: self.code.severity,
            code: self.code.id,
            message: self.message,
            pointer: self.pointer,
            line,
            column,
            span,
            expected: self.expected,
            found: self.found,
            help: self.help,
            fix,
        }
    }
}

/// The bytes of `pointer`, or of the key of the nearest thing around it.
pub(crate) fn place(spans: &Spans, pointer: &str, mark: Mark) -> Range<usize> {
    let (at, very) = spans.nearest(pointer);
    match spans.entries().get(at) {
        None => 0..0,
        Some(entry) if very && (mark == Mark::Value || entry.key.is_empty()) => entry.value.clone(),
        Some(entry) if entry.key.is_empty() => entry.value.start..(entry.value.start + 1).min(entry.value.end),
        Some(entry) => entry.key.clone(),
    }
}
