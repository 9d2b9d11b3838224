//! Node crates as files: cut, blanked, and with another handshake.

use super::workspace::target;
use object::{Object, ObjectSection};
use sdk::handshake::PLUGIN_SECTION;
use std::ops::Range;
use std::path::PathBuf;

/// The built file of a node crate.
pub(crate) fn file(name: &str) -> PathBuf {
    target().join(format!("libnode_{name}.so"))
}

/// Its bytes.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// All built node crates of this workspace.
pub(crate) fn all() -> Vec<PathBuf> {
    let manifests = std::fs::read_dir(super::project::root().join("nodes")).unwrap();
    let mut files: Vec<PathBuf> = manifests
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["sdk", "diffusion"].contains(&name.as_str()))
        .map(|name| file(&name))
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    files
}

/// A field of the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Magic,
    Abi,
    Rustc,
    Target,
    Sdk,
    Diffusion,
}

impl Field {
    fn place(self) -> Range<usize> {
        match self {
            Self::Magic => 0..8,
            Self::Abi => 8..12,
            Self::Rustc => 16..112,
            Self::Target => 112..160,
            Self::Sdk => 160..192,
            Self::Diffusion => 192..224,
        }
    }
}

/// The plugin with another value in a field of its handshake; the rest of the field becomes zeros.
pub(crate) fn claiming(mut plugin: Vec<u8>, field: Field, value: &[u8]) -> Vec<u8> {
    let (offset, size) = {
        let object = object::File::parse(&*plugin).unwrap();
        let section = object.section_by_name(PLUGIN_SECTION).unwrap();
        section.file_range().unwrap()
    };
    assert_eq!(size as usize, sdk::handshake::SIZE);
    let place = field.place();
    let field = &mut plugin[offset as usize..][place];
    assert_ne!(&field[..value.len()], value, "another value");
    field.fill(0);
    field[..value.len()].copy_from_slice(value);
    plugin
}
