//! `para run`: runs a graph.

mod rerun;

use super::Global;
use super::open::Opened;
use super::watch::{self, Style};
use crate::execute::{Control, execute};
use crate::failure::{Failure, Kind, Result};
use crate::provenance::Provenance;
use crate::resolve::{Session, Step, Steps};
use crate::share::lock::Lock;
use protocol::{Event, Level};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Arguments of `para run`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The graph: a JSON file, or a picture made by one
    graph: PathBuf,
    /// Change a parameter for this run: NODE.PARAMETER=VALUE; may be repeated
    #[arg(long, value_name = "NODE.PARAMETER=VALUE")]
    set: Vec<String>,
    /// Only this node and what it needs; may be repeated
    #[arg(long, value_name = "NODE")]
    target: Vec<String>,
    /// How to tell what happens: `json` prints one object a line on standard output
    #[arg(long, value_name = "STYLE", default_value = "auto")]
    events: Style,
    /// Execute everything, whatever is in the store
    #[arg(long)]
    fresh: bool,
    /// Run again whenever the graph, a file it reads or a node crate changes; sources of node crates are built
    #[arg(long)]
    watch: bool,
    /// Use files that are not the ones the graph was made with
    #[arg(long)]
    unlocked: bool,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let session = global.session()?;
    let control = Control::new(watch::sink(arguments.events));
    stop_on_signals(&control)?;
    if arguments.watch {
        return rerun::run(global, session, &arguments, &control);
    }
    once(&session, &arguments, &control, &mut BTreeSet::new())
}

/// Runs the graph once. Every file and folder that it reads is added to `reads`.
fn once(session: &Session, arguments: &Arguments, control: &Control, reads: &mut BTreeSet<PathBuf>) -> Result<()> {
    let opened = Opened::read(&arguments.graph, &arguments.set, session.registry.catalog())?;
    let checked = opened.check(&session.registry)?;
    let steps = Steps::new(
        session,
        &checked,
        &opened.folder,
        &arguments.target,
        arguments.fresh,
        control,
    )?
    .of_graph(Some(arguments.graph.clone()));
    reads.extend(
        (0..checked.nodes.len())
            .filter_map(|index| steps.step(index))
            .flat_map(Step::reads),
    );
    if let Some(lock) = Lock::beside(&arguments.graph, &opened.document)?.filter(|_| !arguments.unlocked) {
        lock.verify(&steps, &arguments.set)?;
    }
    let provenance = Provenance::new(&opened.text(), &opened.folder);
    let summary = execute(&steps, &provenance, control)?;
    session.contents.save();
    if summary.failed > 0 {
        let plural = if summary.failed == 1 { "node" } else { "nodes" };
        let message = match summary.skipped {
            0 => format!("{} {plural} failed", summary.failed),
            below => format!("{} {plural} failed, {below} below not run", summary.failed),
        };
        return Err(Failure::new(Kind::Node, message));
    }
    if summary.cancelled {
        return Err(
            Failure::new(Kind::Cancelled, format!("stopped; {} nodes not run", summary.skipped))
                .help("what was finished is kept: the same command goes on from there"),
        );
    }
    Ok(())
}

/// The first Ctrl-C asks the nodes to stop at their next step. Trainings are waited for, since they write a
/// checkpoint then; anything else has nothing to lose and ends with the process after a moment. The second Ctrl-C
/// ends the process at once.
fn stop_on_signals(control: &Control) -> Result<()> {
    let control = control.clone();
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|e| Failure::system(format!("cannot watch for Ctrl-C: {e}")))?;
    let exit = || std::process::exit(i32::from(Kind::Cancelled.exit_code()));
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if control.cancel.swap(true, Ordering::Relaxed) {
                exit();
            }
            let text = "stopping at the next step; what is finished is kept (Ctrl-C again: at once)".into();
            control.sink.event(Event::Log {
                node: None,
                level: Level::Warning,
                text,
            });
            let control = control.clone();
            std::thread::spawn(move || {
                // The run itself ends the process earlier when all its nodes noticed.
                control.linger(|| false);
                exit();
            });
        }
    });
    Ok(())
}
