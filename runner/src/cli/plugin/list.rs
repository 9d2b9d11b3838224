//! `para plugin list`: the node crates that are here.

use super::{Global, report};
use crate::failure::{Failure, Result};
use crate::kit::installed::{Installed, Record};
use serde_json::json;

/// Arguments of `para plugin list`.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: one list of {name, version, source, file, nodes, refused}
    #[arg(long)]
    json: bool,
}

/// One line.
struct Row {
    name: String,
    version: String,
    source: String,
    file: String,
    nodes: Vec<String>,
    refused: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<()> {
    let registry = global.quiet_registry()?;
    let installed = Installed::of_user();
    let packs = installed.as_ref().map(Installed::packs).unwrap_or_default();
    let owner = |file: &std::path::Path| installed.as_ref().and_then(|installed| installed.owner(file));
    let home = super::super::home()?;
    let source = |file: &std::path::Path, pack: Option<&Record>| match pack {
        Some(pack) => pack.source.to_string(),
        None if file.parent() == Some(&*home) => "with para".to_owned(),
        None => "a file that was put there".to_owned(),
    };
    let mut rows: Vec<Row> = registry
        .plugins()
        .iter()
        .map(|plugin| Row {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            source: source(&plugin.file, owner(&plugin.file).as_ref()),
            file: plugin.file.display().to_string(),
            nodes: plugin.nodes().iter().map(|ty| ty.name.clone()).collect(),
            refused: None,
        })
        .collect();
    for refusal in registry.refused() {
        let pack = owner(&refusal.file);
        let stem = refusal
            .file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        rows.push(Row {
            name: pack.as_ref().map_or(stem, |pack| pack.name.clone()),
            version: pack.as_ref().map_or_else(String::new, |pack| pack.version.clone()),
            source: source(&refusal.file, pack.as_ref()),
            file: refusal.file.display().to_string(),
            nodes: Vec::new(),
            refused: Some(format!("{} ({})", refusal.reason, refusal.help)),
        });
    }
    // A pack whose library is gone.
    let gone = packs
        .iter()
        .filter(|pack| !rows.iter().any(|row| row.name == pack.name));
    let gone: Vec<Row> = gone
        .map(|pack| Row {
            name: pack.name.clone(),
            version: pack.version.clone(),
            source: pack.source.to_string(),
            file: pack.file.clone(),
            nodes: Vec::new(),
            refused: Some(format!("its library is gone (para plugin update {})", pack.name)),
        })
        .collect();
    rows.extend(gone);
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    if arguments.json {
        let list = rows.iter().map(|row| {
            json!({"name": row.name, "version": row.version, "source": row.source, "file": row.file,
                "nodes": row.nodes, "refused": row.refused})
        });
        let list: Vec<_> = list.collect();
        report::result(&serde_json::to_string_pretty(&list).map_err(|e| Failure::system(e.to_string()))?);
        return Ok(());
    }
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
    let (names, versions, sources) = (
        width(|row| &row.name),
        width(|row| &row.version),
        width(|row| &row.source),
    );
    for row in &rows {
        let what = match &row.refused {
            None => row.nodes.join(" "),
            Some(why) => format!("NOT LOADED: {why}"),
        };
        let (name, version, source) = (&row.name, &row.version, &row.source);
        report::result(format!("{name:names$}  {version:versions$}  {source:sources$}  {what}").trim_end());
    }
    Ok(())
}
