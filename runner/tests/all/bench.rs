//! Small nodes compiled into this test, and a bench to run graphs of them on.

use protocol::{Event, Summary};
use runner::execute::{Control, Sink, execute};
use runner::host::Registry;
use runner::plan::{Forecast, plan};
use runner::provenance::Provenance;
use runner::reading::Unwatched;
use runner::resolve::{Session, Steps};
use runner::store::Store;
use sdk::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Gives a text.
#[node("t/text")]
pub(crate) fn text(value: String) -> Result<String> {
    Ok(value)
}

/// Joins texts.
#[node("t/join")]
pub(crate) fn join(parts: Vec<&String>, #[default(" ")] with: String) -> Result<String> {
    Ok(parts.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(&with))
}

/// Gives a text, slowly.
#[node("t/slow")]
pub(crate) fn slow(value: String) -> Result<String> {
    std::thread::sleep(std::time::Duration::from_millis(150));
    Ok(value)
}

static MET: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Waits until another node of this type runs too.
#[node("t/meet")]
pub(crate) fn meet(context: &Context, name: String) -> Result<String> {
    MET.lock().unwrap().push(name.clone());
    while MET.lock().unwrap().len() < 2 {
        context.check()?;
        std::thread::yield_now();
    }
    Ok(name)
}

/// Reads a file and changes it.
#[node("t/write_back")]
pub(crate) fn write_back(path: InputPath) -> Result<String> {
    let text = fs::read_to_string(&*path)?;
    fs::write(&*path, format!("{text}!"))?;
    Ok(text)
}

/// The length of a text.
#[node("t/length")]
pub(crate) fn length(of: &String) -> Result<f64> {
    Ok(of.len() as f64)
}

/// Reads a file.
#[node("t/read")]
pub(crate) fn read(path: InputPath) -> Result<String> {
    Ok(fs::read_to_string(&*path)?)
}

/// Fails, panics or waits to be cancelled.
#[node("t/trouble")]
pub(crate) fn trouble(context: &Context, after: Option<&String>, kind: String) -> Result<String> {
    let _ = after;
    match kind.as_str() {
        "fail" => sdk::bail!("no can do"; help: "ask for less"),
        "panic" => panic!("oh dear"),
        _ => loop {
            context.check()?;
            std::thread::sleep(std::time::Duration::from_millis(1));
        },
    }
}

/// A model: lives in memory only.
pub(crate) struct Engine(String);

impl Port for Engine {
    const NAME: &'static str = "engine";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn decode(_: &[u8]) -> Result<Self> {
        sdk::bail!("models are not stored")
    }
}

static MADE: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// How often a model was made in this process.
pub(crate) fn made(name: &str) -> usize {
    MADE.lock().unwrap().get(name).copied().unwrap_or(0)
}

/// Learns something in steps, as a training does.
#[node("t/study")]
pub(crate) fn study(
    context: &Context,
    steps: usize,
    #[default(1)]
    #[manner]
    often: usize,
) -> Result<String> {
    let mut learnt = String::new();
    for step in 1..=steps {
        context.check()?;
        // Not so fast that a run fills the disk with progress.
        std::thread::sleep(std::time::Duration::from_micros(200));
        learnt = format!("{step} steps");
        let asked = context.live();
        if step % often.max(1) == 0 {
            context.progress(step, steps, "");
        }
        for asked in asked {
            match asked {
                sdk::Live::SampleNow => context.preview(step, "a sample", Image::new(1, 1, vec![1, 2, 3])?),
                sdk::Live::BackUpNow => context.info("backed up"),
                sdk::Live::StopAndKeep => {
                    context.info(format!("kept {step}"));
                    context.stands_for("steps", step);
                    return Ok(learnt);
                }
            }
        }
    }
    Ok(learnt)
}

/// Loads a model.
#[node("t/load", lazy)]
pub(crate) fn load(name: String) -> Result<Engine> {
    if name == "broken" {
        sdk::bail!("no such model");
    }
    *MADE.lock().unwrap().entry(name.clone()).or_default() += 1;
    Ok(Engine(name))
}

/// Changes a model.
#[node("t/tune", lazy)]
pub(crate) fn tune(engine: &Engine, by: String) -> Result<Engine> {
    Ok(Engine(format!("{}+{by}", engine.0)))
}

/// Uses a model.
#[node("t/drive", outputs(out = "Where it went"))]
pub(crate) fn drive(engine: &Engine, to: &String) -> Result<String> {
    Ok(format!("{} to {to}", engine.0))
}

/// Writes a text.
#[node("t/save", effect, outputs(files))]
pub(crate) fn save(context: &Context, text: &String, path: sdk::OutputPath) -> Result<Files> {
    context.claim(&path, text.as_bytes())?;
    let mut files = Files::default();
    files.write(&path, text.as_bytes())?;
    Ok(files)
}

