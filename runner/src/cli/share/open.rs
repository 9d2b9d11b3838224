//! `para open`: a graph that somebody sent, with everything found that it needs.

use super::{here, missing_nodes, report};
use crate::cli::open::Opened;
use crate::cli::{Global, home};
use crate::content::Contents;
use crate::failure::{Failure, Result};
use crate::resolve::absolute;
use crate::share::find::{Finder, usual_places};
use crate::share::lock::{self, Lock, LockedFile, short};
use crate::share::unpack::{self, Unpacked};
use protocol::size_text;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Arguments of `para open`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// An archive of para pack, or a picture that para saved
    archive: PathBuf,
    /// The folder to make [default: the archive's name, here]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Also look for files in this folder, by their content; may be repeated ($PARA_MODELS takes a list)
    #[arg(long, value_name = "FOLDER")]
    search: Vec<PathBuf>,
    /// The most to unpack, in MB
    #[arg(long, value_name = "MB", default_value_t = 4096)]
    largest: u64,
}

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let session = global.session()?;
    let archive = &arguments.archive;
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name
        .split('.')
        .next()
        .filter(|stem| !stem.is_empty())
        .unwrap_or("graph")
        .to_owned();
    let into = arguments.into.clone().unwrap_or_else(|| PathBuf::from(&stem));
    if into.exists() && fs::read_dir(&into).map_or(true, |mut entries| entries.next().is_some()) {
        return Err(Failure::user(format!("{} is there already", into.display()))
            .help("--into names another folder, which is made"));
    }
    if let Some(folder) = arguments.search.iter().find(|folder| !folder.is_dir()) {
        return Err(Failure::user(format!("--search {}: no such folder", folder.display())));
    }
    let into = absolute(&here(), &into.to_string_lossy());
    let beside = into.parent().unwrap_or(Path::new("/")).to_owned();
    fs::create_dir_all(&beside).map_err(|e| Failure::user(format!("cannot make {}: {e}", beside.display())))?;

    let is_picture = is_picture(archive);
    let (unpacked, mut document, mut lock, graph) = if is_picture {
        let opened = Opened::read(archive, &[], session.registry.catalog())?;
        let lock = Lock::beside(archive, &opened.document)?.ok_or_else(|| {
            Failure::user(format!(
                "{} says nothing about the files it was made with",
                archive.display()
            ))
            .help("it was saved by an older para; para run runs its graph if the files are where it names them")
        })?;
        let mut document = opened.document;
        let _ = document.remove_top("made");
        (None, document, lock, format!("{stem}.json"))
    } else {
        let unpacked = unpack::read(archive, &beside, arguments.largest.saturating_mul(1_000_000))?;
        let (document, _) = graph::parse(&unpacked.graph);
        let (lock, graph) = (unpacked.head.lock.clone(), unpacked.head.graph.clone());
        (Some(unpacked), document, lock, graph)
    };
    if !document.is_readable() {
        return Err(Failure::user(format!("the graph in {} is no JSON", archive.display())));
    }

    // Everything is made beside, and gets its name at the end.
    let draft = tempfile::Builder::new().prefix(".para-").tempdir_in(&beside);
    let draft = draft.map_err(|e| Failure::system(format!("cannot make a folder in {}: {e}", beside.display())))?;
    let mut around: Vec<PathBuf> = arguments.search.clone();
    let parent = std::path::absolute(archive)
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    around.extend([parent, Some(here()), Some(beside.clone())].into_iter().flatten());
    let around: Vec<&Path> = around.iter().map(PathBuf::as_path).collect();
    let places = usual_places(&around, &home()?);
    let mut search = None;
    let mut missing = 0;
    for file in &mut lock.files {
        let placed = match &unpacked {
            Some(unpacked) if file.packed => Some(place(unpacked, file, draft.path())?),
            _ => locate(file, &into, &session.contents, || {
                search.get_or_insert_with(|| look_in(&session.contents, &places))
            }),
        };
        let Some(path) = placed else {
            missing += 1;
            continue;
        };
        if path != file.path {
            // The node is there, unless the archive's lock and graph do not belong together.
            document.set_param(&file.node, &file.param, path.clone()).map_err(|e| {
                Failure::user(format!(
                    "the lock names {}, which the graph does not have: {}",
                    file.place(),
                    e.message
                ))
            })?;
            file.path = path;
        }
    }
    session.contents.save();
    let graph_file = draft.path().join(&graph);
    sdk::atomic::write(&graph_file, document.to_text().as_bytes())?;
    for file in &mut lock.files {
        file.packed = false;
    }
    let text = serde_json::to_vec_pretty(&lock).map_err(|e| Failure::system(e.to_string()))?;
    sdk::atomic::write(&Lock::path_for(&graph_file), &text)?;
    finish(draft, &into)?;

    let lost = missing_nodes(&lock::missing_nodes(&document, &session.registry, Some(&lock)));
    let graph = into.join(&graph);
    report::result(&graph.display().to_string());
    if missing > 0 || lost {
        return Err(
            Failure::user(format!("{} needs more than is here (see above)", graph.display())).help(format!(
                "when it is here: para doctor {} --fix finds files by content, wherever they are (--search FOLDER)",
                graph.display()
            )),
        );
    }
    Ok(())
}

