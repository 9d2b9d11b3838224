//! `para worker`: answers an editor on standard input and output.

use super::Global;
use crate::failure::Result;
use crate::memory::Memory;
use crate::reload::Reloader;
use crate::resolve::Session;
use crate::worker;
use std::io::{BufReader, stdin, stdout};
use std::sync::Arc;

/// Arguments of `para worker`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Do not build and replace node crates when their sources change
    #[arg(long)]
    no_watch: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let memory = Memory::of_process(global.memory_budget(), true);
    let session = Session::with_memory(global.registry()?, global.open_store()?, memory);
    let reloader = Reloader::new(global.places()?, session.registry.clone(), session.store.clone());
    worker::serve(
        session,
        Arc::new(reloader),
        !arguments.no_watch,
        BufReader::new(stdin()),
        Box::new(stdout()),
    )
}
