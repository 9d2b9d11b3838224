//! The licences of everything that is linked into the release.

use crate::archive::Archive;
use crate::built::Built;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// Adds `licences/`: a list of all crates, and the texts that lie beside their sources.
pub(crate) fn add(release: &mut Archive, built: &Built, linked: &[&str], libraries: &Path) -> Result<()> {
    let mut list = String::from("Crates that are linked into this release, and their licences.\n\n");
    for id in built.closure(linked) {
        let package = built.package(&id);
        let text = |key: &str| package[key].as_str().unwrap_or("?");
        if package["source"].is_null() {
            continue;
        }
        let crate_name = format!("{}-{}", text("name"), text("version"));
        let _ = writeln!(list, "{crate_name}: {} ({})", text("license"), text("repository"));
        let manifest = Path::new(text("manifest_path"));
        let folder = manifest.parent().context("a manifest lies in a folder")?;
        for file in texts(folder)? {
            release.add(&format!("licences/{crate_name}/{file}"), &folder.join(&file))?;
        }
    }
    // The standard library travels as a file of its own.
    list.push_str("\nRust's standard library: MIT OR Apache-2.0 (https://github.com/rust-lang/rust)\n");
    let toolchain = libraries.ancestors().nth(4).context("the compiler's folder")?;
    for folder in ["share/doc/rust", "share/doc/rustc", "share/doc/docs/rustc"] {
        let folder = toolchain.join(folder);
        for file in texts(&folder).unwrap_or_default() {
            release.add(&format!("licences/rust/{file}"), &folder.join(&file))?;
        }
    }
    release.add_text("licences/LIST.txt", &list)
}

/// Names of the files of a folder that are licences.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|word| upper.starts_with(word));
        if is_licence && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
