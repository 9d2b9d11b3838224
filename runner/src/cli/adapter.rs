//! `para adapter`: facts about adapters. The arithmetic is a node's (`adapter/sizes`); this runs a graph of one node.

use super::{Global, report};
use crate::execute::{Control, Sink, execute};
use crate::failure::{Failure, Kind, Result};
use crate::provenance::Provenance;
use crate::reading::Unwatched;
use crate::resolve::Steps;
use protocol::Event;
use sdk::{Cell, Port, Table};
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Commands about adapters.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Modules and parameters of each subset at several ranks, PaRa and LoRA (Table 3 of the paper)
    Sizes(Sizes),
}

/// Arguments of `para adapter sizes`.
#[derive(clap::Args)]
pub(super) struct Sizes {
    /// `sdxl`, `sd15`, or the path of a model folder
    #[arg(long, default_value = "sdxl")]
    model: String,
    /// Ranks
    #[arg(long, value_delimiter = ',', default_value = "2,16,128")]
    ranks: Vec<u32>,
    /// Cap of a layer's rank as a share of its weight's rank
    #[arg(long, default_value_t = 0.025)]
    gamma: f64,
    /// Layers that the cap holds for: `conv` as in the paper's files, `all` as in its equation 8
    #[arg(long, default_value = "conv")]
    gamma_scope: String,
    /// Print JSON: {SUBSET: {modules, rN: {para, lora}}}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, command: Command) -> Result<()> {
    let Command::Sizes(arguments) = command;
    let mut params = json!({
        "ranks": arguments.ranks.iter().map(u32::to_string).collect::<Vec<_>>(),
        "gamma": arguments.gamma, "gamma_scope": arguments.gamma_scope,
    });
    match arguments.model.as_str() {
        known @ ("sdxl" | "sd15") => params["model"] = known.into(),
        path if Path::new(path).join("unet/config.json").is_file() => params["path"] = path.into(),
        path => {
            let message = format!("--model {path}: no unet/config.json there");
            let help = "give sdxl, sd15, or a diffusers folder (the one that holds model_index.json)";
            return Err(Failure::user(message).help(help));
        }
    }
    let table = run_node(global, "adapter/sizes", params)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&by_subset(&table)).map_err(|e| Failure::system(e.to_string()))?;
        report::result(&text);
    } else {
        print(&table);
    }
    Ok(())
}

/// Runs a graph of one node, relative to the current folder, and gives its first output.
fn run_node(global: &Global, ty: &str, params: serde_json::Value) -> Result<Table> {
    let session = global.session()?;
    let text = json!({"paragraph": 1, "nodes": {"it": {"type": ty, "params": params}}}).to_string();
    let (document, _) = graph::parse(&text);
    let checked = graph::check(&document, session.registry.catalog()).map_err(|found| {
        // The user knows the node's parameters as options, and no node.
        let first = found.first().map_or(String::new(), |d| d.message.clone());
        let first = first.replace("`it.", "`");
        Failure::new(Kind::User, first).help("para adapter sizes --help")
    })?;
    let folder = std::env::current_dir().map_err(|e| Failure::system(e.to_string()))?;
    let steps = Steps::new(&session, &checked, &folder, &[], false, &Unwatched)?;
    let failures = Arc::new(Failures::default());
    let control = Control::new(failures.clone());
    execute(&steps, &Provenance::new(&text, Path::new(&folder)), &control)?;
    if let Some(failure) = failures.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(failure);
    }
    let record = steps.key(0, |_, _| None).and_then(|key| session.store.record(&key));
    let record = record.ok_or_else(|| Failure::new(Kind::Bug, format!("{ty} left no result")))?;
    let bytes = session
        .store
        .read(&record.outputs[0].content)
        .map_err(|d| Failure::system(d.found))?;
    Ok(Table::decode(&bytes)?)
}

/// Keeps the first failure.
#[derive(Default)]
struct Failures(Mutex<Option<Failure>>);

impl Sink for Failures {
    fn event(&self, event: Event) {
        if let Event::Failed { message, help, .. } = event {
            let failure = Failure {
                kind: Kind::Node,
                message,
                help,
            };
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(failure);
        }
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    }
}

/// Rows of (subset, modules, rank, para, lora) as nested objects.
fn by_subset(table: &Table) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for row in &table.rows {
        let [subset, modules, rank, para, lora] = row.as_slice() else {
            continue;
        };
        let number = |cell: &Cell| match cell {
            Cell::Number(number) => json!(*number as u64),
            Cell::Text(text) => json!(text),
        };
        let entry = all
            .entry(text(subset))
            .or_insert_with(|| json!({"modules": number(modules)}));
        entry[format!("r{}", text(rank))] = json!({"para": number(para), "lora": number(lora)});
    }
    all.into()
}

fn print(table: &Table) {
    let rows: Vec<Vec<String>> = std::iter::once(table.columns.clone())
        .chain(table.rows.iter().map(|row| row.iter().map(text).collect()))
        .collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| {
            if i == 0 {
                format!("{cell:width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        report::result(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
