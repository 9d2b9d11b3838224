//! `para pack`: one archive with a graph and what it needs.

use super::report;
use crate::cli::open::Opened;
use crate::cli::watch::patient;
use crate::cli::{Global, home};
use crate::failure::{Failure, Result};
use crate::resolve::Steps;
use crate::share::bundle::{self, Head};
use crate::share::lock::{Lock, short};
use protocol::size_text;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Arguments of `para pack`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The graph: a JSON file, or a picture made by one
    graph: PathBuf,
    /// The archive to write [default: GRAPH.para.tar.gz beside the graph]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Put the files in too, those of at most so many MB each
    #[arg(long, value_name = "MB", num_args = 0..=1, default_missing_value = "64")]
    files: Option<u64>,
    /// Say where a file comes from: NODE.PARAMETER=TEXT; may be repeated
    #[arg(long, value_name = "NODE.PARAMETER=TEXT")]
    origin: Vec<String>,
    /// Change a parameter first: NODE.PARAMETER=VALUE; may be repeated
    #[arg(long, value_name = "NODE.PARAMETER=VALUE")]
    set: Vec<String>,
    /// Pack files that are not the ones the graph was made with
    #[arg(long)]
    unlocked: bool,
    /// Replace the archive if it is there
    #[arg(long)]
    force: bool,
}

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let session = global.session()?;
    let mut opened = Opened::read(&arguments.graph, &arguments.set, session.registry.catalog())?;
    let stem = arguments
        .graph
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let to = match &arguments.out {
        Some(out) => out.clone(),
        None => arguments.graph.with_file_name(format!("{stem}.para.tar.gz")),
    };
    if to.exists() && !arguments.force {
        return Err(Failure::user(format!("{} is there already", to.display()))
            .help("--out names another file, --force replaces this one"));
    }
    let checked = opened.check(&session.registry)?;
    let steps = Steps::new(&session, &checked, &opened.folder, &[], false, &patient())?;
    if let Some(before) = Lock::beside(&arguments.graph, &opened.document)?.filter(|_| !arguments.unlocked) {
        before.verify(&steps, &arguments.set)?;
    }
    let mut lock = Lock::of(&steps, &home()?)?;
    for text in &arguments.origin {
        let (place, origin) = text.split_once('=').unwrap_or((text, ""));
        let Some(file) = lock
            .files
            .iter_mut()
            .find(|file| file.place() == place && !origin.is_empty())
        else {
            let places: Vec<String> = lock.files.iter().map(crate::share::lock::LockedFile::place).collect();
            return Err(Failure::user(format!(
                "--origin {text}: expected NODE.PARAMETER=TEXT for a file of the graph"
            ))
            .help(format!("the files are {}", places.join(", "))));
        };
        file.origin = Some(origin.to_owned());
    }
    let mut packed: Vec<(String, PathBuf)> = Vec::new();
    if let Some(limit) = arguments.files {
        for file in lock
            .files
            .iter_mut()
            .filter(|file| file.size <= limit.saturating_mul(1_000_000))
        {
            file.packed = true;
            let step = checked.find(&file.node).and_then(|index| steps.step(index));
            let path = step
                .and_then(|step| step.params.get(&file.param))
                .and_then(Json::as_str);
            if let Some(path) = path.filter(|_| !packed.iter().any(|(hash, _)| *hash == file.blake3)) {
                packed.push((file.blake3.clone(), PathBuf::from(path)));
            }
        }
    }
    // Where its author had it is nobody's business.
    let _ = opened.document.remove_top("made");
    for file in &lock.files {
        let origin = file
            .origin
            .as_ref()
            .map_or(String::new(), |origin| format!(", from {origin}"));
        let what = if file.packed { "packed" } else { "named" };
        report::say(&format!(
            "  {what:6}  {}  {} ({}, hash {}{origin})",
            file.place(),
            file.path,
            size_text(file.size),
            short(&file.blake3)
        ));
    }
    for pack in lock.packs.iter().filter(|pack| pack.source.is_none()) {
        report::say(&format!(
            "  note    the pack {} {} is in a folder of this machine; whoever opens the archive has to get it from you",
            pack.name, pack.version
        ));
    }
    let head = Head {
        paragraph_bundle: bundle::FORMAT,
        graph: format!("{stem}.json"),
        lock,
    };
    let bytes = bundle::write(&to, &head, &opened.text(), &packed)?;
    report::say(&format!("{}: {}", to.display(), size_text(bytes)));
    report::result(&display(&to));
    Ok(())
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
