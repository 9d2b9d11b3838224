//! Runs a graph: looks steps up as soon as their inputs are known, executes what is missing, in parallel
//! where branches are independent, and keeps every result the moment it is there.
//!
//! One thread decides (this file), others work (`worker`). Nothing recurses: graphs may be 100,000 nodes deep.

mod frozen;
mod host;
mod settle;
mod worker;

use crate::failure::{Failure, Kind, Result};
use crate::key;
use crate::live::Desk;
use crate::provenance::Provenance;
use crate::resolve::{State, Steps};
use graph::catalog::NodeKind;
use protocol::{Event, Level, Summary};
use settle::Held;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use worker::{Given, Outcome, Task, TaskError};

/// Takes events, from any thread.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// What the user may change while a run goes on, and what the run shares with its nodes.
#[derive(Clone)]
pub struct Control {
    /// Set to stop.
    pub cancel: Arc<AtomicBool>,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// Counts running nodes that keep checkpoints: worth waiting for after `cancel`.
    pub patient: Arc<AtomicUsize>,
    /// Where nodes hear what the user wants of them.
    pub desk: Arc<Desk>,
    /// Whether somebody looks at previews.
    pub previews: bool,
}

/// How long nodes without checkpoints may take to notice that they should stop.
const GRACE: Duration = Duration::from_millis(900);

impl Control {
    /// A control whose events go to `sink`.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            cancel: Arc::default(),
            sink,
            patient: Arc::default(),
            desk: Arc::default(),
            previews: false,
        }
    }

    /// After `cancel`: waits as long as it is worth waiting. Trainings write a checkpoint; anything else has nothing to
    /// lose. Ends earlier when `over` says that all is done.
    pub fn linger(&self, over: impl Fn() -> bool) {
        let asked = Instant::now();
        while !over() && (asked.elapsed() < GRACE || self.patient.load(Ordering::Relaxed) > 0) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !over() {
            // The run itself ends earlier when all its nodes noticed.
            std::thread::sleep(GRACE / 10);
        }
    }
}

/// How often a run starts over because a stored value turned out to be damaged.
const RESTARTS: usize = 5;

/// Runs the steps.
///
/// # Errors
/// Bugs, and a machine on which the run cannot go on (a full disk); what fails in a node is an event, and counted in
/// the summary.
pub fn execute(steps: &Steps<'_>, provenance: &Provenance, control: &Control) -> Result<Summary> {
    let started = Instant::now();
    let nodes = steps.wanted.iter().filter(|&&wanted| wanted).count();
    control.sink.event(Event::RunStarted { nodes });
    let claims = Arc::new(Mutex::new(HashMap::new()));
    let mut totals = Summary::default();
    let mut machine = None;
    for attempt in 0.. {
        let mut run = Run::new(steps, provenance, control, claims.clone());
        let damaged = run.run()?;
        totals = Summary {
            executed: totals.executed + run.summary.executed,
            loaded: totals.loaded + run.summary.loaded,
            ..run.summary
        };
        machine = run.machine.take();
        if !damaged || machine.is_some() {
            break;
        }
        if attempt == RESTARTS {
            return Err(
                Failure::system("results in the store are damaged as fast as they are written")
                    .help("check the disk, or name another store with --store"),
            );
        }
        let text = "a result in the store was damaged; it is made again".into();
        control.sink.event(Event::Log {
            node: None,
            level: Level::Warning,
            text,
        });
    }
    steps.session.store.tidy();
    totals.seconds = started.elapsed().as_secs_f64();
    totals.cancelled = control.cancel.load(Ordering::Relaxed);
    control.sink.event(Event::RunFinished {
        summary: totals.clone(),
    });
    machine.map_or(Ok(totals), Err)
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Inputs are not known yet.
    Waiting,
    /// It has to be executed (or loaded), and is queued or running or waits for models.
    Due,
    /// Its outputs are known.
    Known,
    /// It failed, or stands below one that did.
    Lost,
}

struct Run<'a> {
    steps: &'a Steps<'a>,
    provenance: &'a Provenance,
    control: &'a Control,
    claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    consumers: Vec<Vec<usize>>,
    standing: Vec<Standing>,
    /// Sources whose content is not known yet, by node.
    unknown: Vec<usize>,
    keys: Vec<Option<String>>,
    contents: Vec<Vec<String>>,
    /// Values in memory, by node; dropped when nobody else needs them.
    values: Vec<Option<Held>>,
    /// Consumers that may still want the values in memory.
    uses: Vec<usize>,
    /// Models that a due node waits for, and who waits for a model.
    awaited: Vec<usize>,
    waiters: Vec<Vec<usize>>,
    ready: VecDeque<usize>,
    resolvable: VecDeque<usize>,
    summary: Summary,
    damaged: bool,
    /// What keeps the run from going on, when it is no node's fault: a store that cannot be written.
    machine: Option<Failure>,
}

