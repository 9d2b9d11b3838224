//! Nodes: lora.
