//! What the end of one node means for the others.

use super::{Run, Standing};
use crate::memory::AtHand;
use crate::store::Record;
use graph::catalog::NodeKind;
use protocol::Event;
use sdk::Value;
use serde_json::Value as Json;
use std::sync::PoisonError;

/// What a node gave, while somebody in this run needs it.
pub(super) struct Held {
    pub(super) values: Vec<Value>,
    /// Its part of the memory; models are counted where they are shared.
    _room: Option<AtHand>,
}

impl Run<'_> {
    pub(super) fn is_quick(&self, index: usize) -> bool {
        let session = self.steps.session;
        self.steps.kind(index) == NodeKind::Step && session.pace.is_quick(&self.steps.checked.nodes[index].ty)
    }

    /// A node could not do its work.
    pub(super) fn failed(&mut self, index: usize, message: String, help: Option<String>) {
        self.summary.failed += 1;
        let node = self.id(index);
        let ty = self.steps.checked.nodes[index].ty.name.clone();
        self.control.sink.event(Event::Failed {
            node: node.clone(),
            ty,
            message,
            help,
        });
        self.lose(index, &node);
    }

    /// Everything below a failed node is lost; its siblings go on.
    fn lose(&mut self, index: usize, because: &str) {
        self.standing[index] = Standing::Lost;
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            let below: Vec<usize> = self.consumers[index]
                .iter()
                .chain(&self.waiters[index])
                .copied()
                .collect();
            for node in below {
                if matches!(self.standing[node], Standing::Waiting | Standing::Due) {
                    self.standing[node] = Standing::Lost;
                    self.summary.skipped += 1;
                    let because = Some(because.to_owned());
                    self.control.sink.event(Event::Skipped {
                        node: self.id(node),
                        because,
                    });
                    open.push(node);
                }
            }
        }
    }

    pub(super) fn count_skipped(&mut self) {
        for &index in &self.steps.checked.order {
            let open = matches!(self.standing[index], Standing::Waiting | Standing::Due);
            if self.steps.wanted[index] && open {
                self.summary.skipped += 1;
                self.control.sink.event(Event::Skipped {
                    node: self.id(index),
                    because: None,
                });
            }
        }
    }

    /// What a node gave stays at hand for those below it if there is room; else they read it from the store.
    pub(super) fn hold(&self, values: Vec<Value>, record: &Record) -> Option<Held> {
        let stored: Option<u64> = record.outputs.iter().map(|output| output.size).sum();
        let room = match stored {
            Some(bytes) => Some(self.steps.session.memory.at_hand(bytes)?),
            None => None,
        };
        Some(Held { values, _room: room })
    }

    /// A node is done with its inputs; values that nobody else needs leave memory.
    pub(super) fn release_inputs(&mut self, index: usize) {
        let mut sources: Vec<usize> = self.sources(index).collect();
        sources.sort_unstable();
        sources.dedup();
        for source in sources {
            self.uses[source] = self.uses[source].saturating_sub(1);
            if self.uses[source] == 0 && self.values[source].take().is_some() {
                self.forget_model(source);
            }
        }
    }

    /// Nobody in this run needs a model any more.
    pub(super) fn forget_model(&self, index: usize) {
        if self.steps.kind(index) == NodeKind::Lazy
            && let Some(key) = &self.keys[index]
        {
            self.steps.session.memory.release(key);
        }
    }

    /// A node was ended early: its result is that of another value of a parameter, and is kept under that.
    pub(super) fn remember_elsewhere(&self, index: usize, param: String, value: Json, record: &Record) {
        let Some(step) = self.steps.step(index) else { return };
        let mut params = step.params.clone();
        params.insert(param, value);
        let content = |node: usize, output: usize| self.contents[node].get(output).map(String::as_str);
        if let Some(key) = self.steps.key_with(index, &params, content) {
            // Losing it costs time only.
            let _ = self.steps.session.store.remember(&key, record, true);
        }
    }

    /// The files of a saver that is not executed are claimed like those of one that is; gives the other claimant.
    pub(super) fn claim(&self, index: usize, files: &[String]) -> Option<String> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let node = self.id(index);
        let mut claim = |file: &String| claims.entry(file.into()).or_insert_with(|| node.clone()).clone();
        files.iter().map(&mut claim).find(|claimant| *claimant != node)
    }

    /// The files that a node wrote, if writing files is its work.
    pub(super) fn written(&self, index: usize, record: &Record) -> Vec<String> {
        if self.steps.kind(index) != NodeKind::Effect {
            return Vec::new();
        }
        let files = self.steps.files(record).unwrap_or_default();
        files
            .into_iter()
            .map(|entry| entry.path.to_string_lossy().into_owned())
            .collect()
    }
}
