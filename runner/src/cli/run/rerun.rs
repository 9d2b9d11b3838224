//! `para run --watch`: runs the graph again when the graph, a file that it reads, or a node crate changes.

use super::{Arguments, once};
use crate::cli::{Global, report};
use crate::execute::{Control, Sink};
use crate::failure::{Kind, Result};
use crate::host::Refusal;
use crate::reload::{Reloaded, Reloader, Service, Told, Watch};
use crate::resolve::Session;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use protocol::{Event, Level};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What wakes the command up.
enum Noticed {
    Files(BTreeSet<PathBuf>),
    Nodes,
}

/// How often Ctrl-C is looked for between runs.
const TICK: Duration = Duration::from_millis(50);

pub(super) fn run(global: &Global, mut session: Session, arguments: &Arguments, control: &Control) -> Result<()> {
    let reloader = Reloader::new(global.places()?, session.registry.clone(), session.store.clone());
    let reloader = Arc::new(reloader);
    let (tell, noticed) = crossbeam_channel::unbounded();
    let (sink, heard) = (control.sink.clone(), tell.clone());
    // What was refused before is not told again at every look.
    let told_before = Mutex::new(refusals(session.registry.refused()));
    let _service = Service::start(reloader.clone(), move |mut told| {
        if let Told::Reloaded(news) = &mut told {
            let mut before = told_before.lock().unwrap_or_else(PoisonError::into_inner);
            let now = refusals(&news.refused);
            news.refused.retain(|refusal| !before.contains(&refusal.to_string()));
            *before = now;
        }
        if show(&*sink, &told) {
            let _ = heard.send(Noticed::Nodes);
        }
    })?;
    let mut watch = Watch::new(move |paths| drop(tell.send(Noticed::Files(paths))))?;
    let graph = std::path::absolute(&arguments.graph).unwrap_or_else(|_| arguments.graph.clone());
    let mut reads = BTreeSet::from([graph]);
    let mut watched = BTreeSet::new();
    loop {
        for path in reads.difference(&watched) {
            watch.add(path)?;
        }
        watched.clone_from(&reads);
        session.registry = reloader.registry();
        match once(&session, arguments, control, &mut reads) {
            Err(failure) if failure.kind == Kind::Cancelled => return Err(failure),
            Err(failure) => report::failure(&failure),
            Ok(()) => {}
        }
        for path in reads.difference(&watched) {
            watch.add(path)?;
        }
        watched.clone_from(&reads);
        report::say("watching for changes (Ctrl-C ends)");
        if !wait(&noticed, &reads, control) {
            return Ok(());
        }
    }
}

fn refusals(list: &[Refusal]) -> Vec<String> {
    list.iter().map(Refusal::to_string).collect()
}

/// Until something changed that the run depends on; false when the user ended it.
fn wait(noticed: &Receiver<Noticed>, reads: &BTreeSet<PathBuf>, control: &Control) -> bool {
    loop {
        if control.cancel.load(Ordering::Relaxed) {
            return false;
        }
        match noticed.recv_timeout(TICK) {
            Ok(Noticed::Nodes) => return true,
            Ok(Noticed::Files(paths)) => {
                if paths.iter().any(|path| reads.iter().any(|read| path.starts_with(read))) {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Tells what became of node crates, whatever is running; says whether another node is live.
fn show(sink: &dyn Sink, told: &Told) -> bool {
    let log = |level, text: String| {
        sink.event(Event::Log {
            node: None,
            level,
            text,
        });
    };
    match told {
        Told::Building(packages) => {
            log(Level::Info, format!("building {}", packages.join(", ")));
            false
        }
        Told::Failed(failure) => {
            log(Level::Warning, failure.message.clone());
            false
        }
        Told::Reloaded(Reloaded {
            changed,
            plugins,
            refused,
            build,
        }) => {
            if let Some(build) = build.as_ref().filter(|build| !build.ok) {
                let errors = build.messages.iter().filter(|message| message.level == "error");
                let errors: Vec<&str> = errors.map(|message| message.rendered.trim_end()).collect();
                log(
                    Level::Warning,
                    format!("it does not compile; the nodes before stay\n{}", errors.join("\n")),
                );
            }
            for refusal in refused {
                log(
                    Level::Warning,
                    format!("{refusal}; the nodes before stay\nhelp: {}", refusal.help),
                );
            }
            if !changed.is_empty() {
                let took = build
                    .as_ref()
                    .map_or(String::new(), |build| format!(" after {:.1} s", build.seconds));
                let old: usize = plugins.iter().map(|plugin| plugin.resident).sum();
                let old = match old {
                    0 => String::new(),
                    1 => " (one older build stays in memory)".to_owned(),
                    _ => format!(" ({old} older builds stay in memory)"),
                };
                log(Level::Info, format!("live{took}: {}{old}", changed.join(", ")));
            }
            if let Some(build) = build
                .as_ref()
                .filter(|build| build.ok && changed.is_empty() && refused.is_empty())
            {
                log(Level::Info, format!("built in {:.1} s; no node changed", build.seconds));
            }
            !changed.is_empty()
        }
    }
}
