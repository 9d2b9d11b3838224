//! One execution of one node: inputs from memory or the store, the node's code, outputs into the store.

use super::Sink;
use crate::failure::{Failure, Kind};
use crate::host::Loaded;
use crate::panic;
use crate::resolve::{State, Step, Steps};
use crate::store::{Output, Record};
use crate::{key, provenance};
use graph::catalog::NodeKind;
use protocol::Event;
use sdk::{Context, Files, Host, Inputs, Value};
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    pub(super) steps: &'a Steps<'a>,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) patient: Arc<AtomicUsize>,
    pub(super) claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    pub(super) provenance: provenance::Made,
}

pub(super) struct Outcome {
    pub(super) index: usize,
    pub(super) seconds: f64,
    pub(super) result: Result<Done, TaskError>,
}

pub(super) struct Done {
    /// The outputs; none when somebody else made them meanwhile and they are in the store.
    pub(super) values: Option<Vec<Value>>,
    pub(super) executed: bool,
    pub(super) record: Record,
}

pub(super) enum TaskError {
    Failed {
        message: String,
        help: Option<String>,
    },
    Cancelled,
    Damaged(String),
    /// Not the node's fault: the disk, or a plugin that the system does not load.
    Machine(Failure),
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

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            // A plugin whose own code failed while it was loaded.
            Kind::Node => Self::Failed {
                message: failure.message,
                help: failure.help,
            },
            _ => Self::Machine(failure),
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
        if self.step.implementation.ty.kind == NodeKind::Lazy {
            return self.execute();
        }
        // Another process may be at the same step, or another node of this graph with the same work.
        let _lock = self.steps.session.store.lock(&self.key, || self.wait())?;
        if let State::Hit(record) = self.steps.look_up(self.index, &self.key) {
            return Ok(Done {
                values: None,
                executed: false,
                record,
            });
        }
        let ty = self.step.implementation.ty.name.clone();
        self.sink.event(Event::Started {
            node: self.id.to_owned(),
            ty,
        });
        self.execute()
    }

    fn wait(&self) -> Result<(), TaskError> {
        std::thread::sleep(Duration::from_millis(20));
        if self.cancel.load(Ordering::Relaxed) {
            Err(TaskError::Cancelled)
        } else {
            Ok(())
        }
    }

    fn execute(self) -> Result<Done, TaskError> {
        let session = self.steps.session;
        let code = session.registry.load(&self.step.implementation, &session.store)?;
        let mut inputs = Inputs::default();
        for (port, given) in &self.inputs {
            let values: Result<Vec<Value>, TaskError> = given.iter().map(|given| self.value(port, given)).collect();
            inputs.push(*port, values?);
        }
        let host = Arc::new(NodeHost {
            node: self.id.to_owned(),
            key: self.key.clone(),
            store: session.store.clone(),
            cancel: self.cancel.clone(),
            sink: self.sink.clone(),
            patient: self.patient.clone(),
            waits: AtomicBool::new(false),
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
        self.check_files()?;
        self.keep(&code, values)
    }

    /// The result goes under a key that says what was in the files when the run began; it must still be so.
    fn check_files(&self) -> Result<(), TaskError> {
        for (param, content) in &self.step.contents {
            let path = self
                .step
                .params
                .get(param)
                .and_then(|path| path.as_str())
                .unwrap_or_default();
            if self.steps.session.contents.of(Path::new(path)).ok().as_ref() != Some(content) {
                return Err(TaskError::Failed {
                    message: format!("{path} was changed while the graph ran"),
                    help: Some("nothing was kept of this node; run the graph again".into()),
                });
            }
        }
        Ok(())
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
                    .steps
                    .session
                    .registry
                    .load(&source.implementation, &self.steps.session.store)?;
                let bytes = self
                    .steps
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
    fn keep(&self, code: &Loaded, values: Vec<Value>) -> Result<Done, TaskError> {
        let store = &self.steps.session.store;
        let ty = &self.step.implementation.ty;
        let lazy = ty.kind == NodeKind::Lazy;
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
                Some(bytes) => {
                    let content = store.keep(&bytes).map_err(elsewhere)?;
                    (content, Some(bytes.len() as u64))
                }
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
        if lazy {
            // Only saves trying the model again; a store that cannot be written shows itself at the next step.
            let _ = store.remember(&self.key, &record, false);
        } else if all_stored {
            for entry in values
                .iter()
                .filter_map(|value| value.get::<Files>().ok())
                .flat_map(|files| &files.items)
            {
                store.mark_written(&entry.path, &entry.blake3).map_err(elsewhere)?;
            }
            store.remember(&self.key, &record, true).map_err(elsewhere)?;
        }
        store.drop_scratch(&self.key);
        Ok(Done {
            values: Some(values),
            executed: true,
            record,
        })
    }
}

fn elsewhere(failure: Failure) -> Failure {
    failure.help("make room on the disk, or name another folder with --store or PARA_STORE")
}

/// The engine as one running node sees it.
struct NodeHost {
    node: String,
    key: String,
    store: crate::store::Store,
    cancel: Arc<AtomicBool>,
    sink: Arc<dyn Sink>,
    patient: Arc<AtomicUsize>,
    waits: AtomicBool,
    claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    provenance: provenance::Made,
}

impl Drop for NodeHost {
    fn drop(&mut self) {
        if self.waits.load(Ordering::Relaxed) {
            self.patient.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl NodeHost {
    /// A file that we wrote and somebody changed is moved aside rather than lost.
    fn set_aside(&self, file: &Path) -> Result<(), String> {
        let name = |n: usize| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let extension = file
                .extension()
                .map(|e| format!(".{}", e.to_string_lossy()))
                .unwrap_or_default();
            file.with_file_name(format!("{stem}.kept-{n}{extension}"))
        };
        let free = (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        fs::rename(file, &free)
            .map_err(|e| format!("was changed since para wrote it and cannot be moved aside: {e}"))?;
        self.sink.event(Event::Log {
            node: Some(self.node.clone()),
            level: protocol::Level::Warning,
            text: format!(
                "{} was changed since para wrote it; kept as {}",
                file.display(),
                free.display()
            ),
        });
        Ok(())
    }
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
        if !self.waits.swap(true, Ordering::Relaxed) {
            self.patient.fetch_add(1, Ordering::Relaxed);
        }
        Some(self.store.scratch(&self.key))
    }

    fn provenance(&self, folder: &Path) -> Option<String> {
        Some(self.provenance.text(folder))
    }

    fn refuses(&self, file: &Path, bytes: &[u8]) -> Option<String> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        {
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            let claimant = claims.entry(file.clone()).or_insert_with(|| self.node.clone());
            if *claimant != self.node {
                return Some(format!("is also written by node `{claimant}` of this graph"));
            }
        }
        match (fs::read(&file), self.store.wrote(&file)) {
            // What stands in the way of the folder is told when the file is written.
            (Err(error), _) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            (Err(error), _) => return Some(format!("cannot be replaced: {error}")),
            (Ok(found), Some(written)) if blake3::hash(&found).to_hex().as_str() == written => {}
            (Ok(found), _) if found == bytes || provenance::is_ours(&found) => {}
            (Ok(_), Some(_)) => {
                if let Err(reason) = self.set_aside(&file) {
                    return Some(reason);
                }
            }
            (Ok(_), None) => return Some("exists and was not written by para".into()),
        }
        self.store.mark_written(&file, "").err().map(|failure| failure.message)
    }
}
