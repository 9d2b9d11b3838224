//! The node crates that are here: found, inspected without running them, loaded when a graph needs them.

mod inspect;
mod library;

pub use inspect::Refusal;
pub(crate) use inspect::shared_build;

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
    loaded: Mutex<Option<Result<Arc<Vec<NodeDef>>>>>,
}

impl Plugin {
    /// Its node types.
    pub fn nodes(&self) -> &[NodeType] {
        &self.nodes
    }

    /// Whether its code is in memory.
    pub fn is_loaded(&self) -> bool {
        let loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        matches!(&*loaded, Some(Ok(_)))
    }
}

/// What a plugin file says about itself.
#[derive(Clone, Debug)]
pub struct Described {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Identifies this very build.
    pub build: String,
    /// Names of its node types.
    pub nodes: Vec<String>,
}

/// Inspects a file as the engine does before loading it, without running it.
///
/// # Errors
/// Why it would be refused by the `para` in the folder `home`.
pub fn describe(file: &Path, home: &Path) -> Result<Described, Refusal> {
    let found = inspect::inspect(file, shared_build(home).as_deref())?;
    Ok(Described {
        name: found.claim.name,
        version: found.claim.version,
        build: found.build,
        nodes: found.nodes.into_iter().map(|ty| ty.name).collect(),
    })
}

/// Where node crates are looked for, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The folder of `para`: node crates of this workspace or release, and the folder `plugins` in it.
    pub home: PathBuf,
    /// The folder of packs that the user added: files in it and in folders in it.
    pub installed: Option<PathBuf>,
    /// Files and folders that the user named for this command; whatever is wrong there is an error.
    pub named: Vec<PathBuf>,
}

impl Places {
    /// The folders that a plugin file may be dropped into.
    pub fn folders(&self) -> Vec<PathBuf> {
        let named = self.named.iter().filter(|path| path.is_dir()).cloned();
        std::iter::once(self.home.join("plugins"))
            .chain(self.installed.clone())
            .chain(named)
            .collect()
    }

    /// A pack that was added is built again by its name.
    fn mended(&self, refusal: Refusal) -> Refusal {
        let folder = refusal.file.parent();
        let name = folder
            .filter(|folder| self.installed.is_some() && folder.parent() == self.installed.as_deref())
            .and_then(Path::file_name);
        match name {
            Some(name) if refusal.help == inspect::REBUILD => Refusal {
                help: format!(
                    "compile it for this para: para plugin update {} (without a name: every pack that was added)",
                    name.display()
                ),
                ..refusal
            },
            _ => refusal,
        }
    }

