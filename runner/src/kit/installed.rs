//! The packs that the user added: one folder each, with the library and where it came from.

use super::{Built, repository};
use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of packs, `plugins` in the user's folder of data.
#[derive(Clone, Debug)]
pub struct Installed {
    root: PathBuf,
}

/// A pack that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Where its source is.
    pub source: Source,
    /// The library, in the pack's folder.
    pub file: String,
}

/// Where the source of a pack is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder.
    Path(PathBuf),
    /// A repository and the commit that was built.
    Git {
        /// As the user gave it, with what stood behind `#`.
        url: String,
        /// The commit.
        commit: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Git { url, commit } => write!(f, "{url} at {}", commit.get(..12).unwrap_or(commit)),
        }
    }
}

impl Source {
    /// Where others find it; none for a folder of this machine.
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Path(_) => None,
            Self::Git { url, commit } => {
                let url = url.split('#').next().unwrap_or(url);
                // A repository on this machine is nobody else's.
                let elsewhere = !url.starts_with("file:") && !url.starts_with(['/', '.']);
                elsewhere.then(|| format!("{url}#{commit}"))
            }
        }
    }

    /// What `para plugin add` takes to build it again.
    pub fn argument(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Git { url, .. } => url.clone(),
        }
    }
}

const RECORD: &str = "pack.json";

impl Installed {
    /// The user's packs; none where there is no home folder.
    pub fn of_user() -> Option<Self> {
        use etcetera::BaseStrategy;
        let data = etcetera::choose_base_strategy().ok()?.data_dir();
        // A home that is an empty name would put packs into the current folder.
        data.is_absolute().then(|| Self::at(data.join("para")))
    }

    /// The packs in the folder `plugins` of `data`.
    pub fn at(data: PathBuf) -> Self {
        Self {
            root: data.join("plugins"),
        }
    }

    /// The folder; it need not be there.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the source of a repository is kept.
    pub fn checkout(&self, name: &str) -> PathBuf {
        self.root.with_file_name("sources").join(name)
    }

    /// All packs, by name.
    pub fn packs(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let read = |folder: PathBuf| serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok();
        let mut packs: Vec<Record> = entries.filter_map(|entry| read(entry.path())).collect();
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        packs
    }

    /// The pack of that name.
    ///
    /// # Errors
    /// When no pack of that name was added.
    pub fn pack(&self, name: &str) -> Result<Record> {
        let packs = self.packs();
        if let Some(pack) = packs.iter().find(|pack| pack.name == name) {
            return Ok(pack.clone());
        }
        let near = graph::nearest(name, packs.iter().map(|pack| pack.name.as_str()));
        let help = near.map_or("para plugin list shows those that were".to_owned(), |near| {
            format!("did you mean {near}?")
        });
        Err(Failure::user(format!("no pack named {name} was added")).help(help))
    }

    /// The library of a pack.
    pub fn file(&self, pack: &Record) -> PathBuf {
        self.root.join(&pack.name).join(&pack.file)
    }

    /// The pack that a file belongs to.
    pub fn owner(&self, file: &Path) -> Option<Record> {
        let folder = file.parent().filter(|folder| folder.parent() == Some(&*self.root))?;
        self.packs()
            .into_iter()
            .find(|pack| folder.file_name() == Some(pack.name.as_ref()))
    }

    /// Puts a pack there; the earlier build of the same pack is replaced.
    ///
    /// # Errors
    /// A pack of that name from elsewhere, and those of the file system.
    pub fn install(&self, built: &Built, source: Source) -> Result<PathBuf> {
        let name = &built.described.name;
        if let Some(other) = self.packs().into_iter().find(|pack| pack.name == *name)
            && other.source.argument() != source.argument()
        {
            return Err(
                Failure::user(format!("a pack named {name} was added from {}", other.source))
                    .help(format!("para plugin remove {name}, then add this one")),
            );
        }
        let file = built
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let folder = self.root.join(name);
        let bytes =
            fs::read(&built.file).map_err(|e| Failure::system(format!("cannot read {}: {e}", built.file.display())))?;
        let record = Record {
            name: name.clone(),
            version: built.described.version.clone(),
            source,
            file: file.clone(),
        };
        let text = serde_json::to_vec_pretty(&record).map_err(|e| Failure::system(e.to_string()))?;
        sdk::atomic::write(&folder.join(&file), &bytes)?;
        sdk::atomic::write(&folder.join(RECORD), &text)?;
        // A crate that was renamed leaves its old library behind.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if ![file.as_str(), RECORD].iter().any(|keep| entry.file_name() == *keep) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(folder.join(file))
    }

    /// Removes a pack, with the source that was fetched for it; a source that was the user's own folder stays.
    ///
    /// # Errors
    /// When no pack of that name was added; those of the file system.
    pub fn remove(&self, name: &str) -> Result<Record> {
        let pack = self.pack(name)?;
        let folder = self.root.join(&pack.name);
        fs::remove_dir_all(&folder).map_err(|e| Failure::system(format!("cannot remove {}: {e}", folder.display())))?;
        if let Source::Git { url, .. } = &pack.source
            && let Some(name) = repository::folder_name(url)
        {
            let _ = fs::remove_dir_all(self.checkout(&name));
        }
        Ok(pack)
    }
}
