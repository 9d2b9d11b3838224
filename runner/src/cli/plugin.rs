//! `para plugin`: packs of nodes that live outside of the workspace. One command per file.

mod add;
mod build;
mod list;
mod new;
mod remove;
mod test;
mod update;

use super::{Global, report};
use crate::failure::{Failure, Result};
use crate::host::Registry;
use crate::kit::cargo::Said;
use crate::kit::installed::{Installed, Source};
use crate::kit::{Built, Kit};
use std::path::{Path, PathBuf};

/// Commands about node packs.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make ./NAME: a crate with a node, its test, and a graph that shows it
    New(new::Arguments),
    /// Compile a pack against the libraries of this para
    Build(build::Arguments),
    /// Run the tests of a pack
    Test(test::Arguments),
    /// Compile a pack and keep it: its nodes are there for every graph
    Add(add::Arguments),
    /// Compile again what was added: after an update of para, or to fetch what is new
    Update(update::Arguments),
    /// List the node crates and where each comes from
    List(list::Arguments),
    /// Remove a pack that was added
    Remove(remove::Arguments),
}

pub(super) fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Add(arguments) => add::run(global, &arguments),
        Command::Update(arguments) => update::run(global, &arguments),
        Command::List(arguments) => list::run(global, &arguments),
        Command::Remove(arguments) => remove::run(&arguments),
    }
}

/// Compiles the pack in `folder`, telling what cargo and the compiler say.
fn compile(folder: &Path) -> Result<Built> {
    if !folder.is_dir() {
        return Err(Failure::user(format!("no folder {}", folder.display()))
            .help("name the folder of a pack (the one with Cargo.toml), or make one: para plugin new my-nodes"));
    }
    if !folder.join("Cargo.toml").is_file() {
        return Err(Failure::user(format!("there is no Cargo.toml in {}", folder.display()))
            .help("name the folder of a pack, or make one: para plugin new my-nodes"));
    }
    let kit = Kit::beside(&super::home()?)?;
    kit.build(folder, &mut |said| match said {
        Said::Line(line) => report::say(&line),
        Said::Message(message) => report::say(message.rendered.trim_end()),
    })
}

/// Compiles the pack in `folder` and puts it among the user's; gives what was built and where it was put.
fn keep(installed: &Installed, registry: &Registry, folder: &Path, source: Source) -> Result<(Built, PathBuf)> {
    let built = compile(folder)?;
    // A node type that is somebody else's would be refused at every start: it is refused now.
    for ty in &built.described.nodes {
        let owner = registry
            .plugins()
            .iter()
            .find(|plugin| plugin.nodes().iter().any(|other| other.name == *ty));
        if let Some(owner) = owner.filter(|owner| owner.name != built.described.name) {
            return Err(Failure::user(format!(
                "{} defines the node type {ty}, and so does {} ({})",
                built.described.name,
                owner.name,
                owner.file.display()
            ))
            .help("name the node after its pack: PACK/NODE"));
        }
    }
    let file = installed.install(&built, source)?;
    Ok((built, file))
}

/// The user's packs.
fn installed() -> Result<Installed> {
    Installed::of_user().ok_or_else(|| {
        Failure::user("there is no home folder to keep packs in")
            .help("set HOME, or name the built file with --plugins")
    })
}
