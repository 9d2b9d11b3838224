//! The workspace, built, as cargo describes it: which file came from which package.

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A build and the packages in it.
pub(crate) struct Built {
    artifacts: Vec<Json>,
    packages: BTreeMap<String, Json>,
    edges: BTreeMap<String, Vec<Json>>,
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // A build for others is made with the workspace's own flags.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// The target triple and the folder of the compiler's own libraries.
pub(crate) fn compiler() -> Result<(String, PathBuf)> {
    let ask = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("rustc").args(arguments).output().context("rustc")?;
        ensure!(output.status.success(), "rustc {arguments:?} failed");
        Ok(String::from_utf8(output.stdout)?)
    };
    let version = ask(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok((
        host.context("rustc names no host")?.to_owned(),
        ask(&["--print", "target-libdir"])?.trim().into(),
    ))
}

impl Built {
    /// Builds the workspace in release.
    pub(crate) fn new(root: &Path, target: &str) -> Result<Self> {
        let output = cargo()
            .args([
                "build",
                "--release",
                "--workspace",
                "--message-format",
                "json-render-diagnostics",
            ])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo build")?;
        ensure!(output.status.success(), "the workspace does not build");
        let artifacts = String::from_utf8(output.stdout)?
            .lines()
            .filter_map(|line| serde_json::from_str::<Json>(line).ok())
            .filter(|message| message["reason"] == "compiler-artifact")
            .collect();
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--filter-platform", target])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo metadata")?;
        let metadata: Json = serde_json::from_slice(&output.stdout)?;
        let by_id = |list: &Json| -> BTreeMap<String, Json> {
            let list = list.as_array().into_iter().flatten();
            list.map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item.clone()))
                .collect()
        };
        let edges = by_id(&metadata["resolve"]["nodes"]);
        let edges = edges
            .into_iter()
            .map(|(id, node)| (id, node["deps"].as_array().cloned().unwrap_or_default()));
        Ok(Self {
            artifacts,
            packages: by_id(&metadata["packages"]),
            edges: edges.collect(),
        })
    }

    fn id(&self, name: &str) -> Option<&str> {
        let found = self
            .packages
            .iter()
            .find(|(_, package)| package["name"] == name && package["source"].is_null());
        found.map(|(id, _)| id.as_str())
    }

    /// Everything that is linked into a package of the workspace, or runs while it is compiled as a macro: by id.
    pub(crate) fn closure(&self, names: &[&str]) -> BTreeSet<String> {
        let mut open: Vec<String> = names
            .iter()
            .filter_map(|name| self.id(name))
            .map(str::to_owned)
            .collect();
        let mut seen: BTreeSet<String> = open.iter().cloned().collect();
        while let Some(id) = open.pop() {
            for edge in self.edges.get(&id).into_iter().flatten() {
                let kinds = edge["dep_kinds"].as_array().into_iter().flatten();
                let other = edge["pkg"].as_str().unwrap_or_default().to_owned();
                if kinds.clone().any(|kind| kind["kind"].is_null()) && seen.insert(other.clone()) {
                    open.push(other);
                }
            }
        }
        seen
    }

    /// The package of an id.
    pub(crate) fn package(&self, id: &str) -> &Json {
        self.packages.get(id).unwrap_or(&Json::Null)
    }

    /// Names of the workspace's packages that begin with these words.
    pub(crate) fn ours(&self, prefix: &str) -> Vec<String> {
        let ours = self.packages.values().filter(|package| package["source"].is_null());
        let names = ours.filter_map(|package| package["name"].as_str());
        names
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
            .collect()
    }

    /// The files of a package's targets of this kind, with this ending.
    pub(crate) fn files(&self, id: &str, kind: &str, suffix: &str) -> Vec<PathBuf> {
        let mine = self.artifacts.iter().filter(|artifact| {
            let kinds = artifact["target"]["kind"].as_array().into_iter().flatten();
            artifact["package_id"] == id && kinds.clone().any(|found| found == kind)
        });
        let files = mine.flat_map(|artifact| artifact["filenames"].as_array().into_iter().flatten());
        let files = files
            .filter_map(|file| file.as_str())
            .filter(|file| file.ends_with(suffix));
        files.map(PathBuf::from).collect()
    }

    /// The one file of a target of the workspace; none where there is no such package.
    pub(crate) fn file(&self, package: &str, kind: &str, suffix: &str) -> Option<PathBuf> {
        self.files(self.id(package)?, kind, suffix).into_iter().next()
    }
}
