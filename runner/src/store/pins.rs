//! Results that frozen nodes stand on: they stay, whatever the store's budget is, while a graph says so.
//!
//! `pins/KEY` names the graphs, one path a line, that had the key when they were last looked at. A pin holds while one of
//! them has it, and for some time after it was last asked for: a graph may not be saved yet, be moved, or be on a disk
//! that is away.

use super::{FRESH, Record, Store};
use crate::failure::Result;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long a pin holds when none of its graphs has the key: one of them may not be saved.
const UNSAVED: Duration = Duration::from_secs(24 * 3600);
/// How long it holds when some of them cannot be read.
const UNSEEN: Duration = Duration::from_secs(90 * 24 * 3600);

impl Store {
    /// A frozen node of a graph stands on the result of this step. Failures are not reported: the result is only less safe.
    pub fn pin(&self, key: &str, graph: Option<&Path>) {
        let path = self.path("pins", key);
        let before = fs::read_to_string(&path).unwrap_or_default();
        let graph = graph.and_then(Path::to_str).filter(|graph| !graph.contains('\n'));
        let named = graph.is_none_or(|graph| before.lines().any(|line| line == graph));
        let age = fs::metadata(&path).and_then(|found| found.modified());
        let fresh = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < FRESH));
        if named && fresh {
            return;
        }
        let _ = self.settle(key);
        let graphs = before.lines().chain(graph.filter(|_| !named));
        let text: String = graphs.flat_map(|line| [line, "\n"]).collect();
        let _ = sdk::atomic::write(&path, text.as_bytes());
    }

    /// Writes what a quick step gave into files of its own: what is kept together goes together.
    fn settle(&self, key: &str) -> Result<()> {
        let quick = self.quick.get(key);
        let Some(record) = quick.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok()) else {
            return Ok(());
        };
        for bytes in record
            .outputs
            .iter()
            .filter_map(|output| self.quick.get(&output.content))
        {
            self.keep(&bytes)?;
        }
        self.remember(key, &record, true)
    }

    /// Keys of the results that stay. Pins that hold no more are removed.
    pub(super) fn pinned(&self) -> HashSet<String> {
        let mut pinned = HashSet::new();
        for item in self
            .items("pins")
            .into_iter()
            .filter(|item| !item.name.starts_with('.'))
        {
            let graphs = fs::read_to_string(&item.path).unwrap_or_default();
            let found: Vec<Option<bool>> = graphs.lines().map(|graph| has(Path::new(graph), &item.name)).collect();
            let away = found.is_empty() || found.contains(&None);
            let hold = if away { UNSEEN } else { UNSAVED };
            if found.contains(&Some(true)) || item.age() < hold {
                pinned.insert(item.name);
            } else {
                let _ = fs::remove_file(&item.path);
            }
        }
        pinned
    }
}

/// Whether a graph has a key; none when that cannot be told.
fn has(graph: &Path, key: &str) -> Option<bool> {
    let text = fs::read(graph).ok()?;
    // In a picture it may be compressed.
    let plain = !text.starts_with(b"\x89PNG");
    plain.then(|| text.windows(key.len()).any(|part| part == key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Output;
    use std::time::SystemTime;

    fn record(store: &Store, name: u8, quick: bool) -> String {
        let (key, value) = (format!("{name:02x}").repeat(32), [name; 3000]);
        let record = Record {
            ty: "t/n".into(),
            outputs: vec![Output {
                port: "out".into(),
                ty: "text".into(),
                content: blake3::hash(&value).to_hex().to_string(),
                size: Some(3000),
            }],
        };
        if quick {
            store.remember_quick(&key, &record, &[value.to_vec()]).unwrap();
            store.flush().unwrap();
        } else {
            store.keep(&value).unwrap();
            store.remember(&key, &record, true).unwrap();
        }
        key
    }

    fn asked(store: &Store, key: &str, days: u64) {
        let file = fs::File::options().append(true).open(store.path("pins", key)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600))
            .unwrap();
    }

    #[test]
    fn what_frozen_nodes_stand_on_stays_while_a_graph_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let (graph, moved) = (folder.path().join("g.json"), folder.path().join("moved.json"));
        let [kept, quick, away, unfrozen, other] = [1, 2, 3, 4, 5].map(|name| record(&store, name, name == 2));
        fs::write(&graph, format!("{{\"frozen\": \"{kept}\", \"frozen\": \"{quick}\"}}")).unwrap();
        for key in [&kept, &quick, &unfrozen] {
            store.pin(key, Some(&graph));
        }
        store.pin(&away, Some(&moved));
        store.pin(&away, None);
        for key in [&kept, &quick, &away, &unfrozen] {
            asked(&store, key, 2);
        }
        let there = |keys: [&String; 5]| keys.map(|key| store.record(key).is_some());
        store.gc(0).unwrap();
        let all = [&kept, &quick, &away, &unfrozen, &other];
        assert_eq!(there(all), [true, true, true, false, false]);
        // Asked for again: pinned again. Too long ago: gone. Without a graph's name it is a matter of time alone.
        asked(&store, &away, 100);
        store.pin(&away, None);
        store.gc(0).unwrap();
        assert!(store.record(&away).is_some());
        asked(&store, &away, 100);
        store.gc(0).unwrap();
        assert_eq!(there(all), [true, true, false, false, false]);

        let unpinned = record(&store, 6, false);
        let cleared = store.clear(false).unwrap();
        assert_eq!(
            (cleared.steps, cleared.values, cleared.frozen),
            (1, 1, 2),
            "{cleared:?}"
        );
        assert_eq!(
            there([&kept, &quick, &away, &unfrozen, &unpinned]),
            [true, true, false, false, false]
        );
        assert_eq!(store.clear(true).unwrap().frozen, 0);
        assert_eq!(there(all), [false; 5]);
    }
}
