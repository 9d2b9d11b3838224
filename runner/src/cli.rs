//! The command line: one file for each command.

mod adapter;
mod cache;
mod check;
mod edit;
mod nodes;
mod open;
mod plan;
mod plugin;
mod report;
mod run;
mod share;
mod watch;
mod worker;

use crate::failure::{Failure, Kind, Result};
use crate::host::{Places, Registry};
use crate::kit::installed::Installed;
use crate::memory::Memory;
use crate::panic;
use crate::resolve::Session;
use crate::size;
use crate::store::{self, Store};
use clap::{Args, Parser, Subcommand};
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Personalise a text-to-image model by running a node graph.
///
/// A graph is a JSON file (or a picture made by one: its graph is inside). Results are kept by what made them,
/// so running a graph again executes only what changed.
#[derive(Parser)]
#[command(name = "para", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 a mistake in arguments or files named, 2 a mistake in the graph, 3 a node failed, \
4 the machine or the installation, 70 a bug in para, 130 stopped by Ctrl-C.";

#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Folder that results are kept in [default: $PARA_STORE, else `para` in your cache folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Also take node crates from this file or folder; may be repeated ($PARA_PLUGINS takes a list)
    #[arg(long, global = true, value_name = "PATH")]
    plugins: Vec<PathBuf>,
    /// Memory for loaded models and running steps, such as 8GB [default: three quarters of the machine's]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// What results may take on disk; the longest unused go first [default: $PARA_STORE_SIZE, else 20GB]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size::parse)]
    store_size: Option<u64>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a graph
    Run(run::Arguments),
    /// Say what is wrong with a graph, without running it
    Check(check::Arguments),
    /// Say what a run would execute and what it would take from the store
    Plan(plan::Arguments),
    /// Draw a graph, run it and watch it, in the terminal
    Edit(edit::Arguments),
    /// List the node types, or show the page of one
    Nodes(nodes::Arguments),
    /// Facts about adapters
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// What the store holds: sizes, cleaning, checking
    #[command(subcommand)]
    Cache(cache::Command),
    /// Answer an editor on standard input and output (docs/protocol.md)
    Worker(worker::Arguments),
    /// Write one archive with a graph, a lock of what it needs, and if wanted the files
    Pack(share::pack::Arguments),
    /// Open such an archive (or a saved picture): finds files by content, lists what is missing
    Open(share::open::Arguments),
    /// Say what a graph needs and what of it is here
    Doctor(share::doctor::Arguments),
    /// Packs of nodes: make one, compile it, add it
    #[command(subcommand)]
    Plugin(plugin::Command),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    panic::install_hook();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return mistaken(&told),
    };
    let result = catch_unwind(AssertUnwindSafe(|| match cli.command {
        Command::Run(arguments) => run::run(&cli.global, arguments),
        Command::Check(arguments) => check::run(&cli.global, arguments),
        Command::Plan(arguments) => plan::run(&cli.global, arguments),
        Command::Edit(arguments) => edit::run(&cli.global, arguments),
        Command::Nodes(arguments) => nodes::run(&cli.global, arguments),
        Command::Adapter(command) => adapter::run(&cli.global, command),
        Command::Cache(command) => cache::run(&cli.global, command),
        Command::Worker(arguments) => worker::run(&cli.global, &arguments),
        Command::Pack(arguments) => share::pack::run(&cli.global, &arguments),
        Command::Open(arguments) => share::open::run(&cli.global, &arguments),
        Command::Doctor(arguments) => share::doctor::run(&cli.global, &arguments),
        Command::Plugin(command) => plugin::run(&cli.global, command),
    }));
    let failure = match result {
        Ok(Ok(())) => match report::all_written() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => failure,
        },
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::new(Kind::Bug, format!("para itself failed: {}", panic::describe(payload)))
            .help("please report this with the graph and the command"),
    };
    report::failure(&failure);
    ExitCode::from(failure.kind.exit_code())
}

/// Prints help or what is wrong with the arguments; the latter is the user's mistake like any other.
fn mistaken(told: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice.
    let _ = told.print();
    match told.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(Kind::User.exit_code()),
    }
}

impl Global {
    /// Where node crates are looked for.
    fn places(&self) -> Result<Places> {
        let mut named = self.plugins.clone();
        if let Some(list) = std::env::var_os("PARA_PLUGINS") {
            named.extend(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
        }
        Ok(Places {
            home: home()?,
            installed: Installed::of_user().map(|installed| installed.root().to_owned()),
            named,
        })
    }

    /// The node types that are here.
    fn quiet_registry(&self) -> Result<Registry> {
        Registry::discover(&self.places()?)
    }

    /// The node types that are here, with warnings about files that were refused.
    fn registry(&self) -> Result<Registry> {
        let registry = self.quiet_registry()?;
        report::refusals(registry.refused());
        Ok(registry)
    }

    fn open_store(&self) -> Result<Store> {
        let root = match &self.store {
            Some(root) => root.clone(),
            None => Store::default_root()?,
        };
        Ok(Store::open(root)?.with_budget(self.store_budget()?))
    }

    fn store_budget(&self) -> Result<u64> {
        let named = std::env::var("PARA_STORE_SIZE").ok().filter(|text| !text.is_empty());
        match (self.store_size, named) {
            (Some(size), _) => Ok(size),
            (None, Some(text)) => size::parse(&text).map_err(|e| Failure::user(format!("PARA_STORE_SIZE: {e}"))),
            (None, None) => Ok(store::BUDGET),
        }
    }

    fn memory_budget(&self) -> u64 {
        self.memory.unwrap_or_else(Memory::default_budget)
    }

    fn session(&self) -> Result<Session> {
        let memory = Memory::of_process(self.memory_budget(), false);
        Ok(Session::with_memory(self.registry()?, self.open_store()?, memory))
    }
}

/// The folder of `para` itself.
fn home() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|e| Failure::system(format!("cannot find my own file: {e}")))?;
    Ok(program.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Whether to colour what goes to standard error.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
