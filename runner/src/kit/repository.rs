//! Packs that are fetched with git.

use super::installed::{Installed, Source};
use crate::failure::{Failure, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether the text names a repository rather than a folder.
pub fn is_named(text: &str) -> bool {
    let url = text.split('#').next().unwrap_or(text);
    url.contains("://") || url.starts_with("git@") || url.ends_with(".git")
}

/// The folder that a repository is fetched into: its last name, and a hash of the whole address, since others may be called so.
pub(super) fn folder_name(text: &str) -> Option<String> {
    let url = text.split('#').next().unwrap_or(text).trim_end_matches('/');
    let name = url.rsplit(['/', ':']).next().unwrap_or(url).trim_end_matches(".git");
    let hash = blake3::hash(url.as_bytes()).to_hex();
    (!name.is_empty() && !name.starts_with('.')).then(|| format!("{name}-{}", &hash[..8]))
}

/// Fetches a repository into the user's folder of sources, in place of what was fetched before; gives the folder of the
/// pack.
///
/// # Errors
/// A text that names no repository; git's own; those of the file system.
pub fn fetch(installed: &Installed, text: &str) -> Result<(PathBuf, Source)> {
    let (url, revision) = text
        .split_once('#')
        .map_or((text, None), |(url, revision)| (url, Some(revision)));
    let starts_badly = |text: &str| text.starts_with('-');
    if starts_badly(url) || revision.is_some_and(starts_badly) {
        return Err(Failure::user(format!("`{text}` is no repository")));
    }
    let Some(name) = folder_name(text) else {
        return Err(Failure::user(format!("`{url}` does not name a repository")));
    };
    let sources = installed.checkout("");
    std::fs::create_dir_all(&sources)
        .map_err(|e| Failure::system(format!("cannot make {}: {e}", sources.display())))?;
    let draft = tempfile::Builder::new().prefix(".fetch-").tempdir_in(&sources);
    let draft = draft.map_err(|e| Failure::system(format!("cannot write to {}: {e}", sources.display())))?;
    let place = draft.path().join(&name);
    let clone: &[&str] = if revision.is_some() {
        &["clone", "--quiet"]
    } else {
        &["clone", "--quiet", "--depth", "1"]
    };
    git(Command::new("git").args(clone).arg("--").arg(url).arg(&place))?;
    if let Some(revision) = revision {
        let checkout = |revision: &str| {
            let mut command = Command::new("git");
            let command = command.current_dir(&place);
            git(command.args(["checkout", "--quiet", "--detach", revision]))
        };
        // A branch has its name at the origin only; everything else is what it is called.
        checkout(&format!("origin/{revision}")).or_else(|_| checkout(revision))?;
    }
    let commit = git(Command::new("git").current_dir(&place).args(["rev-parse", "HEAD"]))?;
    let kept = installed.checkout(&name);
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
            assert!(is_named(text), "{text}");
        }
        for text in ["pack", "./a/pack", "/a/b"] {
            assert!(!is_named(text), "{text}");
        }
    }

    #[test]
    fn every_address_has_a_folder_of_its_own() {
        let name = |text: &str| folder_name(text).unwrap();
        let one = name("https://example.org/one/pack.git");
        assert!(one.starts_with("pack-") && one.len() == 13, "{one}");
        assert_ne!(one, name("https://example.org/other/pack.git"));
        assert_eq!(one, name("https://example.org/one/pack.git#v1"));
        assert_eq!(folder_name("https://example.org/.git"), None);
    }
}