/// By its first bytes: an archive may be larger than the memory.
fn is_picture(file: &Path) -> bool {
    let mut head = [0; 4];
    File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"\x89PNG"
}

fn look_in<'a>(contents: &'a Contents, places: &[PathBuf]) -> Finder<'a> {
    let (finder, too_large) = Finder::new(contents, places);
    for folder in too_large {
        report::say(&format!(
            "  note     {} holds too much to be searched as a whole",
            folder.display()
        ));
    }
    finder
}

/// Puts a packed file where the graph names it, if that is inside of the new folder; else into `files`.
fn place(unpacked: &Unpacked, file: &LockedFile, draft: &Path) -> Result<String> {
    let inside =
        |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_))) && !file.path.is_empty();
    let plain = Path::new(&file.path);
    let reserved = plain.starts_with(&unpacked.head.graph) || plain.components().next().is_none();
    // A file that lies in a folder which was packed too is there already; anything else there has another content.
    let there = draft.join(plain);
    let taken = there.exists() && Contents::default().of(&there).ok().as_ref() != Some(&file.blake3);
    let path = if inside(plain) && !reserved && !taken && !file.path.contains('\\') {
        file.path.clone()
    } else {
        let name = plain
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| !name.contains('\\'))
            .unwrap_or("file");
        format!("files/{}/{name}", short(&file.blake3))
    };
    let to = draft.join(&path);
    if !to.exists() {
        let cannot = |e: std::io::Error| Failure::system(format!("cannot write {path}: {e}"));
        fs::create_dir_all(to.parent().unwrap_or(draft)).map_err(cannot)?;
        let from = unpacked.file(&file.blake3);
        // The same content may be wanted at two places.
        if fs::rename(&from, &to).is_err() {
            let other = find_placed(draft, file).ok_or_else(|| Failure::system(format!("cannot write {path}")))?;
            report::say(&format!("  packed   {}  {} (as {})", file.place(), other, path));
            return Ok(other);
        }
    }
    report::say(&format!(
        "  packed   {}  {path} ({})",
        file.place(),
        size_text(file.size)
    ));
    Ok(path)
}

/// Where this content was put before.
fn find_placed(draft: &Path, file: &LockedFile) -> Option<String> {
    let contents = Contents::default();
    let (finder, _) = Finder::new(&contents, &[draft.to_owned()]);
    let found = finder.find(file)?;
    Some(found.strip_prefix(draft).ok()?.to_str()?.to_owned())
}

/// The path under which a run in `into` finds this content: the graph's own if that is right, else where it is found.
fn locate<'a, 'f: 'a>(
    file: &LockedFile,
    into: &Path,
    contents: &Contents,
    finder: impl FnOnce() -> &'a mut Finder<'f>,
) -> Option<String> {
    let at = absolute(into, &file.path);
    let there = contents.of(&at).ok();
    if there.as_ref() == Some(&file.blake3) {
        report::say(&format!("  here     {}  {}", file.place(), file.path));
        return Some(file.path.clone());
    }
    if let Some(other) = there {
        report::say(&format!(
            "  refused  {}  {} is there with other bytes (hash {}, not {})",
            file.place(),
            at.display(),
            short(&other),
            short(&file.blake3)
        ));
    }
    let found = finder().find(file).and_then(|path| path.to_str().map(str::to_owned));
    match &found {
        Some(path) => report::say(&format!("  found    {}  {path} (was {})", file.place(), file.path)),
        None => {
            let origin = file
                .origin
                .as_ref()
                .map_or(String::new(), |origin| format!(", from {origin}"));
            report::result(&format!(
                "missing  {}  {} ({}, {}, hash {}{origin})",
                file.place(),
                file.path,
                file.kind(),
                size_text(file.size),
                file.blake3
            ));
        }
    }
    found
}

/// Gives the finished folder its name.
fn finish(draft: tempfile::TempDir, into: &Path) -> Result<()> {
    let cannot = |e: std::io::Error| Failure::user(format!("cannot make {}: {e}", into.display()));
    if into.exists() {
        fs::remove_dir(into).map_err(cannot)?;
    }
    fs::rename(draft.path(), into).map_err(cannot)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = fs::set_permissions(into, fs::Permissions::from_mode(0o755));
    }
    Ok(())
}
