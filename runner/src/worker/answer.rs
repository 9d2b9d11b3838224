//! Answers that need the catalogue, a graph or the store.

use super::Shared;
use super::output::error;
use crate::failure::{Failure, Kind, Result};
use crate::host::Registry;
use crate::plan::{Forecast, plan as look};
use crate::reading::Unwatched;
use crate::reload::{Reloaded, Told};
use crate::resolve::{Session, Steps};
use crate::source::Source;
use graph::{Checked, Diagnostic};
use protocol::{Graph, NodeEntry, PlanRow, Refusal, Reply};
use std::path::{Path, PathBuf};

pub(super) fn hello(shared: &Shared, version: u32) -> Reply {
    if version != protocol::VERSION {
        let message = format!(
            "the asker speaks version {version} of the protocol, this para version {}",
            protocol::VERSION
        );
        return error(&Failure::user(message).help("use the editor and the para of one release"));
    }
    let session = shared.session();
    Reply::Hello {
        version: protocol::VERSION,
        para: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        folder: current_folder().to_string_lossy().into_owned(),
        store: session.store.root().to_string_lossy().into_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: session.memory.budget(),
    }
}

pub(super) fn current_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

pub(super) fn catalogue(shared: &Shared, session: &Session) -> Reply {
    let registry = &session.registry;
    let nodes = registry.catalog().iter().map(|ty| NodeEntry {
        ty: (**ty).clone(),
        plugin: registry
            .implementation(ty)
            .map(|i| i.plugin.name.clone())
            .unwrap_or_default(),
    });
    Reply::Catalogue {
        nodes: nodes.collect(),
        plugins: shared.reloader.plugins(),
        refused: refusals(registry),
    }
}

fn refusals(registry: &Registry) -> Vec<Refusal> {
    registry.refused().iter().map(refusal).collect()
}

fn refusal(refusal: &crate::host::Refusal) -> Refusal {
    Refusal {
        file: refusal.file.to_string_lossy().into_owned(),
        reason: refusal.reason.clone(),
        help: refusal.help.clone(),
    }
}

/// The file that a request's graph is of.
pub(super) fn file(graph: &Graph) -> Option<PathBuf> {
    let path = graph.path.as_ref()?;
    Some(current_folder().join(path))
}

/// The graph of a request, with its parameters changed.
pub(super) fn source(session: &Session, graph: &Graph) -> Result<Source> {
    let (here, file) = (current_folder(), file(graph));
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(&here);
    Source::new(&graph.text, folder, &graph.set, session.registry.catalog())
}

/// The checked graph, or the answer that says why there is none.
pub(super) fn checked(session: &Session, source: &Source) -> Result<Checked, Reply> {
    graph::check(&source.document, session.registry.catalog()).map_err(|diagnostics| {
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let plural = if errors == 1 { "" } else { "s" };
        Reply::Error(protocol::Error {
            kind: protocol::Kind::Graph,
            message: format!("the graph cannot run: {errors} error{plural}"),
            help: None,
            diagnostics,
        })
    })
}

pub(super) fn check(session: &Session, graph: &Graph) -> Result<Reply> {
    let source = source(session, graph)?;
    let (ok, diagnostics): (bool, Vec<Diagnostic>) = match graph::check(&source.document, session.registry.catalog()) {
        Ok(checked) => (true, checked.warnings),
        Err(found) => (false, found),
    };
    Ok(Reply::Checked { ok, diagnostics })
}

pub(super) fn plan(session: &Session, graph: &Graph, targets: &[String]) -> Result<Reply> {
    let source = source(session, graph)?;
    let checked = match checked(session, &source) {
        Ok(checked) => checked,
        Err(reply) => return Ok(reply),
    };
    let steps = Steps::new(session, &checked, &source.folder, targets, false, &Unwatched)?;
    let rows = look(&steps.of_graph(file(graph))).into_iter().map(|line| {
        let (state, detail) = match line.forecast {
            Forecast::Hit => (protocol::Forecast::Hit, String::new()),
            Forecast::NotNeeded => (protocol::Forecast::Hit, "not needed in memory".into()),
            Forecast::Miss(why) => (protocol::Forecast::Miss, why),
            Forecast::DependsOn(node) => (protocol::Forecast::DependsOn, node),
            Forecast::Load => (protocol::Forecast::Load, String::new()),
            Forecast::Frozen(false) => (protocol::Forecast::Hit, "frozen".into()),
            Forecast::Frozen(true) => (protocol::Forecast::Hit, "frozen: older than its inputs".into()),
            Forecast::Lost(why) => (protocol::Forecast::Lost, why),
        };
        PlanRow {
            node: line.node,
            ty: line.ty,
            state,
            detail,
            key: line.key.unwrap_or_default(),
        }
    });
    Ok(Reply::Planned {
        rows: rows.collect(),
        diagnostics: checked.warnings.clone(),
    })
}

/// Looks for node crates that changed. Runs that go on keep the code they began with.
pub(super) fn reload(shared: &Shared) -> Result<Reply> {
    shared.reloader.look().map(reloaded)
}

/// What the watch on sources and plugin folders tells.
pub(super) fn news(told: Told) -> Reply {
    match told {
        Told::Building(packages) => Reply::Building { packages },
        Told::Reloaded(news) => reloaded(news),
        Told::Failed(failure) => error(&failure),
    }
}

fn reloaded(news: Reloaded) -> Reply {
    Reply::Reloaded {
        changed: news.changed,
        plugins: news.plugins,
        refused: news.refused.iter().map(refusal).collect(),
        build: news.build,
    }
}

/// A failure of the person who asks.
pub(super) fn user(message: String) -> Failure {
    Failure::new(Kind::User, message)
}
