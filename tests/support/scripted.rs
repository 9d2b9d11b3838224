//! A worker that says what a test wants, so that the editor can be looked at alone.

use super::workspace::Workspace;
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Node types of graphs that need no engine.
const CATALOGUE: &str = r#"[{"name":"test/node","version":1,"kind":"step","doc":"A node.",
    "inputs":[{"name":"in","type":"model","optional":true,"variadic":true,"doc":"In"}],
    "outputs":[{"name":"out","type":"model","doc":"Out"}],"params":[],"plugin":"test"}]"#;

/// Rows of ten nodes of that type.
pub(crate) fn graph(count: usize) -> String {
    super::rows::graph(count, |_| String::new())
}

/// Writes a program that answers as a worker does and, when a run is asked for, tells these events and goes silent. With a
/// pause (seconds, after every ten) they come at a pace.
pub(crate) fn worker(workspace: &Workspace, events: &[Json], pause: Option<&str>) -> PathBuf {
    let mut said = String::new();
    for event in events {
        let mut line = json!({ "id": 0, "reply": "event" });
        line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        writeln!(said, "{line}").unwrap();
    }
    let catalogue: Json = serde_json::from_str(CATALOGUE).unwrap();
    let catalogue = json!({ "id": 0, "reply": "catalogue", "nodes": catalogue, "plugins": [], "refused": [] });
    let hello = json!({ "id": 0, "reply": "hello", "version": protocol::VERSION, "para": "0.1.0", "pid": 1, "folder": "/",
        "store": "/", "cores": 2, "memory": 1_000_000_000 });
    let accepted = json!({ "id": 0, "reply": "accepted", "ahead": 0, "diagnostics": [] });
    let file = |name: &str, text: &str| {
        let file = workspace.path(name);
        std::fs::write(&file, text).unwrap();
        file.to_string_lossy().into_owned()
    };
    let (said, catalogue) = (file("events", &said), file("catalogue", &format!("{catalogue}\n")));
    let pace = pause.map_or("cat".to_owned(), |pause| {
        format!("{{ n=0; while IFS= read -r l; do printf '%s\\n' \"$l\"; n=$((n + 1)); [ $((n % 10)) -ne 0 ] || sleep {pause}; done; }}")
    });
    let program = format!(
        r#"#!/bin/sh
while IFS= read -r line; do
  id=${{line#*\"id\":}}
  id=${{id%%[,\}}]*}}
  of() {{ sed "s/\"id\":0/\"id\":$id/" "$@"; }}
  case $line in
  *'"ask":"hello"'*) echo '{hello}' | of ;;
  *'"ask":"catalogue"'*) of {catalogue} ;;
  *'"ask":"run"'*) echo '{accepted}' | of; of {said} | {pace} & ;;
  *'"ask":"quit"'*) exit 0 ;;
  *) echo '{{"id":0,"reply":"noted","nodes":[]}}' | of ;;
  esac
done
"#
    );
    let path = workspace.path("scripted");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A tick of progress.
pub(crate) fn progress(node: &str, done: usize, total: usize) -> Json {
    json!({ "event": "progress", "node": node, "done": done, "total": total, "note": "at work" })
}
