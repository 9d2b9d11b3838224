//! A catalogue to test with, and the example of the design.

use graph::catalog::{Catalog, NodeType};
use serde_json::{Value, json};

/// Node types with every kind of port and parameter.
pub(crate) fn catalog() -> Catalog {
    let seed = json!({ "name": "seed", "type": "integer", "default": 0, "min": 0 });
    let types = json!([
        { "name": "load/model", "kind": "lazy",
          "outputs": [{ "name": "model", "type": "model" }, { "name": "text", "type": "text" }, { "name": "vae", "type": "vae" }],
          "params": [{ "name": "path", "type": "path" },
                     { "name": "precision", "type": "choice", "choices": ["auto", "f32", "f16", "bf16"], "default": "auto" }] },
        { "name": "load/images", "outputs": [{ "name": "images", "type": "images" }], "params": [{ "name": "path", "type": "path" }] },
        { "name": "text/encode", "inputs": [{ "name": "text", "type": "text" }], "outputs": [{ "name": "conditioning", "type": "conditioning" }],
          "params": [{ "name": "prompt", "type": "string" }, { "name": "negative", "type": "string", "nullable": true, "default": null }] },
        { "name": "para/train", "version": 2,
          "inputs": [{ "name": "model", "type": "model" }, { "name": "text", "type": "text" }, { "name": "vae", "type": "vae" },
                     { "name": "images", "type": "images", "doc": "Pictures of the subject." }],
          "outputs": [{ "name": "adapter", "type": "adapter" }, { "name": "losses", "type": "table" }],
          "params": [{ "name": "prompt", "type": "string", "doc": "What the pictures show." },
                     { "name": "rank", "type": "integer", "default": 4, "min": 1, "max": 1024 },
                     { "name": "steps", "type": "integer", "default": 200, "min": 1 },
                     { "name": "lr", "type": "number", "default": 1e-3, "min": 0 },
                     { "name": "subset", "type": "choice", "choices": ["ExCA", "ExSA", "SAO"], "default": "ExCA" },
                     { "name": "resume", "type": "boolean", "default": true }, seed] },
        { "name": "para/combine", "inputs": [{ "name": "model", "type": "model" }, { "name": "adapters", "type": "adapter", "variadic": true }],
          "outputs": [{ "name": "adapter", "type": "adapter" }, { "name": "report", "type": "table" }],
          "params": [{ "name": "mode", "type": "choice", "choices": ["merge", "sequential"], "default": "merge" }] },
        { "name": "para/apply", "kind": "lazy",
          "inputs": [{ "name": "model", "type": "model" }, { "name": "adapters", "type": "adapter", "variadic": true }],
          "outputs": [{ "name": "model", "type": "model" }],
          "params": [{ "name": "strength", "type": "number", "default": 1, "min": 0, "max": 1 }] },
        { "name": "sample/ddim",
          "inputs": [{ "name": "model", "type": "model" }, { "name": "conditioning", "type": "conditioning" },
                     { "name": "latent", "type": "latent", "optional": true }],
          "outputs": [{ "name": "latent", "type": "latent" }],
          "params": [{ "name": "guidance", "type": "number", "default": 7.5 }, seed] },
        { "name": "vae/decode", "inputs": [{ "name": "vae", "type": "vae" }, { "name": "latent", "type": "latent" }],
          "outputs": [{ "name": "images", "type": "images" }] },
        { "name": "image/grid", "inputs": [{ "name": "images", "type": "images", "variadic": true }], "outputs": [{ "name": "images", "type": "images" }],
          "params": [{ "name": "labels", "type": "strings", "default": [] }, { "name": "columns", "type": "integer", "nullable": true, "default": null }] },
        { "name": "image/save", "kind": "effect", "inputs": [{ "name": "images", "type": "images", "variadic": true }],
          "params": [{ "name": "directory", "type": "output_path", "default": "out" }] },
        { "name": "test/pass", "inputs": [{ "name": "in", "type": "any", "variadic": true, "optional": true }], "outputs": [{ "name": "out", "type": "any" }] }
    ]);
    let mut catalog = Catalog::default();
    for ty in types.as_array().unwrap() {
        let ty: NodeType = serde_json::from_value::<NodeType>(Value::clone(ty)).unwrap();
        assert!(catalog.insert(ty).is_none());
    }
    catalog
}

/// Two subjects, learnt, combined, sampled, saved; laid out by hand.
pub(crate) const EXAMPLE: &str = r#"{ "paragraph": 1, "title": "Two subjects, one picture",
  "nodes": {
    "both":  { "type": "para/combine", "inputs": { "model": "base.model", "adapters": ["bear.adapter", "can.adapter"] }, "params": { "mode": "merge" } },
    "base":  { "type": "load/model",  "params": { "path": "assets/emoji-xl" } },
    "bears": { "type": "load/images", "params": { "path": "assets/subjects/teddy_bear" } },
    "bear":  { "type": "para/train",  "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "bears.images" },
               "params": { "prompt": "a photo of a sks teddy bear", "rank": 4, "lr": 1e-3, "seed": 1 } },
    "can":   { "type": "para/train@2",  "inputs": { "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "bears.images" },
               "params": { "prompt": "a can", "lr": 1 } },
    "with":  { "type": "para/apply", "inputs": { "model": "base.model", "adapters": "both.adapter" } },
    "words": { "type": "text/encode", "inputs": { "text": "base.text" }, "params": { "prompt": "both on a beach" } },
    "ddim":  { "type": "sample/ddim", "inputs": { "model": "with.model", "conditioning": "words.conditioning" } },
    "see":   { "type": "vae/decode", "inputs": { "vae": "base.vae", "latent": "ddim.latent" } },
    "save":  { "type": "image/save", "inputs": { "images": ["see.images", "see.images"] } }
  },
  "layout": { "base": [0, 0] } }
"#;

/// A graph text around these nodes, `nodes` beginning in line 2.
pub(crate) fn file(nodes: &str) -> String {
    format!("{{ \"paragraph\": 1, \"nodes\": {{\n{nodes}\n}} }}")
}
