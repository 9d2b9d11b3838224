//! What a graph was made with, by content.

use crate::content::Contents;
use crate::failure::{Failure, Result};
use crate::host::Registry;
use crate::kit::installed::Installed;
use crate::resolve::Steps;
use crate::share::above::Above;
use crate::share::origin::origin;
use graph::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The format's version.
pub const FORMAT: u32 = 1;

/// A graph's files and node packs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// [`FORMAT`].
    pub paragraph_lock: u32,
    /// The version of `para` that wrote it.
    pub para: String,
    /// Every file and folder that the graph reads.
    pub files: Vec<LockedFile>,
    /// Every package whose nodes it uses.
    pub packs: Vec<LockedPack>,
}

/// A file or folder that a parameter names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// The node.
    pub node: String,
    /// Its parameter.
    pub param: String,
    /// The path, as the graph says it.
    pub path: String,
    /// The hash of its content: of the bytes, or of the names and bytes of all files in it.
    pub blake3: String,
    /// Bytes in all.
    pub size: u64,
    /// Whether it is a folder.
    #[serde(default)]
    pub folder: bool,
    /// Where it comes from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether it is in the archive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub packed: bool,
}

/// A package of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPack {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The node types of it that the graph uses.
    pub nodes: Vec<String>,
    /// Where it comes from: `para VERSION`, or a repository and commit; none for a folder of the author's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl LockedFile {
    /// `node.param`, as `--set` names it.
    pub fn place(&self) -> String {
        format!("{}.{}", self.node, self.param)
    }

    /// `file` or `folder`.
    pub fn kind(&self) -> &'static str {
        if self.folder { "folder" } else { "file" }
    }
}

