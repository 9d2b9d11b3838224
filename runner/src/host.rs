//! The node crates that are here: found, inspected without running them, loaded when a graph needs them.

mod inspect;
mod library;

pub use inspect::Refusal;

use crate::failure::{Failure, Kind, Result};
use crate::store::Store;
use graph::catalog::{Catalog, NodeType};
use inspect::Found;
use sdk::{Node, NodeDef, NodeSpec, PortInfo};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A node crate whose file passed inspection.
pub struct Plugin {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// The file.
    pub file: PathBuf,
    /// Identifies this very build, shared libraries included; part of every step's key.
    pub build: String,
    nodes: Vec<NodeType>,
    bytes: Mutex<Option<Vec<u8>>>,
    loaded: Mutex<Option<Arc<Vec<NodeDef>>>>,
}

impl Plugin {
    /// Its node types.
    pub fn node_types(&self) -> &[NodeType] {
        &self.nodes
    }
}

/// A node type with the plugin that implements it.
#[derive(Clone)]
pub struct Implementation {
    /// The descriptor.
    pub ty: Arc<NodeType>,
    /// The plugin.
    pub plugin: Arc<Plugin>,
}

/// All node types that can be run.
#[derive(Default)]
pub struct Registry {
    plugins: Vec<Arc<Plugin>>,
    owner: HashMap<String, Arc<Plugin>>,
    catalog: Catalog,
    refused: Vec<Refusal>,
    libraries: PathBuf,
}

impl Registry {
    /// Inspects the node crates beside `para` (and in `plugins/` beside it), then those in `extra` files and folders.
    ///
    /// What is broken beside `para` is listed in [`refused`](Self::refused); what is broken in `extra`, which the
    /// user named, is an error.
    ///
    /// # Errors
    /// A refused file or a missing folder among `extra`, and two plugins with the same node type.
    pub fn discover(home: &Path, extra: &[PathBuf]) -> Result<Self> {
        let mut registry = Self {
            libraries: home.to_owned(),
            ..Self::default()
        };
        let shared = inspect::shared_build(home);
        let mut files: Vec<(PathBuf, bool)> = Vec::new();
        for folder in [home.to_owned(), home.join("plugins")] {
            files.extend(plugin_files(&folder, true).into_iter().map(|file| (file, false)));
        }
        for path in extra {
            if path.is_dir() {
                files.extend(plugin_files(path, false).into_iter().map(|file| (file, true)));
            } else if path.is_file() {
                files.push((path.clone(), true));
            } else {
                return Err(Failure::user(format!("no plugin file or folder at {}", path.display()))
                    .help("PARA_PLUGINS and --plugins take files and folders of built node crates"));
            }
        }
        for (file, named) in files {
            match inspect::inspect(&file, shared.as_deref()) {
                Ok(found) => registry.add(found)?,
                Err(refusal) if named => {
                    return Err(Failure::system(refusal.to_string()).help(refusal.help));
                }
                Err(refusal) => registry.refused.push(refusal),
            }
        }
        registry.catalog.sort();
        Ok(registry)
    }

    /// A registry of nodes compiled into this process, for tests of the engine.
    pub fn of_nodes(nodes: Vec<NodeDef>) -> Result<Self> {
        let mut registry = Self::default();
        let types = nodes
            .iter()
            .map(|node| serde_json::from_str(node.json))
            .collect::<Result<Vec<NodeType>, _>>();
        let types = types.map_err(|e| Failure::new(Kind::Bug, format!("descriptor of a node: {e}")))?;
        registry.own(Plugin {
            name: "builtin".into(),
            version: String::new(),
            file: PathBuf::new(),
            build: sdk::build_id().into(),
            nodes: types,
            bytes: Mutex::default(),
            loaded: Mutex::new(Some(Arc::new(nodes))),
        })?;
        Ok(registry)
    }

    /// The definition of a node type compiled into this process; see [`of_nodes`](Self::of_nodes).
    pub fn node<T: NodeSpec>() -> NodeDef {
        NodeDef::of::<T>()
    }

