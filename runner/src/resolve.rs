//! From a checked graph to steps with keys: what the planner and the executor share.

use crate::content::Contents;
use crate::failure::{Failure, Kind, Result};
use crate::host::{Implementation, Registry};
use crate::key;
use crate::memory::Memory;
use crate::pace::Pace;
use crate::reading::{self, Watch};
use crate::store::{Record, Store};
use graph::Checked;
use graph::catalog::{NodeKind, ParamType};
use sdk::{Files, Port};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What a run works with: the nodes that are here, the results that are here, the models in memory.
#[derive(Clone)]
pub struct Session {
    /// Node types.
    pub registry: Arc<Registry>,
    /// Results.
    pub store: Store,
    /// Hashes of files.
    pub contents: Arc<Contents>,
    /// Models.
    pub memory: Arc<Memory>,
    /// How quick node types are.
    pub(crate) pace: Arc<Pace>,
}

impl Session {
    /// A session on a store, for one run.
    pub fn new(registry: Registry, store: Store) -> Self {
        Self::with_memory(registry, store, Memory::of_process(Memory::default_budget(), false))
    }

    /// A session on a store, with this memory for models.
    pub fn with_memory(registry: Registry, store: Store, memory: Memory) -> Self {
        let contents = Contents::at(store.root().join("files.json"));
        Self {
            registry: Arc::new(registry),
            store,
            contents: Arc::new(contents),
            memory: Arc::new(memory),
            pace: Arc::default(),
        }
    }
}

/// A node of the graph, ready to be looked up.
pub struct Step {
    /// Who implements it.
    pub implementation: Implementation,
    /// Checked parameters, with paths made absolute.
    pub params: Map<String, Json>,
    /// Content of each file and folder it reads, by parameter.
    pub contents: BTreeMap<String, String>,
}

impl Step {
    /// The files and folders that it reads.
    pub fn reads(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let params = self.contents.keys().filter_map(|param| self.params.get(param));
        params.filter_map(Json::as_str).map(PathBuf::from)
    }
}

/// Whether a step has to be executed.
pub enum State {
    /// All its outputs are known, and its files are as it left them.
    Hit(Record),
    /// It has to be executed, because …
    Miss(String),
}

/// The steps of one run.
pub struct Steps<'a> {
    /// The session.
    pub session: &'a Session,
    /// The graph.
    pub checked: &'a Checked,
    /// Which nodes belong to the run.
    pub wanted: Vec<bool>,
    steps: Vec<Option<Step>>,
    fresh: bool,
    /// The graph's file, if it is of one.
    graph: Option<PathBuf>,
}

impl<'a> Steps<'a> {
    /// Resolves the nodes that `targets` need (all nodes when there is no target). `folder` is the graph's.
    ///
    /// # Errors
    /// Names every target that is not in the graph, and every file that is not there; ends when `watch` says so.
    pub fn new(
        session: &'a Session,
        checked: &'a Checked,
        folder: &Path,
        targets: &[String],
        fresh: bool,
        watch: &dyn Watch,
    ) -> Result<Self> {
        let wanted = wanted(checked, targets)?;
        let mut hashes: HashMap<PathBuf, std::io::Result<String>> = HashMap::new();
        let mut missing = Vec::new();
        if folder.to_str().is_none() {
            return Err(
                Failure::user(format!("the folder {} has a name that is not UTF-8", folder.display()))
                    .help("rename the folder, or copy the graph elsewhere"),
            );
        }
        let mut steps = Vec::with_capacity(checked.nodes.len());
        for (node, &wanted) in checked.nodes.iter().zip(&wanted) {
            if !wanted {
                steps.push(None);
                continue;
            }
            let mut params = node.params.clone();
            let mut contents = BTreeMap::new();
            for param in &node.ty.params {
                let is_input = param.ty == ParamType::Path;
                let Some(text) = params.get(&param.name).and_then(Json::as_str) else {
                    continue;
                };
                if !is_input && param.ty != ParamType::OutputPath {
                    continue;
                }
                let path = absolute(folder, text);
                if is_input {
                    let read = || reading::content(&session.contents, &node.id, &path, watch);
                    let hash = hashes.entry(path.clone()).or_insert_with(read);
                    match hash {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {
                            // What was read is not read again.
                            session.contents.save();
                            let what = format!("stopped while {} was read for node `{}`", path.display(), node.id);
                            return Err(Failure::new(Kind::Cancelled, what));
                        }
                        Ok(hash) => {
                            contents.insert(param.name.clone(), hash.clone());
                        }
                        Err(error) => missing.push(not_there(&node.id, &node.ty.name, &param.name, text, &path, error)),
                    }
                }
                params.insert(param.name.clone(), Json::String(path.to_string_lossy().into_owned()));
            }
            let implementation = session.registry.implementation(&node.ty)?;
            steps.push(Some(Step {
                implementation,
                params,
                contents,
            }));
        }
        if !missing.is_empty() {
            let help = "relative paths start from the graph's folder (for a picture: from that of the graph that made it); \
                        correct them, or use --set NODE.PARAMETER=PATH";
            return Err(Failure::user(missing.join("\n")).help(help));
        }
        session.contents.save();
        Ok(Self {
            session,
            checked,
            wanted,
            steps,
            fresh,
            graph: None,
        })
    }

    /// The same steps, of a graph that lies in this file: what its nodes have frozen stays while it says so.
    #[must_use]
    pub fn of_graph(self, file: Option<PathBuf>) -> Self {
        let absolute = file.and_then(|file| std::path::absolute(file).ok());
        Self {
            graph: absolute,
            ..self
        }
    }

