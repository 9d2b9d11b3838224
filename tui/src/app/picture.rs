//! Graphs inside pictures, opened as if they were files.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The graph that a picture carries, with the file that it would have: beside the graph that made it, so that its paths
/// stay right; of a picture that was moved elsewhere, beside the picture. The name is one that no file has.
pub(super) fn open(path: &Path, bytes: &[u8]) -> Result<(PathBuf, String), String> {
    let mut document = graph::parse(&graph::picture::graph_in_png(bytes)?).0;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let home = document.top("made").and_then(|made| home(made, folder));
    let folder = home.unwrap_or_else(|| folder.to_owned());
    document.remove_top("made").map_err(|e| e.to_string())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names = std::iter::once(format!("{stem}.json")).chain((2..1000).map(|n| format!("{stem}_{n}.json")));
    let mut files = names.map(|name| folder.join(name)).filter(|file| !file.exists());
    let file = files.next().ok_or("there are graphs of all names that it could have")?;
    Ok((file, document.canonical()))
}

/// The folder of the graph that made a picture, if the picture still lies where it was made.
fn home(made: &Value, folder: &Path) -> Option<PathBuf> {
    let part = |key: &str| made.get(key).and_then(Value::as_str);
    let home = folder.join(part("base")?).canonicalize().ok()?;
    let back = home.join(part("place")?).canonicalize().ok()?;
    (back == folder.canonicalize().ok()?).then_some(home)
}
