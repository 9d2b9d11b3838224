//! Nodes: adapter.
