//! `para worker`: answers an editor on standard input and output.

use super::Global;
use crate::failure::Result;
use crate::host::Registry;
use crate::memory::Memory;
use crate::resolve::Session;
use crate::worker;
use std::io::{BufReader, stdin, stdout};

/// Arguments of `para worker`.
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(global: Global, Arguments {}: Arguments) -> Result<()> {
    let memory = Memory::new(global.memory_budget(), true);
    let session = Session::with_memory(global.registry()?, global.open_store()?, memory);
    let rediscover = Box::new(move |known: &Registry| known.renewed(&global.places()?));
    worker::serve(session, rediscover, BufReader::new(stdin()), Box::new(stdout()))
}