    /// The step of node `index`; only nodes of the run have one.
    pub fn step(&self, index: usize) -> Option<&Step> {
        self.steps.get(index)?.as_ref()
    }

    /// How the engine treats node `index`.
    pub fn kind(&self, index: usize) -> NodeKind {
        self.checked.nodes[index].ty.kind
    }

    /// The key of node `index`, once the content keys of all values linked to it are known.
    pub fn key<'c>(&self, index: usize, content: impl Fn(usize, usize) -> Option<&'c str>) -> Option<String> {
        self.key_with(index, &self.step(index)?.params, content)
    }

    /// The key that node `index` would have with other parameters.
    pub fn key_with<'c>(
        &self,
        index: usize,
        params: &Map<String, Json>,
        content: impl Fn(usize, usize) -> Option<&'c str>,
    ) -> Option<String> {
        let step = self.step(index)?;
        let node = &self.checked.nodes[index];
        let mut inputs: Vec<(&str, Vec<&str>)> = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let contents: Option<Vec<&str>> = input.links.iter().map(|link| content(link.node, link.output)).collect();
            inputs.push((&input.port, contents?));
        }
        let build = &step.implementation.plugin.build;
        Some(key::step(&node.ty, build, params, &step.contents, &inputs))
    }

    /// The stored result that stands for a frozen node.
    ///
    /// # Errors
    /// A sentence when it is not in the store, or is that of another type.
    pub fn frozen(&self, index: usize, key: &str) -> std::result::Result<Record, String> {
        let ty = &self.checked.nodes[index].ty;
        let short = key.get(..12).unwrap_or(key);
        let record = self.session.store.record(key).ok_or_else(|| {
            format!("its frozen result {short} is not in this store: it was made with another, or removed")
        })?;
        let ports = record.outputs.iter().map(|output| (&output.port, &output.ty));
        if record.ty != ty.name || !ports.eq(ty.outputs.iter().map(|output| (&output.name, &output.ty))) {
            return Err(format!(
                "its frozen result {short} is one of {}, not of {}",
                record.ty, ty.name
            ));
        }
        self.session.store.pin(key, self.graph.as_deref());
        Ok(record)
    }

    /// Whether the step with this key has to be executed.
    pub fn look_up(&self, index: usize, key: &str) -> State {
        if self.fresh {
            return State::Miss("--fresh".into());
        }
        let Some(record) = self.session.store.record(key) else {
            return State::Miss("not in the store".into());
        };
        if self.kind(index) != NodeKind::Effect {
            return State::Hit(record);
        }
        let Some(files) = self.files(&record) else {
            return State::Miss("the list of its files is damaged".into());
        };
        for entry in files {
            match std::fs::read(&entry.path) {
                Ok(bytes) if blake3::hash(&bytes).to_hex().as_str() == entry.blake3 => {}
                Ok(_) => return State::Miss(format!("{} was changed", entry.path.display())),
                Err(_) => return State::Miss(format!("{} is missing", entry.path.display())),
            }
        }
        State::Hit(record)
    }

    /// The files that a step wrote, by its record; none when the store's list of them is damaged.
    pub fn files(&self, record: &Record) -> Option<Vec<sdk::FileEntry>> {
        let mut all = Vec::new();
        for output in record.outputs.iter().filter(|output| output.ty == Files::NAME) {
            let bytes = self.session.store.read(&output.content).ok()?;
            all.extend(Files::decode(&bytes).ok()?.items);
        }
        Some(all)
    }
}

fn wanted(checked: &Checked, targets: &[String]) -> Result<Vec<bool>> {
    if targets.is_empty() {
        return Ok(vec![true; checked.nodes.len()]);
    }
    let mut indices = Vec::new();
    for target in targets {
        let index = checked.find(target).ok_or_else(|| {
            let ids: Vec<&str> = checked.nodes.iter().take(20).map(|node| node.id.as_str()).collect();
            Failure::user(format!("--target {target}: no such node in the graph"))
                .help(format!("the nodes are {}", ids.join(", ")))
        })?;
        indices.push(index);
    }
    Ok(checked.needed(&indices))
}

/// `text` as a path, from `folder` if it is relative, without `.` and `..` where they can be resolved by name.
pub fn absolute(folder: &Path, text: &str) -> PathBuf {
    let joined = folder.join(text);
    let joined = std::path::absolute(&joined).unwrap_or(joined);
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            // `a/link/..` may lead elsewhere than to `a`: only plain folders are folded.
            Component::ParentDir if !clean.is_symlink() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

fn not_there(node: &str, ty: &str, param: &str, text: &str, path: &Path, error: &std::io::Error) -> String {
    let absent = error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink();
    let mut message = if absent {
        format!(
            "node `{node}` ({ty}): parameter `{param}` names {text}, which does not exist (looked for {})",
            path.display()
        )
    } else {
        format!(
            "node `{node}` ({ty}): parameter `{param}` names {}, which cannot be read: {error}",
            path.display()
        )
    };
    if !absent {
        return message;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let siblings = path
        .parent()
        .and_then(|p| std::fs::read_dir(p).ok())
        .into_iter()
        .flatten()
        .flatten();
    let names: Vec<String> = siblings
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if let Some(near) = graph::nearest(&name, names.iter().map(String::as_str)) {
        message.push_str(&format!("; did you mean {near}?"));
    }
    message
}
