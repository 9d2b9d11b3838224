//! The sources of node crates: where they are, and how they are built.

use crate::failure::Failure;
use crate::kit::Kit;
use crate::kit::cargo::{self, Said};
use crate::kit::installed::{Installed, Source};
use protocol::{Build, BuildMessage};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The sources that this `para` can build: its workspace, if it lies in one's target folder, and the packs that the
/// user added from folders of his own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    home: PathBuf,
    workspace: Option<PathBuf>,
    packs: Vec<(PathBuf, Source)>,
}

impl Sources {
    /// Those of the `para` in the folder `home`.
    pub fn of(home: &Path, installed: Option<&Installed>) -> Self {
        let is_workspace = |folder: &&Path| folder.join("nodes/sdk/Cargo.toml").is_file();
        let packs = installed.map(Installed::packs).unwrap_or_default().into_iter();
        let packs = packs.filter_map(|pack| match &pack.source {
            Source::Path(path) if path.join("Cargo.toml").is_file() => Some((path.clone(), pack.source)),
            _ => None,
        });
        Self {
            home: home.to_owned(),
            workspace: home.ancestors().skip(1).find(is_workspace).map(Path::to_owned),
            packs: packs.collect(),
        }
    }

    /// The folders to watch: node crates of the workspace, and packs.
    pub fn folders(&self) -> Vec<PathBuf> {
        let nodes = self.workspace.iter().map(|root| root.join("nodes"));
        nodes.chain(self.packs.iter().map(|(path, _)| path.clone())).collect()
    }

    /// The folder of the package that a changed file belongs to; none for what is no source (results of builds,
    /// hidden files, copies that editors keep).
    pub fn package_of(&self, file: &Path) -> Option<PathBuf> {
        let root = self.folders().into_iter().find(|folder| file.starts_with(folder))?;
        let inside = file.strip_prefix(&root).ok()?;
        let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".") || part == "target";
        let name = file.file_name()?.to_string_lossy();
        if inside.iter().any(hidden) || name.ends_with('~') {
            return None;
        }
        let package = file.ancestors().skip(1).take_while(|folder| folder.starts_with(&root));
        let package = package.into_iter().find(|folder| folder.join("Cargo.toml").is_file())?;
        let is_source = name == "Cargo.toml" || name == "build.rs" || file.starts_with(package.join("src"));
        is_source.then(|| package.to_owned())
    }

    /// Builds what these packages (folders) belong to, and installs packs anew. Never fails: what goes wrong is in
    /// the result.
    pub fn build(&self, packages: &BTreeSet<PathBuf>, installed: Option<&Installed>) -> Build {
        let began = Instant::now();
        let mut messages = Vec::new();
        let mut ok = true;
        let in_workspace = |package: &PathBuf| {
            self.workspace
                .as_ref()
                .is_some_and(|root| package.starts_with(root.join("nodes")))
        };
        if let Some(root) = self.workspace.as_ref().filter(|_| packages.iter().any(in_workspace)) {
            let built = cargo::build(&mut self.workspace_build(root), &mut hear(&mut messages, root));
            ok &= settle(built.err(), &mut messages);
        }
        for (folder, source) in self.packs.iter().filter(|(folder, _)| packages.contains(folder)) {
            let built = Kit::beside(&self.home).and_then(|kit| kit.build(folder, &mut hear(&mut messages, folder)));
            let built = built.and_then(|built| match installed {
                Some(installed) => installed.install(&built, source.clone()).map(|_| ()),
                None => Ok(()),
            });
            ok &= settle(built.err(), &mut messages);
        }
        Build {
            ok,
            seconds: began.elapsed().as_secs_f64(),
            messages,
        }
    }

    /// All packages together, as they were built before: one alone may choose other features for what is shared.
    fn workspace_build(&self, root: &Path) -> Command {
        let mut command = Command::new(cargo::program());
        command.args(["build", "--workspace", "--keep-going", "--target-dir"]);
        command.arg(self.home.parent().unwrap_or(&self.home)).current_dir(root);
        match self.home.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => {}
            Some(profile) => {
                command.args(["--profile", profile]);
            }
        }
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            command.env_remove(name);
        }
        if !sdk::FEATURES.is_empty() {
            command.args(["--features", &sdk::FEATURES.join(",")]);
        }
        command
    }
}

/// Keeps what the compiler says, with places that can be opened from anywhere.
fn hear<'a>(messages: &'a mut Vec<BuildMessage>, folder: &'a Path) -> impl FnMut(Said) + 'a {
    move |said| {
        // A package with several targets says everything several times.
        if let Said::Message(message) = said {
            let message = BuildMessage {
                level: if message.is_error { "error" } else { "warning" }.to_owned(),
                message: message.text,
                file: message.file.map(|file| folder.join(file).display().to_string()),
                line: message.line,
                column: message.column,
                rendered: message.rendered,
            };
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }
}

/// A failure that no message tells of is a message too. Whether all went well.
fn settle(failure: Option<Failure>, messages: &mut Vec<BuildMessage>) -> bool {
    let Some(failure) = failure else { return true };
    if !messages.iter().any(|message| message.level == "error") {
        let help = failure
            .help
            .as_ref()
            .map_or_else(String::new, |help| format!("\nhelp: {help}"));
        messages.push(BuildMessage {
            level: "error".to_owned(),
            rendered: format!("error: {}{help}", failure.message),
            message: failure.message,
            file: None,
            line: None,
            column: None,
        });
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sources_are_told_from_what_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            "nodes/sdk/Cargo.toml",
            "nodes/text/Cargo.toml",
            "nodes/text/src/a.rs",
            "nodes/sdk/macros/Cargo.toml",
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        let sources = Sources::of(&root.join("target/release"), None);
        assert_eq!(sources.folders(), [root.join("nodes")]);
        let package = |file: &str| sources.package_of(&root.join(file));
        assert_eq!(package("nodes/text/src/a.rs"), Some(root.join("nodes/text")));
        assert_eq!(package("nodes/text/src/deep/new.txt"), Some(root.join("nodes/text")));
        assert_eq!(package("nodes/text/Cargo.toml"), Some(root.join("nodes/text")));
        assert_eq!(
            package("nodes/sdk/macros/src/lib.rs"),
            Some(root.join("nodes/sdk/macros"))
        );
        for file in [
            "nodes/text/target/a.rs",
            "nodes/text/src/.a.rs.swp",
            "nodes/text/src/a.rs~",
            "nodes/text/notes.md",
            "graphs/a.rs",
        ] {
            assert_eq!(package(file), None, "{file}");
        }
    }
}
