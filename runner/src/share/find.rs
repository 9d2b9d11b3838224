//! Finds a file or folder by its content, whatever it is called.

use super::lock::LockedFile;
use crate::content::Contents;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are searched, with the size of everything in them: only what has the right size is read.
pub struct Finder<'a> {
    contents: &'a Contents,
    by_size: HashMap<(bool, u64), Vec<PathBuf>>,
}

/// Nothing this deep below a search folder is a model.
const DEEPEST: usize = 12;
/// Whoever searches a whole disk is told to name a smaller folder.
const MOST: usize = 500_000;

impl<'a> Finder<'a> {
    /// Lists what is in these folders; says which of them are too large to search as a whole.
    pub fn new(contents: &'a Contents, folders: &[PathBuf]) -> (Self, Vec<PathBuf>) {
        let mut by_size: HashMap<(bool, u64), Vec<PathBuf>> = HashMap::new();
        let mut too_large = Vec::new();
        for folder in folders {
            let mut sizes: HashMap<PathBuf, u64> = HashMap::new();
            let mut here: Vec<(bool, u64, PathBuf)> = Vec::new();
            let (mut open, mut seen) = (vec![(folder.clone(), 0)], 0);
            while let Some((at, depth)) = open.pop() {
                sizes.entry(at.clone()).or_default();
                for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
                    seen += 1;
                    let (path, name) = (entry.path(), entry.file_name());
                    let name = name.as_encoded_bytes();
                    let Ok(metadata) = fs::metadata(&path) else { continue };
                    // A link to a folder above would be searched for ever.
                    let is_link = entry.file_type().is_ok_and(|ty| ty.is_symlink());
                    if metadata.is_dir() {
                        if depth < DEEPEST && !is_link && !name.starts_with(b".") {
                            open.push((path, depth + 1));
                        }
                        continue;
                    }
                    if !metadata.is_file() {
                        continue;
                    }
                    here.push((false, metadata.len(), path.clone()));
                    // What does not count in a folder's content does not count in its size.
                    if name.starts_with(b".") || name.ends_with(b".md") {
                        continue;
                    }
                    for above in path.ancestors().skip(1).take_while(|above| above.starts_with(folder)) {
                        *sizes.entry(above.to_owned()).or_default() += metadata.len();
                    }
                }
                if seen > MOST {
                    too_large.push(folder.clone());
                    break;
                }
            }
            here.extend(sizes.into_iter().map(|(path, size)| (true, size, path)));
            // Folders count in the order in which they were named, what is in them in the order of names.
            here.sort();
            for (is_folder, size, path) in here {
                by_size.entry((is_folder, size)).or_default().push(path);
            }
        }
        (Self { contents, by_size }, too_large)
    }

    /// Where this very content is, if anywhere.
    pub fn find(&self, file: &LockedFile) -> Option<PathBuf> {
        let holds = |path: &&PathBuf| self.contents.of(path).is_ok_and(|content| content == file.blake3);
        let seen = self.contents.seen(&file.blake3);
        let known = self
            .by_size
            .get(&(file.folder, file.size))
            .map(Vec::as_slice)
            .unwrap_or_default();
        known.iter().find(holds).or_else(|| seen.iter().find(holds)).cloned()
    }
}

/// The folders to search when none is named: those that lie around a graph, the files that come with `para`, and
/// `$PARA_MODELS`.
pub fn usual_places(folders: &[&Path], home: &Path) -> Vec<PathBuf> {
    let models = std::env::var_os("PARA_MODELS").unwrap_or_default();
    let models = std::env::split_paths(&models).filter(|path| path.is_dir());
    let mut places: Vec<PathBuf> = Vec::new();
    for place in folders
        .iter()
        .map(|path| path.to_path_buf())
        .chain(super::origin::shipped(home))
        .chain(models)
    {
        let place = place.canonicalize().unwrap_or(place);
        // The root of a disk or of all users is not meant.
        let wide = place.components().count() < 3;
        if !wide && !places.iter().any(|known| place.starts_with(known)) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_under_other_names_and_a_name_is_not_enough() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("a/models/first");
        fs::create_dir_all(model.join("unet")).unwrap();
        fs::write(model.join("unet/weights.bin"), "weights").unwrap();
        fs::write(model.join("README.md"), "does not count").unwrap();
        let contents = Contents::default();
        let locked = LockedFile {
            blake3: contents.of(&model).unwrap(),
            size: Contents::size(&model).unwrap(),
            folder: true,
            ..LockedFile::default()
        };
        let moved = folder.path().join("b/other-name");
        fs::create_dir_all(moved.parent().unwrap()).unwrap();
        fs::rename(&model, &moved).unwrap();
        // The same name and size with other bytes.
        fs::create_dir_all(model.join("unet")).unwrap();
        fs::write(model.join("unet/weights.bin"), "WEIGHTS").unwrap();
        let (finder, too_large) = Finder::new(&contents, &[folder.path().to_owned()]);
        assert_eq!(finder.find(&locked), Some(moved));
        assert!(too_large.is_empty());
        let gone = LockedFile {
            blake3: "0".repeat(64),
            ..locked
        };
        assert_eq!(finder.find(&gone), None);
    }
}
