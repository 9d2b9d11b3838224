//! `para cache`: what the store holds.

use super::{Global, report};
use crate::failure::{Failure, Result};
use crate::size;
use crate::store::{Cleaned, Store};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::size_text;
use std::io::IsTerminal;

/// Commands about the store.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// What is in it, and how much
    Stat(Json),
    /// Remove what killed processes left, and what was not used for longest until the rest fits the budget
    Gc(Gc),
    /// Remove all results; they are made again when they are wanted
    Clear(Clear),
    /// Read every value; what is damaged is removed, and made again when it is wanted
    Verify(Json),
}

/// Arguments of `para cache stat` and `para cache verify`.
#[derive(clap::Args)]
pub(super) struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `para cache gc`.
#[derive(clap::Args)]
pub(super) struct Gc {
    /// Make it no larger than this, instead of the budget
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    to: Option<u64>,
    #[command(flatten)]
    json: Json,
}

/// Arguments of `para cache clear`.
#[derive(clap::Args)]
pub(super) struct Clear {
    /// Also checkpoints of trainings that could go on, results that graphs have frozen, and what tells our files from those of others
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    json: Json,
}

pub(super) fn run(global: &Global, command: Command) -> Result<()> {
    let store = global.open_store()?;
    match command {
        Command::Stat(how) => stat(&store, how.json),
        Command::Gc(arguments) => {
            let cleaned = store.gc(arguments.to.unwrap_or(store.budget())).ok_or_else(|| {
                Failure::system("another para is cleaning the store").help("wait a moment and try again")
            })?;
            tell(&cleaned, arguments.json.json)
        }
        Command::Clear(arguments) => tell(&store.clear(arguments.all)?, arguments.json.json),
        Command::Verify(how) => verify(&store, how.json),
    }
}

fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::system(e.to_string()))?;
    report::result(&text);
    Ok(())
}

fn stat(store: &Store, as_json: bool) -> Result<()> {
    let rooms = store.rooms();
    let total: u64 = rooms.values().map(|room| room.bytes).sum();
    if as_json {
        let root = store.root().to_string_lossy();
        return json(&serde_json::json!({"folder": root, "budget": store.budget(), "bytes": total, "rooms": rooms}));
    }
    report::result(&format!("{}", store.root().display()));
    let words = [
        ("values", "results of steps"),
        ("steps", "records of which step gave which result"),
        ("quick", "both, of steps quicker than the disk"),
        ("scratch", "unfinished steps with checkpoints"),
        ("plugins", "copies of node crates that were loaded"),
        ("written", "marks of files that para wrote"),
    ];
    for (name, what) in words {
        let room = rooms.get(name).cloned().unwrap_or_default();
        report::result(&format!(
            "  {name:8} {:>7}  {:>8}  {what}",
            room.count,
            size_text(room.bytes)
        ));
    }
    report::result(&format!(
        "  total             {:>8}  of {}",
        size_text(total),
        size_text(store.budget())
    ));
    Ok(())
}

fn tell(cleaned: &Cleaned, as_json: bool) -> Result<()> {
    if as_json {
        return json(cleaned);
    }
    let parts = [
        (cleaned.steps, "step"),
        (cleaned.values, "value"),
        (cleaned.unfinished, "unfinished step"),
        (cleaned.plugins, "plugin copy"),
        (cleaned.leftovers, "leftover"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| match (count, what.strip_suffix('y')) {
            (1, _) => format!("1 {what}"),
            (_, Some(stem)) => format!("{count} {stem}ies"),
            (_, None) => format!("{count} {what}s"),
        })
        .collect();
    let what = if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    };
    report::result(&format!(
        "removed {what}: {} freed, {} left",
        size_text(cleaned.freed),
        size_text(cleaned.left)
    ));
    if cleaned.frozen > 0 {
        let plural = if cleaned.frozen == 1 { "" } else { "s" };
        report::result(&format!(
            "{} frozen result{plural} stay{}, since graphs stand on them: unfreeze the nodes, or para cache clear --all",
            cleaned.frozen,
            if cleaned.frozen == 1 { "s" } else { "" },
        ));
    }
    Ok(())
}

fn verify(store: &Store, as_json: bool) -> Result<()> {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::no_length()
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("  reading  {bar:30} {bytes}/{total_bytes}  {eta}") {
        bar.set_style(style);
    }
    let found = store.verify(|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    if as_json {
        return json(&found);
    }
    for content in &found.damaged {
        report::result(&format!("damaged: value {content}, removed"));
    }
    report::result(&format!(
        "{} values whole, {} damaged, {} steps to make again",
        found.whole,
        found.damaged.len(),
        found.forgotten
    ));
    Ok(())
}
