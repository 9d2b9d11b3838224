//! Locks on steps: a step is worked on by one at a time, in whatever process.

use super::{Store, unwritable};
use crate::failure::{Failure, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The right to work on a step.
pub struct Lock {
    _file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever waits for the removed file gets it, sees that it is no longer the one at its path, and starts over.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Waits until nobody else, in this process or another, works on the step with this key. The lock goes with
    /// the process that holds it, however that ends. `wait` is called while somebody else holds it, and may give up.
    ///
    /// # Errors
    /// Those of the file system; those of `wait`.
    pub fn lock<E: From<Failure>>(&self, key: &str, mut wait: impl FnMut() -> Result<(), E>) -> Result<Lock, E> {
        let path = self.path("locks", key);
        let unusable = |e: io::Error| unwritable(sdk::Error::from(e).context(path.display()));
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(unusable)?;
        loop {
            let file = open(&path).map_err(unusable)?;
            loop {
                match file.try_lock() {
                    Ok(()) => break,
                    Err(fs::TryLockError::WouldBlock) => wait()?,
                    Err(fs::TryLockError::Error(e)) => return Err(unusable(e).into()),
                }
            }
            if is_at(&file, &path) {
                return Ok(Lock { _file: file, path });
            }
        }
    }

    /// The lock on a step, if nobody has it.
    pub(super) fn try_lock(&self, key: &str) -> Option<Lock> {
        struct Busy;
        impl From<Failure> for Busy {
            fn from(_: Failure) -> Self {
                Self
            }
        }
        self.lock(key, || Err(Busy)).ok()
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Whether the open file is still the one at its path: who held it before may have removed it.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        matches!((file.metadata(), fs::metadata(path)), (Ok(ours), Ok(there)) if same(&ours, &there))
    }
    #[cfg(not(unix))]
    {
        // An open file cannot be removed there.
        let _ = (file, path);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time_even_when_locks_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let wait = || {
                            std::thread::yield_now();
                            Ok::<(), Failure>(())
                        };
                        let lock = store.lock("abcd", wait).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(lock);
                    }
                });
            }
        });
        let held = store.try_lock("abcd").unwrap();
        assert!(store.try_lock("abcd").is_none());
        drop(held);
        assert!(store.try_lock("abcd").is_some());
    }
}