#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<Event>>, Option<Arc<AtomicBool>>);

impl Sink for Log {
    fn event(&self, event: Event) {
        if let (Event::Started { .. }, Some(cancel)) = (&event, &self.1) {
            cancel.store(true, Ordering::Relaxed);
        }
        self.0.lock().unwrap().push(event);
    }
}

/// All these nodes.
pub(crate) fn registry() -> Registry {
    let nodes = vec![
        Registry::node::<Text>(),
        Registry::node::<Join>(),
        Registry::node::<Length>(),
        Registry::node::<Read>(),
        Registry::node::<Trouble>(),
        Registry::node::<Load>(),
        Registry::node::<Tune>(),
        Registry::node::<Drive>(),
        Registry::node::<Save>(),
        Registry::node::<Slow>(),
        Registry::node::<WriteBack>(),
        Registry::node::<Study>(),
        Registry::node::<Meet>(),
    ];
    Registry::of_nodes(nodes).unwrap()
}

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Ran {
    pub(crate) summary: Summary,
    pub(crate) events: Vec<Event>,
}

impl Ran {
    pub(crate) fn of(&self, pick: impl Fn(&Event) -> Option<&String>) -> Vec<&str> {
        let mut ids: Vec<&str> = self.events.iter().filter_map(pick).map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }
    pub(crate) fn started(&self) -> Vec<&str> {
        self.of(|e| {
            if let Event::Started { node, .. } = e {
                Some(node)
            } else {
                None
            }
        })
    }
    pub(crate) fn loaded(&self) -> Vec<&str> {
        self.of(|e| {
            if let Event::Loaded { node, .. } = e {
                Some(node)
            } else {
                None
            }
        })
    }
    pub(crate) fn skipped(&self) -> Vec<&str> {
        self.of(|e| {
            if let Event::Skipped { node, .. } = e {
                Some(node)
            } else {
                None
            }
        })
    }
    pub(crate) fn failure(&self) -> &str {
        let message = |e: &Event| {
            if let Event::Failed { message, .. } = e {
                Some(message.clone())
            } else {
                None
            }
        };
        self.events.iter().find_map(message).unwrap().leak()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(registry(), Store::open(self.path("store")).unwrap())
    }

    /// A new session each time: nothing survives but the store.
    pub(crate) fn run(&self, nodes: &str) -> Ran {
        self.run_with(nodes, &[], false, None)
    }

    pub(crate) fn run_with(&self, nodes: &str, targets: &[&str], fresh: bool, cancel: Option<Arc<AtomicBool>>) -> Ran {
        self.with_steps(nodes, targets, fresh, |steps, text| {
            let sink = Arc::new(Log(Mutex::default(), cancel.clone()));
            let control = Control {
                cancel: cancel.clone().unwrap_or_default(),
                ..Control::new(sink.clone())
            };
            let summary = execute(steps, &Provenance::new(text, self.folder.path()), &control).unwrap();
            let events = sink.0.lock().unwrap().clone();
            Ran { summary, events }
        })
    }

    pub(crate) fn with_steps<R>(
        &self,
        nodes: &str,
        targets: &[&str],
        fresh: bool,
        f: impl FnOnce(&Steps<'_>, &str) -> R,
    ) -> R {
        let session = self.session();
        let text = format!(r#"{{"paragraph": 1, "nodes": {{{nodes}}}}}"#);
        let (document, _) = graph::parse(&text);
        let checked = graph::check(&document, session.registry.catalog()).unwrap();
        let targets: Vec<String> = targets.iter().map(|&t| t.to_owned()).collect();
        let steps = Steps::new(&session, &checked, self.folder.path(), &targets, fresh, &Unwatched).unwrap();
        f(&steps, &text)
    }

    pub(crate) fn plan(&self, nodes: &str) -> Vec<(String, Forecast)> {
        self.with_steps(nodes, &[], false, |steps, _| {
            plan(steps).into_iter().map(|l| (l.node, l.forecast)).collect()
        })
    }
}

pub(crate) const TRIP: &str = r#"
    "car":  { "type": "t/load", "params": { "name": "car" } },
    "fast": { "type": "t/tune", "inputs": { "engine": "car.out" }, "params": { "by": "turbo" } },
    "goal": { "type": "t/text", "params": { "value": "sea" } },
    "trip": { "type": "t/drive", "inputs": { "engine": "fast.out", "to": "goal.out" } },
    "note": { "type": "t/save", "inputs": { "text": "trip.out" }, "params": { "path": "out/trip.txt" } }"#;
