//! A `.tar.gz` that is either whole or not there, and the same bytes for the same files.

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

pub(crate) struct Archive {
    tar: Builder<GzEncoder<BufWriter<NamedTempFile>>>,
    top: String,
    to: PathBuf,
}

impl Archive {
    /// An archive in `folder` whose entries lie in a folder `top`.
    pub(crate) fn new(folder: &Path, name: &str, top: &str) -> Result<Self> {
        let file = NamedTempFile::with_prefix_in(".dist-", folder)?;
        Ok(Self {
            tar: Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default())),
            top: top.to_owned(),
            to: folder.join(name),
        })
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, name: &str, file: &Path) -> Result<()> {
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        let metadata = opened.metadata()?;
        self.entry(name, is_program(&metadata), metadata.len(), opened)
    }

    /// Adds a text.
    pub(crate) fn add_text(&mut self, name: &str, text: &str) -> Result<()> {
        self.entry(name, false, text.len() as u64, text.as_bytes())
    }

    fn entry(&mut self, name: &str, program: bool, size: u64, content: impl std::io::Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if program { 0o755 } else { 0o644 });
        header.set_size(size);
        // No time and no user: they say nothing about the content.
        header.set_mtime(1);
        header.set_uid(0);
        header.set_gid(0);
        self.tar
            .append_data(&mut header, format!("{}/{name}", self.top), content)?;
        Ok(())
    }

    /// Completes it; gives its size in bytes.
    pub(crate) fn finish(self) -> Result<u64> {
        let mut file = self.tar.into_inner()?.finish()?;
        file.flush()?;
        let file = file.into_inner().map_err(|e| e.into_error())?;
        file.as_file().sync_all()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        let size = file.as_file().metadata()?.len();
        file.persist(&self.to)?;
        Ok(size)
    }
}

fn is_program(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}
