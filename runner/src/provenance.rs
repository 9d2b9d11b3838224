//! Graphs inside pictures: what a PNG says about how it was made, and reading it back.

use crate::resolve::{Steps, absolute};
use crate::share::lock::{Lock, Locks};
pub use graph::picture::graph_in_png;
use serde_json::{Map, Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The graph that runs, for the files it writes.
pub struct Provenance {
    text: Arc<str>,
    folder: Arc<Path>,
    /// Made for the first node that writes files.
    locks: OnceLock<Locks>,
}

/// What one node may write into its files.
#[derive(Clone)]
pub struct Made {
    graph: Arc<str>,
    folder: Arc<Path>,
    lock: Option<Arc<Lock>>,
}

impl Provenance {
    /// The graph's text as it runs (with `--set`), and its folder.
    pub fn new(text: &str, folder: &Path) -> Self {
        Self {
            text: text.into(),
            folder: folder.into(),
            locks: OnceLock::new(),
        }
    }

    /// What node `index` may say: the files and node packs that everything above it used.
    pub(crate) fn of(&self, steps: &Steps<'_>, index: usize) -> Made {
        // Only nodes that write files ask for it.
        let writes = steps.kind(index) == graph::catalog::NodeKind::Effect;
        let locks = || {
            self.locks
                .get_or_init(|| Locks::new(steps, steps.session.registry.home()))
        };
        Made {
            graph: self.text.clone(),
            folder: self.folder.clone(),
            lock: writes.then(|| Arc::new(locks().of(steps, index))),
        }
    }
}

impl Made {
    /// The graph with a `made` entry: where the graph's folder lies seen from `folder`, and the lock of what was used.
    pub fn text(&self, folder: &Path) -> String {
        let Ok(Json::Object(mut graph)) = serde_json::from_str::<Json>(&self.graph) else {
            return self.graph.to_string();
        };
        let mut made = Map::new();
        made.insert("para".into(), env!("CARGO_PKG_VERSION").into());
        if let (Some(base), Some(place)) = (relative(folder, &self.folder), relative(&self.folder, folder)) {
            made.insert("base".into(), base.into());
            made.insert("place".into(), place.into());
        }
        if let Some(lock) = &self.lock {
            made.insert("lock".into(), json!(**lock));
        }
        graph.insert("made".into(), Json::Object(made));
        Json::Object(graph).to_string()
    }
}

/// The folder that a picture's graph was in, seen from the folder where the picture lies now; none when the
/// picture was moved elsewhere, where following the way back would lead to a stranger's folder.
pub fn graph_folder(made: &Json, folder: &Path) -> Option<PathBuf> {
    let part = |key: &str| made.get(key).and_then(Json::as_str);
    let home = absolute(folder, part("base")?);
    (absolute(&home, part("place")?) == folder).then_some(home)
}

/// The way from one folder to another; none when they share no root.
fn relative(from: &Path, to: &Path) -> Option<String> {
    let (from, to) = (std::path::absolute(from).ok()?, std::path::absolute(to).ok()?);
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    if shared == 0 {
        return None;
    }
    let up = std::iter::repeat_n("..".to_owned(), from.components().count() - shared);
    let down = to
        .components()
        .skip(shared)
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let way: Vec<String> = up.chain(down).collect();
    Some(if way.is_empty() { ".".into() } else { way.join("/") })
}

/// Whether a file's bytes carry our mark, so that it may be written over though this store never saw it.
pub fn is_ours(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\x89PNG") {
        return graph_in_png(bytes).is_ok();
    }
    let header = bytes.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let header = header.and_then(|n| bytes.get(8..8usize.checked_add(usize::try_from(n).ok()?)?));
    let header = header.and_then(|json| serde_json::from_slice::<Json>(json).ok());
    let metadata = header
        .as_ref()
        .and_then(|header| header.get("__metadata__")?.as_object());
    metadata.is_some_and(|entries| entries.keys().any(|key| key.starts_with("para.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_picture_does_not_lead_back() {
        let made = json!({"base": "..", "place": "out"});
        assert_eq!(
            graph_folder(&made, Path::new("/a/graphs/out")),
            Some("/a/graphs".into())
        );
        assert_eq!(graph_folder(&made, Path::new("/else/where")), None);
        let made = json!({"base": "../../graphs", "place": "../x/y"});
        assert_eq!(graph_folder(&made, Path::new("/a/x/y")), Some("/a/graphs".into()));
    }

    #[test]
    fn the_way_from_one_folder_to_another() {
        assert_eq!(
            relative(Path::new("/a/graphs/out"), Path::new("/a/graphs")).unwrap(),
            ".."
        );
        assert_eq!(relative(Path::new("/a/x"), Path::new("/a/y/z")).unwrap(), "../y/z");
        assert_eq!(relative(Path::new("/a"), Path::new("/a")).unwrap(), ".");
    }
}
