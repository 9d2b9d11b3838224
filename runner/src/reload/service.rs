//! Hot reload in the background: watches, builds, replaces, and tells.

use super::{Reloaded, Reloader, Sources, Watch};
use crate::failure::Result;
use crate::kit::installed::Installed;
use crossbeam_channel::Receiver;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What the service tells, in the order in which it happens.
#[derive(Clone, Debug)]
pub enum Told {
    /// Sources of these packages changed, and a build began.
    Building(Vec<String>),
    /// The build or the look at the plugin folders is over.
    Reloaded(Reloaded),
    /// A file or folder that the user named cannot be used any more.
    Failed(crate::failure::Failure),
}

/// Watches as long as it lives.
pub struct Service {
    _watch: Arc<Mutex<Watch>>,
}

impl Service {
    /// Watches the sources of node crates and the folders of plugin files. `told` is called on threads of the service.
    ///
    /// # Errors
    /// When the system cannot watch files.
    pub fn start(reloader: Arc<Reloader>, told: impl Fn(Told) + Send + 'static) -> Result<Self> {
        let installed = Installed::of_user();
        let sources = Sources::of(&reloader.places().home, installed.as_ref());
        let (changed, changes) = crossbeam_channel::unbounded();
        let mut watch = Watch::new(move |paths| drop(changed.send(paths)))?;
        for folder in sources.folders() {
            watch.add(&folder)?;
        }
        // The folder of added packs is made, so that a file dropped into it is seen; the others are somebody else's,
        // and what is below them (results of builds) is no plugin.
        let added = reloader.places().installed.clone();
        if let Some(folder) = added.as_ref().filter(|folder| std::fs::create_dir_all(folder).is_ok()) {
            watch.add(folder)?;
        }
        let others = reloader
            .places()
            .folders()
            .into_iter()
            .filter(|folder| Some(folder) != added.as_ref());
        for folder in others.filter(|folder| folder.is_dir()) {
            watch.add_flat(&folder)?;
        }
        let watch = Arc::new(Mutex::new(watch));
        let watched = Watched {
            watch: Arc::downgrade(&watch),
            sources,
            installed,
        };
        std::thread::spawn(move || serve(&reloader, watched, &changes, &told));
        Ok(Self { _watch: watch })
    }
}

/// The sources that are watched.
struct Watched {
    watch: Weak<Mutex<Watch>>,
    sources: Sources,
    installed: Option<Installed>,
}

impl Watched {
    /// Takes up the sources of packs that were added meanwhile, and lets go of those that were removed.
    fn renew(&mut self, reloader: &Reloader) -> Result<()> {
        let before = self.sources.folders();
        self.sources = Sources::of(&reloader.places().home, self.installed.as_ref());
        let Some(watch) = self.watch.upgrade() else {
            return Ok(());
        };
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self
            .sources
            .folders()
            .into_iter()
            .filter(|folder| !before.contains(folder));
        new.into_iter().try_for_each(|folder| watch.add(&folder))
    }
}

/// Until the watch is dropped.
fn serve(reloader: &Reloader, mut watched: Watched, changes: &Receiver<BTreeSet<PathBuf>>, told: &dyn Fn(Told)) {
    for mut paths in changes {
        // What changed while the build before went on is built at once.
        paths.extend(changes.try_iter().flatten());
        let added = reloader.places().installed.as_ref();
        if added.is_some_and(|added| paths.iter().any(|path| path.starts_with(added)))
            && let Err(failure) = watched.renew(reloader)
        {
            told(Told::Failed(failure));
        }
        let Watched { sources, installed, .. } = &watched;
        let packages: BTreeSet<PathBuf> = paths.iter().filter_map(|path| sources.package_of(path)).collect();
        let folders = reloader.places().folders();
        let suffix = std::env::consts::DLL_SUFFIX;
        let is_plugin = |path: &&PathBuf| {
            path.to_string_lossy().ends_with(suffix) && folders.iter().any(|folder| path.starts_with(folder))
        };
        // Of a folder that is new or gone, nobody tells what is in it or was.
        let is_pack = |path: &&PathBuf| path.parent() == added.map(PathBuf::as_path) && !path.is_file();
        let dropped = paths.iter().any(|path| is_plugin(&path) || is_pack(&path));
        let mut build = None;
        if !packages.is_empty() {
            let names = packages
                .iter()
                .map(|package| package.file_name().unwrap_or_default().to_string_lossy().into_owned());
            told(Told::Building(names.collect()));
            build = Some(sources.build(&packages, installed.as_ref()));
        } else if !dropped {
            continue;
        }
        // A build that failed leaves everything as it is, even what it finished before it failed.
        let failed = build.as_ref().is_some_and(|build| !build.ok);
        let looked = if failed {
            let plugins = reloader.plugins();
            Ok(Reloaded {
                plugins,
                ..Reloaded::default()
            })
        } else {
            reloader.look()
        };
        told(match looked {
            Ok(reloaded) => Told::Reloaded(Reloaded { build, ..reloaded }),
            Err(failure) => Told::Failed(failure),
        });
    }
}