impl<'a> Run<'a> {
    fn new(
        steps: &'a Steps<'a>,
        provenance: &'a Provenance,
        control: &'a Control,
        claims: Arc<Mutex<HashMap<PathBuf, String>>>,
    ) -> Self {
        let checked = steps.checked;
        let count = checked.nodes.len();
        let mut consumers = vec![Vec::new(); count];
        let mut unknown = vec![0; count];
        for (index, node) in checked
            .nodes
            .iter()
            .enumerate()
            .filter(|(index, _)| steps.wanted[*index])
        {
            let mut sources: Vec<usize> = node
                .inputs
                .iter()
                .flat_map(|input| &input.links)
                .map(|link| link.node)
                .collect();
            sources.sort_unstable();
            sources.dedup();
            unknown[index] = sources.len();
            for source in sources {
                consumers[source].push(index);
            }
        }
        let uses = consumers.iter().map(Vec::len).collect();
        let resolvable = checked
            .order
            .iter()
            .copied()
            // What a frozen node gives is known, whatever feeds it.
            .filter(|&index| steps.wanted[index] && (unknown[index] == 0 || checked.nodes[index].frozen.is_some()))
            .collect();
        Self {
            steps,
            provenance,
            control,
            claims,
            consumers,
            standing: vec![Standing::Waiting; count],
            unknown,
            keys: vec![None; count],
            contents: vec![Vec::new(); count],
            values: std::iter::repeat_with(|| None).take(count).collect(),
            uses,
            awaited: vec![0; count],
            waiters: vec![Vec::new(); count],
            ready: VecDeque::new(),
            resolvable,
            summary: Summary::default(),
            damaged: false,
            machine: None,
        }
    }

    /// Runs to the end; says whether a damaged value was met.
    fn run(&mut self) -> Result<bool> {
        let lanes = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        std::thread::scope(|scope| -> Result<()> {
            let (to_workers, tasks) = crossbeam_channel::unbounded::<Task<'a>>();
            let (done, results) = crossbeam_channel::unbounded::<Outcome>();
            for _ in 0..lanes {
                let (tasks, done) = (tasks.clone(), done.clone());
                scope.spawn(move || {
                    for task in tasks {
                        if done.send(task.run()).is_err() {
                            return;
                        }
                    }
                });
            }
            drop((tasks, done));
            let mut running = 0;
            loop {
                self.resolve_all()?;
                while running < lanes
                    && !self.stopping()
                    && let Some(index) = self.ready.pop_front()
                {
                    if self.standing[index] == Standing::Due {
                        let task = self.task(index)?;
                        if self.is_quick(index) {
                            // Not worth another thread; what it makes ready comes next.
                            self.take(task.run());
                            self.resolve_all()?;
                            while let Ok(outcome) = results.try_recv() {
                                running -= 1;
                                self.take(outcome);
                            }
                            continue;
                        }
                        to_workers.send(task).map_err(|_| bug("the workers are gone"))?;
                        running += 1;
                    }
                }
                if running == 0 {
                    return Ok(());
                }
                let outcome = results.recv().map_err(|_| bug("the workers are gone"))?;
                running -= 1;
                self.take(outcome);
            }
        })?;
        if !self.damaged {
            self.count_skipped();
        }
        Ok(self.damaged)
    }

    fn stopping(&self) -> bool {
        self.damaged || self.machine.is_some() || self.control.cancel.load(Ordering::Relaxed)
    }

    /// Looks up every node whose inputs are known.
    fn resolve_all(&mut self) -> Result<()> {
        while let Some(index) = self.resolvable.pop_front() {
            if self.standing[index] != Standing::Waiting || self.stopping() {
                continue;
            }
            if let Some(key) = &self.steps.checked.nodes[index].frozen {
                self.thaw(index, key);
                continue;
            }
            let key = self.own_key(index);
            let key = key.ok_or_else(|| bug("a node was looked up before its inputs were known"))?;
            let state = self.steps.look_up(index, &key);
            self.keys[index] = Some(key.clone());
            match state {
                State::Hit(record) => {
                    let files = self.written(index, &record);
                    if let Some(other) = self.claim(index, &files) {
                        let message = format!("{} is also written by node `{other}` of this graph", files.join(", "));
                        self.failed(
                            index,
                            message,
                            Some("choose another name or folder in the node's parameters".into()),
                        );
                        continue;
                    }
                    self.summary.cached += 1;
                    self.control.sink.event(Event::Cached {
                        node: self.id(index),
                        files,
                        key,
                        frozen: false,
                    });
                    self.known(index, record.outputs.into_iter().map(|output| output.content).collect());
                    // A model that is known may still have to be loaded, and needs its inputs then.
                    if self.steps.kind(index) != NodeKind::Lazy {
                        self.release_inputs(index);
                    }
                }
                State::Miss(_) if self.steps.kind(index) == NodeKind::Lazy => {
                    // Its identity is known before it is made, so what lies below can be looked up at once.
                    let ports = &self.steps.checked.nodes[index].ty.outputs;
                    self.contents[index] = ports.iter().map(|port| key::memory_output(&key, &port.name)).collect();
                    self.want(index);
                    self.announce(index);
                }
                State::Miss(_) => self.want(index),
            }
        }
        Ok(())
    }