impl Lock {
    /// The lock of a graph whose files are all here.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn of(steps: &Steps<'_>, home: &Path) -> Result<Self> {
        let all = 0..steps.checked.nodes.len();
        let all: Vec<usize> = all.filter(|index| steps.step(*index).is_some()).collect();
        Ok(Self {
            paragraph_lock: FORMAT,
            para: env!("CARGO_PKG_VERSION").to_owned(),
            files: files(steps, &all, home)?,
            packs: packs(steps, &all, home, Installed::of_user().as_ref()),
        })
    }

    /// Where the lock of a graph file lies: `graph.json` has `graph.lock.json`.
    pub fn path_for(graph: &Path) -> PathBuf {
        graph.with_extension("lock.json")
    }

    /// The lock beside a graph file, or in the graph of a picture.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn beside(graph: &Path, document: &Document) -> Result<Option<Self>> {
        if let Some(lock) = Self::inside(document) {
            return lock
                .map(Some)
                .map_err(|e| Failure::user(format!("the lock in {} is damaged: {e}", graph.display())));
        }
        let path = Self::path_for(graph);
        match fs::read(&path) {
            Ok(bytes) => {
                let json = serde_json::from_slice(&bytes).and_then(Self::from_json);
                let broken = |e| {
                    Failure::user(format!("{} is damaged: {e}", path.display()))
                        .help("remove it (nothing is checked then), or para open the archive again")
                };
                json.map(Some).map_err(broken)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::user(format!("cannot read {}: {e}", path.display()))),
        }
    }

    /// The lock that a graph has in itself, as one from a picture does.
    fn inside(document: &Document) -> Option<serde_json::Result<Self>> {
        let lock = document.top("made")?.get("lock")?;
        Some(Self::from_json(lock.clone()))
    }

    /// The lock of a graph that came as text: as [`beside`](Self::beside) the file that it is of, if it is of one.
    ///
    /// # Errors
    /// A lock that cannot be read.
    pub fn of_text(file: Option<&Path>, document: &Document) -> Result<Option<Self>> {
        match (file, Self::inside(document)) {
            (Some(file), _) => Self::beside(file, document),
            (None, None) => Ok(None),
            (None, Some(lock)) => lock
                .map(Some)
                .map_err(|e| Failure::user(format!("the lock in the graph is damaged: {e}"))),
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// Another format.
    pub fn from_json(json: Json) -> serde_json::Result<Self> {
        let lock: Self = serde_json::from_value(json)?;
        if lock.paragraph_lock != FORMAT {
            return Err(serde::de::Error::custom(format!(
                "format {}, expected {FORMAT}",
                lock.paragraph_lock
            )));
        }
        Ok(lock)
    }

    /// Makes sure that the files of a run are the ones of the lock, as far as the graph still names the same paths and
    /// `set` (`NODE.PARAMETER=VALUE`) does not say otherwise.
    ///
    /// # Errors
    /// Names every file with other bytes.
    pub fn verify(&self, steps: &Steps<'_>, set: &[String]) -> Result<()> {
        let mut wrong = Vec::new();
        for file in &self.files {
            let said = set.iter().any(|text| text.split('=').next() == Some(&*file.place()));
            let Some(index) = steps.checked.find(&file.node).filter(|_| !said) else {
                continue;
            };
            let path = steps.checked.nodes[index]
                .params
                .get(&file.param)
                .and_then(Json::as_str);
            let found = steps.step(index).and_then(|step| step.contents.get(&file.param));
            if path == Some(&*file.path)
                && let Some(found) = found.filter(|found| **found != file.blake3)
            {
                wrong.push(format!(
                    "{}: {} is there with other bytes than this graph was made with ({}, not {})",
                    file.place(),
                    file.path,
                    short(found),
                    short(&file.blake3)
                ));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::user(wrong.join("\n")).help(
            "put the right file there (para doctor looks for it by content), or say that you mean this one: \
             --set NODE.PARAMETER=PATH, --unlocked for all (para run), or take the lock file away",
        ))
    }
}

/// The locks of what lies above each node of a run, for the files that savers write.
pub(crate) struct Locks {
    /// Marks: twice a node that names files, and one more; twice the first node of each type.
    above: Above,
    files: HashMap<usize, Vec<LockedFile>>,
    installed: Option<Installed>,
    home: PathBuf,
}

impl Locks {
    /// For a run; every file is looked at once, however many savers there are.
    pub(crate) fn new(steps: &Steps<'_>, home: &Path) -> Self {
        let checked = steps.checked;
        let mut types: HashMap<&str, usize> = HashMap::new();
        let mut files = HashMap::new();
        for (index, node) in checked.nodes.iter().enumerate() {
            let Some(step) = steps.step(index) else { continue };
            types.entry(&node.ty.name).or_insert(index);
            if !step.contents.is_empty() {
                // What cannot be read any more is told by whoever reads it.
                files.insert(index, self::files(steps, &[index], home).unwrap_or_default());
            }
        }
        let sources = |node: usize| {
            let inputs = &checked.nodes[node].inputs;
            inputs.iter().flat_map(|input| &input.links).map(|link| link.node)
        };
        let own = |node: usize| {
            let ty = steps.step(node).and_then(|_| types.get(&*checked.nodes[node].ty.name));
            let named = files.contains_key(&node).then_some(2 * node + 1);
            ty.map(|first| 2 * first).into_iter().chain(named).collect()
        };
        Self {
            above: Above::new(&checked.order, sources, own),
            files,
            installed: Installed::of_user(),
            home: home.to_owned(),
        }
    }

    /// The lock of the nodes above one, and of itself.
    pub(crate) fn of(&self, steps: &Steps<'_>, index: usize) -> Lock {
        let marks = self.above.of(index).iter();
        let (named, types): (Vec<usize>, Vec<usize>) = marks.partition(|mark| *mark % 2 == 1);
        let types: Vec<usize> = types.iter().map(|mark| mark / 2).collect();
        let files = named.iter().filter_map(|mark| self.files.get(&(mark / 2)));
        Lock {
            paragraph_lock: FORMAT,
            para: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.flatten().cloned().collect(),
            packs: packs(steps, &types, &self.home, self.installed.as_ref()),
        }
    }
}

/// The beginning of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn files(steps: &Steps<'_>, nodes: &[usize], home: &Path) -> Result<Vec<LockedFile>> {
    let mut files = Vec::new();
    for &index in nodes {
        let node = &steps.checked.nodes[index];
        let Some(step) = steps.step(index) else { continue };
        for (param, content) in &step.contents {
            let text =
                |params: &serde_json::Map<String, Json>| params.get(param).and_then(Json::as_str).map(str::to_owned);
            let (Some(written), Some(absolute)) = (text(&node.params), text(&step.params)) else {
                continue;
            };
            let path = Path::new(&absolute);
            let size = Contents::size(path).map_err(|e| Failure::user(format!("cannot read {absolute}: {e}")))?;
            files.push(LockedFile {
                node: node.id.clone(),
                param: param.clone(),
                path: written,
                blake3: content.clone(),
                size,
                folder: path.is_dir(),
                origin: origin(path, home),
                packed: false,
            });
        }
    }
    Ok(files)
}

fn packs(steps: &Steps<'_>, nodes: &[usize], home: &Path, installed: Option<&Installed>) -> Vec<LockedPack> {
    let mut packs: Vec<LockedPack> = Vec::new();
    for step in nodes.iter().filter_map(|&index| steps.step(index)) {
        let plugin = &step.implementation.plugin;
        let ty = &step.implementation.ty.name;
        if let Some(pack) = packs.iter_mut().find(|pack| pack.name == plugin.name) {
            if !pack.nodes.contains(ty) {
                pack.nodes.push(ty.clone());
            }
            continue;
        }
        packs.push(LockedPack {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            nodes: vec![ty.clone()],
            source: source(&plugin.file, home, installed),
        });
    }
    packs.sort_by(|a, b| a.name.cmp(&b.name));
    packs.iter_mut().for_each(|pack| pack.nodes.sort());
    packs
}

fn source(file: &Path, home: &Path, installed: Option<&Installed>) -> Option<String> {
    if file.parent() == Some(home) {
        return Some(format!("para {}", env!("CARGO_PKG_VERSION")));
    }
    installed?.owner(file)?.source.public()
}

/// The node types of a graph that nobody here implements, with the package that does, if the lock knows it.
pub fn missing_nodes(
    document: &Document,
    registry: &Registry,
    lock: Option<&Lock>,
) -> Vec<(String, Option<LockedPack>)> {
    let mut missing: Vec<(String, Option<LockedPack>)> = Vec::new();
    for node in document.nodes().values() {
        let name = &node.ty.name;
        if registry.catalog().get(name).is_none() && !missing.iter().any(|(known, _)| known == name) {
            let pack = lock.and_then(|lock| lock.packs.iter().find(|pack| pack.nodes.contains(name)));
            missing.push((name.clone(), pack.cloned()));
        }
    }
    missing
}
