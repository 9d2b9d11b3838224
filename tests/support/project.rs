//! The project's own files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files below a folder, in order; hidden ones and build results are left out.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == "target" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

/// The files of the project by their names relative to it: those that git knows or would add, all files where
/// there is no git.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty());
    let names: Vec<String> = match listed {
        Some(output) => String::from_utf8(output.stdout)
            .unwrap()
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        None => files_below(root())
            .iter()
            .map(|file| file.strip_prefix(root()).unwrap().to_string_lossy().into_owned())
            .collect(),
    };
    let names: Vec<String> = names.into_iter().filter(|name| root().join(name).is_file()).collect();
    assert!(names.len() > 100, "the list of files looks incomplete: {names:?}");
    names
}

/// The Rust sources among [`files`], with their text.
pub(crate) fn sources() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .map(|name| {
            let text = std::fs::read_to_string(root().join(&name)).unwrap();
            (name, text)
        })
        .collect()
}

/// Whether a source is a test as a whole: it lies in a `tests` folder.
pub(crate) fn is_test(name: &str) -> bool {
    name.split('/').any(|part| part == "tests")
}
