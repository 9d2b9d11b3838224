//! Runs of the past: one file each, with the graph, the numbers and the names of the files.

use crate::mirror::{Phase, Run, Series, Status};
use indexmap::IndexMap;
use protocol::Summary;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs that are kept on disk; the oldest go first.
const KEPT: usize = 500;

/// Runs that are read at a time.
const READ: usize = 100;

/// A run of the past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// When it was asked for, in milliseconds since 1970.
    pub began: u64,
    /// The graph's file.
    pub file: Option<PathBuf>,
    /// The graph as it was.
    pub graph: String,
    /// The nodes asked for; none: all.
    pub targets: Vec<String>,
    /// How it ended.
    pub phase: Phase,
    /// What came of it.
    pub summary: Option<Summary>,
    /// Why it did not begin, or broke off.
    pub trouble: Option<String>,
    /// What came of each node.
    pub nodes: IndexMap<String, Status>,
    /// Numbers over steps, by node and name.
    pub series: IndexMap<String, Series>,
    /// Files written, by node.
    pub files: Vec<(String, String)>,
}

impl Record {
    /// What is kept of a run.
    pub fn of(run: &Run) -> Self {
        Self {
            began: run.began,
            file: run.file.clone(),
            graph: run.graph.clone(),
            targets: run.targets.clone(),
            phase: run.phase,
            summary: run.summary.clone(),
            trouble: run.trouble.clone(),
            nodes: run.nodes.clone(),
            series: run.series.clone(),
            files: run.files.clone(),
        }
    }

    /// How it ended, in a few words.
    pub fn words(&self) -> String {
        match (&self.summary, &self.trouble) {
            (Some(summary), _) => crate::mirror::summary_text(summary),
            (None, Some(trouble)) => trouble.clone(),
            (None, None) => "ended".to_owned(),
        }
    }

    /// The pictures that it wrote.
    pub fn pictures(&self) -> impl Iterator<Item = &String> {
        let files = self.files.iter().map(|(_, file)| file);
        files.filter(|file| {
            let lower = file.to_lowercase();
            [".png", ".jpg", ".jpeg", ".webp"]
                .iter()
                .any(|end| lower.ends_with(end))
        })
    }
}

/// Writes a run to `folder`.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn keep(folder: &Path, record: &Record) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, record)?;
    file.flush()?;
    file.as_file().sync_all()?;
    file.persist(folder.join(format!("{}.json", record.began)))?;
    let names = names(folder);
    for old in names.iter().skip(KEPT) {
        std::fs::remove_file(folder.join(old))?;
        let began = old.strip_suffix(".json").and_then(|stem| stem.parse().ok());
        for nth in 0..PICTURES {
            let _ = began.map(|began| std::fs::remove_file(picture_file(folder, began, nth)));
        }
    }
    Ok(())
}

/// Pictures of a run that are kept, small: a later run may write over the files.
pub const PICTURES: usize = 6;

fn picture_file(folder: &Path, began: u64, nth: usize) -> PathBuf {
    folder.join(format!("{began}-{nth}.png"))
}

/// Keeps the `nth` picture of the run that began then.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn keep_picture(folder: &Path, began: u64, nth: usize, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(picture_file(folder, began, nth))?;
    Ok(())
}

/// The `nth` picture of the run that began then, if it was kept.
pub fn picture(folder: &Path, began: u64, nth: usize) -> Option<Vec<u8>> {
    std::fs::read(picture_file(folder, began, nth)).ok()
}

/// The runs of a graph in `folder`, newest first. Files that cannot be read are passed over.
pub fn list(folder: &Path, graph: Option<&Path>) -> Vec<Record> {
    let texts = names(folder)
        .into_iter()
        .filter_map(|name| std::fs::read_to_string(folder.join(name)).ok());
    let records = texts.filter_map(|text| serde_json::from_str::<Record>(&text).ok());
    records
        .filter(|record| record.file.as_deref() == graph)
        .take(READ)
        .collect()
}

/// Names of the files of runs, newest first.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.strip_suffix(".json")
                .is_some_and(|stem| stem.parse::<u64>().is_ok())
        })
        .collect();
    names.sort_by(|a, b| b.len().cmp(&a.len()).then(b.cmp(a)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back_newest_first_and_only_those_of_the_graph() {
        let folder = tempfile::tempdir().unwrap();
        for (began, file) in [(99, "a.json"), (100, "a.json"), (101, "b.json")] {
            let record = Record {
                began,
                file: Some(file.into()),
                nodes: IndexMap::from([("x".to_owned(), Status::Done { seconds: 1.0 })]),
                ..Record::default()
            };
            keep(folder.path(), &record).unwrap();
        }
        std::fs::write(folder.path().join("7.json"), "broken").unwrap();
        let found = list(folder.path(), Some(Path::new("a.json")));
        assert_eq!(found.iter().map(|record| record.began).collect::<Vec<_>>(), [100, 99]);
        assert_eq!(found[0].nodes["x"], Status::Done { seconds: 1.0 });
    }

    #[test]
    fn pictures_are_kept_as_long_as_their_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = |began| Record {
            began,
            ..Record::default()
        };
        keep(folder.path(), &run(1)).unwrap();
        keep_picture(folder.path(), 1, 0, b"a picture").unwrap();
        assert_eq!(picture(folder.path(), 1, 0).as_deref(), Some(&b"a picture"[..]));
        assert_eq!(picture(folder.path(), 1, 1), None);
        for began in 2..KEPT as u64 + 2 {
            let path = folder.path().join(format!("{began}.json"));
            std::fs::write(path, serde_json::to_vec(&run(began)).unwrap()).unwrap();
        }
        keep(folder.path(), &run(KEPT as u64 + 2)).unwrap();
        assert_eq!(picture(folder.path(), 1, 0), None);
    }
}
