//! Files that are either whole or not there.

use crate::{Result, ResultExt};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Writes a file under a temporary name in the same folder, syncs it and renames it.
/// A full disk or a killed process leaves the old file, never half of the new one.
///
/// # Errors
/// Those of the file system, naming the file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, true)
}

/// Like [`write`], without waiting for the disk: after a power failure the file may be missing or empty.
/// For what is cheap to make again.
///
/// # Errors
/// Those of the file system, naming the file.
pub fn write_fast(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, false)
}

fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let saved = (|| -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".para-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        if durable {
            file.as_file().sync_all()?;
        }
        set_mode(file.as_file())?;
        file.persist(path)?;
        Ok(())
    })();
    saved.context(|| format!("cannot write {}", path.display()))
}

/// Temporary files are private to the user; what we write is an ordinary file.
fn set_mode(file: &fs::File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b.txt");
        super::write(&file, b"one").unwrap();
        super::write(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        // A folder stands where the file should go: the rename fails.
        let taken = folder.path().join("a");
        let error = super::write(&taken, b"three").unwrap_err();
        assert!(error.message().contains("cannot write"), "{error}");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }
}
