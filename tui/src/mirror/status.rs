//! How far a node is.

use serde::{Deserialize, Serialize};

/// How far a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Status {
    /// It will run.
    #[default]
    Queued,
    /// It waits.
    Waiting {
        /// For what.
        why: String,
    },
    /// It runs.
    Running {
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// A few words.
        note: String,
        /// When it began, in milliseconds since 1970.
        since: u64,
        /// Units a second, lately.
        rate: f64,
        /// When `rate` was measured last, and what was done by then.
        #[serde(skip)]
        measured: (u64, u64),
    },
    /// It ran.
    Done {
        /// How long.
        seconds: f64,
    },
    /// Its results were there.
    Cached,
    /// A model that was loaded.
    Loaded {
        /// How long it took.
        seconds: f64,
    },
    /// It failed.
    Failed {
        /// Why.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// It was not run.
    Skipped {
        /// The node that failed above it.
        because: Option<String>,
    },
}

impl Status {
    /// Seconds until the end, as far as can be told.
    pub fn eta(&self) -> Option<f64> {
        match self {
            Self::Running { done, total, rate, .. } if *rate > 0.0 && total > done => {
                Some((total - done) as f64 / rate)
            }
            _ => None,
        }
    }

    /// How much of it is done, from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        match self {
            Self::Running { done, total, .. } if *total > 0 => Some(*done as f64 / *total as f64),
            _ => None,
        }
    }

    /// It begins.
    pub(super) fn running(now: u64) -> Self {
        Self::Running {
            done: 0,
            total: 0,
            note: String::new(),
            since: now,
            rate: 0.0,
            measured: (now, 0),
        }
    }
}

/// Takes note of how far a node is that runs.
pub(super) fn progress(status: &mut Status, now_done: u64, of: u64, words: String, now: u64) {
    if let Status::Running {
        done,
        total,
        note,
        rate,
        measured,
        ..
    } = status
    {
        let (at, before) = *measured;
        // A rate over half a second at least, so that it can be read.
        if now > at + 500 && now_done > before {
            let fresh = (now_done - before) as f64 * 1000.0 / (now - at) as f64;
            *rate = if *rate > 0.0 { 0.5 * (*rate + fresh) } else { fresh };
            *measured = (now, now_done);
        }
        (*done, *total, *note) = (now_done, of, words);
    }
}
