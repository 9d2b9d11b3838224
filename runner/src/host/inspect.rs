//! Reads what a plugin file says about itself, before any of its code runs.
//!
//! The system's loader cannot be trusted with a stranger: it maps a truncated file and dies on first touch,
//! or loads one whose second half is zero. So the bytes are checked first, and only these bytes are loaded.

use graph::catalog::NodeType;
use object::read::ReadCache;
use object::{Object, ObjectSection};
use sdk::handshake::{ABI, Claim, NODES_SECTION, PLUGIN_SECTION, SHARED_SECTION};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Why a file is not loaded.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// How to mend it.
    pub help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {} was not loaded: {}", self.file.display(), self.reason)
    }
}

/// A file that passed.
pub(super) struct Found {
    pub(super) file: PathBuf,
    pub(super) claim: Claim,
    pub(super) build: String,
    pub(super) nodes: Vec<NodeType>,
    pub(super) bytes: Vec<u8>,
}

/// How to mend a file of another build.
pub(super) const REBUILD: &str =
    "build it again: `para plugin build PATH` for a pack, `cargo build --release --workspace` in the workspace";
const COPY: &str = "copy or build the file again; it may have been cut off while it was written";

/// The build id of `diffusion` in the folder of the shared libraries.
pub(crate) fn shared_build(home: &Path) -> Option<String> {
    let file = File::open(shared_library(home)).ok()?;
    let cache = ReadCache::new(file);
    let object = object::File::parse(&cache).ok()?;
    let section = object.section_by_name(SHARED_SECTION)?;
    Some(Claim::read(section.data().ok()?)?.shared)
}

/// Where `diffusion` lies.
pub(super) fn shared_library(home: &Path) -> PathBuf {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    home.join(format!("{prefix}diffusion{suffix}"))
}

pub(super) fn inspect(file: &Path, shared: Option<&str>) -> Result<Found, Refusal> {
    let refuse = |reason: String, help: &str| Refusal {
        file: file.to_owned(),
        reason,
        help: help.to_owned(),
    };
    let bytes = fs::read(file).map_err(|e| refuse(e.to_string(), "check the file's permissions"))?;
    let object = object::File::parse(&*bytes).map_err(|e| {
        if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"MZ") || bytes.starts_with(b"\xcf\xfa\xed\xfe") {
            refuse(
                format!("it is a damaged or truncated library ({} bytes; {e})", bytes.len()),
                COPY,
            )
        } else {
            refuse(
                "it is not a shared library".into(),
                "a plugin is the library that cargo builds from a node crate; remove this file",
            )
        }
    })?;
    for section in object.sections() {
        if let Some((offset, size)) = section.file_range()
            && offset.checked_add(size).is_none_or(|end| end > bytes.len() as u64)
        {
            let name = section.name().unwrap_or("?");
            return Err(refuse(
                format!(
                    "it is truncated: section {name} ends beyond the file's {} bytes",
                    bytes.len()
                ),
                COPY,
            ));
        }
    }
    let section = |name| object.section_by_name(name).and_then(|section| section.data().ok());
    let Some(claim) = section(PLUGIN_SECTION) else {
        return Err(refuse(
            "it is a library but no Paragraph plugin (it has no handshake)".into(),
            "a node crate ends with sdk::plugin![…] or diffusion::plugin![…]",
        ));
    };
    let Some(claim) = Claim::read(claim) else {
        return Err(refuse(
            "its handshake is unreadable: it is damaged, or of another version of Paragraph".into(),
            REBUILD,
        ));
    };
    let ours = Claim::ours();
    let differ = |what: &str, found: &str, expected: &str| {
        refuse(format!("it was built {what} {found}, this para {expected}"), REBUILD)
    };
    if claim.abi != ABI {
        return Err(differ(
            "for plugin interface",
            &claim.abi.to_string(),
            &format!("has {ABI}"),
        ));
    }
    if claim.target != ours.target {
        return Err(differ("for", &claim.target, &format!("runs on {}", ours.target)));
    }
    if claim.rustc != ours.rustc {
        return Err(differ("by", &claim.rustc, &format!("by {}", ours.rustc)));
    }
    if claim.sdk != ours.sdk {
        return Err(differ(
            "against sdk",
            short(&claim.sdk),
            &format!("has sdk {}", short(&ours.sdk)),
        ));
    }
    if !claim.shared.is_empty() && Some(&*claim.shared) != shared {
        let expected = shared.map_or("has none beside it".into(), |id| format!("has diffusion {}", short(id)));
        return Err(differ("against diffusion", short(&claim.shared), &expected));
    }
    let nodes = section(NODES_SECTION).map(serde_json::from_slice::<Vec<NodeType>>);
    let nodes = match nodes {
        Some(Ok(nodes)) if !nodes.is_empty() => nodes,
        Some(Err(e)) => {
            return Err(refuse(format!("the descriptions of its nodes are damaged: {e}"), COPY));
        }
        _ => return Err(refuse("it describes no node".into(), REBUILD)),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes);
    hasher.update(ours.sdk.as_bytes());
    hasher.update(claim.shared.as_bytes());
    let build = hasher.finalize().to_hex().to_string();
    Ok(Found {
        file: file.to_owned(),
        claim,
        build,
        nodes,
        bytes,
    })
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
