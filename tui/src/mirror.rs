//! What the editor knows of runs: a mirror of the worker's events.

use crate::glyph::Mark;
use indexmap::IndexMap;
use protocol::Summary;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;

mod fingerprint;
mod hear;
mod series;
mod status;
mod words;

pub use fingerprint::{Prints, fingerprints};
pub use series::Series;
pub use status::Status;
pub use words::{seconds_text, summary_text};

/// Lines of log that are kept.
const LOG: usize = 100_000;

/// Pictures of a run that are kept in memory.
const SHOTS: usize = 64;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for others.
    #[default]
    Queued,
    /// It goes on.
    Running,
    /// It is over.
    Ended,
    /// The worker went away in the middle of it.
    Broken,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// The node that says it.
    pub node: Option<String>,
    /// How important it is.
    pub mark: Option<Mark>,
    /// What it says.
    pub text: String,
}

/// A picture that a node showed, or a file that it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// Number that no other picture has.
    pub key: u64,
    /// The node.
    pub node: String,
    /// A few words.
    pub title: String,
    /// The file, on the worker's machine; its picture is asked for when it is looked at.
    pub file: Option<String>,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The request that it answers.
    pub ask: u64,
    /// Counted from 1 in this session.
    pub number: usize,
    /// The tab that the graph was in.
    pub sheet: u64,
    /// The graph's file.
    pub file: Option<PathBuf>,
    /// The graph as it was.
    pub graph: String,
    /// The nodes asked for; none: all.
    pub targets: Vec<String>,
    /// How far it is.
    pub phase: Phase,
    /// When it was asked for, in milliseconds since 1970.
    pub began: u64,
    /// Nodes that have been heard of.
    pub nodes: IndexMap<String, Status>,
    /// Numbers over steps, by node and name.
    pub series: IndexMap<String, Series>,
    /// Pictures, oldest first.
    pub shots: Vec<Shot>,
    /// Files written, by node.
    pub files: Vec<(String, String)>,
    /// How many nodes belong to it.
    pub total: usize,
    /// What came of it.
    pub summary: Option<Summary>,
    /// Why it did not begin, or broke off.
    pub trouble: Option<String>,
    /// What each node depended on.
    pub fingerprints: HashMap<String, u64>,
    /// Keys of the results in the store, by node; empty for those that were not kept.
    pub keys: HashMap<String, String>,
    /// Frozen nodes that would give something else by now.
    pub older: HashSet<String>,
}

/// All runs of this session, and the log.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// Oldest first.
    pub runs: Vec<Run>,
    /// Oldest first.
    pub log: VecDeque<Line>,
    /// The tab that is seen.
    pub sheet: u64,
    shots: u64,
}

/// What a node shows of the last run that it was in.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown<'a> {
    /// Its sign.
    pub mark: Mark,
    /// What happened.
    pub status: &'a Status,
    /// The run.
    pub run: &'a Run,
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.ask == other.ask
    }
}

impl Mirror {
    /// The run that goes on, or the first that waits.
    pub fn current(&self) -> Option<&Run> {
        let phase = |wanted| self.runs.iter().find(|run| run.phase == wanted);
        phase(Phase::Running).or_else(|| phase(Phase::Queued))
    }

