//! `para run`: runs a graph.

use super::Global;
use super::open::Opened;
use super::watch::{self, Style};
use crate::execute::{Control, execute};
use crate::failure::{Failure, Kind, Result};
use crate::provenance::Provenance;
use crate::resolve::Steps;
use protocol::{Event, Level};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let session = global.session()?;
    let opened = Opened::read(&arguments.graph, &arguments.set, session.registry.catalog())?;
    let checked = opened.check(&session.registry)?;
    let steps = Steps::new(&session, &checked, &opened.folder, &arguments.target, arguments.fresh)?;
    let provenance = Provenance::new(&opened.text(), &opened.folder);
    let control = Control {
        cancel: Arc::default(),
        sink: watch::sink(arguments.events),
        patient: Arc::default(),
    };
    stop_on_signals(&control)?;
    let summary = execute(&steps, &provenance, &control)?;
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

/// How long nodes without checkpoints may take to notice that they should stop.
const GRACE: Duration = Duration::from_millis(900);

/// The first Ctrl-C asks the nodes to stop at their next step. Trainings are waited for, since they write a
/// checkpoint then; anything else has nothing to lose and ends with the process after a moment. The second Ctrl-C
/// ends the process at once.
fn stop_on_signals(control: &Control) -> Result<()> {
    let Control { cancel, sink, patient } = control;
    let (cancel, sink, patient) = (cancel.clone(), sink.clone(), patient.clone());
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|e| Failure::system(format!("cannot watch for Ctrl-C: {e}")))?;
    let exit = || std::process::exit(i32::from(Kind::Cancelled.exit_code()));
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if cancel.swap(true, Ordering::Relaxed) {
                exit();
            }
            let text = "stopping at the next step; what is finished is kept (Ctrl-C again: at once)".into();
            sink.event(Event::Log {
                node: None,
                level: Level::Warning,
                text,
            });
            let patient = patient.clone();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                while patient.load(Ordering::Relaxed) > 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
                // The run itself ends earlier when all its nodes noticed.
                std::thread::sleep(GRACE / 10);
                exit();
            });
        }
    });
    Ok(())
}
