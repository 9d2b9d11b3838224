//! One execution of one node: inputs from memory or the store, the node's code, outputs into the store.

use super::Control;
use super::host::NodeHost;
use crate::failure::{Failure, Kind};
use crate::host::Loaded;
use crate::memory::Reservation;
use crate::pace;
use crate::panic;
use crate::resolve::{State, Step, Steps};
use crate::store::{Output, Record};
use crate::{key, provenance};
use graph::catalog::NodeKind;
use protocol::Event;
use sdk::{Context, Files, Inputs, Value};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Results of quick steps up to this many bytes are kept together with others.
const SMALL: usize = 4096;

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
    pub(super) control: &'a Control,
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
    /// The node was ended early: its result is that of another value of a parameter.
    pub(super) stands_for: Option<(String, Json)>,
    /// What was reserved for a model that is not counted yet.
    rooms: Vec<Reservation>,
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
        let result = if self.control.cancel.load(Ordering::Relaxed) {
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

    fn perform(&self) -> Result<Done, TaskError> {
        let session = self.steps.session;
        if self.step.implementation.ty.kind == NodeKind::Lazy {
            let mut record = None;
            // What its making reserved is given back when the model itself is counted.
            let mut _rooms = Vec::new();
            let values = session.memory.model(
                &self.key,
                || self.wait(),
                || {
                    let done = self.execute()?;
                    record = Some(done.record);
                    _rooms = done.rooms;
                    done.values.ok_or(TaskError::Cancelled)
                },
            )?;
            return Ok(Done {
                record: record.unwrap_or_else(|| self.model_record()),
                values: Some(values),
                executed: true,
                stands_for: None,
                rooms: Vec::new(),
            });
        }
        let ty = &self.step.implementation.ty;
        // Another process may be at the same step, or another node of this graph with the same work; what is done in
        // less time than a lock takes is done twice then.
        let mut told = false;
        let lock = match ty.kind == NodeKind::Step && session.pace.is_quick(ty) {
            true => None,
            false => Some(session.store.lock(&self.key, || {
                self.say_waiting(&mut told, "another run is at this step");
                self.wait()
            })?),
        };
        if lock.is_some()
            && let State::Hit(record) = self.steps.look_up(self.index, &self.key)
        {
            return Ok(Done {
                values: None,
                executed: false,
                record,
                stands_for: None,
                rooms: Vec::new(),
            });
        }
        self.control.sink.event(Event::Started {
            node: self.id.to_owned(),
            ty: ty.name.clone(),
        });
        self.execute()
    }

    fn say_waiting(&self, told: &mut bool, why: &str) {
        if !std::mem::replace(told, true) {
            self.control.sink.event(Event::Waiting {
                node: self.id.to_owned(),
                why: why.to_owned(),
            });
        }
    }

    /// What is known of a model that somebody else made.
    fn model_record(&self) -> Record {
        let ty = &self.step.implementation.ty;
        let output = |port: &graph::catalog::Output| Output {
            port: port.name.clone(),
            ty: port.ty.clone(),
            content: key::memory_output(&self.key, &port.name),
            size: None,
        };
        Record {
            ty: ty.name.clone(),
            outputs: ty.outputs.iter().map(output).collect(),
        }
    }

    fn wait(&self) -> Result<(), TaskError> {
        std::thread::sleep(Duration::from_millis(20));
        if self.control.cancel.load(Ordering::Relaxed) {
            Err(TaskError::Cancelled)
        } else {
            Ok(())
        }
    }

    fn execute(&self) -> Result<Done, TaskError> {
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
            cancel: self.control.cancel.clone(),
            sink: self.control.sink.clone(),
            patient: self.control.patient.clone(),
            desk: self.control.desk.clone(),
            previews: self.control.previews,
            visit: session.memory.visit(),
            rooms: (self.step.implementation.ty.kind == NodeKind::Lazy).then(Mutex::default),
            waits: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            claims: self.claims.clone(),
            provenance: self.provenance.clone(),
            stands_for: Mutex::default(),
        });
        let context = Context::new(host.clone());
        let begun = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut node = code.make();
            node.run(&context, &inputs, &self.step.params)
        }));
        let took = begun.elapsed();
        session.pace.ran(&self.step.implementation.ty, took);
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
        let stands_for = host.stands_for.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut done = self.keep(&code, values, stands_for, took)?;
        if let Some(rooms) = &host.rooms {
            done.rooms = std::mem::take(&mut *rooms.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(done)
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
    fn keep(
        &self,
        code: &Loaded,
        values: Vec<Value>,
        stands_for: Option<(String, Json)>,
        took: Duration,
    ) -> Result<Done, TaskError> {
        let store = &self.steps.session.store;
        let ty = &self.step.implementation.ty;
        let lazy = ty.kind == NodeKind::Lazy;
        if values.len() != ty.outputs.len() || values.len() != code.outputs().len() {
            let message = format!("it gave {} outputs and declares {}", values.len(), ty.outputs.len());
            return Err(TaskError::Failed { message, help: None });
        }
        let bytes: sdk::Result<Vec<Option<Vec<u8>>>> = match lazy {
            true => Ok(vec![None; values.len()]),
            false => values.iter().map(Value::encode).collect(),
        };
        let bytes = bytes?;
        let all_stored = bytes.iter().all(Option::is_some);
        let size: usize = bytes.iter().flatten().map(Vec::len).sum();
        let quick =
            ty.kind == NodeKind::Step && all_stored && stands_for.is_none() && took < pace::QUICK && size <= SMALL;
        let mut outputs = Vec::with_capacity(values.len());
        for (bytes, port) in bytes.iter().zip(&ty.outputs) {
            let content = match bytes {
                None => key::memory_output(&self.key, &port.name),
                Some(bytes) if quick => blake3::hash(bytes).to_hex().to_string(),
                Some(bytes) => store.keep(bytes).map_err(elsewhere)?,
            };
            outputs.push(Output {
                port: port.name.clone(),
                ty: port.ty.clone(),
                content,
                size: bytes.as_ref().map(|bytes| bytes.len() as u64),
            });
        }
        let record = Record {
            ty: ty.name.clone(),
            outputs,
        };
        if quick {
            let values: Vec<Vec<u8>> = bytes.into_iter().flatten().collect();
            store.remember_quick(&self.key, &record, &values).map_err(elsewhere)?;
        } else if lazy {
            // Only saves trying the model again; a store that cannot be written shows itself at the next step.
            let _ = store.remember(&self.key, &record, false);
        } else if all_stored && stands_for.is_none() {
            for entry in values
                .iter()
                .filter_map(|value| value.get::<Files>().ok())
                .flat_map(|files| &files.items)
            {
                store.mark_written(&entry.path, &entry.blake3).map_err(elsewhere)?;
            }
            store.remember(&self.key, &record, true).map_err(elsewhere)?;
        }
        if stands_for.is_none() && !quick {
            store.drop_scratch(&self.key);
        }
        Ok(Done {
            values: Some(values),
            executed: true,
            record,
            stands_for,
            rooms: Vec::new(),
        })
    }
}

fn elsewhere(failure: Failure) -> Failure {
    failure.help("make room on the disk, or name another folder with --store or PARA_STORE")
}