    /// The files there, and whether the user named them.
    fn files(&self) -> Result<Vec<(PathBuf, bool)>> {
        let mut files = plugin_files(&self.home, true);
        files.extend(plugin_files(&self.home.join("plugins"), false));
        if let Some(installed) = &self.installed {
            files.extend(plugin_files(installed, false));
            let entries = std::fs::read_dir(installed).into_iter().flatten().flatten();
            let mut packs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
            packs.sort();
            files.extend(packs.iter().flat_map(|pack| plugin_files(pack, false)));
        }
        let mut files: Vec<(PathBuf, bool)> = files.into_iter().map(|file| (file, false)).collect();
        for path in &self.named {
            if path.is_dir() {
                files.extend(plugin_files(path, false).into_iter().map(|file| (file, true)));
            } else if path.is_file() {
                files.push((path.clone(), true));
            } else {
                return Err(Failure::user(format!("no plugin file or folder at {}", path.display()))
                    .help("PARA_PLUGINS and --plugins take files and folders of built node crates"));
            }
        }
        Ok(files)
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
    /// Inspects all node crates in these places.
    ///
    /// What is broken is listed in [`refused`](Self::refused), but what the user named is an error.
    ///
    /// # Errors
    /// A refused file or a missing folder among those that the user named.
    pub fn discover(places: &Places) -> Result<Self> {
        Self::default().renewed(places)
    }

    /// Inspects them again. Plugins whose file is as it was are the same ones, loaded or not; this registry is as it was.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn renewed(&self, places: &Places) -> Result<Self> {
        let mut registry = Self {
            libraries: places.home.clone(),
            ..Self::default()
        };
        // Nodes that are compiled into this process have no file.
        for plugin in self.plugins.iter().filter(|plugin| plugin.file.as_os_str().is_empty()) {
            let _ = registry.own(plugin.clone());
        }
        let shared = shared_build(&places.home);
        for (file, named) in places.files()? {
            let added = inspect::inspect(&file, shared.as_deref()).and_then(|found| {
                let same = |plugin: &&Arc<Plugin>| plugin.file == found.file && plugin.build == found.build;
                let plugin = self.plugins.iter().find(same).cloned();
                registry.own(plugin.unwrap_or_else(|| Arc::new(Plugin::new(found))))
            });
            match added {
                Ok(()) => {}
                Err(refusal) if named => return Err(Failure::system(refusal.to_string()).help(refusal.help)),
                Err(refusal) => registry.refused.push(places.mended(refusal)),
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
        let plugin = Plugin {
            name: "builtin".into(),
            version: String::new(),
            file: PathBuf::new(),
            build: sdk::build_id().into(),
            nodes: types,
            bytes: Mutex::default(),
            loaded: Mutex::new(Some(Ok(Arc::new(nodes)))),
        };
        let own = registry.own(Arc::new(plugin));
        own.map_err(|refusal| Failure::new(Kind::Bug, refusal.reason))?;
        Ok(registry)
    }

    /// The definition of a node type compiled into this process; see [`of_nodes`](Self::of_nodes).
    pub fn node<T: NodeSpec>() -> NodeDef {
        NodeDef::of::<T>()
    }

    fn own(&mut self, plugin: Arc<Plugin>) -> Result<(), Refusal> {
        for ty in &plugin.nodes {
            if let Some(other) = self.owner.get(&ty.name) {
                if other.build == plugin.build {
                    // The same file once more, in another folder.
                    return Ok(());
                }
                return Err(Refusal {
                    file: plugin.file.clone(),
                    reason: format!(
                        "two plugins define the node type {}: {} and {}",
                        ty.name,
                        other.file.display(),
                        plugin.file.display()
                    ),
                    help: "remove one of the two files".into(),
                });
            }
        }
        for ty in &plugin.nodes {
            self.owner.insert(ty.name.clone(), plugin.clone());
            self.catalog.insert(ty.clone());
        }
        self.plugins.push(plugin);
        Ok(())
    }

    /// All node types, by name.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The folder of `para`, with the shared libraries.
    pub fn home(&self) -> &Path {
        &self.libraries
    }

    /// The plugins that passed inspection.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The files that did not.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Who implements a node type.
    pub fn implementation(&self, ty: &Arc<NodeType>) -> Result<Implementation> {
        let plugin = self.owner.get(&ty.name).cloned();
        let plugin = plugin.ok_or_else(|| Failure::new(Kind::Bug, format!("nobody implements {}", ty.name)))?;
        Ok(Implementation { ty: ty.clone(), plugin })
    }

    /// Loads a plugin, if it is not, and gives its nodes.
    pub(crate) fn load_plugin(&self, plugin: &Plugin, store: &Store) -> Result<Arc<Vec<NodeDef>>> {
        let mut loaded = plugin.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(nodes) = &*loaded {
            return nodes.clone();
        }
        let mut bytes = plugin.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let nodes = library::load(plugin, bytes.take().unwrap_or_default(), &self.libraries, store).map(Arc::new);
        *loaded = Some(nodes.clone());
        nodes
    }

    /// Loads the plugin of a node type, if it is not, and gives its code.
    ///
    /// # Errors
    /// When the system's loader refuses the file, and (with [`Kind::Node`]) when its own code fails to register.
    pub fn load(&self, implementation: &Implementation, store: &Store) -> Result<Loaded> {
        let plugin = &implementation.plugin;
        let nodes = self.load_plugin(plugin, store)?;
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

impl Plugin {
    fn new(found: Found) -> Self {
        Self {
            name: found.claim.name,
            version: found.claim.version,
            file: found.file,
            build: found.build,
            nodes: found.nodes,
            bytes: Mutex::new(Some(found.bytes)),
            loaded: Mutex::default(),
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
