//! `para plugin remove`: forgets a pack.

use super::{installed, report};
use crate::failure::Result;

/// Arguments of `para plugin remove`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the pack, as para plugin list shows it
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let pack = installed()?.remove(&arguments.name)?;
    report::say(&format!(
        "removed {} {} (its source: {})",
        pack.name, pack.version, pack.source
    ));
    Ok(())
}