    fn add(&mut self, found: Found) -> Result<()> {
        self.own(Plugin {
            name: found.claim.name,
            version: found.claim.version,
            file: found.file,
            build: found.build,
            nodes: found.nodes,
            bytes: Mutex::new(Some(found.bytes)),
            loaded: Mutex::default(),
        })
    }

    fn own(&mut self, plugin: Plugin) -> Result<()> {
        let plugin = Arc::new(plugin);
        for ty in &plugin.nodes {
            if let Some(other) = self.owner.get(&ty.name) {
                if other.build == plugin.build {
                    // The same file once more, in another folder.
                    return Ok(());
                }
                return Err(Failure::system(format!(
                    "two plugins define the node type {}: {} and {}",
                    ty.name,
                    other.file.display(),
                    plugin.file.display()
                ))
                .help("remove one of the two files"));
            }
        }
        for ty in &plugin.nodes {
            self.owner.insert(ty.name.clone(), plugin.clone());
            self.catalog.insert(ty.clone());
        }
        self.plugins.push(plugin);
        Ok(())
    }

    /// The same registry, with the plugins of `known` in place of those of the same build: their code is loaded already.
    #[must_use]
    pub fn adopting(mut self, known: &Self) -> Self {
        let same = |plugin: &Arc<Plugin>| known.plugins.iter().find(|other| other.build == plugin.build).cloned();
        for plugin in self.plugins.iter_mut().chain(self.owner.values_mut()) {
            if let Some(known) = same(plugin) {
                *plugin = known;
            }
        }
        self
    }

    /// All node types, by name.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The plugins that passed inspection.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The files beside `para` that did not.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Who implements a node type.
    pub fn implementation(&self, ty: &Arc<NodeType>) -> Result<Implementation> {
        let plugin = self.owner.get(&ty.name).cloned();
        let plugin = plugin.ok_or_else(|| Failure::new(Kind::Bug, format!("nobody implements {}", ty.name)))?;
        Ok(Implementation { ty: ty.clone(), plugin })
    }

    /// Loads the plugin of a node type, if it is not, and gives its code.
    ///
    /// # Errors
    /// When the system's loader refuses the file.
    pub fn load(&self, implementation: &Implementation, store: &Store) -> Result<Loaded> {
        let plugin = &implementation.plugin;
        let mut loaded = plugin.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let nodes = match &*loaded {
            Some(nodes) => nodes.clone(),
            None => {
                let bytes = plugin
                    .bytes
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take();
                let nodes = Arc::new(library::load(plugin, bytes, &self.libraries, store)?);
                *loaded = Some(nodes.clone());
                nodes
            }
        };
        let index = plugin.nodes.iter().position(|ty| ty.name == implementation.ty.name);
        match index.filter(|&index| index < nodes.len()) {
            Some(index) => Ok(Loaded { nodes, index }),
            None => Err(Failure::system(format!(
                "{} describes the node type {} but does not register it",
                plugin.file.display(),
                implementation.ty.name
            ))
            .help("rebuild it: cargo build --release --workspace")),
        }
    }
}

/// The code of a node type.
pub struct Loaded {
    nodes: Arc<Vec<NodeDef>>,
    index: usize,
}

impl Loaded {
    /// A fresh node.
    pub fn make(&self) -> Box<dyn Node> {
        (self.nodes[self.index].make)()
    }

    /// The output ports' types, in order.
    pub fn outputs(&self) -> &'static [&'static PortInfo] {
        self.nodes[self.index].outputs
    }
}

/// The files in a folder that are named like a shared library; beside `para` only those named like node crates.
fn plugin_files(folder: &Path, ours: bool) -> Vec<PathBuf> {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let prefix = format!("{prefix}node_");
    let is_plugin = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.ends_with(suffix) && !name.starts_with('.') && (!ours || name.starts_with(&prefix))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_plugin).collect();
    files.sort();
    files
}
