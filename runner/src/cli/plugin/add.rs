//! `para plugin add`: compiles a pack and keeps it.

use super::{Global, compile, installed, report};
use crate::failure::{Failure, Result};
use crate::kit::installed::{Installed, Source};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Arguments of `para plugin add`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Folder of a pack, or a git repository (its URL, `#` and a branch, tag or commit if wanted)
    #[arg(value_name = "PATH|GIT")]
    source: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let installed = installed()?;
    let source = &arguments.source;
    let (folder, source) = if Path::new(source).is_dir() || !is_repository(source) {
        let folder = PathBuf::from(source);
        let path = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        (folder, Source::Path(path))
    } else {
        fetch(&installed, source)?
    };
    let built = compile(&folder)?;
    // A node type that is somebody else's would be refused at every start: it is refused now.
    let registry = global.registry()?;
    for ty in &built.described.nodes {
        let owner = registry
            .plugins()
            .iter()
            .find(|plugin| plugin.nodes().iter().any(|other| other.name == *ty));
        if let Some(owner) = owner.filter(|owner| owner.name != built.described.name) {
            return Err(Failure::user(format!(
                "{} defines the node type {ty}, and so does {} ({})",
                built.described.name,
                owner.name,
                owner.file.display()
            ))
            .help("name the node after its pack: PACK/NODE"));
        }
    }
    let file = installed.install(&built, source)?;
    report::say(&format!(
        "added {} {}: {} (para nodes TYPE shows the page of one)",
        built.described.name,
        built.described.version,
        built.described.nodes.join(", ")
    ));
    report::result(&file.display().to_string());
    Ok(())
}

/// Whether the text names a repository rather than a folder.
fn is_repository(text: &str) -> bool {
    let url = text.split('#').next().unwrap_or(text);
    url.contains("://") || url.starts_with("git@") || url.ends_with(".git")
}

/// Fetches a repository into the user's folder of sources; gives the folder of the pack.
fn fetch(installed: &Installed, text: &str) -> Result<(PathBuf, Source)> {
    let (url, revision) = text
        .split_once('#')
        .map_or((text, None), |(url, revision)| (url, Some(revision)));
    let starts_badly = |text: &str| text.starts_with('-');
    if starts_badly(url) || revision.is_some_and(starts_badly) {
        return Err(Failure::user(format!("`{text}` is no repository")));
    }
    let name = url
        .trim_end_matches('/')
        .rsplit(['/', ':'])
        .next()
        .unwrap_or(url)
        .trim_end_matches(".git");
    if name.is_empty() || name.starts_with('.') {
        return Err(Failure::user(format!("`{url}` does not name a repository")));
    }
    let sources = installed.checkout("");
    std::fs::create_dir_all(&sources)
        .map_err(|e| Failure::system(format!("cannot make {}: {e}", sources.display())))?;
    let draft = tempfile::Builder::new().prefix(".fetch-").tempdir_in(&sources);
    let draft = draft.map_err(|e| Failure::system(format!("cannot write to {}: {e}", sources.display())))?;
    report::say(&format!("fetching {url}"));
    let place = draft.path().join(name);
    let clone: &[&str] = if revision.is_some() {
        &["clone", "--quiet"]
    } else {
        &["clone", "--quiet", "--depth", "1"]
    };
    git(Command::new("git").args(clone).arg("--").arg(url).arg(&place))?;
    if let Some(revision) = revision {
        git(Command::new("git")
            .current_dir(&place)
            .args(["checkout", "--quiet", "--detach", revision]))?;
    }
    let commit = git(Command::new("git").current_dir(&place).args(["rev-parse", "HEAD"]))?;
    let kept = installed.checkout(name);
    if kept.exists() {
        std::fs::remove_dir_all(&kept)
            .map_err(|e| Failure::system(format!("cannot replace {}: {e}", kept.display())))?;
    }
    std::fs::rename(&place, &kept).map_err(|e| Failure::system(format!("cannot make {}: {e}", kept.display())))?;
    Ok((
        kept,
        Source::Git {
            url: text.to_owned(),
            commit,
        },
    ))
}

fn git(command: &mut Command) -> Result<String> {
    let output = command.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).output();
    let output = output.map_err(|e| {
        Failure::system(format!("cannot run git: {e}")).help("install git, or fetch the pack and add its folder")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Failure::user(format!(
        "git failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_folders() {
        for text in [
            "https://example.org/a/pack",
            "git@example.org:a/pack",
            "../pack.git",
            "file:///a/pack#v1",
        ] {
            assert!(is_repository(text), "{text}");
        }
        for text in ["pack", "./a/pack", "/a/b"] {
            assert!(!is_repository(text), "{text}");
        }
    }
}
