//! One execution of one node: inputs from memory or the store, the node's code, outputs into the store.

use super::Sink;
use crate::host::Loaded;
use crate::panic;
use crate::resolve::{Session, Step};
use crate::store::{Output, Record};
use crate::{key, provenance};
use graph::catalog::NodeKind;
use protocol::Event;
use sdk::{Context, Host, Inputs, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A value for an input port, with the step it comes from.
pub(super) enum Given<'a> {
    Memory(Value, &'a Step),
    Stored {
        content: String,
        source: &'a Step,
        output: usize,
    },
}

pub(super) struct Task<'a> {
    pub(super) index: usize,
    pub(super) id: &'a str,
    pub(super) step: &'a Step,
    pub(super) key: String,
    pub(super) inputs: Vec<(&'a str, Vec<Given<'a>>)>,
    pub(super) session: &'a Session,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    pub(super) provenance: provenance::Made,
}

pub(super) struct Outcome {
    pub(super) index: usize,
    pub(super) seconds: f64,
    pub(super) result: Result<Done, TaskError>,
}

pub(super) struct Done {
    pub(super) values: Vec<Value>,
    pub(super) record: Record,
}

pub(super) enum TaskError {
    Failed { message: String, help: Option<String> },
    Cancelled,
    Damaged(String),
}

impl From<sdk::Error> for TaskError {
    fn from(error: sdk::Error) -> Self {
        if error.is_cancelled() {
            return Self::Cancelled;
        }
        Self::Failed {
            message: error.message().to_owned(),
            help: error.help_text().map(str::to_owned),
        }
    }
}

impl From<crate::failure::Failure> for TaskError {
    fn from(failure: crate::failure::Failure) -> Self {
        Self::Failed {
            message: failure.message,
            help: failure.help,
        }
    }
}

impl Task<'_> {
    pub(super) fn run(self) -> Outcome {
        let started = Instant::now();
        let index = self.index;
        // A task that was queued when the user stopped the run does not begin.
        let result = if self.cancel.load(Ordering::Relaxed) {
            Err(TaskError::Cancelled)
        } else {
            self.perform()
        };
        Outcome {
            index,
            seconds: started.elapsed().as_secs_f64(),
            result,
        }
    }

    fn perform(self) -> Result<Done, TaskError> {
        let Session { registry, store, .. } = self.session;
        let code = registry.load(&self.step.implementation, store)?;
        let ty = self.step.implementation.ty.clone();
        let lazy = ty.kind == NodeKind::Lazy;
        if !lazy {
            self.sink.event(Event::Started {
                node: self.id.to_owned(),
                ty: ty.name.clone(),
            });
        }
        let mut inputs = Inputs::default();
        for (port, given) in &self.inputs {
            let values: Result<Vec<Value>, TaskError> = given.iter().map(|given| self.value(port, given)).collect();
            inputs.push(*port, values?);
        }
        let host = Arc::new(NodeHost {
            node: self.id.to_owned(),
            key: self.key.clone(),
            store: store.clone(),
            cancel: self.cancel.clone(),
            sink: self.sink.clone(),
            claims: self.claims.clone(),
            provenance: self.provenance.clone(),
        });
        let context = Context::new(host);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut node = code.make();
            node.run(&context, &inputs, &self.step.params)
        }));
        let values = match ran {
            Ok(values) => values?,
            Err(payload) => {
                return Err(TaskError::Failed {
                    message: format!("the node panicked: {}", panic::describe(payload)),
                    help: Some(format!(
                        "this is a bug in the node crate {}",
                        self.step.implementation.plugin.name
                    )),
                });
            }
        };
        self.keep(&code, values, lazy)
    }

    fn value(&self, port: &str, given: &Given<'_>) -> Result<Value, TaskError> {
        let (value, source) = match given {
            Given::Memory(value, source) => (value.clone(), *source),
            Given::Stored {
                content,
                source,
                output,
            } => {
                let code = self
                    .session
                    .registry
                    .load(&source.implementation, &self.session.store)?;
                let bytes = self
                    .session
                    .store
                    .read(content)
                    .map_err(|damaged| TaskError::Damaged(damaged.content))?;
                let info = code
                    .outputs()
                    .get(*output)
                    .ok_or_else(|| TaskError::Damaged(content.clone()))?;
                // Bytes with the right hash that do not decode were written by a faulty `encode`.
                let value = info
                    .decode(&bytes)
                    .map_err(|e| e.context(format_args!("stored value for input `{port}`")))?;
                (value, *source)
            }
        };
        let (theirs, ours) = (&source.implementation.plugin, &self.step.implementation.plugin);
        if !value.info().is_shared() && theirs.build != ours.build {
            return Err(TaskError::Failed {
                message: format!(
                    "input `{port}` holds a {}, which is private to the node crate {} and cannot be read by {}",
                    (value.info().type_name)(),
                    theirs.name,
                    ours.name
                ),
                help: Some("pass a type of sdk or diffusion between node crates".into()),
            });
        }
        Ok(value)
    }

    /// Writes the outputs to the store, then the record that says so.
    fn keep(&self, code: &Loaded, values: Vec<Value>, lazy: bool) -> Result<Done, TaskError> {
        let store = &self.session.store;
        let ty = &self.step.implementation.ty;
        if values.len() != ty.outputs.len() || values.len() != code.outputs().len() {
            let message = format!("it gave {} outputs and declares {}", values.len(), ty.outputs.len());
            return Err(TaskError::Failed { message, help: None });
        }
        let mut outputs = Vec::with_capacity(values.len());
        let mut all_stored = true;
        for (value, port) in values.iter().zip(&ty.outputs) {
            let bytes = if lazy { None } else { value.encode()? };
            all_stored &= bytes.is_some();
            let (content, size) = match bytes {
                Some(bytes) => (store.keep(&bytes)?, Some(bytes.len() as u64)),
                None => (key::memory_output(&self.key, &port.name), None),
            };
            outputs.push(Output {
                port: port.name.clone(),
                ty: port.ty.clone(),
                content,
                size,
            });
        }
        let record = Record {
            ty: ty.name.clone(),
            outputs,
        };
        if all_stored || lazy {
            store.remember(&self.key, &record, !lazy)?;
        }
        store.drop_scratch(&self.key);
        Ok(Done { values, record })
    }
}

