//! `para check`: what is wrong with a graph.

use super::open::Opened;
use super::{Global, report};
use crate::failure::Result;
use std::path::PathBuf;

/// Arguments of `para check`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The graph: a JSON file, or a picture made by one
    graph: PathBuf,
    /// Change a parameter first: NODE.PARAMETER=VALUE; may be repeated
    #[arg(long, value_name = "NODE.PARAMETER=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let registry = global.registry()?;
    let opened = Opened::read(&arguments.graph, &arguments.set, registry.catalog())?;
    let checked = opened.check(&registry)?;
    let links: usize = checked
        .nodes
        .iter()
        .flat_map(|node| &node.inputs)
        .map(|input| input.links.len())
        .sum();
    report::say(&format!(
        "{}: no errors, {} nodes, {links} links",
        opened.name,
        checked.nodes.len()
    ));
    Ok(())
}