    /// Runs that wait or go on.
    pub fn open(&self) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(|run| matches!(run.phase, Phase::Queued | Phase::Running))
    }

    /// Runs of the graph that is open, newest first.
    pub fn here(&self) -> impl DoubleEndedIterator<Item = &Run> + Clone {
        self.runs.iter().rev().filter(|run| run.sheet == self.sheet)
    }

    /// The graph that is open has another file now: its runs go with it.
    pub fn moved(&mut self, file: Option<&PathBuf>) {
        for run in self.runs.iter_mut().filter(|run| run.sheet == self.sheet) {
            run.file = file.cloned();
        }
    }

    /// The run of a request.
    pub fn by_ask(&mut self, ask: u64) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.ask == ask)
    }

    /// What a node shows: of the newest run that heard of it. `now` is what it depends on today.
    pub fn shown(&self, node: &str, now: Option<u64>) -> Option<Shown<'_>> {
        for run in self.here() {
            let Some(status) = run.nodes.get(node) else {
                continue;
            };
            let stale = now.is_some() && run.fingerprints.get(node).copied() != now;
            let mark = match status {
                Status::Queued => Mark::Queued,
                Status::Waiting { .. } => Mark::Waiting,
                Status::Running { .. } => Mark::Running,
                Status::Failed { .. } if !stale => Mark::Failed,
                Status::Skipped { .. } if !stale => Mark::Skipped,
                Status::Cached if !stale => Mark::Cached,
                Status::Done { .. } | Status::Loaded { .. } if !stale => Mark::Done,
                _ => Mark::Stale,
            };
            return Some(Shown { mark, status, run });
        }
        None
    }

    /// Adds a line to the log.
    pub fn say(&mut self, time: u64, node: Option<&str>, mark: Option<Mark>, text: impl Into<String>) {
        for line in text.into().lines() {
            if self.log.len() == LOG {
                self.log.pop_front();
            }
            self.log.push_back(Line {
                time,
                node: node.map(str::to_owned),
                mark,
                text: line.to_owned(),
            });
        }
    }

    /// The worker went away: what ran is marked as failed.
    pub fn broken(&mut self, why: &str) {
        for run in &mut self.runs {
            if !matches!(run.phase, Phase::Queued | Phase::Running) {
                continue;
            }
            run.phase = Phase::Broken;
            run.trouble = Some(why.to_owned());
            for status in run.nodes.values_mut() {
                match status {
                    Status::Running { .. } => {
                        *status = Status::Failed {
                            message: why.to_owned(),
                            help: Some("run again: it goes on from what is in the store".to_owned()),
                        };
                    }
                    Status::Queued | Status::Waiting { .. } => *status = Status::Skipped { because: None },
                    _ => {}
                }
            }
        }
    }
}

impl Run {
    fn add_shot(&mut self, shot: Shot) {
        // Files stay; of samples the oldest go.
        if self.shots.len() >= SHOTS
            && let Some(at) = self.shots.iter().position(|shot| shot.file.is_none())
        {
            self.shots.remove(at);
        }
        self.shots.push(shot);
    }

    /// Nodes that have come to an end.
    pub fn ended(&self) -> usize {
        let over = |s: &&Status| !matches!(s, Status::Queued | Status::Waiting { .. } | Status::Running { .. });
        self.nodes.values().filter(over).count()
    }

    /// The node that runs, with what it does.
    pub fn running(&self) -> Option<(&str, &Status)> {
        self.nodes
            .iter()
            .find(|(_, status)| matches!(status, Status::Running { .. }))
            .map(|(node, status)| (node.as_str(), status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Event;

    fn mirror() -> Mirror {
        let mut mirror = Mirror::default();
        mirror.runs.push(Run {
            ask: 7,
            ..Run::default()
        });
        mirror
    }

    fn step(mirror: &mut Mirror, done: u64, now: u64) {
        let event = Event::Progress {
            node: "a".to_owned(),
            done,
            total: 100,
            note: String::new(),
        };
        mirror.hear(7, event, now);
    }

    #[test]
    fn rates_and_remaining_time_follow_progress() {
        let mut mirror = mirror();
        step(&mut mirror, 0, 1000);
        step(&mut mirror, 10, 2000);
        let (_, status) = mirror.runs[0].running().unwrap();
        assert_eq!(status.share(), Some(0.1));
        assert_eq!(status.eta(), Some(9.0));
    }

    #[test]
    fn a_broken_worker_fails_what_ran() {
        let mut mirror = mirror();
        step(&mut mirror, 1, 0);
        mirror.broken("killed by signal 9");
        let shown = mirror.shown("a", None).unwrap();
        assert_eq!(shown.mark, Mark::Failed);
        assert_eq!(shown.run.phase, Phase::Broken);
    }

    #[test]
    fn a_node_whose_past_changed_is_stale() {
        let mut mirror = mirror();
        mirror.runs[0].fingerprints.insert("a".to_owned(), 1);
        mirror.hear(
            7,
            Event::Cached {
                node: "a".to_owned(),
                files: vec!["x.png".to_owned()],
                key: String::new(),
                frozen: false,
            },
            0,
        );
        assert_eq!(mirror.shown("a", Some(1)).unwrap().mark, Mark::Cached);
        assert_eq!(mirror.shown("a", Some(2)).unwrap().mark, Mark::Stale);
        assert_eq!(mirror.runs[0].shots[0].title, "x.png");
    }
}
