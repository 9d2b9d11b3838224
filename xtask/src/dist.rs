//! The release: a folder that runs from anywhere without Rust, and what is needed to compile node packs against it.

use crate::archive::Archive;
use crate::built::{Built, compiler};
use crate::{licences, root, say};
use anyhow::{Context, Result, ensure};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What of the repository goes into the release as it is.
const FOLDERS: [&str; 6] = ["LICENSE", "README.md", "ARCHITECTURE.md", "docs", "examples", "graphs"];

pub(crate) fn make(out: &Path) -> Result<()> {
    let root = root()?;
    let (target, libraries) = compiler()?;
    let built = Built::new(root, &target)?;
    let name = format!("para-{}-{target}", env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(out)?;

    let mut release = Archive::new(out, &format!("{name}.tar.gz"), &name)?;
    let program = |package: &str, name: &str| built.file(package, "bin", &format!("{name}{EXE_SUFFIX}"));
    let para = program("runner", "para").context("cargo built no para")?;
    release.add("para", &para)?;
    // The editor, where there is one.
    for package in ["tui", "para-tui"] {
        if let Some(editor) = program(package, "para-tui") {
            release.add("para-tui", &editor)?;
        }
    }
    for library in ["sdk", "diffusion"] {
        let file = built
            .file(library, "dylib", DLL_SUFFIX)
            .with_context(|| format!("cargo built no {library}"))?;
        release.add(&format!("{DLL_PREFIX}{library}{DLL_SUFFIX}"), &file)?;
    }
    let nodes = built.ours("node-");
    ensure!(!nodes.is_empty(), "there are no node crates");
    for node in &nodes {
        let file = built
            .file(node, "cdylib", DLL_SUFFIX)
            .with_context(|| format!("cargo built no {node}"))?;
        release.add(&name_of(&file), &file)?;
    }
    let std = std_library(&libraries)?;
    release.add(&name_of(&std), &std)?;
    for file in tracked(root)? {
        if FOLDERS
            .iter()
            .any(|folder| file == Path::new(folder) || file.starts_with(folder))
        {
            release.add(&file.to_string_lossy(), &root.join(&file))?;
        }
    }
    let mut linked = vec!["runner", "diffusion", "tui"];
    linked.extend(nodes.iter().map(String::as_str));
    licences::add(&mut release, &built, &linked, &libraries)?;
    let size = release.finish()?;
    say(&format!(
        "{} ({} MB)",
        out.join(format!("{name}.tar.gz")).display(),
        size >> 20
    ));

    let sdk_name = format!("para-sdk-{}-{target}.tar.gz", env!("CARGO_PKG_VERSION"));
    let mut sdk = Archive::new(out, &sdk_name, &name)?;
    for id in built.closure(&["diffusion"]) {
        for file in built
            .files(&id, "lib", ".rmeta")
            .into_iter()
            .chain(built.files(&id, "rlib", ".rmeta"))
        {
            sdk.add(&format!("sdk/{}", name_of(&file)), &file)?;
        }
        for file in built.files(&id, "proc-macro", DLL_SUFFIX) {
            sdk.add(&format!("sdk/{}", name_of(&file)), &file)?;
        }
    }
    let size = sdk.finish()?;
    say(&format!("{} ({} MB)", out.join(sdk_name).display(), size >> 20));
    Ok(())
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Rust's standard library as a shared one.
fn std_library(folder: &Path) -> Result<PathBuf> {
    let prefix = format!("{DLL_PREFIX}std-");
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut found = entries.iter().map(|entry| entry.path()).filter(|path| {
        let name = name_of(path);
        name.starts_with(&prefix) && name.ends_with(DLL_SUFFIX)
    });
    let first = found
        .next()
        .with_context(|| format!("no shared libstd in {}", folder.display()))?;
    ensure!(found.next().is_none(), "more than one libstd in {}", folder.display());
    Ok(first)
}

/// The files that git knows.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    ensure!(output.status.success(), "a release is made from a git checkout");
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_terminator('\0').map(PathBuf::from).collect())
}
