//! Commands about graphs on their way to somebody else.

pub(super) mod doctor;
pub(super) mod open;
pub(super) mod pack;

use super::report;
use crate::share::lock::LockedPack;
use std::path::PathBuf;

/// Says which node types nobody here implements. Whether there are any.
fn missing_nodes(missing: &[(String, Option<LockedPack>)]) -> bool {
    for (ty, pack) in missing {
        let how = match pack {
            None => "no package that is here has it".to_owned(),
            Some(LockedPack {
                name,
                version,
                source: Some(source),
                ..
            }) if !source.starts_with("para ") => {
                format!("it is in {name} {version}: para plugin add {source}")
            }
            Some(LockedPack {
                name,
                version,
                source: Some(source),
                ..
            }) => {
                format!("it is in {name} {version}, which comes with {source}")
            }
            Some(LockedPack {
                name,
                version,
                source: None,
                ..
            }) => {
                format!("it is in the pack {name} {version}, which its author had in a folder: ask for it")
            }
        };
        report::result(&format!("missing  node type {ty}: {how}"));
    }
    !missing.is_empty()
}

/// The current folder.
fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}
