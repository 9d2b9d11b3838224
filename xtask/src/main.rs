//! What is done around the sources: `cargo xtask dist` makes the release archives, `cargo xtask demo` the frames of the README.

mod archive;
mod built;
mod demo;
mod dist;
mod licences;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
cargo xtask dist [--out FOLDER]   builds the workspace and writes two archives (to target/dist):
                                  para-VERSION-TARGET.tar.gz      runs on a machine without Rust
                                  para-sdk-VERSION-TARGET.tar.gz  unpacked over it, compiles node packs
cargo xtask demo                  drives the editor as a user would and writes its screens to docs/editor/*.svg";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo"] => demo::record(),
        ["dist"] => dist::make(&root()?.join("target/dist")),
        ["dist", "--out", folder] => dist::make(&PathBuf::from(folder)),
        _ => bail!("{USAGE}"),
    }
}

/// The workspace's folder.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")
}

/// Tells what is going on.
#[allow(clippy::print_stderr, reason = "the only output of a developer's tool")]
fn say(line: &str) {
    eprintln!("{line}");
}
