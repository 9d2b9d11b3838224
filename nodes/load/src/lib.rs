//! Nodes: load.
