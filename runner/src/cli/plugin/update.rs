//! `para plugin update`: compiles again what was added.

use super::{Global, installed, keep, report};
use crate::failure::{Failure, Result};
use crate::host::Registry;
use crate::kit::installed::{Installed, Record, Source};
use crate::kit::repository;
use std::fs;

/// Arguments of `para plugin update`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the pack, as para plugin list shows it [default: every pack that was added]
    name: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let installed = installed()?;
    let packs = match &arguments.name {
        Some(name) => vec![installed.pack(name)?],
        None => installed.packs(),
    };
    if packs.is_empty() {
        report::say("no pack was added yet (para plugin add PATH)");
    }
    // Nobody needs to hear that what is mended now was refused.
    let registry = global.quiet_registry()?;
    let mut failed = Vec::new();
    for pack in packs {
        if let Err(failure) = update(&installed, &registry, &pack) {
            report::failure(&failure);
            failed.push(pack.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::user(format!("not updated: {}", failed.join(", ")))
        .help("what was there before stays; para plugin remove NAME forgets a pack"))
}

fn update(installed: &Installed, registry: &Registry, pack: &Record) -> Result<()> {
    let before = (fs::read(installed.file(pack)).ok(), pack.source.to_string());
    let (folder, source) = match &pack.source {
        Source::Path(path) if !path.is_dir() => {
            return Err(Failure::user(format!(
                "the source of {} is gone: no folder {}",
                pack.name,
                path.display()
            ))
            .help(format!(
                "put it back, or para plugin remove {} and add it from where it is now",
                pack.name
            )));
        }
        Source::Path(path) => (path.clone(), pack.source.clone()),
        Source::Git { url, .. } => {
            report::say(&format!("fetching {url}"));
            repository::fetch(installed, url)?
        }
    };
    let now = source.to_string();
    let (built, file) = keep(installed, registry, &folder, source)?;
    let described = built.described;
    let same = before == (fs::read(&file).ok(), now);
    report::say(&if same {
        format!("{} {} is up to date", described.name, described.version)
    } else if described.version == pack.version {
        format!(
            "updated {} {}: {}",
            described.name,
            described.version,
            described.nodes.join(", ")
        )
    } else {
        format!(
            "updated {} from {} to {}: {}",
            described.name,
            pack.version,
            described.version,
            described.nodes.join(", ")
        )
    });
    report::result(&file.display().to_string());
    Ok(())
}
