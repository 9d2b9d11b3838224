//! Reads an archive that comes from elsewhere: nothing in it is believed.
//!
//! Only plain files with the names that the format knows are taken; nothing is written outside of a folder of its own;
//! no more is read than the head declares, and no more is declared than the user allows; and a file counts only if its
//! bytes hash to its name.

use super::bundle::{FILES, FORMAT, GRAPH, HEAD, Head};
use super::lock::FORMAT as LOCK_FORMAT;
use crate::content::Contents;
use crate::failure::{Failure, Result};
use flate2::read::GzDecoder;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use tar::{Archive, EntryType};
use tempfile::TempDir;

/// An archive's content: the files lie in a folder that goes when this does.
#[derive(Debug)]
pub struct Unpacked {
    /// The head.
    pub head: Head,
    /// The graph's text.
    pub graph: String,
    files: TempDir,
}

impl Unpacked {
    /// Where a packed file or folder lies.
    pub fn file(&self, hash: &str) -> PathBuf {
        self.files.path().join(hash)
    }
}

/// The head and the graph together are never larger.
const LARGEST_TEXT: u64 = 64 << 20;
/// What tar adds to each file.
const OVERHEAD: u64 = 4096;
/// More files than any dataset has.
const MOST_FILES: u64 = 100_000;

/// Ends with an error when more comes out of a compressed stream than was declared.
struct Capped<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it unpacks to more than it declares"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

/// Reads an archive; its files go into a temporary folder in `beside`. At most `largest` bytes are unpacked.
///
/// # Errors
/// Anything that is not exactly an archive of this format.
pub fn read(archive: &Path, beside: &Path, largest: u64) -> Result<Unpacked> {
    let refuse = |why: String| Failure::user(format!("{} was not opened: {why}", archive.display()));
    let file = File::open(archive).map_err(|e| Failure::user(format!("cannot read {}: {e}", archive.display())))?;
    let left = Rc::new(Cell::new(2 * LARGEST_TEXT));
    let decoded = Capped {
        inner: GzDecoder::new(BufReader::new(file)),
        left: left.clone(),
    };
    let files = tempfile::Builder::new().prefix(".para-").tempdir_in(beside);
    let files = files.map_err(|e| Failure::system(format!("cannot make a folder in {}: {e}", beside.display())))?;
    let mut head: Option<Head> = None;
    let mut graph: Option<String> = None;
    let mut seen = BTreeSet::new();
    let mut tar = Archive::new(decoded);
    let entries = tar.entries().map_err(|e| refuse(e.to_string()))?;
    for entry in entries {
        let broken = |e: io::Error| refuse(format!("it is no archive of para pack, or damaged ({e})"));
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let name = path.display().to_string();
        if entry.header().entry_type() != EntryType::Regular {
            return Err(refuse(format!("it holds {name}, which is no plain file")));
        }
        let parts: Option<Vec<&str>> = path
            .components()
            .map(|part| match part {
                Component::Normal(part) => part.to_str().filter(|part| !part.contains(['\\', '\0', ':'])),
                _ => None,
            })
            .collect();
        let Some(parts) = parts else {
            return Err(refuse(format!("it holds the path {name}, which leads elsewhere")));
        };
        if !seen.insert(path.clone()) {
            return Err(refuse(format!("it holds {name} twice")));
        }
        if seen.len() as u64 > MOST_FILES {
            return Err(refuse(format!("it holds more than {MOST_FILES} files")));
        }
        match (parts.as_slice(), &head) {
            ([HEAD], None) => {
                let text = text(&mut entry).map_err(broken)?;
                let read: Head =
                    serde_json::from_str(&text).map_err(|e| refuse(format!("its {HEAD} is damaged: {e}")))?;
                let needed = declared(&read, largest).map_err(&refuse)?;
                left.set(LARGEST_TEXT.saturating_add(needed));
                head = Some(read);
            }
            ([GRAPH], Some(_)) => graph = Some(text(&mut entry).map_err(broken)?),
            ([FILES, hash, inside @ ..], Some(head)) => {
                let locked = head.lock.files.iter().find(|file| file.packed && file.blake3 == *hash);
                let fits = |file: &&super::lock::LockedFile| {
                    file.folder != inside.is_empty() && !inside.iter().any(|part| uncounted(part))
                };
                if locked.filter(fits).is_none() {
                    return Err(refuse(format!("it holds {name}, which its lock does not know")));
                }
                let to = inside
                    .iter()
                    .fold(files.path().join(hash), |path, part| path.join(part));
                write(&mut entry, &to).map_err(broken)?;
            }
            _ => return Err(refuse(format!("it holds {name}, which is not part of the format"))),
        }
    }
    let head = head.ok_or_else(|| refuse(format!("it has no {HEAD}")))?;
    let graph = graph.ok_or_else(|| refuse(format!("it has no {GRAPH}")))?;
    let contents = Contents::default();
    for file in head.lock.files.iter().filter(|file| file.packed) {
        let found = contents.of(&files.path().join(&file.blake3));
        if found.ok().as_ref() != Some(&file.blake3) {
            return Err(refuse(format!(
                "the bytes of {} ({}) are not those of its lock",
                file.place(),
                file.path
            )));
        }
    }
    Ok(Unpacked { head, graph, files })
}

/// How many bytes the files of an archive may take, if its head is to be believed so far.
fn declared(head: &Head, largest: u64) -> Result<u64, String> {
    if head.paragraph_bundle != FORMAT || head.lock.paragraph_lock != LOCK_FORMAT {
        return Err("it is of another version of the format; a newer para may open it".into());
    }
    let plain = Path::new(&head.graph).components().collect::<Vec<_>>();
    if !matches!(plain[..], [Component::Normal(_)])
        || head.graph.contains(['\\', ':', '\0'])
        || head.graph.starts_with('.')
    {
        return Err(format!("its graph is called {:?}, which is no file name", head.graph));
    }
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(file) = head.lock.files.iter().find(|file| !is_hash(&file.blake3)) {
        return Err(format!("the hash of {} is none", file.place()));
    }
    let sizes: BTreeSet<(&str, u64)> = head
        .lock
        .files
        .iter()
        .filter(|file| file.packed)
        .map(|file| (file.blake3.as_str(), file.size))
        .collect();
    let total = sizes.iter().fold(0u64, |total, (_, size)| total.saturating_add(*size));
    if total > largest {
        return Err(format!(
            "it unpacks to {} MB, more than {} MB (--largest allows more)",
            total >> 20,
            largest >> 20
        ));
    }
    // Folders do not say how many files are in them; each has a byte at least, but for empty ones.
    Ok(total.saturating_add(OVERHEAD * (total + 64).min(MOST_FILES)))
}

/// Files that are not part of a folder's content, and so of no hash.
fn uncounted(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".md")
}

fn text(entry: &mut impl Read) -> io::Result<String> {
    let mut text = String::new();
    entry.take(LARGEST_TEXT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_TEXT {
        return Err(io::Error::other("a text of it is larger than any graph"));
    }
    Ok(text)
}

fn write(entry: &mut impl Read, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(entry, &mut file)?;
    file.sync_all()
}
