//! Nodes: sample.
