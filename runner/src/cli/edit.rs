//! `para edit`: starts the terminal editor, a program of its own beside this one.

use super::Global;
use crate::failure::{Failure, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Arguments of `para edit`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The graph to open; one that does not exist is begun
    graph: Option<PathBuf>,
    /// Run on another machine: a line for the shell that starts a worker, such as 'ssh host para worker'
    #[arg(long, value_name = "COMMAND")]
    worker: Option<String>,
    /// More for the editor itself: `para edit -- --theme light`; `para-tui --help` lists what there is
    #[arg(last = true, value_name = "ARGUMENT")]
    more: Vec<String>,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let this = std::env::current_exe().map_err(|e| Failure::system(format!("cannot find my own file: {e}")))?;
    let editor = this.with_file_name("para-tui");
    if !editor.is_file() {
        return Err(Failure::system(format!("{} is not there", editor.display()))
            .help("build the whole workspace: cargo build --release --workspace"));
    }
    let mut command = Command::new(&editor);
    command.arg("--para").arg(&this);
    if let Some(worker) = &arguments.worker {
        command.arg("--worker").arg(worker);
    }
    let store = global.store.iter().map(|store| ("--store", store));
    let plugins = global.plugins.iter().map(|path| ("--plugins", path));
    for (name, value) in store.chain(plugins) {
        let value = std::path::absolute(value).unwrap_or_else(|_| value.clone());
        for word in [OsStr::new(name), value.as_os_str()] {
            let mut argument = OsString::from("--worker-argument=");
            argument.push(word);
            command.arg(argument);
        }
    }
    let sizes = [("--memory", global.memory), ("--store-size", global.store_size)];
    for (name, size) in sizes {
        if let Some(size) = size {
            command.arg(format!("--worker-argument={name}={size}"));
        }
    }
    command.args(&arguments.more).args(&arguments.graph);
    // This process becomes the editor; it comes back only if that fails.
    let error = command.exec();
    Err(Failure::system(format!(
        "{} cannot be started: {error}",
        editor.display()
    )))
}
