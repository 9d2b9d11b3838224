//! Hot reload: node crates are built and replaced while `para` runs.
//!
//! A new version is inspected and loaded beside the old one, and only when all of it is there do the next runs see it:
//! the registry is replaced as a whole or not at all. A run keeps the registry that it began with, so a running node
//! ends on its old code; nothing is ever unloaded. A step's key holds the build of its plugin, so steps of the changed
//! plugin run again and results of all others stay.

mod service;
mod sources;
mod watch;

pub use service::{Service, Told};
pub use sources::Sources;
pub use watch::Watch;

use crate::failure::Result;
use crate::host::{Places, Plugin, Refusal, Registry};
use crate::store::Store;
use protocol::{Build, Plugin as Live};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The registry that is live, and how it is replaced.
pub struct Reloader {
    places: Places,
    store: Store,
    state: Mutex<State>,
}

struct State {
    registry: Arc<Registry>,
    /// Earlier builds that are still in memory, by package.
    resident: BTreeMap<String, usize>,
}

/// What came of looking at the plugin files again.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// The node types that are new, gone or of another build.
    pub changed: Vec<String>,
    /// The node crates that are live.
    pub plugins: Vec<Live>,
    /// Files that were not loaded; the version before stays.
    pub refused: Vec<Refusal>,
    /// The build, when there was one.
    pub build: Option<Build>,
}

impl Reloader {
    /// Begins with a registry of these places.
    pub fn new(places: Places, registry: Arc<Registry>, store: Store) -> Self {
        let state = State {
            registry,
            resident: BTreeMap::new(),
        };
        Self {
            places,
            store,
            state: Mutex::new(state),
        }
    }

    /// What the next run is to use.
    pub fn registry(&self) -> Arc<Registry> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .registry
            .clone()
    }

    /// Where plugin files are looked for.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Inspects all plugin files again, loads what is new, and replaces the registry if nothing of it fails.
    ///
    /// # Errors
    /// A file or folder that the user named and that is gone or refused.
    pub fn look(&self) -> Result<Reloaded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.registry.clone();
        let fresh = before.renewed(&self.places)?;
        let known = |list: &[Arc<Plugin>], file: &PathBuf| list.iter().any(|plugin| plugin.file == *file);
        let mut refused = fresh.refused().to_vec();
        let mut fails = refused.iter().any(|refusal| known(before.plugins(), &refusal.file));
        let is_new = |plugin: &&Arc<Plugin>| !before.plugins().iter().any(|old| Arc::ptr_eq(old, plugin));
        for plugin in fresh.plugins().iter().filter(is_new) {
            if let Err(failure) = fresh.load_plugin(plugin, &self.store) {
                fails = true;
                refused.push(Refusal {
                    file: plugin.file.clone(),
                    reason: failure.message,
                    help: failure.help.unwrap_or_default(),
                });
            }
        }
        let mut changed = Vec::new();
        if !fails {
            changed = differing(&before, &fresh);
            for old in before.plugins() {
                let stays = fresh.plugins().iter().any(|plugin| Arc::ptr_eq(old, plugin));
                if !stays && old.is_loaded() {
                    *state.resident.entry(old.name.clone()).or_default() += 1;
                }
            }
            state.registry = Arc::new(fresh);
        }
        Ok(Reloaded {
            changed,
            plugins: live(&state),
            refused,
            build: None,
        })
    }

    /// The node crates that are live.
    pub fn plugins(&self) -> Vec<Live> {
        live(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The node types whose implementation differs, by name.
fn differing(before: &Registry, after: &Registry) -> Vec<String> {
    let builds = |registry: &Registry| -> BTreeSet<(String, String)> {
        let all = registry.plugins().iter();
        all.flat_map(|plugin| plugin.nodes().iter().map(|ty| (ty.name.clone(), plugin.build.clone())))
            .collect()
    };
    let (before, after) = (builds(before), builds(after));
    let names: BTreeSet<String> = before
        .symmetric_difference(&after)
        .map(|(name, _)| name.clone())
        .collect();
    names.into_iter().collect()
}

fn live(state: &State) -> Vec<Live> {
    let plugins = state.registry.plugins().iter();
    let entry = |plugin: &Arc<Plugin>| Live {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        file: plugin.file.display().to_string(),
        build: plugin.build.clone(),
        nodes: plugin.nodes().iter().map(|ty| ty.name.clone()).collect(),
        resident: state.resident.get(&plugin.name).copied().unwrap_or(0),
    };
    plugins.map(entry).collect()
}
