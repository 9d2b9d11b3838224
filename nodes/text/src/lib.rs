//! Nodes: text.
