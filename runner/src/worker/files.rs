//! Files and folders, for an editor on another machine.

use super::answer::{current_folder, user};
use crate::failure::{Failure, Result};
use crate::picture;
use crate::resolve::absolute;
use protocol::{Bytes, Entry, FolderEntry, Reply};
use sdk::image::ImageReader;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most that is sent of a file.
const MOST: u64 = 16 << 20;

fn place(path: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    match path
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .zip(home())
    {
        Some((rest, home)) => absolute(&home, rest.trim_start_matches('/')),
        None => absolute(&current_folder(), path),
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    |e| {
        let failure = user(format!("{} cannot be read: {e}", path.display()));
        match e.kind() {
            io::ErrorKind::NotFound => failure.help("check the path; relative ones start from the worker's folder"),
            _ => failure,
        }
    }
}

pub(super) fn list(path: &str) -> Result<Reply> {
    let path = place(path);
    let mut entries = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable(&path))?.flatten() {
        let metadata = fs::metadata(entry.path()).ok();
        let kind = match &metadata {
            Some(metadata) if metadata.is_dir() => Entry::Folder,
            Some(metadata) if metadata.is_file() => Entry::File,
            _ => Entry::Other,
        };
        let size = metadata.as_ref().filter(|m| m.is_file()).map_or(0, fs::Metadata::len);
        let modified = metadata
            .and_then(|m| m.modified().ok())
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        entries.push(FolderEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind,
            size,
            modified: modified.map_or(0, |age| age.as_secs()),
        });
    }
    entries.sort_by(|a, b| (a.kind != Entry::Folder, &a.name).cmp(&(b.kind != Entry::Folder, &b.name)));
    let path = path.to_string_lossy().into_owned();
    Ok(Reply::Folder { path, entries })
}

/// Opens a regular file: a pipe would be waited for for ever.
fn open(path: &Path) -> Result<(File, u64)> {
    let metadata = fs::metadata(path).map_err(unreadable(path))?;
    if !metadata.is_file() {
        return Err(user(format!("{} is no regular file", path.display())));
    }
    Ok((File::open(path).map_err(unreadable(path))?, metadata.len()))
}

pub(super) fn read(path: &str, limit: Option<u64>) -> Result<Reply> {
    let path = place(path);
    let (file, size) = open(&path)?;
    let mut bytes = Vec::new();
    file.take(limit.unwrap_or(MOST).min(MOST))
        .read_to_end(&mut bytes)
        .map_err(unreadable(&path))?;
    Ok(Reply::File {
        path: path.to_string_lossy().into_owned(),
        size,
        bytes: Bytes(bytes),
    })
}

pub(super) fn picture(path: &str, width: u32, height: u32) -> Result<Reply> {
    let path = place(path);
    let (file, _) = open(&path)?;
    let broken = |e: sdk::image::ImageError| {
        user(format!("{} is no picture that can be shown: {e}", path.display())).help("PNG, JPEG and WebP are read")
    };
    let reader = ImageReader::new(io::BufReader::new(file))
        .with_guessed_format()
        .map_err(unreadable(&path))?;
    let pixels = reader.decode().map_err(broken)?.to_rgb8();
    let (full_width, full_height) = pixels.dimensions();
    let image = sdk::Image::new(full_width as usize, full_height as usize, pixels.into_raw())?;
    let image = picture::within(&image, width as usize, height as usize)?;
    Ok(Reply::Picture {
        path: path.to_string_lossy().into_owned(),
        full_width,
        full_height,
        picture: picture::of(&image)?,
    })
}
