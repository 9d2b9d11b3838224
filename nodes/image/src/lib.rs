//! Nodes: image.
