//! `para doctor`: what a graph needs, and what of it is here.

use super::{here, missing_nodes, report};
use crate::cli::open::Opened;
use crate::cli::{Global, home};
use crate::failure::{Failure, Result};
use crate::share::find::{Finder, usual_places};
use crate::share::lock::{self, Lock};
use crate::share::need::{Need, State, needs};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `para doctor`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The graph: a JSON file, or a picture made by one
    graph: PathBuf,
    /// Also look for missing files in this folder, by their content; may be repeated ($PARA_MODELS takes a list)
    #[arg(long, value_name = "FOLDER")]
    search: Vec<PathBuf>,
    /// Write the places of found files into the graph
    #[arg(long)]
    fix: bool,
    /// Print JSON: {nodes, files, ok}
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let session = global.session()?;
    let opened = Opened::read(&arguments.graph, &[], session.registry.catalog())?;
    if !opened.document.is_readable() {
        return Err(Failure::user(format!("{} is no JSON", opened.name)).help("para check says where it breaks off"));
    }
    let lock = Lock::beside(&arguments.graph, &opened.document)?;
    let mut around: Vec<&Path> = arguments.search.iter().map(PathBuf::as_path).collect();
    let current = here();
    around.extend([opened.folder.as_path(), current.as_path()]);
    let places = usual_places(&around, &home()?);
    let needs = needs(
        &opened.document,
        session.registry.catalog(),
        &opened.folder,
        lock.as_ref(),
        &session.contents,
        &|| Finder::new(&session.contents, &places).0,
    );
    session.contents.save();
    let lost = lock::missing_nodes(&opened.document, &session.registry, lock.as_ref());
    // Which package gives which of the graph's node types.
    let mut packs: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for plugin in session.registry.plugins() {
        for ty in plugin.nodes() {
            if opened.document.nodes().values().any(|node| node.ty.name == ty.name) {
                packs
                    .entry((plugin.name.clone(), plugin.version.clone()))
                    .or_default()
                    .push(ty.name.clone());
            }
        }
    }
    let ok = lost.is_empty() && needs.iter().all(Need::is_here);
    if arguments.json {
        let files: Vec<_> = needs
            .iter()
            .map(|need| {
                let (state, detail) = need.words();
                json!({"place": need.place, "path": need.path, "state": state, "detail": detail, "found": found(need)})
            })
            .collect();
        let nodes: Vec<_> = packs
            .iter()
            .map(|((name, version), types)| json!({"pack": name, "version": version, "nodes": types, "state": "here"}))
            .chain(
                lost.iter()
                    .map(|(ty, pack)| json!({"pack": pack, "nodes": [ty], "state": "missing"})),
            )
            .collect();
        let all = json!({"nodes": nodes, "files": files, "ok": ok});
        report::result(&serde_json::to_string_pretty(&all).map_err(|e| Failure::system(e.to_string()))?);
    } else {
        for ((name, version), types) in &packs {
            let locked = lock
                .as_ref()
                .and_then(|lock| lock.packs.iter().find(|pack| pack.name == *name));
            let other = locked.filter(|pack| pack.version != *version);
            let note = other.map_or(String::new(), |pack| {
                format!(" (the graph was made with {})", pack.version)
            });
            report::result(&format!("here     {name} {version}{note}: {}", types.join(" ")));
        }
        missing_nodes(&lost);
        for need in &needs {
            let (state, detail) = need.words();
            report::result(&format!("{state:7}  {}  {} ({detail})", need.place, need.path));
        }
        if lock.is_none() {
            report::say("there is no lock: whether these are the files that the author had cannot be told");
        }
    }
    let fixed = if arguments.fix {
        fix(&arguments.graph, opened, lock, &needs)?
    } else {
        0
    };
    let open = needs.iter().filter(|need| !need.is_here()).count() - fixed;
    if open == 0 && lost.is_empty() {
        return Ok(());
    }
    let can = needs.iter().any(|need| found(need).is_some()) && !arguments.fix;
    let help = if can {
        "para doctor --fix writes the places of found files into the graph"
    } else {
        "get what is missing; files are found by their content under any name: --search FOLDER"
    };
    Err(Failure::user(format!("{} needs more than is here", arguments.graph.display())).help(help))
}

fn found(need: &Need) -> Option<&Path> {
    match &need.state {
        State::Other { found, .. } | State::Missing { found } => found.as_deref(),
        _ => None,
    }
}

/// Writes the places of found files into the graph and its lock; gives their number.
fn fix(graph: &Path, opened: Opened, lock: Option<Lock>, needs: &[Need]) -> Result<usize> {
    let found: Vec<(&Need, &Path)> = needs.iter().filter_map(|need| Some((need, found(need)?))).collect();
    if found.is_empty() {
        return Ok(0);
    }
    if graph.extension().is_none_or(|extension| extension != "json") {
        return Err(
            Failure::user(format!("{} is a picture; its graph is not changed", graph.display()))
                .help(format!("para open {} makes a graph of it", graph.display())),
        );
    }
    let (mut document, mut lock) = (opened.document, lock);
    for (need, path) in &found {
        let text = path.to_string_lossy().into_owned();
        let (node, param) = need.place.split_once('.').unwrap_or((&need.place, ""));
        document
            .set_param(node, param, text.clone())
            .map_err(|e| Failure::user(e.message))?;
        for file in lock
            .iter_mut()
            .flat_map(|lock| &mut lock.files)
            .filter(|file| file.place() == need.place)
        {
            file.path.clone_from(&text);
        }
        report::say(&format!("  fixed    {}  {text} (was {})", need.place, need.path));
    }
    sdk::atomic::write(graph, document.to_text().as_bytes())?;
    if let Some(lock) = lock {
        let text = serde_json::to_vec_pretty(&lock).map_err(|e| Failure::system(e.to_string()))?;
        sdk::atomic::write(&Lock::path_for(graph), &text)?;
    }
    Ok(found.len())
}