    /// The outputs' contents of a node are known: its consumers may be looked up.
    fn known(&mut self, index: usize, contents: Vec<String>) {
        self.contents[index] = contents;
        self.standing[index] = Standing::Known;
        self.announce(index);
    }

    fn announce(&mut self, index: usize) {
        for position in 0..self.consumers[index].len() {
            let consumer = self.consumers[index][position];
            self.unknown[consumer] -= 1;
            if self.unknown[consumer] > 0 {
                continue;
            }
            if self.steps.checked.nodes[consumer].frozen.is_some() {
                self.compare_frozen(consumer);
            } else {
                self.resolvable.push_back(consumer);
            }
        }
    }

    /// A node has to be executed, and with it the models above it that are not in memory.
    fn want(&mut self, index: usize) {
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            self.standing[index] = Standing::Due;
            let mut models: Vec<usize> = self.sources(index).filter(|&source| self.must_load(source)).collect();
            models.sort_unstable();
            models.dedup();
            self.awaited[index] = models.len();
            for model in models {
                self.waiters[model].push(index);
                if self.standing[model] != Standing::Due {
                    open.push(model);
                }
            }
            if self.awaited[index] == 0 {
                self.ready.push_back(index);
            }
        }
    }

    fn must_load(&self, index: usize) -> bool {
        self.steps.kind(index) == NodeKind::Lazy && self.values[index].is_none()
    }

    fn sources(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let inputs = &self.steps.checked.nodes[index].inputs;
        inputs.iter().flat_map(|input| &input.links).map(|link| link.node)
    }

    fn task(&self, index: usize) -> Result<Task<'a>> {
        let steps = self.steps;
        let node = &steps.checked.nodes[index];
        let step = steps.step(index).ok_or_else(|| bug("a node outside the run"))?;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let mut given = Vec::with_capacity(input.links.len());
            for link in &input.links {
                let source = steps
                    .step(link.node)
                    .ok_or_else(|| bug("a link from outside the run"))?;
                given.push(match &self.values[link.node] {
                    Some(held) => Given::Memory(held.values[link.output].clone(), source),
                    None => Given::Stored {
                        content: self.contents[link.node][link.output].clone(),
                        source,
                        output: link.output,
                    },
                });
            }
            inputs.push((input.port.as_str(), given));
        }
        Ok(Task {
            index,
            id: &node.id,
            step,
            key: self.keys[index].clone().unwrap_or_default(),
            inputs,
            steps,
            control: self.control,
            claims: self.claims.clone(),
            provenance: self.provenance.of(steps, index),
        })
    }

    fn take(&mut self, outcome: Outcome) {
        let Outcome { index, seconds, result } = outcome;
        let node = self.id(index);
        let key = self.keys[index].clone().unwrap_or_default();
        match result {
            Ok(output) => {
                let lazy = self.steps.kind(index) == NodeKind::Lazy;
                let values = output.values.filter(|_| self.uses[index] > 0);
                self.values[index] = values.and_then(|values| self.hold(values, &output.record));
                let kept = output.stands_for.is_none();
                if let Some((param, value)) = output.stands_for {
                    self.remember_elsewhere(index, param, value, &output.record);
                }
                if lazy {
                    self.summary.loaded += 1;
                    self.control.sink.event(Event::Loaded { node, seconds });
                    self.standing[index] = Standing::Known;
                    if self.uses[index] == 0 {
                        self.forget_model(index);
                    }
                } else {
                    let files = self.written(index, &output.record);
                    if output.executed {
                        self.summary.executed += 1;
                        let key = if kept { key } else { String::new() };
                        self.control.sink.event(Event::Done {
                            node,
                            seconds,
                            files,
                            key,
                        });
                    } else {
                        self.summary.cached += 1;
                        self.control.sink.event(Event::Cached {
                            node,
                            files,
                            key,
                            frozen: false,
                        });
                    }
                    let contents = output.record.outputs.into_iter().map(|output| output.content);
                    self.known(index, contents.collect());
                }
                for waiter in std::mem::take(&mut self.waiters[index]) {
                    self.awaited[waiter] -= 1;
                    if self.awaited[waiter] == 0 {
                        self.ready.push_back(waiter);
                    }
                }
                self.release_inputs(index);
            }
            Err(TaskError::Cancelled) => {
                self.control.cancel.store(true, Ordering::Relaxed);
            }
            Err(TaskError::Damaged(content)) => {
                // Whoever made it is forgotten, so that the next attempt makes it again.
                let makers = (0..self.contents.len()).filter(|&maker| self.contents[maker].contains(&content));
                for key in makers.filter_map(|maker| self.keys[maker].as_ref()) {
                    self.steps.session.store.forget(key);
                }
                self.damaged = true;
            }
            Err(TaskError::Machine(failure)) => {
                // How to mend it is said once, at the end.
                self.failed(index, failure.message.clone(), None);
                self.machine.get_or_insert(failure);
            }
            Err(TaskError::Failed { message, help }) => self.failed(index, message, help),
        }
    }

    fn id(&self, index: usize) -> String {
        self.steps.checked.nodes[index].id.clone()
    }
}

fn bug(what: &str) -> Failure {
    Failure::new(Kind::Bug, what)
}
