//! The graph language: parse, check, print.
//!
//! Pure on purpose: no file is opened, no tensor touched, no terminal written. The parser never fails;
//! it returns a [`Document`](document::Document) and what is wrong with it, so an editor can open anything.

pub mod catalog;
