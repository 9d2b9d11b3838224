//! The graph language: parse, check, print.
//!
//! Pure on purpose: no file is opened, no tensor touched, no terminal written. The parser never fails;
//! it returns a [`Document`] and what is wrong with it, so an editor can open anything.
//!
//! Two types carry a graph. A [`Document`] is the author's text and what could be read of it: it keeps
//! every byte, also those that nobody here understands. A [`Checked`] is a graph that can run: only
//! [`check()`] makes one, so the engine never meets a missing port or a text where a number belongs.
//!
//! ```
//! let (document, found) = graph::parse(r#"{ "paragraph": 1, "nodes": { "a": { "type": "text/hello" } } }"#);
//! assert!(found.is_empty());
//! let wrong = graph::check(&document, &graph::catalog::Catalog::default()).unwrap_err();
//! assert_eq!(wrong[0].pointer, "/nodes/a/type");
//! ```

pub mod catalog;
pub mod check;
pub mod codes;
pub mod diagnostic;
pub mod document;
mod edit;
pub mod lines;
pub mod migrate;
mod params;
mod parse;
pub mod picture;
pub mod print;
mod reread;
mod resolve;
pub mod schema;
pub mod span;
mod splice;
mod suggest;

pub use catalog::Catalog;
pub use check::{Checked, CheckedInput, CheckedNode, Source, check, check_with};
pub use codes::Code;
pub use diagnostic::{Diagnostic, Fix, Severity};
pub use document::{Document, Link, Links, Node, TypeRef};
pub use edit::EditError;
pub use migrate::Migrations;
pub use parse::{FORMAT, parse};
pub use reread::difference;
pub use schema::schema;
pub use span::{Span, Spans};
pub use suggest::nearest;
