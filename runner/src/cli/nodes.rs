//! `para nodes`: the catalogue, and the page of one node type.

use super::{Global, report};
use crate::failure::{Failure, Result};
use graph::catalog::{NodeKind, NodeType, Param, ParamType};
use std::fmt::Write;

/// Arguments of `para nodes`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Show the page of this node type
    #[arg(value_name = "TYPE")]
    name: Option<String>,
    /// Print the descriptors as JSON
    #[arg(long, conflicts_with = "schema")]
    json: bool,
    /// Print the JSON Schema of graph files
    #[arg(long)]
    schema: bool,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<()> {
    let registry = global.registry()?;
    let catalog = registry.catalog();
    let json =
        |value: &serde_json::Value| serde_json::to_string_pretty(value).map_err(|e| Failure::system(e.to_string()));
    if arguments.schema {
        report::result(&json(&graph::schema(catalog))?);
        return Ok(());
    }
    let Some(name) = &arguments.name else {
        if arguments.json {
            let all: Vec<&NodeType> = catalog.iter().map(|ty| &**ty).collect();
            report::result(&json(&serde_json::json!(all))?);
            return Ok(());
        }
        let width = catalog.iter().map(|ty| ty.name.len()).max().unwrap_or(0);
        for ty in catalog.iter() {
            report::result(&format!("{:width$}  {}", ty.name, first_line(&ty.doc)));
        }
        report::say("para nodes TYPE shows one of them");
        return Ok(());
    };
    let Some(ty) = catalog.get(name) else {
        let near = graph::nearest(name, catalog.iter().map(|ty| ty.name.as_str()));
        let help = near.map_or("para nodes lists them".to_owned(), |near| {
            format!("did you mean {near}?")
        });
        return Err(Failure::user(format!("no node type `{name}`")).help(help));
    };
    let text = if arguments.json {
        json(&serde_json::json!(**ty))?
    } else {
        page(ty)
    };
    report::result(text.trim_end());
    Ok(())
}

fn first_line(doc: &str) -> &str {
    doc.lines().next().unwrap_or_default()
}

fn page(ty: &NodeType) -> String {
    let mut text = format!("{} (version {})\n\n{}\n", ty.name, ty.version, ty.doc);
    let note = match ty.kind {
        NodeKind::Step => "",
        NodeKind::Lazy => "\nIts outputs live in memory: it is loaded when a step needs it, never executed.\n",
        NodeKind::Effect => "\nIt writes files; it is done only while they are as it left them.\n",
    };
    text.push_str(note);
    let mut section = |title: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
        let _ = writeln!(text, "\n{title}");
        for (left, right) in rows {
            let _ = writeln!(text, "{}", format!("  {left:width$}  {right}").trim_end());
        }
    };
    let inputs = ty.inputs.iter().map(|input| {
        let arity = if input.variadic {
            ", one or more"
        } else if input.optional {
            ", optional"
        } else {
            ""
        };
        (format!("{}: {}{arity}", input.name, input.ty), input.doc.clone())
    });
    section("Inputs", inputs.collect());
    section(
        "Outputs",
        ty.outputs
            .iter()
            .map(|output| (format!("{}: {}", output.name, output.ty), output.doc.clone()))
            .collect(),
    );
    section(
        "Parameters",
        ty.params
            .iter()
            .map(|param| (parameter(param), param.doc.clone()))
            .collect(),
    );
    text
}

fn parameter(param: &Param) -> String {
    let ty = match &param.ty {
        ParamType::Integer => "integer".into(),
        ParamType::Number => "number".into(),
        ParamType::String => "text".into(),
        ParamType::Boolean => "true or false".into(),
        ParamType::Choice { choices } => choices.join(" | "),
        ParamType::Path => "path to read".into(),
        ParamType::OutputPath => "path to write".into(),
        ParamType::Strings => "list of texts".into(),
    };
    let range = match (param.min, param.max) {
        (Some(min), Some(max)) => format!(" {min}..{max}"),
        (Some(min), None) => format!(" from {min}"),
        (None, Some(max)) => format!(" to {max}"),
        (None, None) => String::new(),
    };
    // Whoever changes it gets the same result, from the store.
    let manner = if param.manner { ", for the same result" } else { "" };
    match &param.default {
        Some(default) => format!("{}: {ty}{range} = {default}{manner}", param.name),
        None => format!("{}: {ty}{range}, required{manner}", param.name),
    }
}