/// The engine as one running node sees it.
struct NodeHost {
    node: String,
    key: String,
    store: crate::store::Store,
    cancel: Arc<AtomicBool>,
    sink: Arc<dyn Sink>,
    claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    provenance: provenance::Made,
}

impl Host for NodeHost {
    fn event(&self, event: sdk::Event) {
        let node = self.node.clone();
        self.sink.event(match event {
            sdk::Event::Progress { done, total, note } => Event::Progress {
                node,
                done,
                total,
                note,
            },
            sdk::Event::Metric { name, step, value } => Event::Metric {
                node,
                name,
                step,
                value: value.is_finite().then_some(value),
            },
            sdk::Event::Log(level, text) => {
                let level = match level {
                    sdk::Level::Info => protocol::Level::Info,
                    sdk::Level::Warning => protocol::Level::Warning,
                };
                Event::Log {
                    node: Some(node),
                    level,
                    text,
                }
            }
        });
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn scratch(&self) -> Option<PathBuf> {
        Some(self.store.scratch(&self.key))
    }

    fn provenance(&self, folder: &Path) -> Option<String> {
        Some(self.provenance.text(folder))
    }

    fn refuses(&self, file: &Path) -> Option<String> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        match self
            .claims
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .entry(file.clone())
        {
            Entry::Occupied(claim) if *claim.get() != self.node => {
                return Some(format!("is also written by node `{}` of this graph", claim.get()));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(claim) => {
                claim.insert(self.node.clone());
            }
        }
        if file.exists() && !self.store.wrote(&file) && !provenance::is_ours(&file) {
            return Some("exists and was not written by para".into());
        }
        // Marked before it is written: a file of ours that is there without its mark could never be replaced.
        match self.store.mark_written(&file) {
            Ok(()) => None,
            Err(failure) => Some(format!("cannot be claimed: {}", failure.message)),
        }
    }
}
