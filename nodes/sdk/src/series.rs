//! Rows of numbered files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Files of one folder that are told apart by a number: `PREFIX_00001.png`, `PREFIX_00002.png`, …
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Their folder.
    pub folder: &'a Path,
    /// What their names begin with.
    pub prefix: &'a str,
    /// What their names end with, without the dot.
    pub extension: &'a str,
}

impl Series<'_> {
    /// The file of a number.
    pub fn path(&self, number: usize) -> PathBuf {
        let Self { prefix, extension, .. } = self;
        self.folder.join(format!("{prefix}_{number:05}.{extension}"))
    }

    /// The highest number that is taken; 0 if none is.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn last(&self) -> io::Result<usize> {
        let entries = match fs::read_dir(self.folder) {
            Ok(entries) => entries,
            // What stands in the way of the folder is told when a file is written.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut last = 0;
        for entry in entries {
            let name = entry?.file_name();
            last = last.max(name.to_str().and_then(|name| self.number(name)).unwrap_or(0));
        }
        Ok(last)
    }

    /// The number of a file of this row.
    fn number(&self, name: &str) -> Option<usize> {
        let digits = name.strip_prefix(self.prefix)?.strip_prefix('_')?;
        let digits = digits.strip_suffix(self.extension)?.strip_suffix('.')?;
        let is_ours = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number that leaves no room for more is none of ours.
        digits.parse().ok().filter(|&number| is_ours && number < 1_000_000_000)
    }

    /// The number from which `count` files can be written without replacing any other: where all of them stand or stood
    /// already (`holds` says so of each), with none between them that is another's, else behind the last.
    ///
    /// # Errors
    /// As for [`last`](Self::last).
    pub fn place(&self, count: usize, holds: impl Fn(usize, &Path) -> Slot) -> io::Result<usize> {
        let last = self.last()?;
        let slot = |first: usize, index: usize| holds(index, &self.path(first + index));
        let is_free = |first: &usize| (0..count).all(|index| slot(*first, index) != Slot::Other);
        let is_same = |first: &usize| (0..count).any(|index| slot(*first, index) == Slot::Same);
        let there = (1..=last).find(|first| is_free(first) && is_same(first));
        Ok(there.or_else(|| (last + 1..).find(is_free)).unwrap_or(last + 1))
    }
}

/// What stands where a file of a row would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Free,
    /// The same file, or what somebody made of it.
    Same,
    /// Something else, or somebody else is about to write it.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_behind_what_is_there_and_come_back_to_what_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let series = Series {
            folder: folder.path(),
            prefix: "a_1",
            extension: "png",
        };
        let place = |contents: &[&str]| {
            let holds = |index: usize, path: &Path| match fs::read_to_string(path) {
                Err(_) => Slot::Free,
                Ok(found) if found == contents[index] => Slot::Same,
                Ok(_) => Slot::Other,
            };
            series.place(contents.len(), holds).unwrap()
        };
        let write = |number: usize, content: &str| fs::write(series.path(number), content).unwrap();
        assert_eq!((place(&["x", "y"]), place(&[])), (1, 1));
        // Names that only look alike.
        for name in [
            "a_1_7.png",
            "a_1_00009.jpg",
            "a_00009.png",
            "a_1_0000x.png",
            "a_1_99999999999999999999.png",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(place(&["x", "y"]), 1);
        write(1, "x");
        // What a killed run left is completed.
        assert_eq!(place(&["x", "y"]), 1);
        assert_eq!((place(&["z", "x"]), place(&["y"])), (2, 2));
        write(2, "z");
        assert_eq!((place(&["x", "y"]), place(&["x"]), place(&["z", "w"])), (3, 1, 2));
        fs::remove_file(series.path(1)).unwrap();
        assert_eq!((place(&["x", "z"]), place(&["x"])), (1, 3));
        write(123_456, "v");
        assert_eq!(place(&["w"]), 123_457);
    }

    #[test]
    fn what_others_are_about_to_write_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let series = Series {
            folder: folder.path(),
            prefix: "a",
            extension: "png",
        };
        let taken = [series.path(1), series.path(2)];
        let holds = |_: usize, path: &Path| match taken.iter().any(|taken| taken == path) {
            true => Slot::Other,
            false => Slot::Free,
        };
        assert_eq!(series.place(2, holds).unwrap(), 3);
    }
}
