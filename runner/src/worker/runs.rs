//! Runs of a worker: one after another, each of which can be stopped and spoken to.

use super::output::{Events, Output, error};
use super::{Shared, answer, guarded};
use crate::execute::{Control, execute};
use crate::failure::{Failure, Kind, Result};
use crate::provenance::Provenance;
use crate::resolve::{Session, Steps};
use crate::share::lock::Lock;
use crate::source::Source;
use crossbeam_channel::Receiver;
use graph::Checked;
use protocol::{Reply, Run, Summary};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long nodes have to notice a stop that is to be at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs that wait or go on, by the id of their request.
#[derive(Clone, Default)]
pub(super) struct Runs(Arc<Mutex<BTreeMap<u64, Entry>>>);

struct Entry {
    control: Control,
    /// The order in which they were asked for.
    number: u64,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run was asked for.
    pub(super) fn enter(&self, id: u64, previews: bool, output: &Output) -> Result<(), Reply> {
        let mut runs = self.lock();
        if runs.contains_key(&id) {
            let message = format!("run {id} is not over yet, and a second one is asked for under its id");
            return Err(error(&Failure::user(message).help("choose another id")));
        }
        let number = runs.values().map(|entry| entry.number + 1).max().unwrap_or(0);
        let sink = Arc::new(Events {
            run: id,
            output: output.clone(),
        });
        let control = Control {
            previews,
            ..Control::new(sink)
        };
        runs.insert(id, Entry { control, number });
        Ok(())
    }

    /// A run is over.
    pub(super) fn leave(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn control(&self, id: u64) -> Option<Control> {
        Some(self.lock().get(&id)?.control.clone())
    }

    /// How many runs were asked for before this one and are not over.
    fn ahead(&self, id: u64) -> usize {
        let runs = self.lock();
        let number = runs.get(&id).map_or(0, |entry| entry.number);
        runs.values().filter(|other| other.number < number).count()
    }

    /// Stops a run, or all.
    pub(super) fn cancel(&self, run: Option<u64>, now: bool) -> Reply {
        let runs = self.lock();
        let stopped: Vec<u64> = runs
            .keys()
            .copied()
            .filter(|id| run.is_none_or(|run| run == *id))
            .collect();
        if let (Some(run), true) = (run, stopped.is_empty()) {
            return error(&no_run(run));
        }
        for id in &stopped {
            if let Some(entry) = runs.get(id) {
                entry.control.cancel.store(true, Ordering::Relaxed);
            }
        }
        if now && !stopped.is_empty() {
            let runs = self.clone();
            std::thread::spawn(move || runs.end_at_once(&stopped));
        }
        Reply::Noted { nodes: Vec::new() }
    }

    /// Ends the process if one of these runs goes on for too long: a node's code cannot be interrupted otherwise.
    fn end_at_once(&self, stopped: &[u64]) {
        let asked = Instant::now();
        while asked.elapsed() < AT_ONCE {
            std::thread::sleep(Duration::from_millis(20));
            if !stopped.iter().any(|id| self.lock().contains_key(id)) {
                return;
            }
        }
        std::process::exit(i32::from(Kind::Cancelled.exit_code()));
    }

    /// Asks nodes of a run for something.
    pub(super) fn live(&self, run: Option<u64>, node: Option<&str>, what: sdk::Live) -> Reply {
        let runs = self.lock();
        if let Some(run) = run.filter(|run| !runs.contains_key(run)) {
            return error(&no_run(run));
        }
        let spoken_to = runs.iter().filter(|(id, _)| run.is_none_or(|run| run == **id));
        let nodes: Vec<String> = spoken_to
            .flat_map(|(_, entry)| entry.control.desk.ask(node, what))
            .collect();
        match (nodes.is_empty(), node) {
            (false, _) => Reply::Noted { nodes },
            (true, Some(node)) => error(
                &Failure::user(format!("node `{node}` is not training now")).help("only trainings that go on listen"),
            ),
            (true, None) => error(&Failure::user("no node is training now").help("only trainings that go on listen")),
        }
    }

    /// The input has ended: stops everything and waits as long as it is worth waiting.
    pub(super) fn finish(&self) {
        let controls: Vec<Control> = self.lock().values().map(|entry| entry.control.clone()).collect();
        for control in &controls {
            control.cancel.store(true, Ordering::Relaxed);
        }
        for control in &controls {
            control.linger(|| self.lock().is_empty());
        }
    }
}

fn no_run(run: u64) -> Failure {
    Failure::user(format!("there is no run {run}, or it is over")).help("runs go by the id of their request")
}

/// A run that can go.
pub(super) struct Job {
    id: u64,
    run: Run,
    session: Session,
    source: Source,
    checked: Checked,
}

/// Checks a run that was asked for, and puts it behind those before it.
pub(super) fn accept(shared: &Shared, id: u64, run: Run) {
    let session = shared.session();
    let checked = answer::source(&session, &run.graph)
        .map_err(|failure| error(&failure))
        .and_then(|source| Ok((answer::checked(&session, &source)?, source)));
    let (checked, source) = match checked {
        Ok(both) => both,
        Err(reply) => return shared.end(id, reply),
    };
    let accepted = Reply::Accepted {
        ahead: shared.runs.ahead(id),
        diagnostics: checked.warnings.clone(),
    };
    shared.output.send(Some(id), accepted);
    let job = Job {
        id,
        run,
        session,
        source,
        checked,
    };
    let jobs = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
    if jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
        // The input has ended meanwhile.
        shared.runs.leave(id);
    }
}

/// The thread that runs graphs, one after another.
pub(super) fn thread(shared: &Arc<Shared>, jobs: Receiver<Job>) {
    let shared = shared.clone();
    std::thread::spawn(move || {
        for job in jobs {
            guarded(&shared, job.id, || {
                let reply = match perform(&shared, &job) {
                    Ok(summary) => Reply::Ran { summary },
                    Err(failure) => error(&failure),
                };
                shared.end(job.id, reply);
            });
        }
    });
}

fn perform(shared: &Shared, job: &Job) -> Result<Summary> {
    let control = shared.runs.control(job.id);
    let control = control.ok_or_else(|| Failure::new(Kind::Bug, "a run without its control"))?;
    let Job {
        run,
        session,
        source,
        checked,
        ..
    } = job;
    let steps = match Steps::new(session, checked, &source.folder, &run.targets, run.fresh, &control) {
        Err(failure) if failure.kind == Kind::Cancelled => {
            let skipped = checked.nodes.len();
            return Ok(Summary {
                skipped,
                cancelled: true,
                ..Summary::default()
            });
        }
        steps => steps?.of_graph(answer::file(&run.graph)),
    };
    if let Some(lock) = Lock::of_text(answer::file(&run.graph).as_deref(), &source.document)? {
        lock.verify(&steps, &run.graph.set)?;
    }
    let provenance = Provenance::new(&source.document.to_text(), &source.folder);
    let summary = execute(&steps, &provenance, &control)?;
    session.contents.save();
    Ok(summary)
}

impl Shared {
    /// The last answer to a run. First it is gone, then it is said: whoever hears of the end may use the id again.
    fn end(&self, id: u64, reply: Reply) {
        self.runs.leave(id);
        self.output.send(Some(id), reply);
    }
}
