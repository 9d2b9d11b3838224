//! One archive with a graph, its lock, and the files that were asked for.
//!
//! It is a tar file, compressed with gzip (crates `tar` and `flate2`: the latter is in every picture anyway, both are
//! kept by the Rust project's own people, and any system unpacks such a file without `para`). Models hardly compress, so
//! a stronger compression would gain little. What comes from elsewhere is read by [`unpack`](super::unpack).

use super::lock::Lock;
use crate::content::Contents;
use crate::failure::{Failure, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// The first entry of an archive.
pub const HEAD: &str = "bundle.json";
/// The graph's text.
pub const GRAPH: &str = "graph.json";
/// The folder of files, each under the hash of its content.
pub const FILES: &str = "files";
/// The format's version.
pub const FORMAT: u32 = 1;

/// What the first entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub paragraph_bundle: u32,
    /// The graph's file name.
    pub graph: String,
    /// What it needs.
    pub lock: Lock,
}

/// Writes an archive: whole, or not at all. `files` gives the place of each packed file of the lock by its hash. Gives
/// the size of the archive in bytes.
///
/// # Errors
/// Those of the file system, and files that change meanwhile.
pub fn write(to: &Path, head: &Head, graph: &str, files: &[(String, PathBuf)]) -> Result<u64> {
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let unwritable = |e: io::Error| Failure::system(format!("cannot write {}: {e}", to.display()));
    let draft = tempfile::Builder::new()
        .prefix(".para-")
        .tempfile_in(folder)
        .map_err(unwritable)?;
    let mut tar = Builder::new(GzEncoder::new(BufWriter::new(draft), Compression::default()));
    let text = serde_json::to_vec_pretty(head).map_err(|e| Failure::system(e.to_string()))?;
    add(&mut tar, HEAD, text.len() as u64, &*text).map_err(unwritable)?;
    add(&mut tar, GRAPH, graph.len() as u64, graph.as_bytes()).map_err(unwritable)?;
    for (hash, path) in files {
        let unreadable = |file: &Path, e: io::Error| Failure::user(format!("cannot pack {}: {e}", file.display()));
        let inside = if path.is_dir() {
            Contents::files(path).map_err(|e| unreadable(path, e))?
        } else {
            vec![path.clone()]
        };
        for file in inside {
            let relative = file.strip_prefix(path).unwrap_or(&file);
            let mut name = format!("{FILES}/{hash}");
            for part in relative {
                let part = part.to_str().ok_or_else(|| {
                    Failure::user(format!("{} has a name that is not UTF-8", file.display())).help("rename it")
                })?;
                name = format!("{name}/{part}");
            }
            let opened = File::open(&file).map_err(|e| unreadable(&file, e))?;
            let size = opened.metadata().map_err(|e| unreadable(&file, e))?.len();
            add(&mut tar, &name, size, opened.take(size)).map_err(unwritable)?;
        }
    }
    let finished = tar.into_inner().and_then(GzEncoder::finish).and_then(|mut file| {
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.as_file().sync_all()?;
        let size = file.as_file().metadata()?.len();
        file.persist(to)?;
        Ok(size)
    });
    finished.map_err(unwritable)
}

fn add(tar: &mut Builder<impl Write>, name: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    // No time and no user: the same graph and files give the same bytes.
    header.set_mtime(1);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, content)
}
