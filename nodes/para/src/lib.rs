//! Nodes: para.
