//! The frames of the README: the test that builds a graph with the keyboard, run to its end.

use crate::{root, say};
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// The test whose screens are the frames.
const SCRIPT: &str = "editor::demo::two_subjects_from_an_empty_canvas_to_a_run_in_120_keys";

pub(crate) fn record() -> Result<()> {
    let root = root()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = |args: &[&str]| -> Result<()> {
        let mut command = Command::new(&cargo);
        command.args(args).current_dir(root).env("UPDATE", "1");
        let status = command.status().context("cargo cannot be started")?;
        ensure!(status.success(), "cargo {} ended with {status}", args.join(" "));
        Ok(())
    };
    run(&["build", "--release", "--workspace"])?;
    run(&[
        "test",
        "--release",
        "--workspace",
        "--test",
        "all",
        "--",
        "--exact",
        SCRIPT,
    ])?;
    say("the frames are in docs/editor/");
    Ok(())
}
