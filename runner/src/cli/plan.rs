//! `para plan`: what a run would do.

use super::open::Opened;
use super::{Global, report};
use crate::cli::watch::patient;
use crate::failure::{Failure, Result};
use crate::plan::{Forecast, plan};
use crate::resolve::Steps;
use std::path::PathBuf;

/// Arguments of `para plan`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The graph: a JSON file, or a picture made by one
    graph: PathBuf,
    /// Change a parameter first: NODE.PARAMETER=VALUE; may be repeated
    #[arg(long, value_name = "NODE.PARAMETER=VALUE")]
    set: Vec<String>,
    /// Only this node and what it needs; may be repeated
    #[arg(long, value_name = "NODE")]
    target: Vec<String>,
    /// Print JSON: one list of {node, type, state, detail}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let session = global.session()?;
    let opened = Opened::read(&arguments.graph, &arguments.set, session.registry.catalog())?;
    let checked = opened.check(&session.registry)?;
    let steps = Steps::new(&session, &checked, &opened.folder, &arguments.target, false, &patient())?;
    let lines = plan(&steps.of_graph(Some(arguments.graph)));
    let words = |forecast: &Forecast| match forecast {
        Forecast::Hit => ("hit", String::new()),
        Forecast::Miss(why) => ("miss", why.clone()),
        Forecast::DependsOn(node) => ("depends on", node.clone()),
        Forecast::Load => ("load", "in memory only; not executed".into()),
        Forecast::NotNeeded => ("hit", "not needed in memory".into()),
        Forecast::Frozen(false) => ("hit", "frozen".into()),
        Forecast::Frozen(true) => ("hit", "frozen: older than its inputs".into()),
        Forecast::Lost(why) => ("lost", why.clone()),
    };
    if arguments.json {
        let list = lines.iter().map(|line| {
            let (state, detail) = words(&line.forecast);
            serde_json::json!({"node": line.node, "type": line.ty, "state": state.replace(' ', "_"), "detail": detail})
        });
        let list: Vec<_> = list.collect();
        report::result(&serde_json::to_string_pretty(&list).map_err(|e| Failure::system(e.to_string()))?);
        return Ok(());
    }
    let width =
        |text: fn(&crate::plan::Line) -> &str| lines.iter().map(|line| text(line).chars().count()).max().unwrap_or(0);
    let (ids, types) = (width(|line| &line.node), width(|line| &line.ty));
    for line in &lines {
        let (state, detail) = words(&line.forecast);
        report::result(format!("{:ids$}  {:types$}  {state:10}  {detail}", line.node, line.ty).trim_end());
    }
    let count = |wanted: fn(&Forecast) -> bool| lines.iter().filter(|line| wanted(&line.forecast)).count();
    report::say(&format!(
        "{} from the store, {} to execute, {} undecided, {} to load",
        count(|f| matches!(f, Forecast::Hit | Forecast::NotNeeded | Forecast::Frozen(_))),
        count(|f| matches!(f, Forecast::Miss(_))),
        count(|f| matches!(f, Forecast::DependsOn(_))),
        count(|f| matches!(f, Forecast::Load)),
    ));
    Ok(())
}
